"""How far a long job is: lines in its log."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta

SECONDS_BETWEEN_LINES = 10.0


def tell(text: str) -> None:
    """Write a line to stderr, which is the job's log, at once."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """A line every ten seconds: how much of `total` work is done, about how long the rest takes."""

    def __init__(
        self,
        total: float,
        write: Callable[[str], None] = tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._done = total, 0.0
        self._write, self._clock = write, clock
        self._start = self._last = clock()

    def __call__(self, work: float, said: str | None = None) -> None:
        """So much more of it is done; `said` says how much in other words than its share."""
        self._done += work
        now = self._clock()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            rest = (now - self._start) * (self._total - self._done) / self._done
            left = timedelta(seconds=round(rest))
            said = said or f"{self._done / self._total:.0%} done"
            self._write(f"{said}, about {left} left")
