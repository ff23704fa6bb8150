"""Gather questions, traces and answers in one file, and show a few of them on a page.

    python -m workflow_scripts.tables.collect_samples --results results \
        --benchmarks resources/benchmarks --tables results/tables --options '{"reference": "dense",
        "models": ["reasoner"], "variants": ["dense", "wanda-50"], "benchmarks": ["chains"]}' \
        --output results/tables/samples.parquet --page results/samples.html

The page shows the first answers that were lost or won against the dense model, cut by the largest
budget, or caught in a loop, and needs no network.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.formats import page
from workflow_scripts.tables.content.samples import SHOWN, examples, read_samples, write_samples
from workflow_scripts.tables.content.traces import load_traces


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--benchmarks", required=True, type=Path, help="folder of the problems")
    parser.add_argument("--tables", required=True, type=Path, help="folder of traces.parquet")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON, see above")
    parser.add_argument("--output", required=True, type=Path, help="samples.parquet to write")
    parser.add_argument("--page", required=True, type=Path, help="page to write")
    given = parser.parse_args(arguments)
    names = given.options
    traces = load_traces(given.tables)
    frames = read_samples(given.results, given.benchmarks, names, names["reference"], traces)
    shown = [one for frame in write_samples(given.output, frames) for one in examples(frame)]
    write_text(given.page, page("samples.html.j2", samples=shown, outcomes=SHOWN, names=names))


if __name__ == "__main__":
    run_stage(main)
