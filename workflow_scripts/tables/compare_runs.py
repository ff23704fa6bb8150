"""Put two finished runs side by side.

    python -m workflow_scripts.tables.compare_runs results/runs/pilot results/runs/strict

writes `results/compare/pilot/strict.csv`, `.md` and `.html`: what differs in the configs, both
accuracies of every model, variant, benchmark and budget, and their difference. `results` is the run
without a name. Tables are taken as they are: nothing is run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.formats import markdown, page
from workflow_scripts.tables.content.runs import read_run, sections, side_by_side


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("second", type=Path, metavar="OTHER", help="of another")
    parser.add_argument(
        "--output", type=Path, default=Path("results/compare"), help="results/compare"
    )
    given = parser.parse_args(arguments)
    first, second = read_run(given.first), read_run(given.second)
    if first.name == second.name:
        raise InputError(f"{given.second}: its name is that of the other run; must be another")
    rows = side_by_side(first, second)
    shown = list(sections(first, second, rows))
    texts = {
        "csv": rows.to_csv(index=False, float_format="%.6f", na_rep="nan", lineterminator="\n"),
        "md": markdown(shown),
        "html": page("table.html.j2", title=f"{first.name} and {second.name}", sections=shown),
    }
    for ending, text in texts.items():
        path = given.output / first.name / f"{second.name}.{ending}"
        write_text(path, text)
        print(path)


if __name__ == "__main__":
    run_stage(main)
