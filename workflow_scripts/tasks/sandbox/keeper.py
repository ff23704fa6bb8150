"""Starts a program under its limits, looks after all that it starts, and tells how it ended.

    python keeper.py ORDER

It runs by itself, without the project, as the first process of the program's world: no process in
it can end it, look into it or outlive it. Without a world (mode `unsafe`) it is the program's
parent and no more. ORDER is JSON: the command, its environment, the limits, whether there is a
world, and the descriptors that the program is read from and its end is written to.

A filter on system calls stands behind the walls of the world: it takes away what would give memory
that no limit counts, new namespaces with their powers, and parts of the kernel that a program has
no use for. It knows the processors in CALLS.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from typing import Any

SECONDS_BETWEEN_LOOKS = 0.05
HEEDED = {signal.SIGCHLD, signal.SIGTERM}
HELPERS = 2  # processes of the box itself that count as the program's user's
COUNTED_SINCE = (5, 14)  # the kernel from which processes are counted per user namespace
# prctl(2)
SET_DEATH_SIGNAL, SET_DUMPABLE, SET_SECCOMP, SET_NO_NEW_PRIVILEGES = 1, 4, 22, 38
FILTER = 2
# the name of a processor in audit(7), and its numbers of system calls
CALLS = {
    "x86_64": (
        0xC000003E,
        {
            "add_key": 248, "bpf": 321, "io_uring_setup": 425, "keyctl": 250, "memfd_create": 319,
            "memfd_secret": 447, "mq_open": 240, "msgget": 68, "perf_event_open": 298,
            "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101, "request_key": 249,
            "semget": 64, "setns": 308, "shmget": 29, "unshare": 272, "userfaultfd": 323,
        },
        {"clone": 56, "clone3": 435},
    ),
    "aarch64": (
        0xC00000B7,
        {
            "add_key": 217, "bpf": 280, "io_uring_setup": 425, "keyctl": 219, "memfd_create": 279,
            "memfd_secret": 447, "mq_open": 180, "msgget": 186, "perf_event_open": 241,
            "process_vm_readv": 270, "process_vm_writev": 271, "ptrace": 117, "request_key": 218,
            "semget": 190, "setns": 268, "shmget": 194, "unshare": 97, "userfaultfd": 282,
        },
        {"clone": 220, "clone3": 435},
    ),
}  # fmt: skip
NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* of clone(2)
EPERM, ENOSYS = 1, 38
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000  # what a filter returns
LOAD, IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # its instructions
NUMBER_OF_CALL, PROCESSOR, FIRST_ARGUMENT = 0, 4, 16  # where its data are, in bytes
OTHER_INTERFACE = 0x40000000  # the numbers of x86-64's second set of system calls begin here

libc = ctypes.CDLL(None, use_errno=True)


class Instruction(ctypes.Structure):
    """One instruction of a filter: what it does, how far it jumps if so and if not, its number."""

    _fields_ = [
        ("code", ctypes.c_ushort),
        ("yes", ctypes.c_ubyte),
        ("no", ctypes.c_ubyte),
        ("k", ctypes.c_uint),
    ]


class Filter(ctypes.Structure):
    """A filter as the kernel takes it."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(Instruction))]


def main() -> None:
    """Run the program of the order to its end, and write how that was."""
    order = json.loads(sys.argv[1])
    os.set_inheritable(order["status"], False)
    control(SET_DEATH_SIGNAL, signal.SIGKILL)
    if order["has_world"]:
        control(SET_DUMPABLE, 0)  # no process of this user can trace this one, or read its memory
    signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python's own handler would let it through
    with open(order["program"], "rb") as program, open("main.py", "xb") as file:
        file.write(program.read())
    child = os.fork()
    if child == 0:
        try:
            become_program(order)
        except BaseException as failure:
            os.write(order["status"], json.dumps({"failed": str(failure)}).encode())
        os._exit(1)
    os.write(order["status"], json.dumps(watch(child, order)).encode())
    os._exit(0)  # and everything that is left in the world with it


