"""What stands in a program's world: what Python needs to run, and nothing of the user's."""

import os
import sys
import sysconfig
from functools import cache
from pathlib import Path

from workflow_scripts.tasks.sandbox import keeper

KEEPER = Path(keeper.__file__)
PACKAGES = "/packages"
# where systems keep programs and libraries; the last two are those of Nix and Guix
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
)  # fmt: skip
DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom"))
LINKS = (("/proc/self/fd", "/dev/fd"), ("/proc/self/fd/0", "/dev/stdin"))
LINKS += (("/proc/self/fd/1", "/dev/stdout"), ("/proc/self/fd/2", "/dev/stderr"))


@cache
def python() -> str:
    """The interpreter that runs this, outside of any virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@cache
def packages() -> str:
    """The folder of the installed packages."""
    return os.path.realpath(sysconfig.get_path("platlib"))


@cache
def binds() -> list[tuple[str, str]]:
    """What the world shows of the machine, read-only, and where.

    Folders of the system, the interpreter's own and the installed packages. A virtual environment
    shows no more than its packages, and those stand elsewhere than outside.
    """
    shown = [(place, place) for place in SYSTEM if os.path.isdir(place) and not _is_link(place)]
    prefix = os.path.realpath(sys.base_prefix)
    if not any(Path(prefix).is_relative_to(place) for place, _ in shown):
        shown.append((prefix, prefix))
    shown.append((packages(), PACKAGES))
    return shown + [(device, device) for device in DEVICES]


@cache
def links() -> list[tuple[str, str]]:
    """Symbolic links of the world: what each points to, and where it stands."""
    return [(os.readlink(place), place) for place in SYSTEM if _is_link(place)] + list(LINKS)


def environment(scratch: str, packages: str = PACKAGES) -> dict[str, str]:
    """All the environment variables that the program has."""
    variables = {
        "HOME": scratch,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        # the order of a set hangs on it, and with it what some programs answer
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": packages,
        "TMPDIR": scratch,
    }
    # where interpreters that come as modules of a cluster have their libraries
    libraries = os.environ.get("LD_LIBRARY_PATH")
    return variables | ({"LD_LIBRARY_PATH": libraries} if libraries else {})


def _is_link(place: str) -> bool:
    return os.path.islink(place)
