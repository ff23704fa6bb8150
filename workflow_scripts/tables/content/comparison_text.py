"""The comparisons in words and numbers: what their Markdown, LaTeX and HTML tables hold."""

import math
from collections.abc import Sequence

from workflow_scripts.tables.content.formats import Section, count, missing_note
from workflow_scripts.tables.content.rows import AreaRow, ComparisonRow
from workflow_scripts.tables.statistics.differences import ALPHA, BETTER, RELEVANT, TOO_FEW, WORSE

CHANGED = "†"
UNKNOWN = "?"
Groups = dict[tuple[str, str, str], list[ComparisonRow]]


def short_sections(
    rows: Sequence[ComparisonRow],
    curves: Sequence[AreaRow],
    reference: str,
    missing: Sequence[str] = (),
) -> list[Section]:
    """For a page of text: variants down and budgets across, then the areas."""
    made = []
    for (family, model, benchmark), members in _groups(rows).items():
        budgets = sorted({row.budget for row in members})
        cells = {(row.variant, row.reference, row.budget): _short(row) for row in members}
        pairs = dict.fromkeys((row.variant, row.reference) for row in members)
        made.append(
            Section(
                title=_title(family, model, benchmark, reference),
                caption=(
                    f"difference in accuracy by budget (thinking tokens), {_design(members)}; ± "
                    f"reaches to the farther end of the 95 % interval. {CHANGED}: p < {ALPHA} in a "
                    f"paired permutation test after Holm's correction over {_size(rows, family)}. "
                    f"{UNKNOWN}: too few samples, a difference of {RELEVANT:.2f} is not ruled out. "
                    "Detectable: the smallest of the budgets' differences that would be found with "
                    f"a power of 80 %.{missing_note(missing)}"
                ),
                header=[_first(family), *map(str, budgets), "detectable"],
                lines=[
                    [
                        _pair_name(family, pair),
                        *(cells.get((*pair, budget), "") for budget in budgets),
                        _number(
                            min(r.detectable for r in members if (r.variant, r.reference) == pair)
                        ),
                    ]
                    for pair in pairs
                ],
            )
        )
    return made + area_sections(curves, reference)


def full_sections(
    rows: Sequence[ComparisonRow],
    curves: Sequence[AreaRow],
    reference: str,
    missing: Sequence[str] = (),
) -> list[Section]:
    """For a screen: a row for every comparison, with all that is known of it."""
    made = []
    for (family, model, benchmark), members in _groups(rows).items():
        made.append(
            Section(
                title=_title(family, model, benchmark, reference),
                caption=(
                    f"{_design(members)}; p values of a paired permutation test, corrected (Holm) "
                    f"over {_size(rows, family)}; detectable: with a power of 80 % at the "
                    f"family's level.{missing_note(missing)}"
                ),
                header=[
                    _first(family), "budget", "accuracy", "reference", "difference", "from", "to",
                    "p", "p (Holm)", "detectable", "verdict",
                ],
                lines=[
                    [
                        _pair_name(family, (row.variant, row.reference)),
                        str(row.budget),
                        f"{row.accuracy:.3f}",
                        f"{row.reference_accuracy:.3f}",
                        signed(row.difference, 3),
                        signed(row.ci_low, 3),
                        signed(row.ci_high, 3),
                        f"{row.p:.2g}",
                        f"{row.p_holm:.2g}",
                        _number(row.detectable),
                        row.verdict,
                    ]
                    for row in members
                ],
                text_columns=frozenset({0, 10}),
            )
        )  # fmt: skip
    return made + area_sections(curves, reference)


def area_sections(curves: Sequence[AreaRow], reference: str) -> list[Section]:
    """For each model: variants down, benchmarks across, the area and its difference."""
    made = []
    for model in dict.fromkeys(row.model for row in curves):
        members = [row for row in curves if row.model == model]
        benchmarks = list(dict.fromkeys(row.benchmark for row in members))
        areas = {(row.variant, row.benchmark): row for row in members}
        made.append(
            Section(
                title=f"{model}: area under the budget curve",
                caption=(
                    "mean accuracy over the logarithm of the budget, so that each doubling counts "
                    f"the same; in brackets the 95 % interval of its difference to {reference}."
                ),
                header=["variant", *benchmarks],
                lines=[
                    [variant, *(_area(areas.get((variant, b))) for b in benchmarks)]
                    for variant in dict.fromkeys(row.variant for row in members)
                ],
            )
        )
    return made


def signed(value: float, digits: int) -> str:
    """A number with its sign, a real minus, and no sign at zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _groups(rows: Sequence[ComparisonRow]) -> Groups:
    groups: Groups = {}
    for row in rows:
        groups.setdefault((row.family, row.model, row.benchmark), []).append(row)
    return groups


def _title(family: str, model: str, benchmark: str, reference: str) -> str:
    if family.startswith("dense"):
        return f"{model} on {benchmark}, against {reference}"
    return f"{model} on {benchmark}, unstructured against structured"


def _first(family: str) -> str:
    return "variant" if family.startswith("dense") else "unstructured − structured"


def _pair_name(family: str, pair: tuple[str, str]) -> str:
    return pair[0] if family.startswith("dense") else f"{pair[0]} − {pair[1]}"


def _design(rows: Sequence[ComparisonRow]) -> str:
    problems, repeats = rows[0].problems, rows[0].repeats
    return f"{count(problems, 'problem')} × {count(repeats, 'repeat')}, paired"


def _size(rows: Sequence[ComparisonRow], family: str) -> str:
    return count(sum(row.family == family for row in rows), "comparison")


def _short(row: ComparisonRow) -> str:
    reach = max(row.difference - row.ci_low, row.ci_high - row.difference)
    sign = {BETTER: CHANGED, WORSE: CHANGED, TOO_FEW: UNKNOWN}.get(row.verdict, "")
    return f"{signed(row.difference, 2)} ± {reach:.2f}{sign}"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "none"


def _area(row: AreaRow | None) -> str:
    if row is None:
        return ""
    text = f"{row.area:.3f}"
    if math.isfinite(row.difference):
        text += f" [{signed(row.difference_low, 3)}, {signed(row.difference_high, 3)}]"
    return text
