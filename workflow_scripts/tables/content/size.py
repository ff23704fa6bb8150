"""How large each variant is as a checkpoint, and how fast where that was measured.

A mask of single weights leaves an exported checkpoint as large as the dense one; without whole
blocks, heads or neurons it is smaller. Both follow from the masks' records. Speeds are what
`python -m benchmarks.export_speed` measured of the same export and left beside the record.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.files.atomic import read_json
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.formats import Built, Section
from workflow_scripts.tables.content.removals import (
    Masks,
    ratio_columns,
    ratios_note,
    ratios_of,
    read_masks,
    shown_ratios,
)
from workflow_scripts.tables.content.source import Source

SPEED = "speed.json"
ENGINES = ("transformers", "vllm")


def build(source: Source) -> Built:
    models, variants = source.options["models"], source.options["variants"]
    masks = read_masks(source.shared, models, variants)
    rows = as_frame("size", (row_of(source.shared, place, masks) for place in masks))
    found = list(sections(rows, source.reference))
    return Built("Size", {"size": rows}, found, of_answers=False)


def row_of(results: Path, place: tuple[str, str], masks: Masks) -> dict[str, Any]:
    """What the record of a model's variant says of its size, and what was measured of its export.

    Counts are whole, or NaN.
    """
    (model, variant), mask = place, masks[place]
    export = mask.export
    return {
        "model": model,
        "variant": variant,
        **ratios_of(masks, *place)._asdict(),
        "nonzero": round(mask.parameters * (1 - mask.removed_of_all)),
        "parameters": export.parameters if export else math.nan,
        "bytes": export.bytes if export else math.nan,
        **_speeds(results / model / variant / SPEED, mask.digest),
    }


def _speeds(path: Path, digest: str) -> dict[str, float]:
    """Tokens/s by column; those of an export of another mask do not count."""
    measured = read_json(path) if path.exists() else {}
    found = measured["engines"] if measured.get("digest") == digest else {}
    return {
        f"{engine}{ending}": found.get(engine, {}).get(which, math.nan)
        for engine in ENGINES
        for which, ending in (("export", ""), ("ratio", "_ratio"))
    }


def sections(rows: pd.DataFrame, reference: str) -> Iterator[Section]:
    """A section for each model: variants down, with their sizes beside the reference's."""
    for model, members in rows.groupby("model", sort=False):
        shown = shown_ratios(members)
        dense = members.loc[members["variant"] == reference, "bytes"]
        frame = pd.DataFrame(
            {
                "variant": members["variant"],
                **ratio_columns(members, shown),
                "not zero": members["nonzero"].map(_whole),
                "parameters": members["parameters"].map(_whole),
                "MB": members["bytes"].map(_megabytes),
                f"to {reference}": (members["bytes"] / dense.max()).map(_ratio),
                **{f"tokens/s, {engine}": _speed(members, engine) for engine in _measured(members)},
            }
        )
        speeds = _SPEEDS if [*_measured(members)] else ""
        yield Section(str(model), f"{_CAPTION} {ratios_note(shown)}{speeds}", frame)


_CAPTION = (
    "what each variant is as an exported checkpoint. Parameters and MB (10⁶ bytes, in the dense "
    "model's number types) are those that its files hold: zeros take as much place as other "
    "weights, and removed blocks, heads and neurons none. None: no plain checkpoint can hold it."
)
_SPEEDS = (
    " Tokens/s as benchmarks.export_speed measured them of the export and, in brackets, their "
    "ratio to the dense model's beside it."
)


def _measured(rows: pd.DataFrame) -> Iterator[str]:
    return (engine for engine in ENGINES if rows[engine].notna().any())


def _speed(rows: pd.DataFrame, engine: str) -> list[str]:
    pairs = zip(rows[engine], rows[f"{engine}_ratio"], strict=True)
    return ["" if math.isnan(speed) else f"{speed:.0f} ({ratio:.2f})" for speed, ratio in pairs]


def _whole(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:,.0f}"


def _megabytes(value: float) -> str:
    return "none" if math.isnan(value) else f"{value / 1e6:,.2f}"


def _ratio(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
