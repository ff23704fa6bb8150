"""The stage `tasks` beside `lm_eval` itself, and killed at moments spread over a job.

    python -m benchmarks.harness [--rounds 3] [--kills 10] [--limit 400]

Both run the demo's three tasks on the dense reasoner, whole processes, by turns: `lm_eval run` with
its class `hf`, once with the chat template and once without, as one call knows one of the two; and
a job of ours, which runs all three with one engine. Then such a job is killed (SIGKILL) at moments
spread evenly over its time, each time with a new store, and started again until it ends: its files
must be those of one that nothing happened to. Prints two tables.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import Cost, run, stage
from workflow_scripts.artefacts.masks import Plan, variant_files, write_pruned
from workflow_scripts.config.sources.models import BundledModel
from workflow_scripts.config.tasks import FetchedTask
from workflow_scripts.download.fetch_model import fetch_model
from workflow_scripts.download.fetch_task import fetch_task
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint
from workflow_scripts.paths import BUNDLED, PROJECT

PLAIN, CHAT = ("chains-next-step", "chains-result"), ("chains-answer",)
BATCH, THINKING_END = 16, "</think>"
MODEL = Path("resources/models/reasoner")
MADE = [f"other{ending}" for ending in (".json", ".scores.jsonl", ".samples.jsonl")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="times that each is run")
    parser.add_argument("--kills", type=int, default=10, help="moments at which a job is killed")
    parser.add_argument("--limit", type=int, default=400, help="samples of each task")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        _fetch()
        seconds = _beside(given.rounds, given.limit)
        if given.kills:
            _killed(given.kills, given.limit, seconds)


def _fetch() -> None:
    fetch_model(BundledModel(kind="bundled", name="reasoner"), MODEL / "manifest.json")
    files = variant_files(Path("dense"))
    files.record.parent.mkdir()
    write_pruned(files, Plan(), open_checkpoint(MODEL), model_digest(MODEL), "dense", {})
    for name in (*PLAIN, *CHAT):
        fetch_task(name, FetchedTask(), Path("resources/tasks", name, "manifest.json"))


def _beside(rounds: int, limit: int) -> float:
    """Time both by turns; the seconds of a job of ours, in the middle of those that it took."""
    ours, theirs = [], []
    for number in range(rounds):
        theirs.append(_harness(PLAIN, limit) + _harness(CHAT, limit))
        ours.append(_job(f"timed-{number}", limit))
    middle = {
        "lm_eval, two calls": statistics.median(cost.seconds for cost in theirs),
        "the stage, one job": statistics.median(cost.seconds for cost in ours),
    }
    print("| | seconds | of lm_eval |\n|:--|--:|--:|")
    for name, seconds in middle.items():
        print(f"| {name} | {seconds:.1f} | {seconds / middle['lm_eval, two calls']:.2f} |")
    return middle["the stage, one job"]


def _job(store: str, limit: int) -> Cost:
    return stage("tasks.run_tasks", *_arguments(store, limit), folder=Path.cwd())


def _harness(tasks: tuple[str, ...], limit: int) -> Cost:
    model = f"pretrained={Path(MODEL).resolve()},dtype=float32"
    chat = ["--apply_chat_template"] if tasks == CHAT else []
    command = [
        *(sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--tasks", *tasks),
        *("--model_args", model + (f",think_end_token={THINKING_END}" if chat else "")),
        *("--include_path", BUNDLED / "tasks", "--batch_size", BATCH, "--device", "cpu"),
        *("--limit", limit, "--log_samples", "--output_path", Path("theirs").resolve(), *chat),
    ]
    # its tasks name their data as seen from where they are
    return run(command, {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}, BUNDLED / "tasks")


def _arguments(store: str, limit: int) -> list[str]:
    tasks: dict[str, Any] = {name: {"limit": limit} for name in PLAIN}
    tasks |= {name: {"limit": limit, "chat": True} for name in CHAT}
    options = {
        **{"tasks": tasks, "engine": "transformers", "device": "cpu", "dtype": "float32"},
        **{"batch_invariant": False, "run_code": "sandboxed", "date": "2026-11-27"},
        "thinking_end": THINKING_END,
    }
    speed = {"batch_size": BATCH, "threads": 1, "tensor_parallel": 1, "engine_options": {}}
    return [
        *("--model", str(MODEL), "--variant", *map(str, variant_files(Path("dense")))),
        *("--options", json.dumps(options), "--speed", json.dumps(speed)),
        *("--store", store, "--output", f"{store}-made"),
    ]


def _killed(moments: int, limit: int, seconds: float) -> None:
    expected = [Path("timed-0-made", name).read_bytes() for name in MADE]
    command = [sys.executable, "-m", "workflow_scripts.tasks.run_tasks"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    equal, most = 0, 0.0
    for number in range(moments):
        store, after = f"killed-{number}", seconds * (number + 0.5) / moments
        started = time.monotonic()
        job = subprocess.Popen([*command, *_arguments(store, limit)], env=environment)
        time.sleep(after)
        job.send_signal(signal.SIGKILL)
        job.wait()
        _job(store, limit)
        most = max(most, time.monotonic() - started - after)
        made = [Path(f"{store}-made", name).read_bytes() for name in MADE]
        equal += made == expected
    print("\n| killed at | files equal, byte for byte | the job after it, at most |")
    print("|--:|--:|--:|")
    print(f"| {moments} moments | {equal} of {moments} | {most:.1f} s |")


if __name__ == "__main__":
    main()
