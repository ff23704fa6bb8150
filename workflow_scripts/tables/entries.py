"""What an entry of the catalogue says of a table or a figure, and the names that several share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from workflow_scripts.tables.conditions import Condition, always

CELLS = "{run}/tables/cells.parquet"
MASKS = "results/{model}/{variant}/mask.json"
# what prices follow from, beside cells
SPENT = (
    MASKS, "{run}/{model}/{variant}/generation.json", "resources/models/{model}/manifest.json",
)  # fmt: skip
SCORES = "{run}/tables/task_scores.parquet"
TRACES = "{run}/tables/traces.parquet"
SPEEDS = "results/{model}/{variant}/speed.json"  # what benchmarks.export_speed leaves
CURVES = ("{run}/tables/accuracy.csv", "{run}/tables/comparison.csv", MASKS)
SCREENS = "results/{model}/{variant}/screen.json"
CHOICES = "{run}/{model}/screening.json"
FRONT = ("{run}/tables/front.csv", "{run}/tables/accuracy.csv", MASKS)
RECOVERIES = "results/{model}/{recovered}/recovery.json"
ROUTES = "{run}/{model}/{dynamic}/routes/{benchmark}.json"
# options that only some runs have
PAIR, RECOVERED, CALIBRATIONS, TASKS, TASK_LIMITS, DATA_PAIRS, DYNAMIC, LOGS, LEVELS = SOME = (
    "pair", "recovered", "calibrations", "tasks", "task_limits", "data_pairs", "dynamic", "logs",
    "levels",
)  # fmt: skip
SCREENING = "screening"  # likewise, and those that have it tell it to all
FIGURE_FORMATS = ("svg", "pdf", "png")


@dataclass(frozen=True)
class Table:
    """`reads` are its inputs, `{run}` standing for the folder of the run and `{model}` and so on
    for all of it, and `reads_if_there` those that only some users have made; `also` are the CSV
    files that come with it. `needs` names an option that it cannot be made without, `told` those
    that it is told where a run has them. `published` are the files of `config/published` that it
    reads, as a pattern."""

    title: str
    caption: str
    reads: tuple[str, ...] = (CELLS,)
    reads_if_there: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    exists: Condition = always
    needs: str | None = None
    told: tuple[str, ...] = ()
    published: str | None = None


@dataclass(frozen=True)
class Figure:
    """One figure for every combination of values of its `wildcards`.

    `module` draws it; `reads` are its inputs, `{variant}` standing for all of the run. `part` is
    that of the report which it belongs to, `options` what the module must know besides, `needs` an
    option of the run without which there is none.
    """

    module: str
    part: str
    title: str
    caption: str
    reads: tuple[str, ...]
    wildcards: tuple[str, ...] = ("model", "benchmark")
    exists: Condition = always
    options: Mapping[str, str] = field(default_factory=dict)
    needs: str | None = None
