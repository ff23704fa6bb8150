"""The page of the best pruned variants at equal price, made from `frontier.csv`."""

from collections.abc import Iterator, Sequence

import pandas as pd

from workflow_scripts.tables.content.cells import benchmark_of
from workflow_scripts.tables.content.formats import Section, count, design, missing_note, signed
from workflow_scripts.tables.content.price_units import PRICES, three_digits, unit_for


def sections(rows: pd.DataFrame, reference: str, missing: Sequence[str] = ()) -> Iterator[Section]:
    """A section for every model, benchmark and price."""
    for (model, benchmark, price), members in rows.groupby(
        ["model", "benchmark", "price"], sort=False
    ):
        known = PRICES[price]
        note = f" {known.note.format(reference=reference)}" if known.note else ""
        unit, symbol = unit_for(members["at"], known.unit)
        lacks = [one for one in missing if benchmark_of(one) == (model, benchmark)]
        frame = pd.DataFrame(
            {
                f"for {symbol}": (members["at"] / unit).map(three_digits),
                f"{reference} thinks": members["budget"].map(str),
                f"{reference} is right in": members["reference_accuracy"].map(_percent),
                "the best pruned": members["variant"],
                "thinks": members["variant_budget"].map("{:.0f}".format),
                "is right in": members["accuracy"].map(_percent),
                "difference": [signed(100 * one, 1) for one in members["difference"]],
                "without luck": [
                    f"{signed(100 * row.corrected, 1)} "
                    f"[{signed(100 * row.ci_low, 1)}, {signed(100 * row.ci_high, 1)}]"
                    for row in members.itertuples()
                ],
                "p (Holm)": members["p_holm"].map("{:.2g}".format),
                "verdict": members["verdict"],
            }
        )
        yield Section(
            f"{model} on {benchmark}: for the same {known.name}",
            f"for the mean price of each budget (thinking tokens) of {reference}, the pruned "
            "variant that is right most often at that price, with its mean budget there. "
            f"{design(members.iloc[0])}; differences in percentage points. Without luck: the best "
            "of several is better on the problems that chose it than on others; the choice is "
            "repeated on resampled problems, what it gains by that is taken off, and the 95 % "
            "interval in brackets is of what is left; p values are corrected (Holm) over "
            f"{count(len(members), 'budget')}.{note}{missing_note(lacks)}",
            frame,
            frozenset({"the best pruned", "verdict"}),
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
