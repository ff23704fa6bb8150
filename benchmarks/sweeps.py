"""What a shared sweep saves against an independent one, and that both measure the same.

    python -m benchmarks.sweeps [--problems 240] [--repeats 3] [--skip-demo]

First the demo: its dense model answers its benchmark with the settings of config/config.yaml, once
with `sweep: shared` and once with `sweep: independent`, each into a store of its own. Accuracies
with their 95 % intervals at every budget, and the tokens that each decoded.

Then the budgets of arXiv 2604.25098, from trace lengths alone: the sweep itself runs, with an
engine that invents tokens. A part of the traces end by themselves, after a length that is drawn
anew for every trace; the others think on for ever.
"""

import argparse
import math
import random
import statistics
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import yaml

from benchmarks.processes import PROJECT, Cost, stage
from workflow_scripts.artefacts.records import Grade, Trace, read_records
from workflow_scripts.config.entry import as_json
from workflow_scripts.config.load import load_settings
from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.generation.store.files import read_entry
from workflow_scripts.generation.sweep import Sample, Sweep, SweepSettings, run_sweep
from workflow_scripts.generation.thinking import ThinkingFormat
from workflow_scripts.tables.statistics.intervals import Estimate, estimate_accuracy

MODEL, BENCHMARK = "reasoner", "chains"
SWEEPS = ("shared", "independent")
PAPER_BUDGETS = (512, 1024, 2048, 4096, 8192)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
STOP, END_OF_TURN = 1, 2


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, help="of the demo's benchmark; without it all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--samples", type=int, default=400, help="traces for each simulated cell")
    parser.add_argument("--skip-demo", action="store_true")
    options = parser.parse_args(argv)
    if not options.skip_demo:
        with tempfile.TemporaryDirectory() as scratch:
            print_demo(Path(scratch), options.problems, options.repeats)
    print_simulation(options.samples)


# the demo


def print_demo(scratch: Path, problems: int | None, repeats: int) -> None:
    model, benchmark = fetch(scratch, problems)
    found = {}
    for sweep in SWEEPS:
        cost = generate(scratch, sweep, model, benchmark, repeats)
        found[sweep] = estimates(scratch / sweep)
        tokens, traces = decoded(scratch / sweep)
        print(
            f"{sweep}: {tokens:,} tokens decoded, {traces:,} of them in traces, "
            f"{cost.seconds:.0f} s with start-up"
        )
    print("\n| budget | shared | independent | each within the other's interval |")
    print("|---|---|---|---|")
    for budget, one in found["shared"].items():
        other = found["independent"][budget]
        agree = one.low <= other.value <= one.high and other.low <= one.value <= other.high
        print(f"| {budget} | {shown(one)} | {shown(other)} | {'yes' if agree else 'no'} |")
    print()


