"""What a run found, in one sentence for each model and benchmark, and as a heat map.

Both are about the largest budget under which variants were compared with the dense model.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_hex

from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.tables.content.columns import ALL
from workflow_scripts.tables.content.formats import SUBLAYERS, count, signed
from workflow_scripts.tables.content.pair_text import overall
from workflow_scripts.tables.content.removals import Masks
from workflow_scripts.tables.statistics.verdicts import BETTER, INCONCLUSIVE, RELEVANT, WORSE

NAMED = 3  # variants that a sentence names
# by the column of the diagnosis, how the trace of a lost answer ended
ENDINGS = {
    "lost_looping": "end in a loop",
    "lost_cut": "are cut without a loop",
    "lost_inside": "end with the model's turn",
    "lost_ended": "end by themselves",
}
SIGNS = {BETTER: "▲", WORSE: "▼", INCONCLUSIVE: "?"}  # of the others: none
# vermillion is worse, blue better; light enough for black text
_SHADES = LinearSegmentedColormap.from_list("differences", ["#ec9a63", "#ffffff", "#6fb1d9"])


@dataclass(frozen=True)
class Tile:
    """One cell of a heat map: its text, its colour, and all that is known of it."""

    text: str
    colour: str
    title: str


@dataclass(frozen=True)
class HeatMap:
    """The variants of a model down, benchmarks across; None where nothing was compared."""

    model: str
    benchmarks: list[str]
    rows: list[tuple[str, list[Tile | None]]]


def sentences(comparison: pd.DataFrame, accuracy: pd.DataFrame, reference: str) -> Iterator[str]:
    """One for each model and benchmark, in their order: of what is removed or skipped."""
    compared = dict(_against(comparison[comparison["unused"] != 0]))
    for place, cells in accuracy.groupby(["model", "benchmark"], sort=False):
        rows = compared.get(place)
        if rows is None:
            best = cells.loc[cells["budget"].idxmax()]
            told = f"{best.variant} is right in {100 * best.accuracy:.0f} %; nothing is compared"
            yield f"{' on '.join(place)}, with {_budget(cells)}: {told}."
            continue
        largest = _largest(rows)
        dense = 100 * largest["reference_accuracy"].iloc[0]
        yield (
            f"{' on '.join(place)}, with {_budget(rows)}: {reference} is right in {dense:.0f} %; "
            f"{_verdicts(largest)}.{_growth(rows, largest)}"
        )


def of_pair(rows: pd.DataFrame) -> Iterator[str]:
    """What pruning costs both models of a pair, a sentence for each benchmark and kind of variants;
    of the largest budget."""
    for benchmark, members in rows.groupby("benchmark", sort=False):
        budget = members["budget"].max()
        for said in overall(members[members["budget"] == budget]):
            yield f"{benchmark}, with {count(budget, 'thinking token')}: {said}."


def of_prices(rows: pd.DataFrame, reference: str) -> Iterator[str]:
    """Whether a pruned model that thinks longer is better than the dense one for the same work, a
    sentence for each model and benchmark."""
    for place, members in rows[rows["price"] == "flops"].groupby(
        ["model", "benchmark"], sort=False
    ):
        better, worse = (members[members["verdict"] == one] for one in (BETTER, WORSE))
        budgets = count(len(members), "budget")
        if len(better):
            best = better.loc[better["corrected"].idxmax()]
            longer = "longer" if best["variant_budget"] > best["budget"] else "no longer"
            said = (
                f"pruning pays under {len(better)} of {budgets}: {best['variant']}, which thinks "
                f"{longer} ({best['variant_budget']:.0f} tokens for {best['budget']}), is right in "
                f"{100 * best['accuracy']:.0f} % and {reference} in "
                f"{100 * best['reference_accuracy']:.0f} %, {signed(100 * best['corrected'], 1)} "
                "points without the luck of the best of several"
            )
        else:
            most = 100 * members["ci_high"].max()
            said = (
                f"no pruned model that thinks longer is shown to be better than {reference}; the "
                f"intervals leave at most {signed(most, 1)} points"
            )
        if len(worse):
            said += f"; under {len(worse)} of {budgets} even the best is worse"
        yield f"{' on '.join(place)}, for the same work: {said}."


def of_tasks(rows: pd.DataFrame, reference: str) -> Iterator[str]:
    """What pruning costs on average over all tasks, a sentence for each model."""
    bounds = {"difference_low": "ci_low", "difference_high": "ci_high"}
    for model, members in rows[rows["family"] == ALL].groupby("model", sort=False):
        dense = members[members["variant"] == reference]
        compared = members[(members["verdict"] != "") & (members["unused"] != 0)]
        if dense.empty or compared.empty:
            continue
        compared = compared.drop(columns=[*bounds.values()]).rename(columns=bounds)
        tasks = count(dense["tasks"].iloc[0], "task")
        average = f"{100 * dense['value'].iloc[0]:.0f} %"
        yield f"{model} on {tasks}: {reference} has {average} on average; {_verdicts(compared)}."


def of_diagnosis(rows: pd.DataFrame) -> Iterator[str]:
    """How the traces of lost answers ended, for each model and benchmark of the variant that lost
    most more than it won; of the largest budget, and where that is relevant."""
    for place, members in rows[rows["lost"].notna()].groupby(["model", "benchmark"], sort=False):
        largest = _largest(members)
        worst = largest.loc[(largest["lost"] - largest["won"]).idxmax()]
        if worst["lost"] - worst["won"] < RELEVANT or pd.isna(worst["lost_ended"]):
            continue
        ways = sorted(ENDINGS, key=lambda name: -worst[name])
        parts = [f"{100 * worst[name] / worst['lost']:.0f} % {ENDINGS[name]}" for name in ways
                 if worst[name] > 0]  # fmt: skip
        yield (
            f"{' on '.join(place)}, with {_budget(members)}: of the traces of answers that "
            f"{worst['variant']} loses, {', '.join(parts)}."
        )


def of_routes(rows: pd.DataFrame, blocks: pd.DataFrame, masks: Masks) -> Iterator[str]:
    """How much a dynamic variant skips while it thinks, a sentence for each of a model; of the
    largest budget, benchmarks weighing the same."""
    where = dict(list(blocks.groupby(["model", "variant"], sort=False)))
    for place, members in rows.groupby(["model", "variant"], sort=False):
        of_benchmarks = _largest(members).dropna(subset=["trace_skipped"])
        said = f"{place[0]}: {place[1]} was to skip {_share(members['asked'].iloc[0])}"
        if of_benchmarks.empty:
            yield f"{said} of tokens × sublayers; it put no token of a trace into the model."
            continue
        least, most = (_share(of_benchmarks["trace_skipped"].agg(of)) for of in ("min", "max"))
        skipped = most if least == most else f"{least.removesuffix(' %')} to {most}"
        on = count(len(of_benchmarks), "benchmark")
        yield (
            f"{said} of tokens × sublayers and skips {skipped} while it thinks ({on}): "
            f"{_share(of_benchmarks['trace_attention'].mean())} of attentions and "
            f"{_share(of_benchmarks['trace_mlp'].mean())} of MLPs"
            f"{_extremes(where.get(place), masks[place])}."
        )


def _extremes(blocks: pd.DataFrame | None, mask: MaskRecord) -> str:
    """Where most and least is skipped, of what has a router."""
    if blocks is None or mask.routing is None:
        return ""
    members = blocks[blocks["block"].isin(mask.routing.blocks)]
    of_blocks = members.groupby("block")[[*mask.routing.parts]].mean()
    shares = of_blocks.rename(columns=SUBLAYERS).stack()
    if shares.min() == shares.max():
        return ""
    (most, of_most), (least, of_least) = shares.idxmax(), shares.idxmin()
    return (
        f"; most in the {of_most} of block {most} ({_share(shares.max())}), least in the "
        f"{of_least} of block {least} ({_share(shares.min())})"
    )


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _against(comparison: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The comparisons with the reference, by model and benchmark."""
    against = comparison[comparison["family"].str.startswith("dense")]
    yield from against.groupby(["model", "benchmark"], sort=False)


