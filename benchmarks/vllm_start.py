"""What it costs vLLM to start with a pruned model: streamed as the workflow does, or as a copy.

    python -m benchmarks.vllm_start --model resources/models/smollm2 --rounds 3

Half of all weights are masked by magnitude. Each start is a whole process that ends with its first
token: `dense` opens the model as it is, `streamed` prunes it while vLLM loads it, `copy` exports
the pruned checkpoint to a temporary folder first and opens that. Rounds take them in turn, after
one that warms up. Prints seconds from the start of the process to the first token, the processor's
share of them, which other work on the machine disturbs less, the process's peak of resident memory
and what it wrote to disks, with the ratios of `streamed` to `copy`.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import run, stage
from workflow_scripts.artefacts.masks import nothing_pruned, read_pruned, variant_files
from workflow_scripts.artefacts.pruned_checkpoints import export
from workflow_scripts.engines.interface import EngineSettings, Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.engines.start import start_engine
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint

WAYS = ("dense", "streamed", "copy")
MEASURES = {"seconds": 1, "CPU seconds": 1, "peak MiB": 0, "written MiB": 0}  # and digits shown
PROMPT = tuple(range(5, 37))
LONGEST = 64  # the cache stays small, so that memory is that of the weights


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", nargs=3, metavar=("WAY", "VARIANT", "REPORT"))
    arguments = parser.parse_args(argv)
    if arguments.start:
        way, variant, report = arguments.start
        settings = EngineSettings("vllm", arguments.device, arguments.dtype, 1, 1)
        start_once(arguments.model, way, Path(variant), Path(report), settings)
    else:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as scratch:
        mask_half(arguments.model, Path(scratch))
        for number in range(arguments.rounds + 1):
            for way in WAYS:
                measured = measure(arguments, way, Path(scratch))
                if number:
                    found[way].append(measured)
                print(f"round {number}, {way}: {measured}", file=sys.stderr, flush=True)
    print("| start | " + " | ".join(MEASURES) + " |")
    print("|---|" + "--:|" * len(MEASURES))
    for way, rounds in found.items():
        cells = (
            f"{statistics.median(r[key] for r in rounds):.{digits}f} "
            f"({min(r[key] for r in rounds):.{digits}f}–{max(r[key] for r in rounds):.{digits}f})"
            for key, digits in MEASURES.items()
        )
        print(f"| {way} | {' | '.join(cells)} |")
    for key in MEASURES:
        pairs = zip(found["streamed"], found["copy"], strict=True)
        ratio = statistics.median(a[key] / b[key] for a, b in pairs)
        print(f"streamed / copy, {key}: {ratio:.2f} (median of the rounds' ratios)")


def mask_half(model: Path, folder: Path) -> None:
    stage(
        "allocation.allocate_sparsity",
        *("--model", model, "--options", '{"sparsity": 0.5}'),
        *("--output", folder / "allocation.json"),
    )
    files = variant_files(folder)
    stage(
        "masking.build_mask",
        *("--model", model, "--options", '{"method": "magnitude", "sparsity": 0.5}'),
        *("--allocation", folder / "allocation.json", "--mask", files.mask),
        *("--weights", files.weights, "--record", files.record),
    )


def measure(arguments: argparse.Namespace, way: str, variant: Path) -> dict[str, float]:
    report = variant / "report.json"
    started = time.monotonic()
    cost = run(
        [
            *(sys.executable, "-m", "benchmarks.vllm_start", "--model", arguments.model),
            *("--dtype", arguments.dtype, "--device", arguments.device),
            *("--start", way, variant, report),
        ]
    )
    said = json.loads(report.read_text())
    return {
        "seconds": said["first_token"] - started,
        "CPU seconds": said["computed"],
        "peak MiB": cost.peak_mib,
        "written MiB": said["written"] / 2**20,
    }


def start_once(
    model: Path, way: str, variant: Path, report: Path, settings: EngineSettings
) -> None:
    """Start vLLM, decode a token and report when that was, and what had been written."""
    digest, checkpoint = model_digest(model), open_checkpoint(model)
    pruned = nothing_pruned(digest, checkpoint.blocks)
    if way != "dense":
        pruned = read_pruned(variant_files(variant), digest)
    with tempfile.TemporaryDirectory() as folder:
        if way == "copy":
            model = Path(folder) / "checkpoint"
            export(checkpoint, pruned, model)
            pruned = nothing_pruned("", pruned.record.blocks)
        engine = start_engine(model, pruned, settings, 32000, LONGEST)
        request = Request(PROMPT, 1, (), Sampling(0.0, 1.0, 0), 0)
        list(engine.generate(deque([request])))
        written = next(
            int(line.split()[1])
            for line in Path("/proc/self/io").read_text(encoding="utf-8").splitlines()
            if line.startswith("write_bytes")
        )
        said = {"first_token": time.monotonic(), "computed": time.process_time()}
        report.write_text(json.dumps(said | {"written": written}), encoding="utf-8")


if __name__ == "__main__":
    main()
