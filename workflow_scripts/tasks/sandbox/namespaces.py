"""Makes a program's world out of Linux namespaces, for its keeper to run in.

    python namespaces.py WORLD ORDER

It runs by itself, without the project, and is to the box what bubblewrap is elsewhere. WORLD is
JSON (see `world`), ORDER what `keeper` takes. All that can be named from inside is a root in
memory that is read-only, with bound into it, read-only too, what Python needs; /proc of the
world's own processes; five harmless devices; and a scratch folder at /tmp. There is no network
device that is up. See namespaces(7), user_namespaces(7), pivot_root(2).

Where root runs it, the program's user is one of no other process, so that its files and its count
of processes are its own: root itself is bound by no such count. Elsewhere it is the user that runs
this, who can be no other.
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any

# unshare(2): user, mounts, processes, network, IPC, host name, control groups
NEW = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
# mount(2)
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC, REMOUNT, BIND, RECURSIVE, PRIVATE = (
    1, 2, 4, 8, 32, 4096, 16384, 1 << 18,
)  # fmt: skip
NAMED = {"nosuid": NO_SUID, "nodev": NO_DEVICES, "noexec": NO_EXEC}
DETACH = 2  # umount2(2)
SET_DEATH_SIGNAL, DROP_FROM_BOUNDING_SET, SET_NO_NEW_PRIVILEGES = 1, 24, 38  # prctl(2)
CAPABILITIES_VERSION = 0x20080522  # capset(2)
USER = 1000  # the program's, as it sees itself
ROOT = "/tmp"  # where the new root stands before it is one; only these processes see it there

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Enter new namespaces, and have a process in them build the world and become its keeper."""
    world, order = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    try:
        call("prctl", SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        is_root = enter()
        keeper = os.fork()
        if keeper == 0:
            source = read(world["keeper"])
            build(world)
            drop_powers(is_root)
            os.chdir("/tmp")
            sys.argv = ["keeper.py", sys.argv[2]]
            exec(compile(source, "keeper.py", "exec"), {"__name__": "__main__"})
    except OSError as failure:
        os.write(order["status"], json.dumps({"failed": str(failure)}).encode())
        os._exit(1)
    os.waitpid(keeper, 0)
    os._exit(0)


def enter() -> bool:
    """Enter the namespaces; whether root did, as which it can be two users in there."""
    me = os.getpid()
    reading, writing = os.pipe()
    helper = os.fork()
    if helper == 0:  # stays outside, where the right to map other users is
        os.close(writing)
        try:
            if os.read(reading, 1):  # otherwise the other process has ended
                map_users(me)
        except OSError:
            os._exit(1)
        os._exit(0)
    call("unshare", NEW)
    os.write(writing, b".")
    status = os.waitpid(helper, 0)[1]
    os.close(reading)
    os.close(writing)
    if status:
        raise OSError(1, "users cannot be mapped into a new user namespace")
    return os.geteuid() == 0


def map_users(process: int) -> None:
    """Say who the users of a process's new namespace are outside of it."""
    with_root = [f"0 0 1\n{USER} {spare(process, kind)} 1" for kind in ("uid", "gid")]
    alone = [f"{USER} {outside} 1" for outside in (os.geteuid(), os.getegid())]
    if os.geteuid() == 0:
        try:
            write_maps(process, *with_root)
            return
        except OSError:
            pass  # root of a container that has no other user
    with open(f"/proc/{process}/setgroups", "w", encoding="ascii") as file:
        file.write("deny")
    write_maps(process, *alone)


def write_maps(process: int, users: str, groups: str) -> None:
    """Write who is who; the kernel takes it whole or not at all, and once."""
    for kind, text in (("gid", groups), ("uid", users)):
        with open(f"/proc/{process}/{kind}_map", "w", encoding="ascii") as file:
            file.write(text)


def spare(process: int, kind: str) -> int:
    """A user or group of this machine that no other process is: from the upper half of them."""
    with open(f"/proc/self/{kind}_map", encoding="ascii") as file:
        first, _, count = map(int, file.read().splitlines()[-1].split())
    return first + count // 2 + process % max(1, count // 2)


def build(world: dict[str, Any]) -> None:
    """Build the world at ROOT, and make it the only one."""
    os.umask(0o022)
    mount("none", "/", None, RECURSIVE | PRIVATE)
    # held open, as the root may come to stand over them
    sources = [os.open(source, os.O_PATH) for source, _ in world["binds"]]
    mount("tmpfs", ROOT, "tmpfs", NO_SUID | NO_DEVICES, "mode=755,size=1m,nr_inodes=1024")
    for descriptor, (source, target) in zip(sources, world["binds"], strict=True):
        place = make_place(ROOT + target, os.path.isdir(source))
        mount(f"/proc/self/fd/{descriptor}", place, None, BIND | RECURSIVE)
        os.close(descriptor)
    for target, path in world["links"]:
        os.makedirs(os.path.dirname(ROOT + path), exist_ok=True)
        os.symlink(target, ROOT + path)
    flags = NO_SUID | NO_DEVICES | NO_EXEC
    mount("proc", make_place(ROOT + "/proc", True), "proc", flags)
    scratch = make_place(ROOT + "/tmp", True)
    make_read_only()
    options = f"mode=700,uid={USER},gid={USER},size={world['scratch']},nr_inodes=4096"
    mount("tmpfs", scratch, "tmpfs", NO_SUID | NO_DEVICES, options)
    os.chdir(ROOT)
    call("pivot_root", b".", b".")
    call("umount2", b".", DETACH)
    os.chdir("/")
    call("sethostname", b"box", 3)


def make_place(path: str, is_folder: bool) -> str:
    """An empty folder or file, to mount something on."""
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    if not is_folder:
        with open(path, "xb"):
            pass
    return path


def make_read_only() -> None:
    """Make every mount below ROOT read-only, each with what it forbids already."""
    for line in read("/proc/self/mountinfo").splitlines():
        place, options = line.split()[4:6]
        place = place.encode().decode("unicode_escape")  # blanks in it are written as \040
        if place == ROOT or place.startswith(ROOT + "/"):
            kept = sum(flag for name, flag in NAMED.items() if name in options.split(","))
            mount("none", place, None, REMOUNT | BIND | READ_ONLY | NO_SUID | kept)


def drop_powers(is_root: bool) -> None:
    """Be the program's user for good, without any capability."""
    capability = 0
    while libc.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) == 0:
        capability += 1
    if is_root:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    call("capset", (ctypes.c_uint * 2)(CAPABILITIES_VERSION, 0), (ctypes.c_uint * 6)())
    call("prctl", SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    texts = [text.encode() if text else None for text in (source, target, kind, options)]
    if libc.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]):
        raise OSError(ctypes.get_errno(), f"mounting {target}: {os.strerror(ctypes.get_errno())}")


def call(name: str, *arguments: Any) -> None:
    """A function of the C library that returns 0 where all went well."""
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def read(path: str) -> str:
    """A text file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    main()
