"""Which tables and figures a run has. Light: the rules read it when they are parsed.

A new one is a module, of `tables.content` with `build` or of `tables.drawing` with `draw`, and an
entry in `all_tables` or `all_figures`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from workflow_scripts.config.entry import plain
from workflow_scripts.config.places import run_folder, run_logs
from workflow_scripts.config.screen_jobs import drops_variants, screen_job
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
from workflow_scripts.tables.figure_places import Values, figure_file, filled_in, places
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


def values_of(figure: str, every: Mapping[str, Sequence[str]]) -> Values:
    """Of what there are figures of one kind, from what each wildcard may be."""
    return [(name, [*every[name]]) for name in FIGURES[figure].wildcards]


def figures_of_run(settings: Settings) -> dict[str, Values]:
    """By kind of figure that a run has, of what."""
    run = settings.run
    every = {"model": run.models, "benchmark": run.benchmarks, **drawn_of(settings)}
    kinds = [name for name, figure in FIGURES.items() if figure.exists(settings)]
    found = {name: values_of(name, every) for name in kinds}
    return {name: values for name, values in found.items() if all(of for _, of in values)}


def figure_folder(settings: Settings, figure: str) -> str:
    """Where the figures of one kind are."""
    return f"{run_folder(settings.run.name)}/figures/{figure}"


def figure_files(settings: Settings, endings: Sequence[str]) -> list[str]:
    """The files of every figure of a run."""
    return [
        figure_file(figure_folder(settings, name), place, ending)
        for name, values in figures_of_run(settings).items()
        for place in places(values)
        for ending in endings
    ]


def figure_title(figure: str, place: Mapping[str, str], reference: str) -> str:
    return filled_in(FIGURES[figure].title, place, reference)


def kind_caption(figure: str, values: Values, reference: str) -> str:
    """What is said of all figures of one kind at once: of the model where there are several."""
    said = {name: of[0] if len(of) == 1 else f"the {name}" for name, of in values}
    return filled_in(FIGURES[figure].caption, said, reference)


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


def kind_options(figure: str, values: Values, shared: Mapping[str, Any]) -> dict[str, Any]:
    """What drawing the figures of one kind must know beside their files: once, however many there
    are, as an argument of a command has at most 128 KiB."""
    entry = FIGURES[figure]
    about = {"title": entry.title, "values": values}
    return {**entry.options, **about, **needed(entry, shared)}
