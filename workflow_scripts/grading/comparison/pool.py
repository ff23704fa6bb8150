"""Whether the answers of a benchmark are equivalent to its right ones.

    with Comparer(workers=2) as comparer:
        verdicts = comparer.compare([("\\\\frac{1}{2}", "0.5"), ...])

What spelling or exact numbers decide is decided here. Everything else goes to worker processes
(`comparison_worker`), which start when the first pair needs one and are replaced when they die.
Each pair is compared once, by itself; so verdicts depend neither on the order of the pairs nor on
the number of workers.
"""

import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.grading.comparison import worker as comparison_worker
from workflow_scripts.grading.comparison.answers import quick_equal
from workflow_scripts.grading.comparison.expressions import PACKAGES
from workflow_scripts.paths import PROJECT

MAX_ANSWER = 1000  # characters; a longer one is no answer that a right one is equal to


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is equivalent to the right one; `note`: why it could not be compared."""

    equal: bool
    note: str = ""


class Comparer:
    """A pool of worker processes; a context manager, which ends them."""

    def __init__(self, workers: int = 1) -> None:
        self._executor = ThreadPoolExecutor(workers)
        self._idle: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        for _ in range(workers):
            self._idle.put(None)  # a place; its process starts when it is needed
        self._workers = workers

    def __enter__(self) -> "Comparer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown(cancel_futures=True)
        for _ in range(self._workers):
            worker = self._idle.get()
            if worker is not None:
                worker.end()

    def compare(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Verdict]:
        """The verdict on every pair of a right answer and an answer; equal pairs count once."""
        verdicts: dict[tuple[str, str], Verdict] = {}
        waiting: list[tuple[str, str]] = []
        for pair in dict.fromkeys(pairs):
            verdict = _at_once(*pair)
            if verdict is None:
                waiting.append(pair)
            else:
                verdicts[pair] = verdict
        verdicts.update(zip(waiting, self._executor.map(self._ask, waiting), strict=True))
        return verdicts

    def _ask(self, pair: tuple[str, str]) -> Verdict:
        worker = self._idle.get()
        try:
            worker = worker or _Worker()
            verdict = worker.ask(*pair)
            if verdict is None:  # something else has ended it: what it compares runs in copies
                worker.end()
                worker = None
                worker = _Worker()
                verdict = worker.ask(*pair)
            if verdict is None:
                raise RuntimeError(f"two workers died one after the other, over {pair!r}")
            return verdict
        finally:
            self._idle.put(worker)


def _at_once(gold: str, answer: str) -> Verdict | None:
    if gold.strip() == answer.strip():
        return Verdict(True)
    if len(answer) > MAX_ANSWER:
        return Verdict(False, "too long")
    quick = quick_equal(gold, answer)
    return None if quick is None else Verdict(quick)


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


class _Worker:
    """One worker process. Raises RuntimeError where it does not start."""

    def __init__(self) -> None:
        _check_packages()
        # the order of Python's sets, and with it sympy's way through a problem, hangs on the seed
        path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", comparison_worker.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": path},
            text=True,
            encoding="utf-8",
        )
        if self._answer() != {"ready": True}:
            self.end()
            raise RuntimeError("the process that compares answers did not start")

    def ask(self, gold: str, answer: str) -> Verdict | None:
        """The verdict of this worker; None where it has died."""
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps({"gold": gold, "answer": answer}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        said = self._answer()
        return None if said is None else Verdict(**said)

    def _answer(self) -> dict[str, Any] | None:
        assert self._process.stdout
        line = self._process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()
