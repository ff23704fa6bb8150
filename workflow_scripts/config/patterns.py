"""N:M patterns: n of every m consecutive input weights of a row are pruned.

Imported by the config door, so nothing heavy.
"""

import re
from typing import Any

TOLERANCE = 1e-6  # n/m has no end in decimals for some m


def read_pattern(text: Any) -> tuple[int, int] | None:
    """(n, m) of the text "n:m" with 0 < n < m < 100; None where it is no such text."""
    match = re.fullmatch(r"([1-9][0-9]?):([1-9][0-9]?)", text) if isinstance(text, str) else None
    if match is None or int(match[1]) >= int(match[2]):
        return None
    return int(match[1]), int(match[2])


def agrees(sparsity: float, pattern: tuple[int, int]) -> bool:
    """Whether a sparsity is that of a pattern, to the precision that a config has."""
    return abs(sparsity - pattern[0] / pattern[1]) <= TOLERANCE
