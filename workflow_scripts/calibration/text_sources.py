"""The order of rows of text."""

import random
from collections.abc import Sequence
from typing import TypeVar

Anything = TypeVar("Anything")


def shuffled(rows: Sequence[Anything], seed: int) -> list[Anything]:
    """The rows in an order that the seed alone determines."""
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    return rows
