"""The parts that run the project itself on the device, and the tests marked `gpu`."""

import csv
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.gpu.parts import Report, Setting
from workflow_scripts.paths import PROJECT

COPIED = ("Snakefile", "rules", "config", "workflow_scripts", "bundled", "report", "envs")
# one variant of every kind: dense, statistics, sequential, allocated, whole blocks
VARIANTS = {
    "dense": {"method": "dense"},
    "magnitude-50": {"method": "magnitude", "allocation": {"kind": "uniform"}, "sparsity": 0.5},
    "wanda-50": {
        "method": "wanda",
        "allocation": {"kind": "uniform"},
        "sparsity": 0.5,
        "calibration": "chains",
    },
    "wanda-sequential-50": {
        "method": "wanda",
        "allocation": {"kind": "uniform"},
        "sparsity": 0.5,
        "calibration": "chains",
        "propagate": "pruned",
    },
    "shortgpt-1": {"method": "shortgpt", "remove_blocks": 1, "calibration": "chains"},
}


# one of every method of config/static.yaml that the demo lacks
STATIC = [
    *("dense", "sparsegpt-40", "sleb-1", "shortened-ppl-1", "shortened-taylor-1"),
    *("evopress-drop-1", "llm-pruner-20", "wanda-sp-20", "flap-20", "slicegpt-20"),
]
# adapters, routers, and both together; with so few steps of training a variant is no good
DYNAMIC = ["dense", "dense-lora", "skipgpt-25", "d-llm-25", "mod-25"]
ACCURACY = "results/tables/accuracy.csv"
FEW_STEPS = {"steps": 20, "evaluate_every": 10}
BUDGETS = [6, 24, 72]


def demo(setting: Setting, report: Report) -> None:
    """The demo, with fewer variants."""
    _run(setting, report, "demo", {"run": {"variants": [*VARIANTS]}, "variants": VARIANTS})


def static_methods(setting: Setting, report: Report) -> None:
    """What runs a model to find what to remove: losses, gradients, searches, products."""
    variants = _config("static")["variants"]
    config = {"run": {"variants": STATIC}, "variants": variants}
    _run(setting, report, "static", config, ACCURACY)


def dynamic_methods(setting: Setting, report: Report) -> None:
    """Training after pruning, routers, decoding with sublayers left out, and screens."""
    found = _config("dynamic")
    config = {
        "run": {"variants": DYNAMIC, "screen": {"keep": "all"}},
        "variants": found["variants"],
        "recoveries": {name: entry | FEW_STEPS for name, entry in found["recoveries"].items()},
    }
    _run(setting, report, "dynamic", config, ACCURACY, "results/tables/routes.csv")


def _config(name: str) -> dict[str, Any]:
    return yaml.safe_load((PROJECT / f"config/{name}.yaml").read_text(encoding="utf-8"))


def _run(
    setting: Setting, report: Report, name: str, config: dict[str, Any], *targets: str
) -> None:
    """A run through snakemake on the device, with fewer problems, budgets and repeats.

    A row for each variant's accuracy under the largest budget, to be held against that of the same
    run on the CPU.
    """
    if importlib.util.find_spec("snakemake") is None:
        report.row(name, "skipped: snakemake is not importable here")
        return
    checkout = setting.folder / name
    for copied in COPIED:
        source = PROJECT / copied
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, checkout / copied, ignore=ignored)
        else:
            checkout.mkdir(exist_ok=True)
            shutil.copy(source, checkout / copied)
    problems = (checkout / "bundled/benchmarks/chains.jsonl").read_text().splitlines(True)
    (checkout / "few.jsonl").write_text("".join(problems[::20]))
    settings = {
        "benchmarks": {"few": {"source": {"kind": "local", "path": "few.jsonl"}}},
        "device": setting.device,
        "generation": {"engine": "transformers", "budgets": BUDGETS, "repeats": 1},
    }
    run = {**config["run"], "benchmarks": ["few"]}
    (checkout / "gpu.yaml").write_text(yaml.safe_dump({**config, **settings, "run": run}))
    command = [sys.executable, "-m", "snakemake", *targets, "--configfile", "gpu.yaml"]
    command += ["--cores", str(max(2, min(8, setting.threads))), "--quiet", "rules"]
    variables = os.environ | {"PYTHONPATH": python_path(checkout)}
    start = time.perf_counter()
    code = subprocess.call(command, cwd=checkout, env=variables)  # says how far it is
    taken = time.perf_counter() - start
    if code:
        for log in sorted((checkout / "logs").rglob("*.log")):
            text = log.read_text(errors="replace")
            if "rror" in text:
                print(f"{log.relative_to(checkout)}:\n{text[-1500:]}", flush=True)
        report.row(name, f"failed: snakemake ended with {code}")
        return
    report.row(f"{len(run['variants'])} variants, {len(problems[::20])} problems", taken, "s")
    with (checkout / ACCURACY).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if int(row["budget"]) == BUDGETS[-1]:
                report.row(f"accuracy of {row['variant']}", float(row["accuracy"]))
    logs = [path.read_text() for path in (checkout / "logs/generate").rglob("*.log")]
    found = [re.search(r"decodes (\w+) requests? at a time", text) for text in logs]
    counts = ", ".join(sorted({match[1] if match else "all" for match in found}))
    report.row("requests decoded at a time, fp32", counts or "no log")
    for path in sorted((checkout / "logs/generate").rglob("*.tsv")):
        seconds = path.read_text().splitlines()[1].split("\t")[0]
        report.row(f"generate, {path.stem}", float(seconds), "s")


def python_path(checkout: Path) -> str:
    """The copy first; other folders stay, since packages may have been carried along in one."""
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([str(checkout), *(p for p in others if p and Path(p) != PROJECT)])


def marked_tests(setting: Setting, report: Report) -> None:
    """The tests that carry the mark `gpu`."""
    marked = [
        path
        for path in sorted((PROJECT / "tests").rglob("test_*.py"))
        if re.search(r"\bmark\.gpu\b", path.read_text(encoding="utf-8"))
    ]
    if not marked or (setting.device == "cuda" and not torch.cuda.is_available()):
        report.row("tests marked gpu", "skipped: no test carries the mark")
        return
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu"]
    finished = subprocess.run(
        [*command, *map(str, marked)], cwd=PROJECT, capture_output=True, text=True
    )
    print(finished.stdout[-4000:], finished.stderr[-2000:], flush=True)
    last = (finished.stdout.strip() or "no output").splitlines()[-1]
    report.row("tests marked gpu", last.strip("= "))
