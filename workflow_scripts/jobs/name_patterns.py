"""Regular expressions of names, as constraints of the rules' wildcards."""

import re
from collections.abc import Iterable
from itertools import groupby
from os.path import commonprefix


def one_of(names: Iterable[str]) -> str:
    """A regular expression that is matched by these names and nothing else; without names, by none.

    What names begin with alike stands in it once. Snakemake reads the constraints of a rule again
    for every file of every job, and with a hundred names side by side that took a while.
    """
    return _branches(sorted({*names})) or "(?!)"


def _branches(names: list[str]) -> str:
    """The same for sorted names that differ; an empty text for none."""
    start = commonprefix(names)
    rests = [name.removeprefix(start) for name in names]
    by_letter = groupby(filter(None, rests), key=lambda rest: rest[0])
    longer = [_branches(list(alike)) for _, alike in by_letter]
    if not longer:
        return re.escape(start)
    return f"{re.escape(start)}(?:{'|'.join(longer)}){'' if all(rests) else '?'}"
