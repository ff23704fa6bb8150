"""Measure every trace, and show those of lost problems beside the reference's.

    python -m workflow_scripts.tables.collect_traces --results results --resources resources \
        --tables results/tables --options '{"reference": "dense",
        "diagnosis": {"reflection_words": {"english": ["wait"]}}}' --workers 4 \
        --output results/tables/traces.parquet --page results/departures.html

How many processes work at it changes nothing. The page needs no network.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.config.diagnosis import Diagnosis
from workflow_scripts.config.entry import parser_of
from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.cells import load_cells
from workflow_scripts.tables.content.departures import departures_page, lost_pairs
from workflow_scripts.tables.content.traces import write_traces
from workflow_scripts.tables.traces.reading import read_traces


def collect(
    results: Path,
    resources: Path,
    cells: pd.DataFrame,
    options: dict[str, Any],
    workers: int,
    output: Path,
    page: Path,
) -> None:
    """Write both; `resources` is the folder that holds models and benchmarks."""
    reference = options["reference"]
    diagnosis = parser_of(Diagnosis)(json.dumps(options["diagnosis"]))
    traces, pairs = read_traces(results, resources / "models", cells, reference, diagnosis, workers)
    for name in traces.attrs["missing"]:
        print(f"missing: traces of {name}")
    write_traces(output, traces)
    shown = list(lost_pairs(pairs, cells, reference, resources / "benchmarks"))
    write_text(page, departures_page(shown, traces, reference, diagnosis.shown))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--resources", required=True, type=Path, help="folder of the resources")
    parser.add_argument("--tables", required=True, type=Path, help="folder of cells.parquet")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON, see above")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--output", required=True, type=Path, help="traces.parquet to write")
    parser.add_argument("--page", required=True, type=Path, help="page to write")
    given = parser.parse_args(arguments)
    cells = load_cells(given.tables)
    collect(
        given.results, given.resources, cells, given.options, given.workers, given.output,
        given.page,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
