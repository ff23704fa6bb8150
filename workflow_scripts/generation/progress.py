"""The line that tells a person how far a generation job is."""

import time
from collections.abc import Callable

SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """A line every few seconds: completions finished, tokens per second, the most time left.

    How many answers a trace needs is known when it has ended; until then the most are counted.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._start = self._last = time.monotonic()
        self._finished = self._tokens = 0

    def __call__(self, tokens: int, most_left: int) -> None:
        self._finished += 1
        self._tokens += tokens
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES and most_left:
            return
        self._last = now
        seconds = max(now - self._start, 1e-9)
        left = seconds / self._finished * most_left
        self._write(
            f"generate: {self._finished} completions done, at most {most_left} left, "
            f"{self._tokens / seconds:.0f} tokens/s, at most {left:.0f} s left\n"
        )
