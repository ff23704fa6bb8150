"""Tasks in words and numbers. The report reads them without the statistics."""

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from workflow_scripts.tables.content.columns import ALL, MEAN
from workflow_scripts.tables.content.formats import (
    Section,
    count,
    in_percent,
    missing_note,
    pivoted,
    signed,
)
from workflow_scripts.tables.content.removals import RATIOS, UNUSED, percent, ratios_note
from workflow_scripts.tables.statistics.verdicts import (
    ALPHA,
    BETTER,
    INCONCLUSIVE,
    NO_LARGER,
    RELEVANT,
    WORSE,
)

CHANGED, UNKNOWN = "†", "?"
SHARES = RATIOS | UNUSED
SHARES_NOTE = ratios_note(SHARES)
OVERALL = "all tasks"  # the head of a column
MORE, LESS = "more", "less"  # is better

Limits = Mapping[str, int]


def short_sections(
    rows: pd.DataFrame, reference: str, limits: Limits, missing: Sequence[str] = ()
) -> Iterator[Section]:
    """For a page of text: variants down; families across, then the tasks of each family."""
    for model, members in rows.groupby("model", sort=False):
        means = members[members["task"] == MEAN]
        if not means.empty:
            yield Section(
                f"{model}: tasks by family",
                f"unweighted means over the tasks of a family, and over all tasks, in %; "
                f"{_sizes(means)}. {_reading(members, reference)} {SHARES_NOTE}"
                f"{_notes(limits, missing)}",
                _across(means.assign(head=means["family"].replace(ALL, OVERALL))),
            )
        of_tasks = members[members["task"] != MEAN]
        for family, tasks in of_tasks.groupby("family", sort=False):
            kinds = set(tasks["kind"])
            yield Section(
                f"{model}: {family}",
                f"{_metrics(tasks)}. {_reading(members, reference, kinds)} {SHARES_NOTE}"
                f"{_notes(limits, missing)}",
                _across(tasks.assign(head=tasks["task"])),
            )


def full_sections(
    rows: pd.DataFrame, reference: str, limits: Limits, missing: Sequence[str] = ()
) -> Iterator[Section]:
    """For a screen: a row for every task and variant, with all that is known of it."""
    for (model, family), members in _by_family(rows):
        frame = pd.DataFrame(
            {
                "variant": members["variant"],
                "task": members["task"],
                **{head: members[column].map(percent) for head, column in SHARES.items()},
                "samples": members["samples"].map(str),
                "value": members.apply(_value, axis=1),
                "from": members.apply(_value, axis=1, of="ci_low"),
                "to": members.apply(_value, axis=1, of="ci_high"),
                "difference": members.apply(_difference, axis=1),
                "difference from": members.apply(_difference, axis=1, of="difference_low"),
                "difference to": members.apply(_difference, axis=1, of="difference_high"),
                "p": members["p"].map(_p_value),
                "p (Holm)": members["p_holm"].map(_p_value),
                "verdict": members["verdict"].str.replace(NO_LARGER, "≤"),
            }
        )
        tasks = members[members["task"] != MEAN]
        about = _metrics(tasks) if len(tasks) else "unweighted means over all tasks"
        yield Section(
            f"{model}: {OVERALL if family == ALL else family}",
            f"{about}, with 95 % intervals; difference to {reference} on the same samples. "
            f"{_tests(rows[rows['model'] == model])} {SHARES_NOTE}{_notes(limits, missing)}",
            frame,
            frozenset({"task", "verdict"}),
        )


