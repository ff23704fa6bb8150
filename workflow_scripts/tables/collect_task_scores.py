"""Gather the scores of every model, variant and task in one file, for the tables of tasks.

    python -m workflow_scripts.tables.collect_task_scores --results results --options \
        '{"models": ["reasoner"], "variants": ["dense", "wanda-20"],
        "tasks": [["piqa", "classification"], ["ifeval", "generation"]]}' \
        --output results/tables/task_scores.parquet

Names are in the order of the tables, tasks with their families; with `"drops": true` variants that
were screened out are left out. Raises `InputError`, a line for
each, where a variant lacks a task: no mean is made of those that happen to be there.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.task_scores import read_task_scores, write_task_scores


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON, see above")
    parser.add_argument("--output", required=True, type=Path, help="task_scores.parquet to write")
    options = parser.parse_args(arguments)
    scores = read_task_scores(options.results, **options.options)
    if missing := scores.attrs["missing"]:
        raise InputError(
            *(f"{options.results}: no results of {name}; run its tasks again" for name in missing)
        )
    write_task_scores(options.output, scores)


if __name__ == "__main__":
    run_stage(main)