def _largest(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["budget"] == rows["budget"].max()]


def _budget(rows: pd.DataFrame) -> str:
    return count(rows["budget"].max(), "thinking token")


def _verdicts(rows: pd.DataFrame) -> str:
    of, said, noun = rows["verdict"], [], " pruned variants"
    for verdict in (WORSE, BETTER, INCONCLUSIVE):
        members = rows[of == verdict]
        if len(members):
            named = "" if verdict == INCONCLUSIVE else f" ({_named(members)})"
            said.append(f"{_how_many(len(members), len(rows), noun)} {verdict}{named}")
            noun = ""
    others = rows[~of.isin(SIGNS)]
    if len(others):
        bound = others[["ci_low", "ci_high"]].abs().max(axis=None)
        shown = f"different by at most {math.ceil(1000 * bound - 1e-6) / 1000:g}"
        said.append(f"{_how_many(len(others), len(rows), noun)} {shown}")
    return ", ".join(said)


def _how_many(members: int, all_of_them: int, noun: str) -> str:
    if members == all_of_them:
        return f"all {members} pruned variants are" if members > 1 else "the pruned variant is"
    return f"{members} of {all_of_them}{noun} {'is' if members == 1 else 'are'}"


def _named(members: pd.DataFrame) -> str:
    """Variants with their differences, the largest first."""
    ordered = members.sort_values("difference", key=abs, ascending=False, kind="stable")
    named = [f"{row.variant} {signed(row.difference, 2)}" for row in ordered.itertuples()]
    more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
    return ", ".join(named[:NAMED] + more)


