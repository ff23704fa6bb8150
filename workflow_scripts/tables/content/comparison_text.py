"""The comparisons in words and numbers: what their Markdown, LaTeX and HTML tables hold."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from workflow_scripts.tables.content.formats import (
    Section,
    count,
    design,
    missing_note,
    pivoted,
    signed,
)
from workflow_scripts.tables.content.removals import ratio_columns, ratios_note, shown_ratios
from workflow_scripts.tables.statistics.verdicts import (
    ALPHA,
    BETTER,
    INCONCLUSIVE,
    NO_LARGER,
    RELEVANT,
    WORSE,
)

# by the kind of a family, what its pairs are and the head of their column
PAIRS = {
    "structured": ("unstructured against structured", "unstructured − structured"),
    "size": ("structured variants of about equal size", "structured − structured"),
    "unused": ("dynamic against static of about equal unused weights", "dynamic − static"),
}
CHANGED = "†"
UNKNOWN = "?"


def short_sections(
    rows: pd.DataFrame, reference: str, missing: Sequence[str] = ()
) -> Iterator[Section]:
    """For a page of text: variants down and budgets across."""
    for title, members, first, size, shown in _groups(rows, reference):
        frame = pivoted(members.assign(text=members.apply(_short, axis=1)), "budget")
        of_variant = members.groupby("variant", sort=False)
        least, removed = of_variant["detectable"].min(), of_variant[shown].first()
        yield Section(
            title,
            f"difference in accuracy by budget (thinking tokens), {_paired(members)}; ± "
            f"reaches to the farther end of the 95 % interval. {CHANGED}: p < {ALPHA} in a "
            f"paired permutation test after Holm's correction over {size}. "
            f"{UNKNOWN}: inconclusive, a difference of {RELEVANT:.2f} is not ruled out. "
            "Detectable: the smallest of the budgets' differences that would be found with "
            f"a power of 80 %. {ratios_note(shown)}{missing_note(missing)}",
            frame.merge(removed, on="variant")[["variant", *shown, *frame.columns[1:]]]
            .assign(detectable=[_number(least[v]) for v in frame["variant"]])
            .rename(columns={"variant": first}),
        )


def full_sections(
    rows: pd.DataFrame, reference: str, missing: Sequence[str] = ()
) -> Iterator[Section]:
    """For a screen: a row for every comparison, with all that is known of it."""
    for title, members, first, size, shown in _groups(rows, reference):
        frame = pd.DataFrame(
            {
                first: members["variant"],
                **{head: members[head] for head in shown},
                "budget": members["budget"].map(str),
                "accuracy": members["accuracy"].map("{:.3f}".format),
                "reference": members["reference_accuracy"].map("{:.3f}".format),
                "difference": members["difference"].map(_signed),
                "from": members["ci_low"].map(_signed),
                "to": members["ci_high"].map(_signed),
                "p": members["p"].map("{:.2g}".format),
                "p (Holm)": members["p_holm"].map("{:.2g}".format),
                "detectable": members["detectable"].map(_number),
                "verdict": members["verdict"].str.replace(NO_LARGER, "≤"),
            }
        )
        yield Section(
            title,
            f"{_paired(members)}; p values of a paired permutation test, corrected (Holm) over "
            f"{size}; detectable: with a power of 80 % at the family's level. Verdict: ≤ how large "
            f"a difference the interval leaves, inconclusive where that is more than {RELEVANT}. "
            f"{ratios_note(shown)}{missing_note(missing)}",
            frame,
            frozenset({"verdict"}),
        )


def area_sections(curves: pd.DataFrame, reference: str) -> Iterator[Section]:
    """For each model: variants down, benchmarks across, the area and its difference."""
    for model, members in curves.groupby("model", sort=False):
        yield Section(
            f"{model}: area under the budget curve",
            "mean accuracy over the logarithm of the budget, so that each doubling counts "
            f"the same; in brackets the 95 % interval of its difference to {reference}.",
            pivoted(members.assign(text=members.apply(_area, axis=1)), "benchmark"),
        )


def _groups(
    rows: pd.DataFrame, reference: str
) -> Iterator[tuple[str, pd.DataFrame, str, str, list[str]]]:
    """For each family and benchmark: its title, its rows with variants named and their ratios
    written as they are shown, the head of the first column, the family's size in words, and the
    heads of the ratios."""
    sizes = rows["family"].value_counts()
    for (family, model, benchmark), members in rows.groupby(
        ["family", "model", "benchmark"], sort=False
    ):
        size, place = count(sizes[family], "comparison"), f"{model} on {benchmark}"
        kind = family.partition(" ")[0]
        shown = shown_ratios(members, ("", "reference_"))
        removed, heads = ratio_columns(members, shown), [*shown]
        if kind == "dense":
            told = members.assign(**removed)
            yield f"{place}, against {reference}", told, "variant", size, heads
            continue
        others = ratio_columns(members, shown, "reference_")
        both = {head: one + " / " + others[head] for head, one in removed.items()}
        pairs = members["variant"] + " − " + members["reference"]
        title, first = PAIRS[kind]
        yield f"{place}, {title}", members.assign(variant=pairs, **both), first, size, heads


def _paired(rows: pd.DataFrame) -> str:
    return f"{design(rows.iloc[0])}, paired"


def _short(row: pd.Series) -> str:
    reach = max(row.difference - row.ci_low, row.ci_high - row.difference)
    sign = {BETTER: CHANGED, WORSE: CHANGED, INCONCLUSIVE: UNKNOWN}.get(row.verdict, "")
    return f"{signed(row.difference, 2)} ± {reach:.2f}{sign}"


def _signed(value: float) -> str:
    return signed(value, 3)


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "none"


def _area(row: pd.Series) -> str:
    text = f"{row.area:.3f}"
    if math.isfinite(row.difference):
        text += f" [{_signed(row.difference_low)}, {_signed(row.difference_high)}]"
    return text