def _by_family(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The rows of each model and family; those over all families first."""
    for model, members in rows.groupby("model", sort=False):
        families = dict(list(members.groupby("family", sort=False)))
        for family in sorted(families, key=lambda name: name != ALL):
            yield (model, family), families[family]


def _across(rows: pd.DataFrame) -> pd.DataFrame:
    """Variants down with what they remove, heads across."""
    frame = pivoted(rows.assign(text=rows.apply(_short, axis=1)), "head")
    removed = rows.groupby("variant", sort=False)[[*SHARES.values()]].first()
    removed = pd.DataFrame({head: removed[of].map(percent) for head, of in SHARES.items()})
    return frame.merge(removed, on="variant")[["variant", *SHARES, *frame.columns[1:]]]


def _short(row: pd.Series) -> str:
    """A number and what it differs by; of what is not compared, how far its interval reaches."""
    if math.isnan(row.difference):
        reach = max(row.value - row.ci_low, row.ci_high - row.value)
        return _value(row) if math.isnan(reach) else f"{_value(row)} ± {_plain(reach, row.kind)}"
    sign = {BETTER: CHANGED, WORSE: CHANGED, INCONCLUSIVE: UNKNOWN}.get(row.verdict, "")
    if row.kind == "perplexity":
        bounds = [_difference(row, of=of) for of in ("difference_low", "difference_high")]
        interval = "" if "–" in bounds else f" [{', '.join(bounds)}]"
        return f"{_value(row)} ({_difference(row)}{interval}){sign}"
    reach = max(row.difference - row.difference_low, row.difference_high - row.difference)
    interval = "" if math.isnan(reach) else f" ± {_plain(reach, row.kind)}"
    return f"{_value(row)} ({_difference(row)}{interval}){sign}"


def _value(row: pd.Series, of: str = "value") -> str:
    return "–" if math.isnan(row[of]) else _plain(row[of], row.kind)


def _plain(value: float, kind: str) -> str:
    return {
        "mean": lambda: f"{100 * value:.1f}".replace("-", "−"),
        "perplexity": lambda: f"{value:.4g}",
        "bits": lambda: f"{value:.4f}",
    }[kind]()


def _difference(row: pd.Series, of: str = "difference") -> str:
    value = row[of]
    if math.isnan(value):
        return "–"
    return {
        "mean": lambda: in_percent(value),
        "perplexity": lambda: f"×{_exp(value):#.4g}",
        "bits": lambda: signed(value, 4),
    }[row.kind]()


def _exp(value: float) -> float:
    """Infinite where it is too large for a number: two documents may leave everything open."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _p_value(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2g}"


def _reading(rows: pd.DataFrame, reference: str, kinds: set[str] | None = None) -> str:
    """How cells are to be read."""
    ratio = "; of perplexities their ratio" if kinds and "perplexity" in kinds else ""
    return (
        f"In brackets the difference to {reference} on the same samples{ratio}; ± reaches to the "
        f"farther end of the 95 % interval. {CHANGED}: p < {ALPHA}. {UNKNOWN}: inconclusive, a "
        f"difference of {100 * RELEVANT:.0f} points is not ruled out. {_tests(rows)}"
    )


def _tests(rows: pd.DataFrame) -> str:
    """What p values are of and are corrected over, of the rows of a model."""
    tested = rows[rows["p"].notna()]
    means = (tested["task"] == MEAN).sum()
    return (
        "p values of an exact paired permutation test of marks and of Student's paired test of "
        "other scores and of means, corrected (Holm) over "
        f"{count(len(tested) - means, 'comparison')} on tasks and {means} of means."
    )


def _sizes(means: pd.DataFrame) -> str:
    """How many tasks and samples the means are of."""
    first = means.drop_duplicates("family")
    return "; ".join(
        f"{OVERALL if row.family == ALL else row.family}: {count(row.tasks, 'task')}, "
        f"{count(row.samples, 'sample')}"
        for row in first.itertuples()
    )


def _metrics(tasks: pd.DataFrame) -> str:
    """What is measured on each task, and its size."""
    units = {"mean": ", %", "perplexity": "", "bits": ""}
    return "; ".join(
        f"{row.task}: {row.metric}{units[row.kind]}, {count(row.samples, 'sample')}"
        + (", less is better" if row.better == LESS else "")
        for row in tasks.drop_duplicates("task").itertuples()
    )


def _notes(limits: Limits, missing: Sequence[str]) -> str:
    said = "; ".join(f"{task}: the first {count(size, 'sample')}" for task, size in limits.items())
    return (f" Limited: {said}." if said else "") + missing_note(missing)
