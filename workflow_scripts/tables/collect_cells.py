"""Gather the grades of every model, variant and benchmark in one file, for all tables.

    python -m workflow_scripts.tables.collect_cells --results results --models reasoner \
        --variants dense wanda-20 --benchmarks chains --budgets 512 1024 --repeats 3 \
        --output results/tables/cells.jsonl

What has not been graded, or under other budgets or with other repeats, is listed as missing; the
tables then say so.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.cell_files import write_cells
from workflow_scripts.tables.content.cells import read_cells


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    for name in ("models", "variants", "benchmarks"):
        parser.add_argument(f"--{name}", required=True, nargs="+", help=f"{name}, in table order")
    parser.add_argument("--budgets", type=int, nargs="+", default=[], help="of the run; else any")
    parser.add_argument("--repeats", type=int, help="of the run; else any")
    parser.add_argument("--output", required=True, type=Path, help="cells.jsonl to write")
    options = parser.parse_args(arguments)
    run = read_cells(
        options.results,
        options.models,
        options.variants,
        options.benchmarks,
        options.budgets,
        options.repeats,
    )
    for name in run.missing:
        print(f"missing: {name}")
    write_cells(options.output, run)


if __name__ == "__main__":
    run_stage(main)
