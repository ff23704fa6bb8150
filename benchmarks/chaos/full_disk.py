"""A disk that is full in every stage, one after the other.

`results/` and `resources/` are put on a tmpfs. Stage by stage it is shrunk to what it holds, the
stage is run and must fail, and the tmpfs is made large again.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.experiment import ARGUMENTS, Checkout, errors, torn_files

FOLDERS = ("results", "resources", "store")
LARGE = "256m"


@dataclass(frozen=True)
class Refusal:
    """What a stage said of a full disk; `faults` is what should not be."""

    target: str
    line: str
    faults: list[str]


@contextmanager
def on_tmpfs(checkout: Checkout) -> Iterator[Path]:
    """The files that a run writes, on a tmpfs of their own.

    Raises CalledProcessError for who may not mount.
    """
    mount = checkout.folder / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={LARGE}", "tmpfs", str(mount)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        (mount / "filler").write_bytes(bytes(4096))  # a tmpfs of size 0 has no limit
        for name in FOLDERS:
            (mount / name).mkdir()
            (checkout.folder / name).symlink_to(Path("disk", name))
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)


def resize(mount: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(mount)], check=True)


def fill(mount: Path) -> None:
    """Shrink the tmpfs to the pages that it holds."""
    resize(mount, f"{shutil.disk_usage(mount).used // 1024}k")


def refused(checkout: Checkout, target: str) -> Refusal:
    """Run a stage whose disk is full."""
    output = checkout.folder / target
    finished = checkout.snakemake(target, *ARGUMENTS)
    said, faults = errors(finished.stdout), []
    if finished.returncode == 0:
        faults.append("did not fail")
    if not any("No space left" in line for line in said):
        faults.append("no line says so")
    faults += ["a traceback"] if "Traceback" in finished.stdout else []
    faults += [f"{target}: half a result"] if output.exists() else []
    faults += [f"{name}: left behind" for name in torn_files(checkout)]
    return Refusal(target, said[0] if said else finished.stdout[-1500:], faults)


def fill_each(checkout: Checkout, mount: Path, targets: list[str]) -> Iterator[Refusal]:
    """Make the targets in their order, each at first with a full disk."""
    for target in targets:
        rules = rules_of(checkout, target)
        if rules[1:]:
            checkout.run(target, "--omit-from", rules[-1], *ARGUMENTS)
        fill(mount)
        yield refused(checkout, target)
        resize(mount, LARGE)
        checkout.run(target, *ARGUMENTS)


def rules_of(checkout: Checkout, target: str) -> list[str]:
    """The rules that have to run for a target, its own at the end."""
    text = checkout.run(target, "--dry-run", *ARGUMENTS)
    found = re.findall(r"^(?:local)?rule (\w+):$", text, re.MULTILINE)
    return list(dict.fromkeys(found))
