"""What pruning costs the models of a pair, in words and numbers."""

from collections.abc import Iterator, Sequence

import pandas as pd

from workflow_scripts.tables.content.formats import (
    Section,
    count,
    design,
    in_percent,
    missing_note,
    pivoted,
    with_percent_bounds,
)
from workflow_scripts.tables.content.removals import percent, ratios_note, shown_ratios
from workflow_scripts.tables.statistics.verdicts import (
    ALPHA,
    MEAN_DYNAMIC,
    MEAN_PRUNED,
    MEAN_RECOVERED,
    NOT_SHOWN,
)

CHANGED = "†"
# the kinds of variants that means are over
MEANS = {MEAN_PRUNED: "pruned", MEAN_RECOVERED: "recovered", MEAN_DYNAMIC: "dynamic"}


def short_sections(rows: pd.DataFrame, missing: Sequence[str] = ()) -> Iterator[Section]:
    """For a page of text: all of the largest budget, then interactions with budgets across."""
    for benchmark, members in rows.groupby("benchmark", sort=False):
        largest = members[members["budget"] == members["budget"].max()]
        budget = count(largest["budget"].iloc[0], "thinking token")
        yield Section(
            f"{_title(members)} on {benchmark}, {budget}",
            _caption(largest, rows) + missing_note(missing),
            _frame(largest),
            frozenset({"says"}),
        )
        if members["budget"].nunique() > 1:
            texts = members.assign(text=members.apply(_short, axis=1))
            yield Section(
                f"{_title(members)} on {benchmark}, by budget",
                f"how many percentage points more {members['think'].iloc[0]} loses, by budget "
                f"(thinking tokens); ± reaches to the farther end of the 95 % interval. {CHANGED}: "
                f"p < {ALPHA} after Holm's correction.{missing_note(missing)}",
                pivoted(texts, "budget"),
            )


def full_sections(rows: pd.DataFrame, missing: Sequence[str] = ()) -> Iterator[Section]:
    """For a screen: a row for every budget and variant."""
    for benchmark, members in rows.groupby("benchmark", sort=False):
        largest = members[members["budget"] == members["budget"].max()]
        frame = _frame(members)
        frame.insert(1, "budget", members["budget"].map(str).tolist())
        yield Section(
            f"{_title(members)} on {benchmark}",
            _caption(largest, rows) + missing_note(missing),
            frame,
            frozenset({"says"}),
        )


def overall(rows: pd.DataFrame) -> Iterator[str]:
    """Sentences about the means over variants that rows of one benchmark and budget hold."""
    for row in rows[rows["variant"].isin(MEANS)].itertuples():
        after = " after training" if row.variant == MEAN_RECOVERED else ""
        yield (
            f"on average over the {MEANS[row.variant]} variants {row.think} loses "
            f"{_plain(row.think_loss)} and {row.instruct} {_plain(row.instruct_loss)} percentage "
            f"points{after}, a "
            f"difference of {in_percent(row.interaction)} [{in_percent(row.ci_low)}, "
            f"{in_percent(row.ci_high)}]: {row.verdict}"
        )


def _plain(share: float) -> str:
    return in_percent(share).removeprefix("+")


def _title(rows: pd.DataFrame) -> str:
    return f"{rows['instruct'].iloc[0]} and {rows['think'].iloc[0]}"


def _caption(largest: pd.DataFrame, rows: pd.DataFrame) -> str:
    one, tests = largest.iloc[0], (~rows["variant"].isin(MEANS)).sum()
    budget = count(one.budget, "thinking token")
    said = "".join(f" With {budget}, {sentence}." for sentence in overall(largest))
    return (
        f"what each variant costs {one.instruct} and {one.think} in percentage points of accuracy; "
        f"{design(one)}, paired, with 95 % intervals. More: loss of {one.think} less that of "
        f"{one.instruct}; p values of a paired permutation test, corrected (Holm) over "
        f"{count(tests, 'comparison')}, those of means over the means. Relative: the loss in % of "
        f"the dense model's accuracy, {one.instruct} {100 * one.instruct_dense:.1f} % and "
        f"{one.think} {100 * one.think_dense:.1f} % with {budget}; none where that is not clearly "
        f"above 0. {ratios_note(_shares(rows))} Two numbers: {one.instruct} / {one.think}.{said}"
    )


def _frame(rows: pd.DataFrame) -> pd.DataFrame:
    names = {kind: rows[kind].iloc[0] for kind in ("instruct", "think")}
    return pd.DataFrame(
        {
            "variant": rows["variant"],
            **{head: rows.apply(_both, axis=1, of=of) for head, of in _shares(rows).items()},
            **{f"loss, {name}": _with_bounds(rows, f"{kind}_loss") for kind, name in names.items()},
            "more": _with_bounds(rows, "interaction", ("ci_low", "ci_high")),
            "p": rows["p"].map("{:.2g}".format),
            "p (Holm)": rows["p_holm"].map("{:.2g}".format),
            "says": rows["verdict"],
            **{
                f"relative, {name}": _with_bounds(rows, f"{kind}_relative")
                for kind, name in names.items()
            },
            "more, relative": _with_bounds(rows, "more"),
        }
    )


def _shares(rows: pd.DataFrame) -> dict[str, str]:
    """The columns about what is removed; what was asked for both models share with its name."""
    shown = shown_ratios(rows, ("instruct_", "think_"))
    return {head: of for head, of in shown.items() if of != "requested"}


def _with_bounds(rows: pd.DataFrame, name: str, bounds: tuple[str, str] | None = None) -> list[str]:
    low, high = bounds or (f"{name}_low", f"{name}_high")
    return [
        with_percent_bounds(*values)
        for values in zip(rows[name], rows[low], rows[high], strict=True)
    ]


def _both(row: pd.Series, of: str) -> str:
    """A share of both models, once where it is the same in the cell; empty for means."""
    one, other = (percent(row[f"{kind}_{of}"]) for kind in ("instruct", "think"))
    return one if one == other else f"{one} / {other}"


def _short(row: pd.Series) -> str:
    reach = max(row.interaction - row.ci_low, row.ci_high - row.interaction)
    sign = "" if row.verdict == NOT_SHOWN else CHANGED
    return f"{in_percent(row.interaction)} ± {100 * reach:.1f}{sign}"
