"""Jobs end with the snakemake that started them, and take no lock with them.

A snakemake that is killed leaves its jobs running and its lock in place: the jobs would go on with
what the next snakemake starts again, and the lock would stop it. So a job watches the processes
above it, and a snakemake that finds itself alone removes a lock that is left over.
"""

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

RUNNER = "PRUNETHINK_RUNNER"
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_LEAVE = 30.0
NOTES = "runs.lock"
ELSEWHERE = "jobs on other machines"
ENDED = "the snakemake that started this job has ended, and so does the job"


def mark_runner(environment: MutableMapping[str, str]) -> None:
    """Let the jobs of this process know it, as the process that they belong to."""
    machine = _machine()
    if machine:
        environment[RUNNER] = f"{machine} {os.getpid()}"


def end_with_runner() -> None:
    """End this process as soon as its snakemake, or a process between the two, has ended.

    It then leaves as by SIGTERM, with every `finally`. A process that no snakemake of this machine
    started is left alone, and so is one that does not run on Linux.
    """
    machine, _, runner = os.environ.get(RUNNER, "").rpartition(" ")
    if not runner or machine != _machine():
        return
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if not _is_below(int(runner)):
        sys.exit(ENDED)
    threading.Thread(target=_leave_after, args=(int(runner),), daemon=True).start()


def _leave_after(runner: int) -> None:
    while _is_below(runner):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    with suppress(OSError):  # whoever read this may have ended too, or the log's disk may be full
        print(ENDED, file=sys.stderr, flush=True)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
    time.sleep(SECONDS_TO_LEAVE)
    os._exit(128 + signal.SIGTERM)


def _is_below(runner: int) -> bool:
    """Whether a process is above this one: who loses its parent is given to another."""
    process = os.getppid()
    while process not in (runner, 0):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            return False  # it has just ended
        process = int(status.split("PPid:")[1].split()[0])
    return process == runner


def _machine() -> str:
    """What tells this machine since its start, and these process ids, from others; "" elsewhere."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def remove_stale_lock(folder: Path, is_main: bool) -> None:
    """Remove Snakemake's lock from its folder where no snakemake is left that could hold it.

    Every snakemake holds a lock of the system's, which ends with it, from here on to its end, and
    notes its machine. One that `is_main` and has the system's lock alone knows that Snakemake's is
    left over, if all who were here noted this machine and none sent jobs elsewhere: across machines
    not every file system shares the system's locks, and a job in a cluster's queue holds none.
    Otherwise `snakemake --unlock` is for a person to decide.
    """
    locks, machine = folder / "locks", _machine()
    try:
        folder.mkdir(exist_ok=True)
        runs = _open_notes(folder)
    except OSError:
        return  # a folder that this process may only read: nothing can run in it
    try:
        fcntl.flock(runs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_alone = is_main and bool(machine)
    except OSError:
        is_alone = False
    noted = _noted(runs)
    left_over = locks.is_dir() and any(locks.iterdir())
    if is_alone and left_over and noted == {machine}:
        shutil.rmtree(locks, ignore_errors=True)
        print("the lock of a snakemake that was killed here is removed", file=sys.stderr)
    if machine not in noted and (noted or not left_over):
        os.write(runs, f"{machine}\n".encode())
    with suppress(OSError):
        fcntl.flock(runs, fcntl.LOCK_SH)
    # the descriptor stays open: the lock is held until this process ends


def note_run(folder: Path, is_local: bool) -> None:
    """Note the machine of a run that has Snakemake's lock now, and whether its jobs go elsewhere.

    Again, for another run may have ended since this one noted it, and emptied the notes.
    """
    with suppress(OSError), os.fdopen(_open_notes(folder), "r+") as file:
        missing = {_machine(), *([] if is_local else [ELSEWHERE])} - _noted(file.fileno())
        os.write(file.fileno(), "".join(f"{line}\n" for line in sorted(missing)).encode())


def forget_runs(folder: Path) -> None:
    """Empty the notes, at the end of a run that still has Snakemake's lock and no job any more."""
    with suppress(OSError):
        os.truncate(folder / NOTES, 0)


def _open_notes(folder: Path) -> int:
    return os.open(folder / NOTES, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)


def _noted(notes: int) -> set[str]:
    return set(os.pread(notes, 1 << 20, 0).decode().splitlines())
