"""Jobs end with the snakemake that started them, and its lock goes with it.

A snakemake that is killed leaves its jobs running and its lock in place. So a job watches the
processes above it, and a snakemake that finds itself alone removes a lock that is left over.
"""

import fcntl
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

import psutil

RUNNER = "PRUNETHINK_RUNNER"
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_LEAVE = 30.0
NOTES = "runs.lock"
ELSEWHERE = "jobs on other machines"
ENDED = "the snakemake that started this job has ended, and so does the job"
HERE = socket.gethostname()


def mark_runner(environment: MutableMapping[str, str]) -> None:
    """Let the jobs of this process know it, as the process that they belong to."""
    environment[RUNNER] = f"{HERE} {os.getpid()}"


def end_with_runner() -> None:
    """End this process as soon as its snakemake, or a process between the two, has ended.

    It then leaves as by SIGTERM, with every `finally`. A process that no snakemake of this machine
    started is left alone.
    """
    machine, _, runner = os.environ.get(RUNNER, "").rpartition(" ")
    if not runner or machine != HERE:
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
    """Whether a process is above this one: who loses its parent is given to another.

    What is above that process, a shell for instance, may end.
    """
    process: psutil.Process | None = psutil.Process()
    try:
        while process is not None and process.pid != runner:
            process = process.parent()
    except psutil.Error:
        return False  # one of those between has just ended
    return process is not None


def remove_stale_lock(folder: Path, is_main: bool) -> None:
    """Remove Snakemake's lock from its folder where no snakemake is left that could hold it.

    Every snakemake shares a lock of the system's, which ends with it, and notes its machine. One
    that `is_main` and has the system's lock alone knows that Snakemake's is left over, if all who
    were here noted this machine and none sent jobs elsewhere: not every file system shares the
    system's locks across machines, and a job in a cluster's queue holds none. Otherwise `snakemake
    --unlock` is for a person to decide.
    """
    locks = folder / "locks"
    try:
        folder.mkdir(exist_ok=True)
        notes = _open_notes(folder)
    except OSError:
        return  # a folder that this process may only read: nothing can run in it
    with suppress(OSError):  # another snakemake is there, or the file system knows no locks
        fcntl.flock(notes, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_main and _noted(notes) == {HERE} and any(locks.iterdir()):
            shutil.rmtree(locks)
            print("the lock of a snakemake that was killed here is removed", file=sys.stderr)
    is_unknown = not _noted(notes) and locks.is_dir() and any(locks.iterdir())
    if not is_unknown:
        _note(notes, HERE)
    with suppress(OSError):
        fcntl.flock(notes, fcntl.LOCK_SH)
    # the descriptor stays open: the lock is held until this process ends


def note_run(folder: Path, is_local: bool) -> None:
    """Note the machine of a run that has Snakemake's lock now, and whether its jobs go elsewhere.

    Again, for another run may have ended since this one noted it, and emptied the notes.
    """
    with suppress(OSError), os.fdopen(_open_notes(folder), "r+") as file:
        _note(file.fileno(), HERE, *([] if is_local else [ELSEWHERE]))


def forget_runs(folder: Path) -> None:
    """Empty the notes, at the end of a run that still has Snakemake's lock and no job any more."""
    with suppress(OSError):
        os.truncate(folder / NOTES, 0)


def _open_notes(folder: Path) -> int:
    return os.open(folder / NOTES, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)


def _noted(notes: int) -> set[str]:
    return set(os.pread(notes, 1 << 20, 0).decode().splitlines())


def _note(notes: int, *lines: str) -> None:
    os.write(notes, "".join(f"{line}\n" for line in lines if line not in _noted(notes)).encode())