def become_program(order: dict[str, Any]) -> None:
    """Replace this process by the program, under its limits."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    control(SET_DEATH_SIGNAL, signal.SIGKILL)
    limits = order["limits"]
    bounds = {
        resource.RLIMIT_AS: (limits["memory"],) * 2,
        # the first ends it in a way that can be told from others, the second if it did not heed it
        resource.RLIMIT_CPU: (limits["cpu"], limits["cpu"] + 1),
        resource.RLIMIT_NOFILE: (limits["files"],) * 2,
        resource.RLIMIT_FSIZE: (limits["file"],) * 2,
        resource.RLIMIT_CORE: (0, 0),
    }
    # elsewhere all processes of the user would count, and the looks at them have to do
    if order["has_world"] and kernel() >= COUNTED_SINCE:
        bounds[resource.RLIMIT_NPROC] = (limits["processes"] + HELPERS,) * 2
    for name, bound in bounds.items():
        hard = resource.getrlimit(name)[1]
        fits = hard == resource.RLIM_INFINITY
        resource.setrlimit(name, bound if fits else tuple(min(b, hard) for b in bound))
    control(SET_NO_NEW_PRIVILEGES, 1)
    if order["has_world"]:
        filter_calls()
    os.execve(order["command"][0], order["command"], order["environment"])


def watch(child: int, order: dict[str, Any]) -> dict[str, Any]:
    """How the program ended: its wait status, seconds of processor time, what limit it broke."""
    deadline = time.monotonic() + order["limits"]["wall"]
    broken = ""
    while True:
        heeded = signal.sigtimedwait(HEEDED, SECONDS_BETWEEN_LOOKS)
        while True:
            ended, status, usage = os.wait4(-1, os.WNOHANG)
            if ended == child:
                end_rest(child, order)
                seconds = usage.ru_utime + usage.ru_stime
                return {"status": status, "seconds": seconds, "broken": broken}
            if ended == 0:
                break
        # in a world only its own processes could have sent it, and the world goes at once
        if heeded and heeded.si_signo == signal.SIGTERM and not order["has_world"]:
            broken = broken or "killed"
        if time.monotonic() > deadline:
            broken = broken or "time"
        if order["has_world"]:
            broken = broken or excess(order["limits"])
        if broken:
            end_rest(child, order)


def end_rest(child: int, order: dict[str, Any]) -> None:
    """End every process of the program; without a world, those that stayed in its group."""
    with suppress(ProcessLookupError):
        os.kill(-1 if order["has_world"] else -child, signal.SIGKILL)


def excess(limits: dict[str, float]) -> str:
    """What the processes of the world have too much of, all together."""
    memory = processes = 0
    for name in os.listdir("/proc"):
        if name.isdecimal() and name != "1":
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
                processes += int(fields[17])
                memory += int(fields[21]) * resource.getpagesize()
    if processes > limits["processes"] + HELPERS:
        return "processes"
    return "memory" if memory > limits["memory"] else ""


def filter_calls() -> None:
    """Refuse the system calls that the program has no use for, from here on."""
    if os.uname().machine not in CALLS:
        return
    processor, refused, cloning = CALLS[os.uname().machine]
    refuse, is_missing = (RETURN, 0, 0, REFUSE | EPERM), (RETURN, 0, 0, REFUSE | ENOSYS)
    steps = [
        (LOAD, 0, 0, PROCESSOR),
        (IF_EQUAL, 1, 0, processor),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_OF_CALL),
        (IF_AT_LEAST, 0, 1, OTHER_INTERFACE),
        refuse,
    ]
    for number in refused.values():
        steps += [(IF_EQUAL, 0, 1, number), refuse]
    # what cannot be looked into is missing, and the C library takes the older call instead
    steps += [(IF_EQUAL, 0, 1, cloning["clone3"]), is_missing]
    steps += [(IF_EQUAL, 0, 3, cloning["clone"]), (LOAD, 0, 0, FIRST_ARGUMENT)]
    steps += [(IF_ANY_BIT, 0, 1, NEW_NAMESPACES), refuse, (RETURN, 0, 0, ALLOW)]
    instructions = (Instruction * len(steps))(*steps)
    control(SET_SECCOMP, FILTER, ctypes.byref(Filter(len(steps), instructions)))


def control(*arguments: Any) -> None:
    """prctl(2)."""
    if libc.prctl(*arguments, *[0] * (5 - len(arguments))):
        raise OSError(ctypes.get_errno(), "prctl", arguments[0])


def kernel() -> tuple[int, ...]:
    """The first two numbers of the kernel's version."""
    return tuple(int(part) for part in os.uname().release.split(".")[:2])


if __name__ == "__main__":
    try:
        main()
    except OSError as failure:
        os.write(json.loads(sys.argv[1])["status"], json.dumps({"failed": str(failure)}).encode())
