"""What dynamic variants skip, as people read it. The report reads it without the statistics."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from workflow_scripts.tables.content.formats import (
    SUBLAYERS,
    Section,
    design,
    missing_note,
    signed,
)
from workflow_scripts.tables.content.removals import UNUSED_NOTE, percent
from workflow_scripts.tables.statistics.verdicts import ALPHA, BETTER, WORSE

CHANGED = "†"
OF = {"trace": "traces", "answer": "answers"}


def sections(
    rows: pd.DataFrame, kinds: pd.DataFrame, reference: str, missing: Sequence[str] = ()
) -> Iterator[Section]:
    """For each model and benchmark: a row for every variant and budget, then kinds of tokens."""
    for (model, benchmark), members in rows.groupby(["model", "benchmark"], sort=False):
        yield _section(f"{model} on {benchmark}", members, reference, missing)
    for (model, benchmark), members in kinds.groupby(["model", "benchmark"], sort=False):
        tokens = members.groupby("variant")["tokens"].transform("sum")
        frame = pd.DataFrame(
            {
                "variant": members["variant"],
                "kind": members["kind"],
                "of tokens": (members["tokens"] / tokens).map(percent),
                **{head: members[part].map(percent) for part, head in SUBLAYERS.items()},
            }
        )
        yield Section(
            f"{model} on {benchmark}: what is skipped by kind of token",
            "% of the tokens of traces under the largest budget that are of a kind, and of them "
            "the % that skip a block's attention and MLP, on average over blocks: of the token "
            f"that is put into the model.{missing_note(missing)}",
            frame,
            frozenset({"kind"}),
        )


def _section(place: str, rows: pd.DataFrame, reference: str, missing: Sequence[str]) -> Section:
    frame = pd.DataFrame(
        {
            "variant": rows["variant"],
            "budget": rows["budget"].map(str),
            "asked": rows["asked"].map(percent),
            "validation": rows["validation"].map(percent),
            **{
                f"{text}, {head}": _bounds(rows, f"{of}_{what}")
                for of, text in OF.items()
                for what, head in ({"skipped": "all"} | SUBLAYERS).items()
            },
            **{f"unused, {text}": _bounds(rows, f"{of}_unused") for of, text in OF.items()},
            "accuracy": rows["accuracy"].map("{:.3f}".format),
            f"less {reference}": rows.apply(_difference, axis=1),
        }
    )
    return Section(
        f"{place}: what is skipped",
        f"{design(rows.iloc[0])}. Asked: % of tokens × sublayers that are to be skipped; "
        "validation: % that are skipped on rows kept apart from training. Traces and answers: % "
        "that are skipped while they are decoded (not where a trace is read again in the prompt of "
        "its answer), of all, of attentions and of MLPs, means over "
        f"problems with 95 % intervals. {UNUSED_NOTE} Less {reference}: difference in accuracy to "
        f"{reference} with its 95 % interval; {CHANGED}: p < {ALPHA} after Holm's correction."
        f"{missing_note(missing)}",
        frame,
    )


def _bounds(rows: pd.DataFrame, name: str) -> list[str]:
    columns = [name, f"{name}_low", f"{name}_high"]
    return [_share(*values) for values in rows[columns].to_numpy()]


def _share(value: float, low: float, high: float) -> str:
    """Per cent with its bounds, without where there are none; empty where it is not known."""
    if math.isnan(value):
        return ""
    if math.isnan(low):
        return percent(value)
    return f"{percent(value)} [{percent(max(low, 0.0))}, {percent(min(high, 1.0))}]"


def _difference(row: pd.Series) -> str:
    if math.isnan(row.difference):
        return ""
    sign = CHANGED if row.verdict in (BETTER, WORSE) else ""
    low, high = (signed(bound, 3) for bound in (row.difference_low, row.difference_high))
    return f"{signed(row.difference, 3)} [{low}, {high}]{sign}"
