"""How far every variant is from the dense model on its traces, and whether that tells its cost.

What a variant costs is the accuracy that it loses under the largest budget, of those that went on
to generation. Correlations are over these, so that in a run that leaves variants out they are of
the best alone; `run.screen.keep: all` shows all.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from workflow_scripts.artefacts.screens import (
    MEASURES,
    Choice,
    Distance,
    Screen,
    mean_distance,
    read_screen,
)
from workflow_scripts.tables.content.cells import cells_of
from workflow_scripts.tables.content.columns import ALL, as_frame
from workflow_scripts.tables.content.formats import Built
from workflow_scripts.tables.content.screened_out import read_choices
from workflow_scripts.tables.content.screening_text import sections
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.differences import paired_difference
from workflow_scripts.tables.statistics.ranks import rank_correlation

Row = dict[str, object]
Screens = Mapping[tuple[str, str], Screen]


def build(source: Source) -> Built:
    cells = source.cells()
    models, variants = cells.attrs["models"], cells.attrs["variants"]
    screens = read_screens(source.shared, models, variants)
    choices = read_choices(source.results, models)
    losses = as_frame("screening_losses", losses_of(cells, screens, source.reference))
    rows = {
        "screening": as_frame("screening", rows_of(screens, choices)),
        "screening_losses": losses,
        "screening_correlations": as_frame("screening_correlations", correlations(losses)),
    }
    return Built("Screening", rows, [*sections(rows, source.reference)], of_answers=False)


def read_screens(results: Path, models: list[str], variants: list[str]) -> Screens:
    """By model and variant, where there is a screen. Raises `InputError` where it is none."""
    paths = {(m, v): results / m / v / "screen.json" for m in models for v in variants}
    return {place: read_screen(path) for place, path in paths.items() if path.exists()}


def rows_of(screens: Screens, choices: Mapping[str, Choice]) -> Iterator[Row]:
    """For every screen its means over all tokens, then those by part and kind of token."""
    for (model, variant), screen in screens.items():
        choice = choices.get(model)
        goes_on = "" if choice is None else "yes" if variant in choice.going_on else "no"
        of_variant = {
            "model": model, "variant": variant, "goes_on": goes_on, "benchmark": screen.benchmark,
            "problems": screen.problems,
        }  # fmt: skip
        yield of_variant | _means(ALL, ALL, screen.all)
        for part in ("trace", "answer"):
            kinds = getattr(screen, part)
            if kinds:
                yield of_variant | _means(part, ALL, mean_distance(*kinds.values()))
            for kind, distance in kinds.items():
                yield of_variant | _means(part, kind, distance)


def _means(part: str, kind: str, distance: Distance) -> Row:
    return {"part": part, "kind": kind, **distance.model_dump()}


def losses_of(cells: pd.DataFrame, screens: Screens, reference: str) -> Iterator[Row]:
    """What every variant that went on loses of the reference's accuracy, under the largest budget
    of each benchmark, beside its screen."""
    marks = {(c.model, c.benchmark, c.budget, c.variant): c.marks for c in cells_of(cells)}
    for model in cells.attrs["models"]:
        for benchmark in cells.attrs["benchmarks"]:
            place = model, benchmark
            budget = max((key[2] for key in marks if key[:2] == place), default=0)
            dense = marks.get((*place, budget, reference))
            for variant in cells.attrs["variants"]:
                ours = marks.get((*place, budget, variant))
                screen = screens.get((model, variant))
                if variant == reference or dense is None or ours is None or screen is None:
                    continue
                lost = paired_difference(dense, ours)
                problems, repeats = ours.shape
                yield {
                    "model": model, "benchmark": benchmark, "budget": budget, "variant": variant,
                    "problems": problems, "repeats": repeats, "accuracy": ours.mean(),
                    "reference_accuracy": dense.mean(), "lost": lost.difference,
                    "ci_low": lost.low, "ci_high": lost.high, "screened": screen.benchmark,
                    **{measure: getattr(screen.all, measure) for measure in MEASURES},
                }  # fmt: skip


def correlations(losses: pd.DataFrame) -> Iterator[Row]:
    """Spearman's rank correlation of each measure with what is lost, over variants."""
    place = ["model", "benchmark", "budget"]
    for names, members in losses.groupby(place, sort=False):
        for measure in MEASURES:
            found = rank_correlation(members[measure], members["lost"])
            of_measure = {"measure": measure, "variants": len(members), "rho": found.rho}
            bounds = {"ci_low": found.low, "ci_high": found.high}
            yield dict(zip(place, names, strict=True)) | of_measure | bounds
