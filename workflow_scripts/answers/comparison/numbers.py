r"""Whether a number is within a tolerance of the right one.

What is around it counts as in every comparison of answers: names, units, percentages, chains of
equations. Numbers that are written out are compared exactly, so that 0.34 is within 0.01 of 0.33.
"""

import re
from fractions import Fraction
from functools import partial

from workflow_scripts.answers.comparison.answers import equal_by, without_units
from workflow_scripts.answers.comparison.notation import MAX_NUMBER, clean, rational
from workflow_scripts.answers.comparison.units import quantity
from workflow_scripts.answers.comparison.values import value

_POWER_OF_UNIT = re.compile(r"(?<=[A-Za-z}]) ?\^ ?\{ ?(-?[0-9]) ?\}")
_IN_BRACKETS = re.compile(r"/ ?\(([^()]*)\)")


def within(gold: str, answer: str, tolerance: float) -> bool:
    """Whether an answer is a number that differs from the right one by at most `tolerance`."""
    # as it is written in decimals, and not its nearest binary number
    return equal_by(gold, answer, partial(_near, tolerance=Fraction(repr(tolerance))))


def is_number(text: str) -> bool:
    """Whether an answer is a number, perhaps with a unit."""
    text = clean(text)
    bare = without_units(text, text)
    return bare is not None and _number(bare[0]) is not None


def _near(gold: str, answer: str, tolerance: Fraction) -> bool:
    exact, _, estimate = answer.partition(r"\approx")
    bare = without_units(gold, exact.strip() or estimate.strip())
    if bare is None:
        return False
    right, said, ratio = bare
    values = _number(right), _number(said)
    if values[1] is None and exact.strip() and estimate.strip():
        return _near(gold, estimate.strip(), tolerance)
    if None in values:
        return False
    return any(abs(values[1] / by - values[0]) <= tolerance for by in {Fraction(1), ratio})


def _number(text: str) -> Fraction | None:
    if len(text) > MAX_NUMBER:
        return None
    for read in (rational, value, _of_quantity):
        if (number := read(text)) is not None:
            return number
    return None


def _of_quantity(text: str) -> Fraction | None:
    r"""The number in front of a unit of several: `8.3 \text{J mol^{-1}}`, `8.3 J/(mol K)`."""
    found = quantity(_IN_BRACKETS.sub(r"/\1", _POWER_OF_UNIT.sub(r"^\1", text)))
    return found and found[0]
