"""From which sparsity on each way of pruning is seen to cost accuracy, budget by budget.

Of ways with at least LEVELS variants that differ in how much they remove and in nothing else. The
sparsity is the share of the blocks' weights that is gone; `statistics.onsets` says what an onset
is.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.tables.conditions import LEVELS
from workflow_scripts.tables.content.cells import Cell, cells_of
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.formats import Built
from workflow_scripts.tables.content.onset_text import sections
from workflow_scripts.tables.content.removals import Masks, read_masks
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.onsets import Onset, onset, slope
from workflow_scripts.tables.ways import Way, members_of

Of = dict[tuple[str, int], Cell]  # variant and budget


def build(source: Source) -> Built:
    cells = source.cells()
    run = cells.attrs
    masks = read_masks(source.shared, run["models"], run["variants"])
    rows, slopes = onset_rows(cells, source.reference, masks, source.ways)
    tables = list(sections(rows, slopes, run["missing"]))
    return Built("Onset", {"onset": rows, "onset_slopes": slopes}, tables)


def onset_rows(
    cells: pd.DataFrame, reference: str, masks: Masks, ways: Mapping[str, Way]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `onset.csv` and of `onset_slopes.csv`."""
    places: dict[tuple[str, str], Of] = {}
    for cell in cells_of(cells):
        of_place = places.setdefault((cell.model, cell.benchmark), {})
        of_place[cell.variant, cell.budget] = cell
    rows, slopes = [], []
    for (model, benchmark), found in places.items():
        place = {"model": model, "benchmark": benchmark}
        names = [name for name, _ in found if (model, name) in masks and ways[name].removes]
        for way, variants in members_of(ways, dict.fromkeys(names)).items():
            shares = {name: masks[model, name].removed_fraction for name in variants}
            ordered = sorted(variants, key=shares.__getitem__)
            made = dict(_of_way(found, reference, ordered, shares))
            rows += [place | {"way": way} | row for row, _ in made.values()]
            onsets = [one for _, one in made.values()]
            if line := slope([*made], onsets, max(shares.values())):
                slopes.append({**place, "way": way, **vars(line)})
    return as_frame("onset", rows), as_frame("onset_slopes", slopes)


def _of_way(
    found: Of, reference: str, variants: Sequence[str], shares: Mapping[str, float]
) -> Iterator[tuple[int, tuple[dict[str, Any], Onset]]]:
    """By budget a row, and the onset in it; none where too few variants are compared."""
    for budget in sorted({budget for _, budget in found}):
        there = [name for name in variants if (name, budget) in found]
        if len(there) < LEVELS or (reference, budget) not in found:
            continue
        dense = found[reference, budget].marks
        losses = np.stack([dense - found[name, budget].marks for name in there])
        one = onset(np.array([shares[name] for name in there]), losses)
        problems, repeats = dense.shape
        row = {
            "budget": budget,
            "levels": len(there),
            "largest": shares[there[-1]],
            "problems": problems,
            "repeats": repeats,
            "onset": one.share,
            "ci_low": one.low,
            "ci_high": one.high,
        }
        yield budget, (row, one)
