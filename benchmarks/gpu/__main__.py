"""Check on a GPU what the processor cannot show: speed, memory, equal masks, equal answers.

    python -m benchmarks.gpu --minutes 8 --output gpu.json
    python -m benchmarks.gpu --tiny    # every part, on the CPU, in some minutes

Nothing is fetched: a random bf16 checkpoint of Qwen3-8B's shape (16 GB) is made in a temporary
folder, whose disk needs 20 GB; `--blocks` makes a smaller one. One card with 80 GB does. Every part
runs in a process of its own with a time limit; what fails becomes a row, and the others go on.
Prints one Markdown table and writes the rows as JSON.

Needs torch (2.11 or later), transformers (5.17 or later), safetensors, huggingface_hub, numpy and
what the package imports beside them. The parts `demo`, `static methods` and `dynamic methods` run
only where snakemake is importable, the last with peft, the part `vllm` where vLLM is. Those three
run parts of the demo, config/static.yaml and config/dynamic.yaml; the accuracies are to be held
against those that --tiny finds on a CPU. Where packages cannot be installed, wheels of these do
(pure Python but for those marked *): pydantic, pydantic-core*, annotated-types, typing-inspection;
for the runs also snakemake,
snakemake-interface-{common,executor-plugins,logger-plugins,report-plugins,
scheduler-plugins,storage-plugins}, argparse-dataclass, conda-inject, configargparse,
connection-pool, docutils, dpath, fastjsonschema, gitdb, gitpython, humanfriendly, immutables*,
jsonschema, jsonschema-specifications, jupyter-core, nbformat, platformdirs, pulp*, referencing,
rpds-py*, smart-open, smmap, sqlmodel, sqlalchemy*, greenlet*, throttler, traitlets, yte; and for
their stages datasets, dill, multiprocess, math-verify, latex2sympy2-extended,
antlr4-python3-runtime, itables, pebble, tenacity, httpx2, httpcore2, truststore; statsmodels* and
pandas* where they are not there.
"""

import argparse
import json
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.gpu import generation, pruning, two_four, whole
from benchmarks.gpu.checkpoint import QWEN3_8B, TINY, write_checkpoint
from benchmarks.gpu.parts import Part, Report, Row, Setting, as_json, run_part, synchronize

LIBRARIES = ("torch", "transformers", "safetensors", "numpy", "vllm", "snakemake")


def make_checkpoint(setting: Setting, report: Report) -> None:
    """The random checkpoint that the other parts work on."""
    start = time.monotonic()
    synchronize(setting.device)
    blocks = write_checkpoint(setting.model, setting.shape, setting.device, CHECKPOINT_SECONDS)
    taken = time.monotonic() - start
    size = sum(path.stat().st_size for path in setting.model.iterdir()) / 1e9
    report.row("blocks", float(blocks), "", f"of {setting.shape.num_hidden_layers} asked for")
    report.row("size", size, "GB", f"{size / taken:.2g} GB/s")


CHECKPOINT_SECONDS = 60.0
# in the order of their worth, and the most seconds that each may take
PARTS: dict[str, tuple[Part, float]] = {
    "card": (pruning.card, 60),
    "checkpoint": (make_checkpoint, 90),
    "masks": (pruning.masks, 60),
    "statistics": (pruning.statistics, 120),
    "sequential Wanda": (pruning.sequential_wanda, 150),
    "generation": (generation.generation, 150),
    "gradients": (pruning.gradients, 60),
    "2:4": (two_four.products, 40),
    "SparseGPT": (pruning.sparsegpt, 200),
    "2:4 model": (two_four.model, 90),
    "demo": (whole.demo, 150),
    "static methods": (whole.static_methods, 150),
    "dynamic methods": (whole.dynamic_methods, 120),
    "tests": (whole.marked_tests, 60),
    "vllm": (generation.vllm, 150),
}
FIRST = ("card", "checkpoint")  # what the others need


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # ends the part as well
    end = time.monotonic() + 60 * arguments.minutes
    shape = TINY if arguments.tiny else QWEN3_8B
    shape = replace(shape, num_hidden_layers=arguments.blocks or shape.num_hidden_layers)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        setting = Setting(
            folder=Path(scratch),
            device="cpu" if arguments.tiny else "cuda",
            shape=shape,
            samples=arguments.samples or (4 if arguments.tiny else 128),
            length=arguments.length or (64 if arguments.tiny else 2048),
            threads=arguments.threads,
            tokens=arguments.tokens or (8 if arguments.tiny else 32),
            measured={},
        )
        for name in dict.fromkeys([*FIRST, *(arguments.parts or PARTS)]):
            part, limit = PARTS[name]
            left = end - time.monotonic()
            if left < 5:
                rows.append(Row(name, "part", "skipped: the time was over"))
                continue
            found = {(row.part, row.what): row.value for row in rows}
            seconds = left if arguments.parts else min(limit, left)
            rows += run_part(name, part, replace(setting, measured=found), seconds)
            # after every part, so that a run that is stopped leaves what it has found
            if arguments.output:
                write(arguments.output, rows, setting)
    print(f"\n{table(rows, setting)}")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything together")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="only these, without limits")
    parser.add_argument("--folder", type=Path, help="where the checkpoint is made; default TMPDIR")
    parser.add_argument("--blocks", type=int, help="of the checkpoint; default 36")
    parser.add_argument("--samples", type=int, help="of the calibration set; default 128")
    parser.add_argument("--length", type=int, help="tokens of a sample; default 2048")
    parser.add_argument("--tokens", type=int, help="of a completion; default 32")
    parser.add_argument("--threads", type=int, default=8, help="numeric threads")
    parser.add_argument("--tiny", action="store_true", help="a tiny shape, on the CPU")
    return parser.parse_args(argv)


def describe(setting: Setting, rows: Sequence[Row]) -> str:
    """The card and the versions, in one line."""
    gpu = [str(row.value) for row in rows if (row.part, row.what) == ("card", "GPU")]
    libraries = [f"{name} {found}" for name in LIBRARIES if (found := installed(name))]
    card = gpu[0] if gpu else f"no GPU ({platform.machine()})"
    return ", ".join([card, f"CUDA {torch.version.cuda}", *libraries, date.today().isoformat()])


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def table(rows: Sequence[Row], setting: Setting) -> str:
    lines = [
        describe(setting, rows),
        "",
        "| part | measured | value | beside |",
        "|:--|:--|--:|:--|",
    ]
    lines += [f"| {row.part} | {row.what} | {row.text} | {row.note} |" for row in rows]
    return "\n".join(lines)


def write(path: Path, rows: list[Row], setting: Setting) -> None:
    record = {
        "where": describe(setting, rows),
        "command": sys.argv[1:],
        "samples": setting.samples,
        "length": setting.length,
        "rows": as_json(rows),
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
