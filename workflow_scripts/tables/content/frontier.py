"""Accuracy against price: what is on the front, and whether pruning pays at equal price.

For the mean price of each of the dense model's budgets: the pruned variant that is the most
accurate there, with what it has by straight lines between its budgets, beside the dense model. It
is the best of several on the same problems; `statistics.equal_price` says what becomes of that. p
values are corrected (Holm) over the budgets of a model, benchmark and price.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.tables.content import prices
from workflow_scripts.tables.content.cells import Cell, cells_of
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.formats import Built
from workflow_scripts.tables.content.frontier_text import sections
from workflow_scripts.tables.content.price_units import PRICES
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.differences import holm
from workflow_scripts.tables.statistics.equal_price import (
    Best,
    Curve,
    best_at_equal_price,
    pareto_front,
)
from workflow_scripts.tables.statistics.intervals import estimate_accuracy
from workflow_scripts.tables.statistics.verdicts import ALPHA, BETTER, NOT_SHOWN, WORSE

Curves = dict[str, dict[int, tuple[Cell, dict[str, np.ndarray]]]]  # variant -> budget


def build(source: Source) -> Built:
    cells = source.cells()
    costs = prices.answer_prices(cells, prices.spendings(source, cells))
    speeds = source.table("cost").set_index(["model", "variant"])["tokens_per_second"]
    costs["seconds"] = _seconds(cells, speeds[~speeds.index.duplicated()])
    curves = curves_of(cells, costs)
    pruned = [name for name, way in source.ways.items() if way.family != "none"]
    rows = as_frame("frontier", equal_price_rows(curves, source.reference, pruned))
    points = as_frame("front", front_rows(curves))
    tables = list(sections(rows, source.reference, cells.attrs["missing"]))
    return Built("Accuracy for a price", {"frontier": rows, "front": points}, tables)


def _seconds(cells: pd.DataFrame, speeds: pd.Series) -> np.ndarray:
    places = pd.MultiIndex.from_frame(cells[["model", "variant"]].astype(str))
    tokens = cells[["trace_tokens", "answer_tokens"]].sum(axis=1).to_numpy()
    return tokens / speeds.reindex(places).to_numpy()


def curves_of(cells: pd.DataFrame, costs: pd.DataFrame) -> dict[tuple[str, str], Curves]:
    """By model and benchmark, variant and budget: the cell, and by price that of each problem."""
    found: dict[tuple[str, str], Curves] = {}
    start = 0
    values = costs[[*PRICES]].to_numpy()
    for cell in cells_of(cells):
        size = cell.correct.size
        shape = (*cell.correct.shape, len(PRICES))
        of_problems = values[start : start + size].reshape(shape).mean(axis=1).T
        start += size
        of_cell = cell, dict(zip(PRICES, of_problems, strict=True))
        of_variants = found.setdefault((cell.model, cell.benchmark), {})
        of_variants.setdefault(cell.variant, {})[cell.budget] = of_cell
    return found


def equal_price_rows(
    curves: Mapping[tuple[str, str], Curves], reference: str, pruned: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Rows of `frontier.csv`: the best of the pruned variants at the reference's prices.

    Variants that lack a budget of the reference's take no part.
    """
    for (model, benchmark), of_variants in curves.items():
        if reference not in of_variants:
            continue
        dense = of_variants[reference]
        names = [
            name
            for name, points in of_variants.items()
            if name in pruned and points.keys() == dense.keys()
        ]
        for price in PRICES:
            rivals = {name: _curve(of_variants[name], price) for name in names}
            rivals = {name: one for name, one in rivals.items() if np.isfinite(one.prices).all()}
            one = _curve(dense, price)
            if not rivals or not np.isfinite(one.prices).all():
                continue
            found = best_at_equal_price(one, list(rivals.values()))
            place = {"model": model, "benchmark": benchmark, "price": price}
            yield from _rows(place, found, one, [*rivals], [*dense])


def _curve(points: Mapping[int, tuple[Cell, Mapping[str, np.ndarray]]], price: str) -> Curve:
    return Curve(
        np.stack([cell.marks for cell, _ in points.values()]),
        np.stack([costs[price] for _, costs in points.values()]),
    )


def _rows(
    place: Mapping[str, str],
    found: Sequence[Best | None],
    dense: Curve,
    names: Sequence[str],
    budgets: Sequence[int],
) -> Iterator[dict[str, Any]]:
    """A row for each of the reference's budgets at whose price some variant can be had."""
    known = [(number, best) for number, best in enumerate(found) if best]
    corrected = holm([best.p for _, best in known]) if known else []
    _, problems, repeats = dense.marks.shape
    for (number, best), p_holm in zip(known, corrected, strict=True):
        difference = best.difference - best.optimism
        verdict = NOT_SHOWN
        if p_holm < ALPHA:
            verdict = BETTER if difference > 0 else WORSE
        yield {
            **place,
            "budget": budgets[number],
            "at": dense.prices[number].mean(),
            "variant": names[best.variant],
            "variant_budget": float(best.shares @ np.array(budgets)),
            "problems": problems,
            "repeats": repeats,
            "accuracy": best.accuracy,
            "reference_accuracy": dense.marks[number].mean(),
            "difference": best.difference,
            "optimism": best.optimism,
            "corrected": difference,
            "ci_low": best.low,
            "ci_high": best.high,
            "p": best.p,
            "p_holm": p_holm,
            "verdict": verdict,
            "chosen": best.chosen,
        }


def front_rows(curves: Mapping[tuple[str, str], Curves]) -> Iterator[dict[str, Any]]:
    """Rows of `front.csv`: every point of every variant, price by price."""
    for (model, benchmark), of_variants in curves.items():
        points = [
            (variant, budget, estimate_accuracy(cell.marks), costs)
            for variant, of_budgets in of_variants.items()
            for budget, (cell, costs) in of_budgets.items()
        ]
        for price in PRICES:
            known = [
                (variant, budget, accuracy, costs[price].mean())
                for variant, budget, accuracy, costs in points
                if np.isfinite(costs[price]).all()
            ]
            if not known:
                continue
            at = np.array([point[3] for point in known])
            front = pareto_front(at, np.array([point[2].value for point in known]))
            for (variant, budget, accuracy, cost), is_on in zip(known, front, strict=True):
                yield {
                    "model": model,
                    "benchmark": benchmark,
                    "price": price,
                    "variant": variant,
                    "budget": budget,
                    "at": cost,
                    "accuracy": accuracy.value,
                    "ci_low": accuracy.low,
                    "ci_high": accuracy.high,
                    "on_front": "yes" if is_on else "",
                }
