"""A short cut of `make chaos`: a run that is killed, damaged, or out of disk space."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.chaos import clashes, damage, full_disk, kills
from benchmarks.chaos.experiment import (
    BENCHMARK,
    MODEL,
    OTHER,
    copied,
    prepared,
    processes_in,
    run_undisturbed,
    torn_files,
)
from tests.workflow.checkout import PROJECT, Checkout

DENSE, PRUNED = f"results/{MODEL}/dense", f"results/{MODEL}/magnitude-50"
TABLE, CELLS = "results/tables/accuracy.csv", "results/tables/cells.parquet"
ANSWERS, WEIGHTS = f"{DENSE}/answers/{BENCHMARK}.jsonl", "model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("chaos")


@pytest.fixture(scope="module")
def base(folder):
    return prepared(folder / "base", ["dense", "magnitude-50"], every=60)


@pytest.fixture(scope="module")
def undisturbed(base, folder):
    return run_undisturbed(copied(base, folder / "undisturbed"), TABLE)


@pytest.fixture
def finished(undisturbed, tmp_path):
    return copied(undisturbed.checkout, tmp_path / "finished")


def test_killed_and_interrupted_and_left_to_end(base, undisturbed, tmp_path):
    """A job's SIGKILL, then Ctrl-C: nothing to unlock, nobody left, the same bytes."""
    # early: what runs beside this test may have slowed the undisturbed run down
    checkout, moment = copied(base, tmp_path / "copy"), undisturbed.seconds / 6
    call, draw = undisturbed.call, random.Random(0)
    kill = kills.kill_one(checkout, call, draw, moment, tmp_path / "log", "job")
    assert kill is not None and kill.kind == "job" and kill.left == []
    log = tmp_path / "second"
    clash = clashes.interrupted(checkout, undisturbed, signal.SIGINT, True, moment, log)
    assert clash.faults == []


def test_a_job_is_known_to_write_by_what_it_has_not_finished(tmp_path):
    stages = tmp_path / "workflow_scripts"
    stages.mkdir()
    write = (
        "import sys, time; from pathlib import Path\n"
        f"sys.path.insert(0, {str(PROJECT)!r}); del sys.modules['workflow_scripts']\n"
        "from workflow_scripts.files.atomic import written_atomically\n"
        "with written_atomically(Path('results/mask')) as temporary:\n"
        "    file = temporary.open('w')\n"
        "    time.sleep(60)\n"
    )
    (stages / "reads.py").write_text("import time; time.sleep(60)\n")
    (stages / "writes.py").write_text(write)
    shells = [
        subprocess.Popen(
            ["bash", "-c", f"{sys.executable} -m workflow_scripts.{stage}; true"], cwd=tmp_path
        )
        for stage in ("reads", "writes")
    ]
    checkout, found = Checkout(tmp_path), {}
    try:
        start = time.monotonic()
        while len(found.get("job", [])) < 2 or kills.WRITER not in found:
            assert time.monotonic() - start < 60
            found = kills.by_kind(0, checkout)
        assert [kills.stage_of(job) for job in found[kills.WRITER]] == ["writes"]
        assert sorted(kills.stage_of(job) for job in found["job"]) == ["reads", "writes"]
    finally:
        for process in processes_in(checkout):
            process.kill()
        for shell in shells:
            shell.wait()
    # it was killed in the middle of it
    assert [Path(name).parent for name in torn_files(checkout)] == [Path("results")]


def test_a_damaged_input_is_named_and_made_anew(finished, undisturbed):
    one = damage.Input(ANSWERS, CELLS, f"{PRUNED}/answers/{BENCHMARK}.jsonl")
    for kind in ("swapped", "flipped"):
        outcome = damage.damage_input(finished, one, kind, undisturbed, random.Random(0))
        assert outcome.faults == []
        assert outcome.line.startswith(f"error: {ANSWERS}: has changed since it was written: ")
    assert damage.mend(finished, one, undisturbed) == damage.Mending([], "")


def test_weights_that_changed_decode_nothing(finished, undisturbed):
    """Their completions would be in the store under the name of the right ones."""
    path = f"resources/models/{MODEL}/{WEIGHTS}"
    one = damage.Input(path, ANSWERS, f"{OTHER}/{WEIGHTS}", without_store=True)
    outcome = damage.damage_input(finished, one, "swapped", undisturbed, random.Random(0))
    assert outcome.faults == []
    assert outcome.line.startswith(f"error: {path}: has changed since it was fetched: ")
    assert finished.decoded() == 0


def test_a_full_disk(base, tmp_path):
    checkout = copied(base, tmp_path / "copy")
    target = f"{PRUNED}/mask.json"
    try:
        with full_disk.on_tmpfs(checkout) as mount:
            (refusal,) = full_disk.fill_each(checkout, mount, [target])
    except subprocess.CalledProcessError as error:
        if "tmpfs" not in error.cmd:
            raise
        pytest.skip("needs to mount a tmpfs, which only root may")
    assert refusal.faults == []
    path, said = refusal.line.removeprefix("error: ").split(": ", 1)
    assert path in (f"{PRUNED}/mask.safetensors", f"{PRUNED}/weights.safetensors")
    assert said.startswith("No space left on device; ")


def test_a_second_snakemake_says_why_it_ends_or_ends_well(finished, undisturbed, tmp_path):
    # enough to do that the first is there while the second plans: as it ends, Snakemake takes away
    # the folder that the other's locks would be in
    for part in ("tables", f"{MODEL}/dense/grades", f"{MODEL}/magnitude-50/grades"):
        shutil.rmtree(finished.folder / "results" / part)
    targets = ([TABLE], [CELLS])
    assert clashes.two_at_once(finished, undisturbed, targets, tmp_path / "log").faults == []
