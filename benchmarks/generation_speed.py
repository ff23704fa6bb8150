"""How fast generation is, beside transformers and vLLM alone, and what a shared sweep saves.

    python -m benchmarks.generation_speed --model resources/models/reasoner \\
        --benchmark resources/benchmarks/chains.jsonl --problems 60 --rounds 3
    python -m benchmarks.generation_speed --model resources/models/smollm2 --name smollm2 \\
        --benchmark resources/benchmarks/sums.jsonl --configfile config/smollm2.yaml \\
        --generation '{"temperature": 0.6, "budgets": [32, 64, 128]}'
    python -m benchmarks.generation_speed --parts engine --model resources/models/smollm2 \\
        --name smollm2 --benchmark resources/benchmarks/sums.jsonl \\
        --configfile config/smollm2.yaml \\
        --generation '{"batch_size": 8, "threads": 2, "budgets": [64]}'

Three questions, each answered in one run:

- Engine: the transformers engine against `model.generate`, and `LLM.generate` where vLLM is
  installed: one batch, as many greedy tokens as the largest budget after each prompt, in the same
  process with the same number of threads.
- Traces: the stage's own loop, with the sweep's bookkeeping and the store, against a bare
  `LLM.generate` on the same requests in the same process. Both engines are started before, rounds
  alternate which goes first, and caches are emptied in between. Decoded tokens per second, of wall
  time and of this process's CPU time, which other work on the machine disturbs less.
- Sweep: one run of the stage with all budgets against a run for each budget, each as whole
  processes with start-up included and with an empty store. Wall and decoded tokens.
"""

import argparse
import importlib.util
import json
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
import yaml
from snakemake.utils import update_config
from torch import get_num_threads, set_num_threads  # vLLM puts another in the second's place

