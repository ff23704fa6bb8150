"""Screens of variants as people read them. The report reads it without the statistics."""

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from workflow_scripts.tables.content.columns import ALL
from workflow_scripts.tables.content.formats import (
    Section,
    count,
    design,
    pivoted,
    signed,
    with_percent_bounds,
)
from workflow_scripts.tables.content.screened_out import NAMES

WORDS = {"yes": "yes", "no": "screened out", "": ""}


def sections(rows: Mapping[str, pd.DataFrame], reference: str) -> Iterator[Section]:
    """For each model all of its variants; then KL by kind of token, what was lost, correlations."""
    screens, losses = rows["screening"], rows["screening_losses"]
    for model, members in screens.groupby("model", sort=False):
        whole = members[members["part"] == ALL].reset_index(drop=True)
        yield Section(
            f"{model}: screens", _caption(whole.iloc[0]), _screens(whole, members),
            frozenset({"goes on"}),
        )  # fmt: skip
        kinds = members[(members["part"] != ALL) & (members["kind"] != ALL)]
        yield Section(
            f"{model}: KL by kind of token",
            "nats per token, in brackets how many tokens of the kind the dense model wrote there.",
            _by_kind(kinds),
        )
    for (model, benchmark), members in losses.groupby(["model", "benchmark"], sort=False):
        found = rows["screening_correlations"]
        found = found[(found["model"] == model) & (found["benchmark"] == benchmark)]
        yield Section(
            f"{model} on {benchmark}: screens and lost accuracy",
            f"accuracy lost against {reference} under a budget of {members['budget'].iloc[0]}, "
            f"percentage points; {design(members.iloc[0])}, 95 % intervals. KL, agreement and "
            f"loss are those on {members['screened'].iloc[0]}. "
            f"{' '.join(map(said_of, found.itertuples()))}",
            _losses(members),
        )


def said_of(row) -> str:
    """A row of the correlations as a sentence."""
    over = f"Spearman's ρ of {NAMES[row.measure]} and lost accuracy over "
    over += count(row.variants, "variant")
    if math.isnan(row.rho):
        return f"{over}: undefined."
    bounds = f"[{signed(row.ci_low, 2)}, {signed(row.ci_high, 2)}]"
    return f"{over}: {signed(row.rho, 2)} {bounds}."


def _caption(row: pd.Series) -> str:
    return (
        f"every variant on the dense model's own traces and answers of "
        f"{count(row.problems, 'problem')} of {row.benchmark}, {row.tokens:,.0f} tokens. KL: "
        "divergence from the dense model in nats per token; agreement: % of tokens at which both "
        "hold the same one for the likeliest; loss: cross entropy of the tokens that the dense "
        "model wrote, in nats."
    )


def _screens(whole: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    parts = {
        part: members[(members["part"] == part) & (members["kind"] == ALL)].set_index("variant")
        for part in ("trace", "answer")
    }
    frame = {"variant": whole["variant"]}
    if (whole["goes_on"] != "").any():
        frame["goes on"] = whole["goes_on"].map(WORDS)
    frame["KL"] = whole["kl"].map(_number)
    for part, of_part in parts.items():
        frame[f"KL, {part}s"] = whole["variant"].map(of_part["kl"]).map(_number)
    frame["agreement"] = whole["agreement"].map(lambda share: f"{100 * share:.1f}")
    frame["loss"] = whole["loss"].map(_number)
    return pd.DataFrame(frame)


def _by_kind(rows: pd.DataFrame) -> pd.DataFrame:
    table = pivoted(
        rows.assign(place=rows["part"] + ", " + rows["kind"], text=rows["kl"].map(_number)), "place"
    )
    first = rows.drop_duplicates(["part", "kind"]).itertuples()
    counts = {f"{row.part}, {row.kind}": f"{row.tokens:,.0f}" for row in first}
    return table.rename(columns=lambda n: f"{n} ({counts[n]})" if n in counts else n)


def _losses(rows: pd.DataFrame) -> pd.DataFrame:
    bounds = rows[["lost", "ci_low", "ci_high"]].to_numpy()
    return pd.DataFrame(
        {
            "variant": rows["variant"],
            "KL": rows["kl"].map(_number),
            "agreement": rows["agreement"].map(lambda share: f"{100 * share:.1f}"),
            "loss": rows["loss"].map(_number),
            "accuracy": rows["accuracy"].map("{:.3f}".format),
            "lost": [with_percent_bounds(*values) for values in bounds],
        }
    )


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}".replace("-", "−")
