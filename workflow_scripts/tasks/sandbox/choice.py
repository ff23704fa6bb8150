"""Which sandbox this machine has, tried before it is relied on."""

import os
import shutil
from functools import cache

from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT
from workflow_scripts.tasks.sandbox.box import Outcome, run
from workflow_scripts.tasks.sandbox.limits import Limits
from workflow_scripts.tasks.sandbox.modes import Mode

SANDBOXED, UNSAFE = "sandboxed", "unsafe"
RIGHT = "install bubblewrap, allow user namespaces, or set harness.run_code: unsafe"
LIMITS = Limits(cpu_seconds=10, wall_seconds=30, memory_mb=256)
# tells every wall that is missing; its input are places that must not be there
TRIAL = """
import ctypes, os, socket, sys
from contextlib import suppress

print(*[f"{place} is seen" for place in sys.stdin.read().splitlines() if os.path.exists(place)])
print(*[f"network {name} is seen" for _, name in socket.if_nameindex() if name != "lo"])
if ctypes.CDLL(None).unshare(0x10000000) == 0:
    print("new user namespaces can be made")
with suppress(OSError):
    open("/proc/1/environ", "rb").close()
    print("the keeper can be looked into")
for line in open("/proc/self/mountinfo"):
    place, options = line.split()[4:6]
    if not (options.startswith("ro") or place == "/tmp" or place.startswith("/dev/")):
        print(f"{place} is mounted to be written to")
"""


@cache
def sandbox_for(run_code: str) -> Mode:
    """The mode that `harness.run_code` stands for on this machine, found by running a program.

    Raises InputError where nothing walls programs in, and the config does not do without.
    """
    if run_code == UNSAFE:
        outcome = run("", "", LIMITS, Mode.UNSAFE)
        if not outcome.passed:
            raise InputError(f"harness.run_code: no program can be run: {_reason(outcome)}")
        return Mode.UNSAFE
    if run_code != SANDBOXED:
        raise InputError(
            f"harness.run_code: {run_code} is not allowed; must be {SANDBOXED} or {UNSAFE}"
        )
    ways = [Mode.BUBBLEWRAP, Mode.NAMESPACES]
    lacks = {}
    # bubblewrap has root's programs be root to the kernel, if one without any power
    for mode in reversed(ways) if os.geteuid() == 0 else ways:
        lacks[mode] = missing_in(mode)
        if not lacks[mode]:
            return mode
    told = " and ".join(f"{mode.value} cannot be used ({lacks[mode]})" for mode in ways)
    raise InputError(f"harness.run_code: {told}; {RIGHT}")


def missing_in(mode: Mode) -> str:
    """What a mode does not do on this machine, in words; empty where it does all."""
    if mode is Mode.BUBBLEWRAP and not shutil.which("bwrap"):
        return "it is not installed"
    outside = [str(PROJECT), "/etc/passwd", "/sys", "/run"]
    try:
        outcome = run(TRIAL, "\n".join(outside), LIMITS, mode)
    except InputError as error:
        return str(error).removeprefix("harness.run_code: ")
    if not outcome.passed:
        return _reason(outcome)
    return ", ".join(outcome.stdout.split("\n")).strip(", ")


def _reason(outcome: Outcome) -> str:
    last = outcome.stderr.strip().rpartition("\n")[2]
    return last or f"it ended by {outcome.ended} {outcome.code}"
