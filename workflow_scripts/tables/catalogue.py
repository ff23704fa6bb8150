"""Which tables and figures a run has. Light: the rules read it when they are parsed.

A new one is a module, of `tables.content` with `build` or of `tables.drawing` with `draw`, and an
entry in `all_tables` or `all_figures`.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from workflow_scripts.config.entry import plain
from workflow_scripts.config.places import run_folder, run_logs
from workflow_scripts.config.screening import drops_variants, screen_job
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.uses import in_use, statistics_in_use
from workflow_scripts.tables.all_figures import FIGURES
from workflow_scripts.tables.calibrations import calibrations_of
from workflow_scripts.tables.conditions import (
    dense_variant,
    dynamic_in_run,
    has_pair,
    has_tasks,
    recovered_in_run,
    recovers,
    screens,
    sweeps_levels,
    ways_in_run,
)
from workflow_scripts.tables.data_pairs import data_pairs
from workflow_scripts.tables.entries import (
    CALIBRATIONS,
    DATA_PAIRS,
    DYNAMIC,
    LEVELS,
    LOGS,
    PAIR,
    RECOVERED,
    SCREENING,
    SOME,
    TASK_LIMITS,
    TASKS,
    Figure,
    Table,
)
from workflow_scripts.tables.ways import as_lists


def drawn_of(settings: Settings) -> dict[str, list[str]]:
    """By wildcard, what has figures of its own beside a run's models and benchmarks: sets with
    statistics or scores that variants are made with, and variants that score blocks themselves."""
    names = settings.run.variants
    return {
        "calibration": statistics_in_use(settings),
        "influence": in_use(settings)["influence_sets"],
        "variant": [name for name in names if settings.variants[name].scores_blocks],
    }


def places(figure: str, values: Mapping[str, list[str]]) -> Iterator[dict[str, str]]:
    """The wildcards of every figure of one kind, from what each of them may be."""
    names = FIGURES[figure].wildcards
    for one in product(*(values[name] for name in names)):
        yield dict(zip(names, one, strict=True))


def figure_files(settings: Settings, endings: list[str]) -> list[str]:
    """The files of every figure of a run."""
    run = settings.run
    values = {"model": run.models, "benchmark": run.benchmarks, **drawn_of(settings)}
    return [
        f"{run_folder(run.name)}/figures/{name}/{'/'.join(place.values())}.{ending}"
        for name, figure in FIGURES.items()
        if figure.exists(settings)
        for place in places(name, values)
        for ending in endings
    ]


def figure_title(figure: str, place: Mapping[str, str], reference: str) -> str:
    return FIGURES[figure].title.format(reference=reference, **place)


def shared_options(settings: Settings) -> dict[str, Any]:
    """What figures must know of the run: `needed` says which of them what."""
    ways = as_lists(ways_in_run(settings))
    some: dict[str, Any] = {}
    if sets := calibrations_of(settings):
        some[CALIBRATIONS] = sets
    if settings.tables.timed:
        some[LOGS] = run_logs(settings.run.name)
    if sweeps_levels(settings):
        some[LEVELS] = True
    if has_pair(settings):
        some[PAIR] = plain(settings.tables.pair)
    if recovers(settings):
        some[RECOVERED] = recovered_in_run(settings)
    if variants := dynamic_in_run(settings):
        some[DYNAMIC] = variants
    if screens(settings):
        some[SCREENING] = {
            **plain(screen_job(settings)),
            "models": list(settings.run.models),
            "by": settings.run.screen.by,
            "drops": drops_variants(settings),
        }
    if has_tasks(settings):
        tasks = {name: settings.tasks[name] for name in settings.run.tasks}
        some[TASKS] = [[name, task.family] for name, task in tasks.items()]
        if limits := {name: task.limit for name, task in tasks.items() if task.limit}:
            some[TASK_LIMITS] = limits
        if pairs := data_pairs(settings):
            some[DATA_PAIRS] = pairs
    return {"reference": dense_variant(settings), "ways": ways, **shared_folder(settings), **some}


def needed(entry: Table | Figure, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that every table or figure is told, and of those that some runs have its own."""
    told = {entry.needs, *getattr(entry, "told", ())}
    return {k: value for k, value in options.items() if k not in SOME or k in told}


def shared_folder(settings: Settings) -> dict[str, str]:
    """The option that says where masks and statistics are, where that is not with the answers."""
    return {"shared": run_folder(None)} if settings.run.name else {}


def plot_options(
    figure: str, place: Mapping[str, str], shared: Mapping[str, Any]
) -> dict[str, Any]:
    """What drawing a figure must know beside its files."""
    entry = FIGURES[figure]
    return {
        **entry.options,
        **{name: place[name] for name in entry.wildcards},
        "title": figure_title(figure, place, shared["reference"]),
        **needed(entry, shared),
    }
