r"""Whether the answers of a benchmark are equivalent to its right ones.

    verdicts = compare_all([("\\frac{1}{2}", "0.5"), ...], workers=2)

What spelling or exact numbers decide is decided here. Everything else goes to worker processes
(`worker`), which start when a pair needs one. Each pair is compared once, by itself; so verdicts
depend neither on the order of the pairs nor on the number of workers.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pebble import ProcessExpired, ProcessPool

from workflow_scripts.errors import InputError
from workflow_scripts.grading.comparison import worker
from workflow_scripts.grading.comparison.answers import quick_equal
from workflow_scripts.grading.comparison.expressions import PACKAGES

MAX_ANSWER = 1000  # characters; a longer one is no answer that a right one is equal to
WALL_SECONDS = 60  # for a comparison that sleeps, which takes no processor time


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is equivalent to the right one; `note`: why it could not be compared."""

    equal: bool
    note: str = ""


def compare_all(
    pairs: Iterable[tuple[str, str]], workers: int = 1
) -> dict[tuple[str, str], Verdict]:
    """The verdict on every pair of a right answer and an answer; equal pairs count once."""
    verdicts = {pair: _at_once(*pair) for pair in dict.fromkeys(pairs)}
    waiting = [pair for pair, verdict in verdicts.items() if verdict is None]
    return verdicts | _by_workers(waiting, workers) if waiting else verdicts


def _at_once(gold: str, answer: str) -> Verdict | None:
    if gold.strip() == answer.strip():
        return Verdict(True)
    if len(answer) > MAX_ANSWER:
        return Verdict(False, "too long")
    quick = quick_equal(gold, answer)
    return None if quick is None else Verdict(quick)


def _by_workers(waiting: Sequence[tuple[str, str]], workers: int) -> dict[tuple[str, str], Verdict]:
    _check_packages()
    # the order of Python's sets, and with it sympy's way through a problem, hangs on the seed
    os.environ["PYTHONHASHSEED"] = "0"
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["workflow_scripts.grading.comparison.warm"])
    pool = ProcessPool(min(workers, len(waiting)), initializer=worker.start, context=forking)
    verdicts = {}
    try:
        for _ in range(2):  # once more for what the system killed for want of memory
            futures = {p: pool.schedule(worker.compare, p, timeout=WALL_SECONDS) for p in waiting}
            verdicts |= {pair: _verdict(future) for pair, future in futures.items()}
            waiting = [pair for pair in waiting if verdicts[pair].note == "out of memory"]
    finally:
        pool.stop()
        pool.join()
    return verdicts


def _verdict(future: Future[tuple[bool, str]]) -> Verdict:
    try:
        return Verdict(*future.result())
    except TimeoutError:
        return Verdict(False, "out of time")
    except ProcessExpired as ended:
        notes = {-signal.SIGPROF: "out of time", -signal.SIGKILL: "out of memory"}
        return Verdict(False, notes.get(ended.exitcode, "crashed"))


def _check_packages() -> None:
    for name, needed in PACKAGES.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "none"
        if installed != needed:
            raise InputError(
                f"{name}: version {installed} is installed; grading is made for {needed}, "
                "which envs/lock.txt and envs/data.yaml name"
            )
