"""The environment that jobs inherit from the process that starts them."""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

MKL_ROUNDING = "MKL_CBWR"
REUSED, UNUSED = 2**25, 2**27  # bytes


def prepare(environment: MutableMapping[str, str], project: Path) -> None:
    """Let `python -m workflow_scripts...` mean this interpreter and this project.

    So a job runs with the interpreter that runs snakemake (conda, where it is used, puts its own in
    front of it), and finds the package whatever the working directory is.
    """
    _put_first(environment, "PATH", str(Path(sys.executable).parent))
    _put_first(environment, "PYTHONPATH", str(project))
    # a bar that redraws itself is noise in a log
    environment.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # PyTorch's threads wait for each other in every operation. By default they do so busily, and
    # take the processor from the very thread that they wait for where a core has other work.
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    # glibc gives the memory of a freed tensor back to the system, and the next one pays for each
    # of its pages again: up to a tenth of a small model's forward pass. Tensors up to the first
    # size take what others left; no more than the second lies unused at the end of the heap.
    environment.setdefault("MALLOC_MMAP_THRESHOLD_", str(REUSED))
    environment.setdefault("MALLOC_TRIM_THRESHOLD_", str(UNUSED))
    round_alike(environment)


def round_alike(environment: MutableMapping[str, str]) -> None:
    """Have matrix products round a row alike, however many rows stand beside it.

    On Intel's processors MKL does so only when it is told to: without it the transformers engine
    finds its batches to differ, and decodes four requests at a time. It counts for a process that
    has multiplied nothing yet.
    """
    cpus = Path("/proc/cpuinfo")
    if cpus.exists() and "GenuineIntel" in cpus.read_text(encoding="utf-8"):
        environment.setdefault(MKL_ROUNDING, "AUTO,STRICT")


def _put_first(environment: MutableMapping[str, str], name: str, folder: str) -> None:
    others = [part for part in environment.get(name, "").split(os.pathsep) if part != folder]
    environment[name] = os.pathsep.join([folder, *filter(None, others)])
