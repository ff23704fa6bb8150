"""What prices are called, and the units that pages and figures show them in."""

import math
from collections.abc import Iterable

# price, a column of costs -> what it is called, and its unit
PRICES = {
    "flops": ("work", "FLOP"),
    "kept_flops": ("work without zeros", "FLOP"),
    "moved_bytes": ("bytes moved", "B"),
    "held_bytes": ("memory", "B"),
    "seconds": ("time", "s"),
}
PREFIXES = {1e15: "P", 1e12: "T", 1e9: "G", 1e6: "M", 1e3: "k"}


def unit_for(values: Iterable[float], unit: str) -> tuple[float, str]:
    """What to divide by so that the largest of some values is at least 1, and what that is called.

    Seconds stay seconds.
    """
    largest = max((value for value in values if not math.isnan(value)), default=0.0)
    for size, prefix in PREFIXES.items() if unit != "s" else ():
        if largest >= size:
            return size, f"{prefix}{unit}"
    return 1.0, unit


def three_digits(value: float) -> str:
    """A number as cells show it, without an exponent; a dash where it is not known."""
    if math.isnan(value):
        return "–"
    digits = max(2 - math.floor(math.log10(abs(value))), 0) if value else 0
    return f"{value:,.{digits}f}"
