"""What training gives back, as people read it. The report reads it without the statistics."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from workflow_scripts.tables.content.formats import (
    Section,
    count,
    design,
    missing_note,
    with_percent_bounds,
)
from workflow_scripts.tables.content.removals import percent


def sections(rows: pd.DataFrame, reference: str, missing: Sequence[str] = ()) -> Iterator[Section]:
    """For each model and benchmark: a row for every variant and budget."""
    sizes = rows["model"].value_counts()
    for (model, benchmark), members in rows.groupby(["model", "benchmark"], sort=False):
        frame = pd.DataFrame(
            {
                "variant": members["variant"],
                "blocks": members["removed"].map(percent),
                "budget": members["budget"].map(str),
                reference: members["dense_accuracy"].map(_share),
                "start": members["start_accuracy"].map(_share),
                "recovered": members["accuracy"].map(_share),
                "gain": _percents(members, "gain", "ci_low", "ci_high"),
                "p (Holm)": members["p_holm"].map(_p_value),
                "says": members["verdict"],
                "regained, %": [
                    text if text != "–" else f"– ({reason})"
                    for text, reason in zip(
                        _percents(members, "regained", "regained_low", "regained_high"),
                        members["reason"],
                        strict=True,
                    )
                ],
                f"gain of {reference}": _percents(
                    members, "control_gain", "control_low", "control_high"
                ),
                "net gain": _percents(members, "net", "net_low", "net_high"),
                "p (Holm), net": members["net_p_holm"].map(_p_value),
                "net, says": members["net_verdict"],
            }
        )
        yield Section(
            f"{model} on {benchmark}: what training gives back",
            f"{design(members.iloc[0])}, paired, with 95 % intervals. Gain: recovered less start, "
            "percentage points; p values of a paired permutation test, corrected (Holm) over "
            f"{count(sizes[model], 'row')} of the model. Regained: the gain in % of what was lost, "
            f"{reference} less start; a dash where the interval of the loss does not leave out 0. "
            f"Gain of {reference}: what the same training does to {reference}; net: the gain less "
            f"that. Blocks: % removed of the blocks' weights.{missing_note(missing)}",
            frame,
            frozenset({"says", "net, says"}),
        )


def _percents(rows: pd.DataFrame, *names: str) -> list[str]:
    return [with_percent_bounds(*values) for values in rows[[*names]].to_numpy()]


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _p_value(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2g}"
