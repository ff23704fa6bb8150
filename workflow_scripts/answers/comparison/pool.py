r"""Whether the answers of a benchmark are equivalent to its right ones.

    verdicts = compare_all([("\\frac{1}{2}", "0.5"), ...], workers=2)

What spelling or exact numbers decide is decided here. Everything else goes to worker processes
(`worker`), which start when a pair needs one. Each pair is compared once, by itself; so verdicts
depend neither on the order of the pairs nor on the number of workers.
"""

import multiprocessing
import os
import resource
import signal
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pebble import ProcessExpired, ProcessPool

from workflow_scripts.answers.comparison import worker
from workflow_scripts.answers.comparison.answers import quick_equal
from workflow_scripts.answers.comparison.expressions import PACKAGES
from workflow_scripts.config.messages import shown
from workflow_scripts.errors import InputError

MAX_ANSWER = 1000  # characters; a longer one is no answer that a right one is equal to
WALL_SECONDS = 60  # for a comparison that sleeps, which takes no processor time
START_SECONDS = 30  # until a worker begins its next comparison, on a busy machine
# what may be due to other processes, so that a comparison by itself may end otherwise
_PERHAPS_OF_THE_MACHINE = ("out of memory", "crashed", "hung")


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
    """Verdicts that are due to the answers alone: where the machine may be the cause, once more.

    A pair whose worker the system ended is compared again, in the end by itself. Raises
    `InputError` where that does not help: a comparison that was not made is no wrong answer.
    """
    _check_packages()
    # the order of Python's sets, and with it sympy's way through a problem, hangs on the seed
    os.environ["PYTHONHASHSEED"] = "0"
    verdicts: dict[tuple[str, str], Verdict] = {}
    for _ in range(2):
        left = [pair for pair in waiting if pair not in verdicts]
        verdicts |= _compared(left, workers) if left else {}
    for pair in waiting:
        if pair in verdicts and verdicts[pair].note in _PERHAPS_OF_THE_MACHINE:
            verdicts |= _compared([pair], 1)
        for _ in range(2):
            verdicts |= {} if pair in verdicts else _compared([pair], 1)
        if pair not in verdicts:
            raise InputError(
                f"{shown(pair[0])} and {shown(pair[1])} could not be compared: the system ended "
                f"the process that did. It may need {worker.MEMORY >> 30} GiB of memory and "
                f"{worker.CPU_SECONDS + 3} s of processor time; {_limits()}"
            )
    return verdicts


def _compared(pairs: Sequence[tuple[str, str]], workers: int) -> dict[tuple[str, str], Verdict]:
    """Verdicts on the pairs whose comparison came to an end."""
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["workflow_scripts.answers.comparison.warm"])
    pool = ProcessPool(min(workers, len(pairs)), initializer=worker.start, context=forking)
    found = {}
    try:
        futures = {p: pool.schedule(worker.compare, p, timeout=WALL_SECONDS) for p in pairs}
        patience = WALL_SECONDS + START_SECONDS
        for future in futures.values():  # a worker that is killed in its exchange may block all
            patience = patience if wait([future], patience).done else 0
        found = {pair: _verdict(future) for pair, future in futures.items() if future.done()}
    except RuntimeError:  # the pool broke, or could not be made, before all were handed over
        pass
    finally:
        pool.stop()
        pool.join()
    return {pair: verdict for pair, verdict in found.items() if verdict is not None}


def _verdict(future: Future[tuple[bool, str]]) -> Verdict | None:
    """What a worker found; None where it was ended from outside, or did not start."""
    try:
        verdict = Verdict(*future.result())
    except TimeoutError:
        return Verdict(False, "hung")
    except BrokenProcessPool:
        return None
    except ProcessExpired as ended:
        if ended.exitcode in (-signal.SIGKILL, -signal.SIGXCPU, -signal.SIGTERM):
            return None
        return Verdict(False, "out of time" if ended.exitcode == -signal.SIGPROF else "crashed")
    # less memory than a comparison may take is the machine's lack, not the answer's
    return None if verdict.note == "out of memory" and worker.has_less_memory() else verdict


def _limits() -> str:
    """The limits that this process and its workers are under, as `ulimit` names them."""
    names = {"-v": (resource.RLIMIT_AS, 1024), "-t": (resource.RLIMIT_CPU, 1)}
    hard = {name: (resource.getrlimit(of)[1], unit) for name, (of, unit) in names.items()}
    told = [f"ulimit {n} is {v // u}" for n, (v, u) in hard.items() if v != resource.RLIM_INFINITY]
    return ", ".join(told) or "no limit is set by ulimit"


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
