"""Comparisons that go wrong, each in the way that the right answer names; run in a worker."""

import os
import signal
import time
from pathlib import Path

from workflow_scripts.answers.comparison import worker


def sleep(_):
    time.sleep(1000)


def spin(mark):
    Path(mark).with_suffix(".spinning").touch()
    while True:
        pass


def endless_step(_):
    return 9 ** (9**9) > 1  # one step of the interpreter: no signal handler of Python's gets a turn


def take_memory(_):
    return len(bytearray(1 << 33))


def fall(_):
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(_):
    os._exit(3)


def fail(_):
    raise SystemExit


def killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def out_of_processor_time(_):
    os.kill(os.getpid(), signal.SIGXCPU)


def killed_once(mark):
    if Path(mark).exists():
        return True
    Path(mark).touch()
    return killed(mark)


def behave(_):
    return True


def compare(gold: str, answer: str) -> tuple[bool, str]:
    worker.CPU_SECONDS = 1
    worker.equal = lambda name, mark, _: globals()[name](mark)
    return worker.compare(gold, answer)


def start() -> None:
    raise OSError("no such library")
