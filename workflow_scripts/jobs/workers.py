"""Processes beside that of a job, which share its work and end with it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from workflow_scripts.jobs.orphans import end_with_runner


@contextmanager
def mapping(
    workers: int, module: str
) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterable]]:
    """What applies functions of a module to several values and keeps their order, here or in
    processes.
    """
    if workers == 1:
        yield map
        return
    context = get_context("forkserver")
    context.set_forkserver_preload([module])  # what it imports, once for all processes
    with ProcessPoolExecutor(workers, context, end_with_runner) as pool:
        yield pool.map
