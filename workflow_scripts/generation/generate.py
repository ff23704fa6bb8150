"""Generate: let one pruned model think under every budget, and answer.

    python -m workflow_scripts.generation.generate --model resources/models/reasoner \\
        --mask results/reasoner/wanda-20/mask.safetensors \\
        --record results/reasoner/wanda-20/mask.json \\
        --benchmarks chains=resources/benchmarks/chains.jsonl \\
        --options '{"budgets": [6, 12], ...}' --store store --output results/reasoner/wanda-20

One engine start serves all benchmarks, repeats and budgets. Every completion goes to the store as
soon as it is finished; what is there already is not generated again, and where nothing is missing
no engine starts. At the end the traces and answers of each benchmark are written from the store;
with `--sequences` also the token ids of prompt, trace and answer together, for calibration on them.
Without a mask it is the dense model that thinks.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts import text_rows
from workflow_scripts.checkpoints import model_digest, open_checkpoint
from workflow_scripts.digests import files_digest
from workflow_scripts.errors import InputError, run_stage
from workflow_scripts.files import read_json
from workflow_scripts.generation.engine import Completion, Engine, Request
from workflow_scripts.generation.sampling import Sampling
from workflow_scripts.generation.store import Store
from workflow_scripts.generation.sweep import Sample, Sweep, SweepSettings, run_sweep
from workflow_scripts.generation.thinking import (
    end_of_turn_ids,
    finish_of,
    prompt_ids,
    tokenise_format,
)
from workflow_scripts.masks import Mask, apply_mask, dense_mask, read_mask
from workflow_scripts.records import (
    Answer,
    Problem,
    TokenSequence,
    Trace,
    read_records,
    write_records,
)

SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class EngineSettings:
    """Which engine, where it runs (`cpu`, `cuda`), its dtype, rows per batch, numeric threads."""

    engine: str
    device: str
    dtype: str
    batch_size: int
    threads: int


def main() -> None:
    arguments = _parse_arguments()
    options = json.loads(arguments.options)
    settings = _sweep_settings(options)
    model = Path(arguments.model)
    mask = _mask(model, arguments)
    tokenizer = load_chat_tokenizer(model)
    end_of_turn = end_of_turn_ids(tokenizer, _generation_config(model))
    sweep = Sweep(settings, tokenise_format(tokenizer, options["thinking"], end_of_turn))

    benchmarks = {}
    for entry in arguments.benchmarks:
        name, _, path = entry.partition("=")
        problems = read_records(Path(path), Problem)
        benchmarks[name] = _samples(problems, settings.repeats, tokenizer, sweep)
    samples = [sample for group in benchmarks.values() for sample in group]
    config = read_json(model / "config.json")
    longest = _longest_sequence(samples, sweep, config)

    engine_settings = EngineSettings(**{k: options[k] for k in EngineSettings.__annotations__})
    store = Store(Path(arguments.store), _identity(model, mask, engine_settings))

    def start() -> Engine:
        return ENGINES[engine_settings.engine](
            model, mask, engine_settings, len(tokenizer), longest
        )

    try:
        run_sweep(sweep, samples, store, start, _Progress(sys.stderr.write))
        for name, group in benchmarks.items():
            _write(Path(arguments.output), name, group, sweep, store, tokenizer.decode)
            if arguments.sequences:
                _write_sequences(Path(arguments.output), name, group, sweep, store)
    finally:
        store.close()


def load_chat_tokenizer(model: Path) -> Any:
    """The model's tokenizer. Raises `InputError` where it has no chat template."""
    tokenizer = text_rows.load_tokenizer(model)
    if not tokenizer.chat_template:
        raise InputError(f"{model}: the tokenizer has no chat template; add chat_template.jinja")
    return tokenizer


def start_transformers(
    model: Path, mask: Mask, settings: EngineSettings, vocabulary: int, longest: int
) -> Engine:
    """Load the dense checkpoint, prune it in memory and put it behind the transformers engine."""
    import torch
    from transformers import AutoModelForCausalLM

    from workflow_scripts.generation.transformers_engine import TransformersEngine

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "generation.device: cuda is asked for, but torch finds no GPU on this machine; "
            "set it to cpu or run where there is one"
        )
    torch.set_num_threads(settings.threads)
    loaded = AutoModelForCausalLM.from_pretrained(
        model, dtype=getattr(torch, settings.dtype), local_files_only=True
    )
    apply_mask(loaded, mask)
    loaded.to(settings.device)
    return TransformersEngine(loaded, vocabulary, settings.batch_size, longest)


ENGINES = {"transformers": start_transformers}


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of the dense checkpoint")
    parser.add_argument("--mask", help="without it and its record: the dense model")
    parser.add_argument("--record", help="the mask's record, mask.json")
    parser.add_argument("--benchmarks", required=True, nargs="+", metavar="NAME=FILE")
    parser.add_argument("--options", required=True, help="generation settings as JSON")
    parser.add_argument("--store", required=True, help="folder of the generation store")
    parser.add_argument("--sequences", action="store_true", help="write sequences/ as well")
    parser.add_argument("--output", required=True, help="folder for traces/ and answers/")
    arguments = parser.parse_args()
    if (arguments.mask is None) != (arguments.record is None):
        parser.error("--mask and --record belong together")
    return arguments


