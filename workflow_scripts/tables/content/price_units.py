"""What prices are called, what is to be known of them, and the units that they are shown in."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class Price(NamedTuple):
    """What a price is called, its unit, and a sentence that its pages need."""

    name: str
    unit: str
    note: str = ""


PRICES = {  # by column of costs
    "flops": Price("work", "FLOP"),
    "kept_flops": Price(
        "work without zeros",
        "FLOP",
        "No kernel here leaves out the zeros of single weights; this is the price with one that "
        "did.",
    ),
    "moved_bytes": Price("bytes moved", "B"),
    "held_bytes": Price(
        "memory",
        "B",
        "Most of it is weights, which cost the same under every budget: for the price of a few "
        "tokens of {reference}, a variant that is a little smaller has many.",
    ),
    "seconds": Price("time", "s"),
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
