"""Gather the grades of every model, variant and benchmark in one file, for all tables.

    python -m workflow_scripts.tables.collect_cells --results results --options \
        '{"models": ["reasoner"], "variants": ["dense", "wanda-20"], "benchmarks": ["chains"],
        "budgets": [512, 1024], "repeats": 3}' --output results/tables/cells.parquet

Names are in the order of the tables; budgets and repeats are those of the run, and any without
them. With `"drops": true` variants that were screened out are left out. What has not been graded,
or under other budgets or with other repeats, is listed as missing; the tables then say so.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.cells import read_cells, write_cells


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON, see above")
    parser.add_argument("--output", required=True, type=Path, help="cells.parquet to write")
    options = parser.parse_args(arguments)
    cells = read_cells(options.results, **options.options)
    for name in cells.attrs["missing"]:
        print(f"missing: {name}")
    write_cells(options.output, cells)


if __name__ == "__main__":
    run_stage(main)
