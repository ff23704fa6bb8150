"""Jobs that end with the process that started them, and locks that nobody holds."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workflow_scripts.jobs.orphans import (
    ENDED,
    _is_below,
    forget_runs,
    mark_runner,
    note_run,
    remove_stale_lock,
)

# a stage: says that it has begun, and leaves a note where it was let go through `finally`
STAGE = """
import sys, time
from pathlib import Path
from workflow_scripts.jobs.stage import run_stage

def main():
    Path(sys.argv[1], "begun").touch()
    try:
        time.sleep(60)
    finally:
        Path(sys.argv[1], "left").touch()

run_stage(main)
"""
# a runner: a shell below it, and the stage below that
RUNNER = """
import os, subprocess, sys
from workflow_scripts.jobs.orphans import mark_runner

mark_runner(os.environ)
shell = 'set -e; echo $$ > "$1/shell"; "$2" "$1/stage.py" "$1"; true'
subprocess.run(["bash", "-c", shell, "bash", sys.argv[1], sys.executable])
"""


def wait_for(path: Path, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    return path.exists()


def started(folder: Path) -> subprocess.Popen:
    (folder / "stage.py").write_text(STAGE)
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", RUNNER, str(folder)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert wait_for(folder / "begun")
    return process


@pytest.mark.parametrize("victim", ["runner", "shell"])
def test_a_stage_leaves_in_order_when_what_started_it_is_killed(tmp_path, victim):
    process = started(tmp_path)
    shell = int((tmp_path / "shell").read_text())
    os.kill(process.pid if victim == "runner" else shell, signal.SIGKILL)
    assert wait_for(tmp_path / "left", 10)
    assert process.communicate(timeout=10)[1].strip() == ENDED


def test_a_stage_leaves_when_nobody_reads_what_it_says_of_it(tmp_path):
    process = started(tmp_path)
    process.stderr.close()
    process.kill()
    process.wait()
    assert wait_for(tmp_path / "left", 10)


def test_a_stage_whose_snakemake_is_gone_already_does_not_begin(tmp_path):
    (tmp_path / "stage.py").write_text(STAGE)
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    mark_runner(environment)
    place = environment["PRUNETHINK_RUNNER"].rpartition(" ")[0]
    gone = subprocess.Popen(["true"])
    gone.wait()
    environment["PRUNETHINK_RUNNER"] = f"{place} {gone.pid}"
    command = [sys.executable, tmp_path / "stage.py", tmp_path]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert finished.returncode == 1 and finished.stderr.strip() == ENDED
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize("runner", [None, f"another machine {2**30}"])
def test_a_stage_that_no_snakemake_of_this_machine_started_is_left_alone(tmp_path, runner):
    (tmp_path / "stage.py").write_text(STAGE.replace("time.sleep(60)", "time.sleep(0.1)"))
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    environment.pop("PRUNETHINK_RUNNER", None)
    environment |= {"PRUNETHINK_RUNNER": runner} if runner else {}
    command = [sys.executable, tmp_path / "stage.py", tmp_path]
    subprocess.run(command, env=environment, check=True, timeout=30)
    assert (tmp_path / "left").exists()


def test_what_is_above_the_snakemake_may_end(monkeypatch):
    genuine = psutil.Process.parent

    def parent(process):
        if process.pid == os.getppid():
            raise psutil.NoSuchProcess(process.pid)
        return genuine(process)

    monkeypatch.setattr(psutil.Process, "parent", parent)
    assert _is_below(os.getppid()) and not _is_below(2**30)


LOCKER = """
import sys
from pathlib import Path
from workflow_scripts.jobs.orphans import remove_stale_lock

remove_stale_lock(Path(sys.argv[1]), sys.argv[2] == "main")
print("there", flush=True)
sys.stdin.read()
"""


def snakemake_in(folder: Path, kind: str = "main") -> subprocess.Popen:
    """What plays a snakemake that runs in a folder, as far as locks go."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(folder), kind],
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "there\n"
    return process


def lock(folder: Path) -> Path:
    """Snakemake's lock."""
    (folder / "locks").mkdir(exist_ok=True)
    (folder / "locks/0.output.lock").write_text("results/tables/accuracy.csv\n")
    return folder / "locks/0.output.lock"


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def test_the_lock_of_a_killed_snakemake_is_removed_by_the_next(tmp_path):
    first = snakemake_in(tmp_path)
    left = lock(tmp_path)
    end(first)
    assert left.exists()
    end(snakemake_in(tmp_path))
    assert not left.exists()


def test_a_lock_stays_while_any_snakemake_lives(tmp_path):
    killed, alive = snakemake_in(tmp_path), snakemake_in(tmp_path)
    left = lock(tmp_path)
    end(killed)
    end(snakemake_in(tmp_path))
    assert left.exists()
    end(alive)
    end(snakemake_in(tmp_path))
    assert not left.exists()


def test_a_snakemake_inside_a_job_removes_no_lock(tmp_path):
    end(snakemake_in(tmp_path))
    left = lock(tmp_path)
    end(snakemake_in(tmp_path, "job"))
    assert left.exists()


@pytest.mark.parametrize("noted", ["", "another machine\n"])
def test_a_lock_of_unknown_origin_is_for_people_to_remove(tmp_path, noted):
    """Locked by an older version, or from another machine, where ours may not be seen."""
    (tmp_path / "runs.lock").write_text(noted)
    left = lock(tmp_path)
    for _ in range(2):
        end(snakemake_in(tmp_path))
    assert left.exists()


def test_a_lock_is_not_removed_where_jobs_may_wait_in_the_queue_of_a_cluster(tmp_path):
    first = snakemake_in(tmp_path)
    left = lock(tmp_path)
    note_run(tmp_path, is_local=False)
    end(first)
    for _ in range(2):
        end(snakemake_in(tmp_path))
    assert left.exists()


@pytest.mark.parametrize("is_local", [True, False])
def test_a_run_that_comes_to_its_end_leaves_no_notes_for_the_next(tmp_path, is_local):
    first = snakemake_in(tmp_path)
    note_run(tmp_path, is_local)
    forget_runs(tmp_path)
    end(first)
    second = snakemake_in(tmp_path)
    left = lock(tmp_path)
    note_run(tmp_path, is_local=True)
    end(second)
    end(snakemake_in(tmp_path))
    assert not left.exists()


def test_who_only_looks_does_not_forget_another_machine_that_may_be_about_to_lock(tmp_path):
    (tmp_path / "runs.lock").write_text("another machine\n")
    end(snakemake_in(tmp_path))
    left = lock(tmp_path)
    end(snakemake_in(tmp_path))
    assert left.exists()


def test_a_run_notes_itself_again_when_another_has_emptied_the_notes(tmp_path):
    end(snakemake_in(tmp_path))
    noted = (tmp_path / "runs.lock").read_text()
    forget_runs(tmp_path)
    assert (tmp_path / "runs.lock").read_text() == ""
    for _ in range(2):
        note_run(tmp_path, is_local=True)
    assert (tmp_path / "runs.lock").read_text() == noted


def test_the_notes_do_not_grow(tmp_path):
    for _ in range(3):
        end(snakemake_in(tmp_path))
    assert len((tmp_path / "runs.lock").read_text().splitlines()) == 1
    lock(tmp_path)
    (tmp_path / "runs.lock").write_text("another machine\n")
    for _ in range(3):
        end(snakemake_in(tmp_path))
    assert len((tmp_path / "runs.lock").read_text().splitlines()) == 2


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    remove_stale_lock(tmp_path / "file" / ".snakemake", is_main=True)