def _growth(rows: pd.DataFrame, largest: pd.DataFrame) -> str:
    """Whether thinking longer makes the damage larger, said of the variant where it does so most.

    `rows` are all comparisons with the reference on one benchmark, `largest` those of them under
    the largest budget.
    """
    least = rows[rows["budget"] == rows["budget"].min()].set_index("variant")["difference"]
    worse = largest[largest["verdict"] == WORSE].set_index("variant")["difference"]
    growth = (worse - least).dropna()
    if growth.empty or growth.min() > -RELEVANT:
        return ""
    variant = growth.idxmin()
    return (
        f" The damage grows with the budget: {variant} {signed(least[variant], 2)} at "
        f"{rows['budget'].min()}, {signed(worse[variant], 2)} at {rows['budget'].max()}."
    )


def heat_maps(comparison: pd.DataFrame) -> Iterator[HeatMap]:
    """One for each model: differences in accuracy to the dense model."""
    largest = [_largest(rows) for _, rows in _against(comparison)]
    if not largest:
        return
    rows = pd.concat(largest)
    most = max(RELEVANT, rows["difference"].abs().max())
    shade = Normalize(-most, most)
    for model, members in rows.groupby("model", sort=False):
        benchmarks = list(members["benchmark"].unique())
        tiles = {
            (row.variant, row.benchmark): Tile(
                f"{signed(row.difference, 2)} {SIGNS.get(row.verdict, '')}".strip(),
                to_hex(_SHADES(shade(row.difference))),
                f"{row.verdict}; 95 % interval {signed(row.ci_low, 3)} to "
                f"{signed(row.ci_high, 3)}, budget {row.budget}",
            )
            for row in members.itertuples()
        }
        lines = [
            (variant, [tiles.get((variant, benchmark)) for benchmark in benchmarks])
            for variant in members["variant"].unique()
        ]
        yield HeatMap(str(model), benchmarks, lines)
