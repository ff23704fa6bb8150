"""How a program's world is made on this machine."""

import json
import shutil
from enum import Enum
from functools import cache
from typing import Any

from workflow_scripts.tasks.sandbox import namespaces, world
from workflow_scripts.tasks.sandbox.limits import MEGABYTE, Limits

NAMESPACES = namespaces.__file__
USER = str(namespaces.USER)
KEEPER_INSIDE = "/keeper.py"


class Mode(Enum):
    """What keeps a program away from the machine."""

    BUBBLEWRAP = "bubblewrap"
    NAMESPACES = "user namespaces"
    UNSAFE = "unsafe"


def command(mode: Mode, order: dict[str, Any], limits: Limits) -> list[str]:
    """The command that makes a world and runs the keeper in it, with an order to the keeper."""
    alone = [world.python(), "-I", "-S", "-B"]
    text = json.dumps(order)
    if mode is Mode.UNSAFE:
        return [*alone, str(world.KEEPER), text]
    if mode is Mode.NAMESPACES:
        there = {
            "binds": world.binds(),
            "links": world.links(),
            "keeper": str(world.KEEPER),
            "scratch": limits.scratch_mb * MEGABYTE,
        }
        return [*alone, NAMESPACES, json.dumps(there), text]
    return [*_bubblewrap(), "--size", str(limits.scratch_mb * MEGABYTE), "--tmpfs", "/tmp",
            "--remount-ro", "/", "--chdir", "/tmp", "--", *alone, KEEPER_INSIDE, text]  # fmt: skip


@cache
def _bubblewrap() -> list[str]:
    """bubblewrap's arguments, up to the scratch folder."""
    arguments = [
        str(shutil.which("bwrap")),
        *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
        *("--unshare-cgroup-try", "--uid", USER, "--gid", USER, "--hostname", "box"),
        *("--die-with-parent", "--as-pid-1", "--new-session", "--cap-drop", "ALL"),
    ]
    for source, target in world.binds():
        way = "--dev-bind" if source in world.DEVICES else "--ro-bind"
        arguments += [way, source, target]
    for target, path in world.links():
        arguments += ["--symlink", target, path]
    arguments += ["--ro-bind", str(world.KEEPER), KEEPER_INSIDE]
    # the system's settings in it are open to root, who the program's user is where root runs this
    return [*arguments, "--proc", "/proc", "--remount-ro", "/proc"]