def _mask(model: Path, arguments: argparse.Namespace) -> Mask:
    digest = model_digest(model)
    if arguments.mask is None:
        return dense_mask(digest, open_checkpoint(model).blocks)
    return read_mask(Path(arguments.mask), Path(arguments.record), digest)


def _sweep_settings(options: dict[str, Any]) -> SweepSettings:
    sampling = Sampling(options["temperature"], options["top_p"], options["top_k"])
    return SweepSettings(
        budgets=tuple(sorted(options["budgets"])),
        repeats=options["repeats"],
        answer_tokens=options["answer_tokens"],
        sampling=sampling,
        seed=options["seed"],
    )


def _generation_config(model: Path) -> dict[str, Any]:
    path = model / "generation_config.json"
    return read_json(path) if path.exists() else {}


def _identity(model: Path, mask: Mask, settings: EngineSettings) -> dict[str, Any]:
    """What completions depend on beside their request: the weights left, the engine, its dtype."""
    files = read_json(model / "manifest.json")["files"]
    weights = {k: v for k, v in files.items() if k.endswith(".safetensors") or k == "config.json"}
    return {
        "weights": files_digest(weights),
        "mask": mask.digest,
        "engine": settings.engine,
        "device": settings.device,
        "dtype": settings.dtype,
    }


def _samples(problems: list[Problem], repeats: int, tokenizer: Any, sweep: Sweep) -> list[Sample]:
    prompts = {p.id: prompt_ids(tokenizer, p, sweep.thinking) for p in problems}
    return [Sample(name, r, ids) for name, ids in prompts.items() for r in range(repeats)]


def _longest_sequence(samples: list[Sample], sweep: Sweep, config: dict[str, Any]) -> int:
    """Tokens of the longest sequence that may come about.

    Raises `InputError` naming the problem where it exceeds the model's context.
    """
    thinking, settings = sweep.thinking, sweep.settings
    marker = max(len(thinking.after_stop), len(thinking.after_cap))
    longest = max(samples, key=lambda sample: len(sample.prompt))
    tail = settings.budgets[-1] + marker + settings.answer_tokens
    needed, context = len(longest.prompt) + tail, config["max_position_embeddings"]
    if needed > context:
        raise InputError(
            f"problem {longest.problem}: its prompt of {len(longest.prompt)} tokens, the budget of "
            f"{settings.budgets[-1]} and an answer of {settings.answer_tokens} need {needed} "
            f"tokens; the model's context is {context}: lower generation.budgets or answer_tokens"
        )
    return needed


def _write(
    output: Path,
    benchmark: str,
    samples: list[Sample],
    sweep: Sweep,
    store: Store,
    decode: Callable[[list[int]], str],
) -> None:
    """Write one benchmark's traces and answers from the store, in the order of its problems."""
    traces, answers = [], []
    for sample in samples:
        trace = _stored(store, sweep.trace_request(sample))
        traces.append(
            Trace(
                id=sample.problem,
                repeat=sample.repeat,
                seed=sweep.trace_seed(sample),
                tokens=len(trace.tokens),
                finish=finish_of(trace, sweep.thinking),
                text=decode(list(trace.tokens)),
            )
        )
        for budget, cut in sweep.cuts(trace).items():
            answer = _stored(store, sweep.answer_request(sample, cut))
            answers.append(
                Answer(
                    id=sample.problem,
                    repeat=sample.repeat,
                    budget=budget,
                    seed=sweep.answer_seed(sample),
                    trace_tokens=len(cut.tokens),
                    trace_finish=cut.finish,
                    answer_tokens=len(answer.tokens),
                    answer_finish="length" if answer.stopped_by is None else "eos",
                    text=decode(list(answer.tokens)),
                )
            )
    write_records(output / "traces" / f"{benchmark}.jsonl", traces)
    write_records(output / "answers" / f"{benchmark}.jsonl", answers)


def _write_sequences(
    output: Path, benchmark: str, samples: list[Sample], sweep: Sweep, store: Store
) -> None:
    """Write the token ids that the model saw and wrote for one benchmark, a row for each answer."""
    rows = []
    for sample in samples:
        trace = _stored(store, sweep.trace_request(sample))
        for budget, cut in sweep.cuts(trace).items():
            request = sweep.answer_request(sample, cut)
            answer = _stored(store, request)
            ending = () if answer.stopped_by is None else (answer.stopped_by,)
            ids = [*request.prompt, *answer.tokens, *ending]
            rows.append(TokenSequence(sample.problem, sample.repeat, budget, ids))
    write_records(output / "sequences" / f"{benchmark}.jsonl", rows)


def _stored(store: Store, request: Request) -> Completion:
    completion = store.get(request)
    assert completion is not None, "the sweep ended before its requests were finished"
    return completion


class _Progress:
    """A line every few seconds: completions finished, tokens per second, the most time left.

    How many answers a trace needs is known when it has ended; until then the most are counted.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._start = self._last = time.monotonic()
        self._finished = self._tokens = 0

    def __call__(self, tokens: int, most_left: int) -> None:
        self._finished += 1
        self._tokens += tokens
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES and most_left:
            return
        self._last = now
        seconds = max(now - self._start, 1e-9)
        left = seconds / self._finished * most_left
        self._write(
            f"generate: {self._finished} completions done, at most {most_left} left, "
            f"{self._tokens / seconds:.0f} tokens/s, at most {left:.0f} s left\n"
        )


if __name__ == "__main__":
    run_stage(main)
