"""The parts that run the project itself: the demo on the device, and the tests marked `gpu`."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

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


def demo(setting: Setting, report: Report) -> None:
    """The demo through snakemake on the device, with fewer variants, problems and repeats."""
    import yaml

    if importlib.util.find_spec("snakemake") is None:
        report.row("demo", "skipped: snakemake is not importable here")
        return
    checkout = setting.folder / "checkout"
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            checkout.mkdir(exist_ok=True)
            shutil.copy(source, checkout / name)
    problems = (checkout / "bundled/benchmarks/chains.jsonl").read_text().splitlines(True)
    (checkout / "few.jsonl").write_text("".join(problems[::20]))
    config = {
        "run": {"variants": list(VARIANTS), "benchmarks": ["few"]},
        "benchmarks": {"few": {"source": {"kind": "local", "path": "few.jsonl"}}},
        "variants": VARIANTS,
        "pruning": {"device": setting.device},
        "generation": {
            "device": setting.device,
            "engine": "transformers",
            "budgets": [6, 24, 72],
            "repeats": 1,
        },
    }
    (checkout / "gpu.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--cores", str(max(2, min(8, setting.threads)))]
    command += ["--configfile", "gpu.yaml", "--quiet", "rules"]
    variables = os.environ | {"PYTHONPATH": python_path(checkout)}
    start = time.perf_counter()
    code = subprocess.call(command, cwd=checkout, env=variables)  # says how far it is
    taken = time.perf_counter() - start
    if code:
        for log in sorted((checkout / "logs").rglob("*.log")):
            text = log.read_text(errors="replace")
            if "rror" in text:
                print(f"{log.relative_to(checkout)}:\n{text[-1500:]}", flush=True)
        report.row("demo", f"failed: snakemake ended with {code}")
        return
    report.row(f"demo, {len(VARIANTS)} variants, {len(problems[::20])} problems", taken, "s")
    for path in sorted((checkout / "results/tables").glob("accuracy.csv")):
        print(path.read_text(), flush=True)
    logs = [path.read_text() for path in (checkout / "logs/generate").rglob("*.log")]
    found = [re.search(r"decoding (\w+) requests? at a time", text) for text in logs]
    counts = ", ".join(sorted({match[1] if match else "32" for match in found}))
    report.row("requests decoded at a time, batch 32, fp32", counts or "no log")
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