def fetch(scratch: Path, problems: int | None) -> tuple[Path, Path]:
    """The demo's model and benchmark, as the workflow fetches them."""
    settings = load_settings(default_config(), PROJECT)
    manifest = scratch / "models" / MODEL / "manifest.json"
    benchmark = scratch / f"{BENCHMARK}.jsonl"
    source = as_json(settings.models[MODEL].source)
    stage("download.fetch_model", "--options", source, "--output", manifest)
    problems_of = as_json(settings.benchmarks[BENCHMARK])
    stage("download.fetch_benchmark", "--options", problems_of, "--output", benchmark)
    lines = benchmark.read_text().splitlines(keepends=True)
    # problems are sorted by length: every n-th
    benchmark.write_text("".join(lines[:: max(1, len(lines) // (problems or len(lines)))]))
    return manifest.parent, benchmark


def generate(scratch: Path, sweep: str, model: Path, benchmark: Path, repeats: int) -> Cost:
    """Generate and grade the answers of one sweep; what generation took."""
    config = default_config()
    config["generation"] |= {"sweep": sweep, "repeats": repeats}
    options = load_settings(config, PROJECT).generation_job(MODEL)
    folder = scratch / sweep
    cost = stage(
        "generation.generate",
        *("--model", model, "--benchmarks", f"{BENCHMARK}={benchmark}"),
        *("--options", as_json(options), "--store", folder / "store", "--output", folder),
        *("--provenance", folder / "generation.json"),
    )
    stage(
        "grading.grade_answers",
        *("--benchmark", benchmark, "--answers", folder / f"answers/{BENCHMARK}.jsonl"),
        *("--output", folder / "grades.jsonl", "--grader", folder / "grader.json"),
    )
    return cost


def default_config() -> dict:
    return yaml.safe_load((PROJECT / "config/config.yaml").read_text(encoding="utf-8"))


def estimates(folder: Path) -> dict[int, Estimate]:
    """Accuracy and interval by budget."""
    correct: dict[int, dict[str, list[bool]]] = {}
    for grade in read_records(folder / "grades.jsonl", Grade):
        correct.setdefault(grade.budget, {}).setdefault(grade.id, []).append(grade.correct)
    return {b: estimate_accuracy(np.array([*correct[b].values()])) for b in sorted(correct)}


def decoded(folder: Path) -> tuple[int, int]:
    """Tokens of all completions in the store, and of the traces among them."""
    files = [file for path in folder.glob("store/*/") for file in read_entry(path)]
    tokens = sum(record.count for file in files for record in file.records)
    traces = read_records(folder / f"traces/{BENCHMARK}.jsonl", Trace)
    return tokens, sum(trace.tokens for trace in traces)


def shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


# the paper's budgets


def uniform(place: float) -> int:
    """Lengths from nothing to the largest budget, each as likely."""
    return int(place * PAPER_BUDGETS[-1])


def log_normal(median: int) -> Callable[[float], int]:
    """Lengths around a median, two thirds of them within a factor of 2.2."""

    def length(place: float) -> int:
        return int(median * math.exp(0.8 * statistics.NormalDist().inv_cdf(place)))

    return length


LENGTHS = {
    "uniform up to 8192": uniform,
    "log-normal around 1000": log_normal(1000),
    "log-normal around 4000": log_normal(4000),
}


class Inventor:
    """Decodes nothing: traces of lengths that a request's seed draws, answers without a token."""

    def __init__(self, share: float, length: Callable[[float], int]) -> None:
        self._share, self._length = share, length
        self.trace_tokens = self.answers = 0

    def generate(self, queue: deque[Request]) -> Iterator[tuple[Request, Completion]]:
        while queue:
            request = queue.popleft()
            if STOP not in request.stop:
                self.answers += 1
                yield request, Completion((), END_OF_TURN)
                continue
            draw = random.Random(request.seed)
            ends = draw.random() < self._share
            length = self._length(draw.random()) if ends else math.inf
            tokens = (0,) * min(length, request.max_tokens)
            self.trace_tokens += len(tokens)
            yield request, Completion(tokens, STOP if length < request.max_tokens else None)


class Kept(dict):
    """Completions by request."""

    add = dict.__setitem__


def simulate(sweep: str, share: float, length: Callable[[float], int], samples: int) -> Inventor:
    plain = Sampling(temperature=1.0, top_p=1.0, top_k=0)
    settings = SweepSettings(
        PAPER_BUDGETS, 1, 1, plain, plain, seed=0, independent=sweep == "independent"
    )
    thinking = ThinkingFormat((), (STOP,), (STOP,), (3,), (END_OF_TURN,))
    inventor = Inventor(share, length)
    asked = [Sample(f"p{i}", 0, (i,)) for i in range(samples)]
    run_sweep(Sweep(settings, thinking), asked, Kept(), lambda: inventor, lambda *_: None)
    return inventor


def print_simulation(samples: int) -> None:
    budgets = ", ".join(map(str, PAPER_BUDGETS))
    print(f"Budgets {budgets}; {samples} traces for each cell. Shared / independent:\n")
    print("| traces that end early | their lengths | trace tokens | answers |")
    print("|---|---|---|---|")
    for share in SHARES:
        for name, length in LENGTHS.items() if share else [("", uniform)]:
            shared, independent = (simulate(sweep, share, length, samples) for sweep in SWEEPS)
            tokens = shared.trace_tokens / independent.trace_tokens
            answers = shared.answers / independent.answers
            print(f"| {share:.0%} | {name or '-'} | {tokens:.3f} | {answers:.3f} |")


if __name__ == "__main__":
    main()
