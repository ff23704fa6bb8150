"""What a generation job tells a person: in its log, and on the terminal that waits for it."""

import os
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress

SECONDS_BETWEEN_LINES = 10.0


class Teller:
    """Says lines on stderr, which is the job's log, and on a second descriptor, where it has one.

    Every line starts with `label`, since several jobs may share a terminal.
    """

    def __init__(self, label: str, terminal: int | None = None) -> None:
        self._label, self._terminal = label, terminal

    def __call__(self, text: str) -> None:
        line = f"{self._label}: {text}\n"
        sys.stderr.write(line)
        if self._terminal is not None:
            # a terminal that is gone or held must not stop a job of hours
            with suppress(OSError, ValueError):
                if select.select([], [self._terminal], [], 0)[1]:
                    os.write(self._terminal, line.encode())


class Progress:
    """A line every ten seconds: completions finished, tokens per second, the most time left.

    What a trace leads to is known when it has ended; until then the most that it may is counted.
    """

    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._clock = tell, clock
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
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        left = (now - self._start) / self._finished * most_left
        self._tell(
            f"{self._finished} of at most {self._finished + most_left} completions, "
            f"{self._speed(now)}, at most {duration(left)} left"
        )

    def finish(self) -> None:
        """Say what was decoded in all."""
        now = self._clock()
        took = duration(now - self._start)
        self._tell(f"decoded {self._finished} completions in {took}, {self._speed(now)}")

    def _speed(self, now: float) -> str:
        return f"{self._tokens / max(now - self._start, 1e-9):.0f} tokens/s"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `42 s`, `3 min 05 s`, `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
