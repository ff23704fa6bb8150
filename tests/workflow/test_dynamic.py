"""A variant whose tokens skip sublayers, through snakemake; kills in training and in decoding."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.chaos.experiment import copied
from benchmarks.kills import (
    ARGUMENTS,
    Undisturbed,
    jobs_of,
    kill_once,
    prepared,
    run_undisturbed,
)
from tests.workflow.checkout import Checkout, environment, write_config

VARIANT = "skipgpt-25"
SECTIONS = {
    "recoveries": {
        "routers": {
            "kind": "routers", "length": 96, "steps": 40, "batch": 16, "learning_rate": 0.01,
            "validation": 16, "evaluate_every": 40, "save_every": 5, "routers": {"weight": 4},
        },
    },
    "variants": {VARIANT: {"method": "skipgpt", "skip": 0.25, "recovery": "routers"}},
}  # fmt: skip
TRAINED = [f"results/reasoner/{VARIANT}/{name}" for name in ("weights.safetensors", "mask.json")]
ROUTES = f"results/reasoner/{VARIANT}/routes/small.json"
SHOWN = ["results/tables/routes.csv", "results/figures/routes/reasoner/small.svg"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dynamic")


@pytest.fixture(scope="module")
def base(folder: Path) -> Checkout:
    return prepared(folder / "base", 40, [VARIANT], SECTIONS)


@pytest.fixture(scope="module")
def undisturbed(base: Checkout, folder: Path) -> Undisturbed:
    return run_undisturbed(base, folder / "undisturbed")


def test_a_killed_training_goes_on_from_its_last_state(base: Checkout, tmp_path: Path) -> None:
    checkout = copied(base, tmp_path / "killed")
    expected = [(checkout.folder / path).read_bytes() for path in TRAINED]
    shutil.rmtree(checkout.folder / "results/reasoner" / VARIANT)
    process = subprocess.Popen(
        checkout.command(TRAINED[0], *ARGUMENTS), cwd=checkout.folder, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    states = checkout.folder / f"results/reasoner/{VARIANT}"
    while process.poll() is None and not [*states.glob(".recovery.json.states/*/step-*")]:
        time.sleep(0.02)
    (job,) = jobs_of(process.pid)
    os.kill(job.pid, signal.SIGKILL)
    assert process.wait() != 0
    assert not (checkout.folder / TRAINED[1]).exists()
    checkout.run(TRAINED[0], *ARGUMENTS)
    assert (
        "was done before" in (checkout.folder / f"logs/recover/reasoner/{VARIANT}.log").read_text()
    )
    assert [(checkout.folder / path).read_bytes() for path in TRAINED] == expected


def test_a_run_that_was_killed_goes_on_by_itself(
    base: Checkout, undisturbed: Undisturbed, folder: Path
) -> None:
    """No unlocking, nothing finished is decoded again, and no byte differs.

    A killed job is met in test_chaos.
    """
    kill = kill_once(
        base, folder / "killed", undisturbed, "snakemake", lambda run, _: run.decoded() >= 15
    )
    assert kill.target == "snakemake" and kill.running == "generate"
    assert 15 <= kill.stored < undisturbed.completions
    assert kill.outlived < 20
    assert kill.finished_twice == 0
    assert kill.is_same


def test_what_it_skips_is_trained_recorded_and_counted(
    undisturbed: Undisturbed, folder: Path
) -> None:
    checkout = Checkout(folder / "undisturbed")
    record = json.loads((checkout.folder / TRAINED[1]).read_text())["dynamic"]
    assert record["routing"]["asked"] == 0.25
    assert record["skipped"] == pytest.approx(0.25, abs=0.01)
    assert 0.1 < record["unused"] < 0.4
    traces = checkout.folder / f"results/reasoner/{VARIANT}/traces/small.jsonl"
    rows = pd.read_json(traces, lines=True)
    shares = pd.DataFrame(rows["ran"].tolist())
    assert shares.shape == (len(rows), 2)
    assert 0.5 < shares.to_numpy().mean() < 0.95
    checkout.run(ROUTES, *SHOWN, *ARGUMENTS)
    found = json.loads((checkout.folder / ROUTES).read_text())
    put_in = rows["tokens"] - (rows["finish"] == "length")
    assert found["traces"]["tokens"] == put_in.sum()
    for part in ("attention", "mlp"):
        assert sum(found["traces"][part]) / 6 == pytest.approx((shares[part] * put_in).sum())
    assert all((checkout.folder / path).stat().st_size > 1000 for path in SHOWN[1:])
    shown = pd.read_csv(checkout.folder / SHOWN[0])
    row = shown.loc[shown["budget"].idxmax()]
    # traces are those under the largest budget
    for part in ("attention", "mlp"):
        of_problems = shares[part].groupby(rows["id"]).mean()
        assert row[f"trace_{part}"] == pytest.approx(1 - of_problems.mean(), abs=1e-6)


def test_vllm_is_refused_in_one_line(base: Checkout, tmp_path: Path) -> None:
    checkout = copied(base, tmp_path / "vllm")
    config = {
        "run": {"variants": [VARIANT], "benchmarks": ["small"]},
        "benchmarks": {"small": {"source": {"kind": "local", "path": "small.jsonl"}}},
        "generation": {"engine": "vllm"},
    }
    write_config(checkout, config | SECTIONS)
    finished = checkout.snakemake("--dry-run", *ARGUMENTS)
    assert finished.returncode != 0 and "Traceback" not in finished.stdout
    assert finished.stdout.splitlines()[-1] == (
        "config: generation.engine: vllm cannot run what method skipgpt makes "
        f"(variants.{VARIANT}); must be transformers"
    )
