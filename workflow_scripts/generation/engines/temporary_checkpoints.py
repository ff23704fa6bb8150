"""Pruned checkpoints for engines that open folders only: there while they are opened, then gone.

They lie under TMPDIR in a folder of the user's. A lock that the system releases when a job dies
says which of them are in use; what a killed job left behind is removed by the next one.
"""

import errno
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.pruned_checkpoints import export
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import check_weights, open_checkpoint

LOCK = "lock"


@contextmanager
def checkpoint_of(model: Path, pruned: Pruned) -> Iterator[Path]:
    """The folder of `model` as `pruned` leaves it, for as long as the block lasts.

    That is `model` itself where nothing is removed: a dense model is never copied.
    """
    if pruned.is_dense:
        check_weights(model)
        yield model
        return
    with _terminable(), _held_folder() as folder:
        try:
            export(open_checkpoint(model), pruned, folder / "checkpoint")
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                f"{folder}: no room for a temporary checkpoint as large as the model; make room or "
                "set TMPDIR to a folder that has it"
            ) from None
        yield folder / "checkpoint"


@contextmanager
def _held_folder() -> Iterator[Path]:
    """A new folder with a lock of ours; what other jobs left behind is removed first."""
    base = Path(tempfile.gettempdir()) / f"prunethink-checkpoints-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.getuid():
        raise InputError(f"{base}: belongs to somebody else; set TMPDIR to another folder")
    gate = _locked(base / LOCK)  # a folder that has no lock yet must not look left behind
    try:
        for path in base.iterdir():
            if path.is_dir() and _is_left_behind(path):
                shutil.rmtree(path, ignore_errors=True)  # its owner may be at it as well
        folder = Path(tempfile.mkdtemp(dir=base))
        held = _locked(folder / LOCK)
    finally:
        os.close(gate)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _is_left_behind(folder: Path) -> bool:
    try:
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:  # its owner has just removed it
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM, by which schedulers end a job, leave through `finally` as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
