"""GPUs are claimed by one job each, waited for, and free again however a job ends.

No GPU is needed: a script on PATH answers for nvidia-smi.
"""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from workflow_scripts.calibration import collect_statistics
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.gpus import claim_gpus, visible_gpus
from workflow_scripts.paths import PROJECT

KEY = "pruning.device"


@pytest.fixture
def machine(tmp_path):
    """The environment of a machine with that many GPUs, as a function."""

    def made(count, visible=None):
        lines = "".join(f"echo '{i}, GPU-{i}{i}-a'\n" for i in range(count))
        tool = tmp_path / "bin" / "nvidia-smi"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{lines}")
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        environment = {"PATH": f"{tool.parent}:/usr/bin:/bin"}
        return environment if visible is None else environment | {"CUDA_VISIBLE_DEVICES": visible}

    return made


def release(claim):
    """As the end of its process does it."""
    for file in claim.values():
        os.close(file)


@pytest.fixture
def locks(tmp_path):
    return tmp_path / "locks"


def test_claims_that_are_no_files_do_not_hang(machine, locks):
    """Whoever may write there can leave anything behind."""
    locks.mkdir()
    os.mkfifo(locks / "gate")
    os.mkfifo(locks / "GPU-00-a.lock")
    release(claim_gpus(1, KEY, machine(1), locks))
    (locks / "GPU-00-a.lock").unlink()
    (locks / "GPU-00-a.lock").symlink_to("gone")
    with pytest.raises(FileNotFoundError, match=r"GPU-00-a\.lock"):
        claim_gpus(1, KEY, machine(1), locks)


@pytest.mark.parametrize(
    "visible, names",
    [
        (None, ["0", "1", "2"]),
        ("2,0", ["2", "0"]),
        ("", []),
        ("-1", []),
        ("1,-1,2", ["1"]),  # what comes after an entry that is none does not count
        ("7", []),
        ("GPU-11-a", ["1"]),
        ("GPU-2", ["2"]),
        ("GPU-", []),
        ("MIG-1a/2/0", ["MIG-1a/2/0"]),
    ],
)
def test_what_a_scheduler_gave_is_what_a_job_may_use(machine, visible, names):
    assert [gpu.name for gpu in visible_gpus(machine(3, visible))] == names


def test_a_gpu_has_one_lock_whatever_it_is_called(machine):
    (by_index,) = visible_gpus(machine(3, "1"))
    (by_uuid,) = visible_gpus(machine(3, "GPU-11-a"))
    assert by_index == by_uuid


def test_every_job_gets_gpus_of_its_own(machine, locks):
    first, second = machine(4), machine(4, "1,3,2")
    claim = claim_gpus(2, KEY, first, locks)
    assert first["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert first["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert claim_gpus(2, KEY, second, locks).keys() == {"3", "2"}
    release(claim)
    assert claim_gpus(1, KEY, machine(4), locks).keys() == {"0"}


@pytest.mark.parametrize(
    "count, visible, there",
    [(0, None, "0"), (1, None, "1"), (4, "3", "1 (CUDA_VISIBLE_DEVICES is '3')")],
)
def test_too_few_gpus_is_one_line(machine, locks, count, visible, there):
    with pytest.raises(InputError) as caught:
        claim_gpus(2, KEY, machine(count, visible), locks)
    assert str(caught.value) == (
        "pruning.device: cuda is asked for with 2 GPU(s) for each job, but this job may use "
        f"{there}; ask for fewer, set it to cpu or run on another machine"
    )


def test_a_machine_without_nvidia_smi_has_no_gpu(tmp_path, locks):
    with pytest.raises(InputError, match="this job may use 0; "):
        claim_gpus(1, KEY, {"PATH": str(tmp_path)}, locks)


def start_job(count, environment, locks, *, holds):
    """Another process that claims GPUs, prints them, and holds them or ends."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from workflow_scripts.jobs.gpus import claim_gpus\n"
        f"locks = Path({str(locks)!r})\n"
        f"print(*claim_gpus({count}, 'device', locks=locks, seconds_between_tries=0.02))\n"
        f"sys.stdout.flush(); time.sleep({60 if holds else 0})\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_waits_until_a_killed_one_lets_go(machine, locks):
    holder = start_job(2, machine(2), locks, holds=True)
    assert holder.stdout.readline() == "0 1\n"
    waiting = start_job(1, machine(2), locks, holds=False)
    assert waiting.stderr.readline() == ("waiting for 1 of 2 GPU(s): other jobs have them\n")
    assert waiting.poll() is None
    holder.send_signal(signal.SIGKILL)
    out, err = waiting.communicate(timeout=60)
    assert (out, err, waiting.returncode) == ("0\n", "", 0)
    holder.communicate()


def test_two_jobs_that_each_want_all_do_not_wait_for_each_other_for_ever(machine, locks):
    environment = machine(2)
    jobs = [start_job(2, environment, locks, holds=False) for _ in range(4)]
    deadline = time.monotonic() + 200
    for job in jobs:
        out, _ = job.communicate(timeout=deadline - time.monotonic())
        assert (out, job.returncode) == ("0 1\n", 0)


def test_a_job_that_waits_for_several_leaves_those_that_are_free_to_others(machine, locks):
    claim = claim_gpus(1, KEY, machine(2), locks)
    waiting = start_job(2, machine(2), locks, holds=False)
    assert "waiting for 2 of 2" in waiting.stderr.readline()
    other = start_job(1, machine(2), locks, holds=False)
    try:
        assert other.communicate(timeout=60)[0] == "1\n"
    finally:
        other.kill()
        release(claim)
    assert waiting.communicate(timeout=60)[0] == "0 1\n"


def test_locks_of_another_user_will_do(machine, locks):
    release(claim_gpus(1, KEY, machine(1), locks))
    assert stat.S_IMODE(locks.stat().st_mode) == 0o1777
    for path in locks.iterdir():
        path.chmod(0o444)
    files = set(os.listdir(locks))
    release(claim_gpus(1, KEY, machine(1), locks))
    assert set(os.listdir(locks)) == files


def test_pruning_on_a_gpu_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    """Before anything is read of a model."""
    monkeypatch.setenv("PATH", str(tmp_path))
    stage = ["--model", "m", "--calibration", "c", "--output", "o", "--options"]
    stage.append('{"device": "cuda"}')
    with pytest.raises(InputError, match=f"^{KEY}: .* this job may use 0; "):
        collect_statistics.main(stage)
