"""GPUs for one job: claimed by locks that the system releases when the job dies.

Every GPU has a lock file in one folder of the machine, by its UUID; the job that holds its flock
has the GPU. Chosen from is what a scheduler or a person put into CUDA_VISIBLE_DEVICES.
"""

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.errors import InputError

# the machine's, not TMPDIR: a scheduler may give every job a TMPDIR of its own
LOCKS = Path("/tmp/prunethink-gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"


class Gpu(NamedTuple):
    """`name` is what CUDA_VISIBLE_DEVICES takes, `lock` the name of its lock file."""

    name: str
    lock: str


def take_gpus(count: int, key: str) -> None:
    """Claim GPUs for this process and see that torch can use them.

    `key` is the config's key that asks for them. Raises `InputError` where it cannot be done.
    """
    claim_gpus(count, key)

    import torch

    if not torch.cuda.is_available():
        raise InputError(
            f"{key}: cuda is asked for, but torch finds no GPU on this machine; set it to cpu or "
            "run where there is one"
        )


def take_gpu_in_order(key: str) -> None:
    """Likewise one GPU, with kernels that sum in one order where there are some."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS's condition for it
    take_gpus(1, key)

    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)


def claim_gpus(
    count: int,
    key: str,
    environment: MutableMapping[str, str] = os.environ,
    locks: Path = LOCKS,
    seconds_between_tries: float = 2.0,
) -> dict[str, int]:
    """Take `count` GPUs that no other job has and make them all that CUDA sees here.

    Has to come before this process uses CUDA. Waits, and says so once on stderr, while too few are
    free. Returns their names with the lock files, which are open until this process ends. Raises
    `InputError` where there are not as many.
    """
    gpus = visible_gpus(environment)
    if len(gpus) < count:
        given = f" ({VISIBLE} is {environment[VISIBLE]!r})" if VISIBLE in environment else ""
        raise InputError(
            f"{key}: cuda is asked for with {count} GPU(s) for each job, but this job may use "
            f"{len(gpus)}{given}; ask for fewer, set it to cpu or run on another machine"
        )
    with suppress(FileExistsError):
        locks.mkdir()
        locks.chmod(0o1777)  # everybody's, as the GPUs are
    waited = False
    while (claim := _try_to_claim(count, gpus, locks)) is None:
        if not waited:
            said = f"waiting for {count} of {len(gpus)} GPU(s): other jobs have them"
            print(said, file=sys.stderr, flush=True)
        waited = True
        time.sleep(seconds_between_tries)
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the order in which nvidia-smi counts
    environment[VISIBLE] = ",".join(claim)
    return claim


def visible_gpus(environment: MutableMapping[str, str] = os.environ) -> list[Gpu]:
    """The GPUs that this job may use, in the order of CUDA_VISIBLE_DEVICES or of nvidia-smi.

    As for CUDA, an entry that names no GPU ends the list, and the beginning of a UUID counts where
    it is unique. Parts of a GPU (MIG-...) are taken as they are named.
    """
    command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, check=True
        ).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        listed = ""
    rows = [line.split(",") for line in listed.splitlines() if "," in line]
    gpus = [Gpu(index.strip(), uuid.strip()) for index, uuid in rows]
    if VISIBLE not in environment:
        return gpus
    found = []
    for entry in map(str.strip, environment[VISIBLE].split(",")):
        matches = [
            gpu
            for gpu in gpus
            if entry == gpu.name or (entry.startswith("GPU-") and gpu.lock.startswith(entry))
        ]
        if entry.startswith("MIG-") and gpus:
            matches = [Gpu(entry, re.sub(r"[^\w-]", "_", entry))]
        if len(matches) != 1:
            break
        found += matches
    return found


def _try_to_claim(count: int, gpus: list[Gpu], locks: Path) -> dict[str, int] | None:
    """Claim `count` GPUs, or none: two jobs that each hold a part would wait for ever.

    One job tries at a time, or two could take each other's part and both fail.
    """
    gate = _open(locks / "gate")
    fcntl.flock(gate, fcntl.LOCK_EX)
    taken: dict[str, int] = {}
    try:
        for gpu in gpus:
            if len(taken) < count:
                file = _open(locks / f"{gpu.lock}.lock")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    taken[gpu.name] = file
                except BlockingIOError:
                    os.close(file)
    finally:
        os.close(gate)
    if len(taken) == count:
        return taken
    for file in taken.values():
        os.close(file)
    return None


def _open(path: Path) -> int:
    """Open a lock file. Only reading is needed, so that another user's file will do.

    Whatever it is: a pipe would be waited for without O_NONBLOCK.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o644))
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)
