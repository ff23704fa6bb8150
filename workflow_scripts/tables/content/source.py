"""Where tables and figures find what they are made from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.artefacts.routes import RouteRecord, read_routes
from workflow_scripts.artefacts.screens import Choice
from workflow_scripts.tables.content import cells, columns, traces
from workflow_scripts.tables.content.removals import read_masks
from workflow_scripts.tables.content.screened_out import dropped, read_choices
from workflow_scripts.tables.entries import DYNAMIC
from workflow_scripts.tables.ways import Way, from_lists


@dataclass(frozen=True)
class Source:
    """The folders of results and of tables, and options, as the rules pass them.

    Options of all are `reference`, the variant without pruning; the `ways` of the run's variants;
    `limits`, where benchmarks have some: what is left of them, in words; and `shared`, the folder
    of masks, statistics and scores where that is not `results`, which a run with a name has for
    itself. Some runs have others: `pair`, the models that answer at once and think first,
    `recovered`, each variant that was trained after pruning with its start and its control, and
    `dynamic`, the variants whose tokens skip sublayers; with `tasks`, families by name, also
    `task_limits`, of how many samples some are, and `data_pairs`, variants that differ in nothing
    but texts; `logs`, the folder of logs of a run whose tables hold times. `resources` is the
    folder of models where that is not the usual one. Those of a figure are also its `title` and a
    value for each of its wildcards. In a run that screens variants all are told of `screening`: of
    which `models`, `by` which measure, on how many `problems` of which `benchmark`, and whether it
    `drops` some.
    """

    results: Path
    tables: Path
    options: dict[str, Any]

    @property
    def reference(self) -> str:
        return self.options["reference"]

    @property
    def limits(self) -> dict[str, str]:
        return self.options.get("limits", {})

    @property
    def shared(self) -> Path:
        """Where what all runs share is: masks, statistics and scores."""
        return Path(self.options.get("shared", self.results))

    @property
    def resources(self) -> Path:
        """Where models are, as fetched."""
        return Path(self.options.get("resources", "resources/models"))

    @property
    def logs(self) -> Path | None:
        """Where the logs of jobs are, if times are to be taken from them."""
        return Path(self.options["logs"]) if "logs" in self.options else None

    @property
    def ways(self) -> dict[str, Way]:
        return from_lists(self.options["ways"])

    @property
    def pair(self) -> dict[str, str]:
        """The models of the pair by `instruct` and `think`."""
        return self.options["pair"]

    @property
    def recovered(self) -> dict[str, tuple[str, str]]:
        """By variant that was trained after pruning, the one that it starts from and the dense
        model with the same training; empty where they are not run."""
        return {name: (start, control) for name, start, control in self.options["recovered"]}

    @property
    def drops(self) -> bool:
        """Whether the run leaves out variants that it screens out."""
        return self.options.get("screening", {}).get("drops", False)

    def choices(self) -> dict[str, Choice]:
        """By model, which variants go on, where not all do."""
        models = self.options["screening"]["models"] if self.drops else ()
        return read_choices(self.results, models)

    @property
    def dynamic(self) -> list[str]:
        """The variants whose tokens skip sublayers."""
        return self.options[DYNAMIC]

    def routes(self, model: str, benchmark: str) -> dict[str, RouteRecord]:
        """By dynamic variant, where in a benchmark's traces it ran what; where that is there."""
        out = dropped(self.results, [model], self.drops)
        paths = {
            variant: self.results / model / variant / "routes" / f"{benchmark}.json"
            for variant in self.dynamic
            if (model, variant) not in out
        }
        return {variant: read_routes(path) for variant, path in paths.items() if path.exists()}

    def cells(self) -> pd.DataFrame:
        return cells.load_cells(self.tables)

    def traces(self) -> pd.DataFrame:
        """Of the same answers as the cells, in their order."""
        return traces.load_traces(self.tables)

    def table(self, name: str) -> pd.DataFrame:
        return columns.read_table(self.tables, name)

    def rows(self, name: str) -> pd.DataFrame:
        """The rows of a table about a figure's model and benchmark.

        Raises `NoRows` where there is none.
        """
        frame, path = self.table(name), self.tables / f"{name}.csv"
        wanted = {name: self.options[name] for name in ("model", "benchmark")}
        return columns.rows_of(frame, path, **wanted)

    def compared(self) -> pd.DataFrame:
        """The comparisons of a figure's model and benchmark with the reference, if any."""
        frame = self.table("comparison")
        wanted = frame["family"].str.startswith("dense")
        for name in ("model", "benchmark"):
            wanted &= frame[name] == self.options[name]
        return frame[wanted]

    def masks(self) -> dict[str, MaskRecord]:
        """By variant, what is removed from a figure's model."""
        found = read_masks(self.shared, [self.options["model"]], self.ways)
        return {variant: mask for (_, variant), mask in found.items()}
