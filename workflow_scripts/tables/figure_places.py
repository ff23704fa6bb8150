"""Of what there are figures of one kind, what is said of each, and where its files are.

Light, as the rules plan by it what the stages draw. It knows no entry of the catalogue, so that a
new one draws no other figure again.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

# a kind's wildcards in their order, each with the values that there are figures of
Values = Sequence[tuple[str, Sequence[str]]]


def places(values: Values) -> Iterator[dict[str, str]]:
    """The wildcards of every figure: one for each combination of their values."""
    names, lists = zip(*values, strict=True)
    for one in product(*lists):
        yield dict(zip(names, one, strict=True))


def filled_in(text: str, place: Mapping[str, str], reference: str) -> str:
    """A title or caption of the catalogue as one about this place."""
    return text.format(reference=reference, **place)


def figure_file(folder: str | Path, place: Mapping[str, str], ending: str) -> str:
    """The path of a figure in the folder of its kind; names may have dots in them."""
    return f"{folder}/{'/'.join(place.values())}.{ending}"
