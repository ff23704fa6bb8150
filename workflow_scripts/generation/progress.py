"""What a generation job tells a person: in its log, and on the terminal that waits for it."""

import logging
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from workflow_scripts.jobs.progress import SECONDS_BETWEEN_LINES


def message_writer(label: str, terminal: int | None = None) -> Callable[[str], None]:
    """A function that writes a line to stderr, which is the job's log, and to a descriptor.

    Every line starts with `label`, since several jobs may share a terminal.
    """

    def write(text: str) -> None:
        line = f"{label}: {text}\n"
        sys.stderr.write(line)
        if terminal is not None:
            # a terminal that is gone or held must not stop a job of hours
            with suppress(OSError, ValueError):
                if select.select([], [terminal], [], 0)[1]:
                    os.write(terminal, line.encode())

    return write


@contextmanager
def warnings_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell what the project's modules warn of, as an engine does that has to decode slowly."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: tell(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("workflow_scripts")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class Progress:
    """A line every ten seconds: completions finished, tokens per second, the most time left.

    What a trace leads to is known when it has ended; until then the most that it may is counted.
    """

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._clock = write, clock
        self._finished = self._tokens = 0
        self.start()

    def start(self) -> None:
        """Decoding starts now."""
        self._start = self._last = self._clock()

    def __call__(self, tokens: int, most_left: int) -> None:
        """A completion of that many tokens is finished; so many are left at most."""
        self._finished += 1
        self._tokens += tokens
        now = self._clock()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            left = timedelta(seconds=round((now - self._start) / self._finished * most_left))
            self._write(
                f"{self._finished} of at most {self._finished + most_left} completions, "
                f"{self._speed()}, at most {left} left"
            )

    def finish(self) -> None:
        """Say what was decoded in all."""
        took = timedelta(seconds=round(self._clock() - self._start))
        self._write(f"decoded {self._finished} completions in {took}, {self._speed()}")

    def _speed(self) -> str:
        seconds = max(self._clock() - self._start, 1e-9)
        return f"{self._tokens / seconds:.0f} tokens/s"