from benchmarks.processes import PROJECT, Cost, stage
from workflow_scripts.artefacts.masks import Pruned, nothing_pruned
from workflow_scripts.config.entry import as_json
from workflow_scripts.config.generation import GenerationJob
from workflow_scripts.config.load import load_settings
from workflow_scripts.engines.interface import Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.engines.start import start_engine
from workflow_scripts.generation.job import Job, describe_job
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.store.files import read_entry
from workflow_scripts.generation.sweep import Get, Sample, Step, Sweep, run_sweep
from workflow_scripts.models.architectures import load_model
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--name", default="reasoner", help="the model's name in the config")
    parser.add_argument("--benchmark", required=True, type=Path, help="problems as fetched")
    parser.add_argument(
        "--problems", type=int, default=60, help="every n-th, so that as many are left"
    )
    parser.add_argument("--configfile", type=Path, help="over the default config")
    parser.add_argument("--generation", type=json.loads, default={}, help="settings as JSON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        lines = arguments.benchmark.read_text(encoding="utf-8").splitlines(keepends=True)
        step = max(1, len(lines) // arguments.problems)  # problems may be sorted by length
        (folder / "problems.jsonl").write_text("".join(lines[::step]), encoding="utf-8")
        options = options_of(arguments.configfile, arguments.name, arguments.generation)
        for part in arguments.parts:
            PARTS[part](arguments.model, folder, options, arguments.rounds)


def options_of(configfile: Path | None, name: str, changes: dict[str, Any]) -> GenerationJob:
    """Generation options of a model under a config, with vLLM unless the changes say otherwise."""
    config = yaml.safe_load((PROJECT / "config/config.yaml").read_text(encoding="utf-8"))
    if configfile:
        update_config(config, yaml.safe_load(configfile.read_text(encoding="utf-8")))
    config["generation"] |= {"engine": "vllm"} | changes
    return load_settings(config, PROJECT).generation_job(name)


class TracesOnly(Sweep):
    """A sweep that ends with its traces: only of a trace something is still to follow."""

    def steps(self, sample: Sample, get: Get) -> Iterator[Step]:
        return (step for step in super().steps(sample, get) if step.most_to_follow)


def print_traces(model: Path, folder: Path, options: GenerationJob, rounds: int) -> None:
    dense = nothing_pruned(model_digest(model), open_checkpoint(model).blocks)
    job = describe_job(model, dense, {"problems": folder / "problems.jsonl"}, options)
    sweep = TracesOnly(job.sweep.settings, job.sweep.thinking)
    engine = start_engine(model, dense, job.engine, len(job.tokenizer), job.longest)
    bare, reset = bare_vllm(model, dense, job)
    tokens: list[int] = []

    def through_the_stage(number: int) -> int:
        tokens.clear()
        with closing(Store(folder / f"store-{number}", job.identity)) as store:
            store.write_as({})
            run_sweep(sweep, job.samples, store, lambda: engine, lambda n, _: tokens.append(n))
        return sum(tokens)

    requests = [step.request for s in job.samples for step in sweep.steps(s, lambda _: None)]

    def stage(number: int) -> int:
        engine._engine.reset_prefix_cache()
        return through_the_stage(number)

    def alone(_: int) -> int:
        reset()
        return bare(requests)

    print(f"\ntraces: {len(requests)} requests")
    compare({"stage": stage, "LLM.generate": alone}, rounds)


def compare(ways: dict[str, Callable[[int], int]], rounds: int) -> None:
    """Tokens per second of several ways, the first against each other one.

    A way takes the number of the round and gives the tokens that it decoded.
    """
    clocks = {"wall": time.monotonic, "CPU": time.process_time}
    speeds: dict[tuple[str, str], list[float]] = {(way, c): [] for c in clocks for way in ways}
    for number in range(rounds + 1):  # the first one warms up
        for name in list(ways)[:: 1 if number % 2 else -1]:
            starts = {clock: now() for clock, now in clocks.items()}
            decoded = ways[name](number)
            if number:
                for clock, now in clocks.items():
                    speeds[name, clock].append(decoded / (now() - starts[clock]))
    for (name, clock), measured in speeds.items():
        shown = ", ".join(f"{speed:.0f}" for speed in measured)
        print(f"  {name}: {statistics.median(measured):.0f} tokens per {clock} second ({shown})")
    first, *others = ways
    for clock in clocks:
        for other in others:
            both = zip(speeds[first, clock], speeds[other, clock], strict=True)
            ratio = statistics.median(a / b for a, b in both)
            print(f"  {first} / {other}, {clock}: {ratio:.3f} (median of the rounds' ratios)")


def print_engine(model: Path, folder: Path, options: GenerationJob, rounds: int) -> None:
    dense = nothing_pruned(model_digest(model), open_checkpoint(model).blocks)
    options = options.model_copy(update={"engine": "transformers"})
    job = describe_job(model, dense, {"problems": folder / "problems.jsonl"}, options)
    settings, tokens = job.engine, job.sweep.settings.budgets[-1]
    prompts = list(dict.fromkeys(sample.prompt for sample in job.samples))[: settings.batch_size]
    requests = [Request(prompt, tokens, (), Sampling(0.0, 1.0, 0), 0) for prompt in prompts]
    engine = start_engine(model, dense, settings, len(job.tokenizer), job.longest)
    of_the_engine = get_num_threads()
    loaded = load_model(open_checkpoint(model), getattr(torch, settings.dtype)).to(settings.device)

    def ours(_: int) -> int:
        set_num_threads(of_the_engine)
        found = [completion for _, completion in engine.generate(deque(requests))]
        set_num_threads(settings.threads)
        return sum(len(completion.tokens) for completion in found)

    def transformers(_: int) -> int:
        longest = max(map(len, prompts))
        padding = torch.tensor([longest - len(prompt) for prompt in prompts])[:, None]
        rows = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        found = loaded.generate(
            torch.tensor(rows).to(settings.device),
            attention_mask=(torch.arange(longest) >= padding).long().to(settings.device),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
        )
        return (found.shape[1] - longest) * len(prompts)

    ways = {"engine": ours, "model.generate": transformers}
    if importlib.util.find_spec("vllm") is not None:
        bare, reset = bare_vllm(model, dense, job)

        def vllm(_: int) -> int:
            reset()
            return bare(requests)

        ways["LLM.generate"] = vllm
    print(f"\nengine: {len(requests)} requests, {tokens} tokens each, {settings.threads} threads")
    compare(ways, rounds)


def bare_vllm(
    model: Path, dense: Pruned, job: Job
) -> tuple[Callable[[list[Request]], int], Callable[[], object]]:
    """`LLM.generate` with the engine settings of the job, and how to empty its cache.

    It has nothing of ours: no banned ids, its own stop at the model's end of turn beside ours.
    """
    from workflow_scripts.engines.vllm_engine import engine_arguments, prepare

    prepare(job.engine)

    from vllm import LLM, SamplingParams

    ours = engine_arguments(model, dense, job.engine, len(job.tokenizer), job.longest)
    llm = LLM(
        str(model),
        dtype=ours.dtype,
        max_model_len=ours.max_model_len,
        max_num_seqs=ours.max_num_seqs,
        enforce_eager=ours.enforce_eager,
        skip_tokenizer_init=True,
        tensor_parallel_size=ours.tensor_parallel_size,
        gpu_memory_utilization=0.4 if job.engine.device == "cuda" else 0.2,
    )

    def generate(requests: list[Request]) -> int:
        parameters = [
            SamplingParams(
                temperature=request.sampling.temperature,
                top_p=request.sampling.top_p,
                top_k=request.sampling.top_k,
                seed=request.seed,
                max_tokens=request.max_tokens,
                stop_token_ids=list(request.stop),
                ignore_eos=not request.stop,
                detokenize=False,
            )
            for request in requests
        ]
        prompts = [{"prompt_token_ids": list(request.prompt)} for request in requests]
        outputs = [o.outputs[0] for o in llm.generate(prompts, parameters, use_tqdm=False)]
        # the stage does not count the token that stops
        return sum(len(o.token_ids) - (o.finish_reason == "stop") for o in outputs)

    return generate, llm.reset_prefix_cache


def print_sweep(model: Path, folder: Path, options: GenerationJob, rounds: int) -> None:
    shared, tokens = generate(model, folder / "shared", folder, options)
    runs = {
        budget: generate(
            model, folder / str(budget), folder, options.model_copy(update={"budgets": (budget,)})
        )
        for budget in options.budgets
    }
    each = sum((cost for cost, _ in runs.values()), Cost(0, 0, 0))
    each_tokens = sum(decoded for _, decoded in runs.values())
    print(f"\nsweep over {len(runs)} budgets with {options.engine}, whole processes")
    print(f"  shared: {shared.seconds:.0f} s, {tokens:,} tokens decoded")
    print(f"  a run for each budget: {each.seconds:.0f} s, {each_tokens:,} tokens decoded")
    print(
        f"  shared / each: {shared.seconds / each.seconds:.3f} of the time, "
        f"{tokens / each_tokens:.3f} of the tokens"
    )


def generate(model: Path, output: Path, folder: Path, options: GenerationJob) -> tuple[Cost, int]:
    """Run the stage with an empty store; its cost and the tokens that it decoded."""
    cost = stage(
        "generation.generate",
        *("--model", model.resolve(), "--benchmarks", f"problems={folder / 'problems.jsonl'}"),
        *("--options", as_json(options), "--store", output / "store", "--output", output),
        *("--provenance", output / "generation.json"),
    )
    files = [file for path in output.glob("store/*/") for file in read_entry(path)]
    return cost, sum(record.count for file in files for record in file.records)


PARTS = {"engine": print_engine, "traces": print_traces, "sweep": print_sweep}


if __name__ == "__main__":
    main()
