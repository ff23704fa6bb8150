"""Draw one figure.

    python -m workflow_scripts.tables.plot --figure scaling_curves --results results \
        --tables results/tables --options '{"benchmark": "chains", "model": "reasoner", ...}' \
        --outputs results/figures/scaling_curves/reasoner/chains.svg ...

A figure is a module of `tables.drawing` whose `draw` makes it from a `Source`; the endings of its
outputs say in which formats it is written.
"""

import argparse
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.columns import NoRows, NothingToShow
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style


def make(figure: str, source: Source, outputs: Sequence[Path]) -> None:
    with style.applied():
        drawn = import_module(f"workflow_scripts.tables.drawing.{figure}").draw(source)
        style.save(drawn, outputs, source.options["title"])


def make_empty(source: Source, outputs: Sequence[Path], reason: str) -> None:
    """Write a figure that says why it shows nothing: what the variants will write, or which of them
    go on where a run screens them, is not known when its figures are planned."""
    with style.applied():
        figure = style.new_figure(0.2, f"Nothing to show: {reason}.")
        figure.subplots().set_axis_off()
        style.save(figure, outputs, source.options["title"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", required=True, help="a module of tables.drawing")
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--tables", required=True, type=Path, help="folder of the tables")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON, see Source")
    parser.add_argument("--outputs", required=True, nargs="+", type=Path, help="SVG, PDF, PNG")
    options = parser.parse_args(arguments)
    source = Source(options.results, options.tables, options.options)
    try:
        make(options.figure, source, options.outputs)
    except NothingToShow as error:
        make_empty(source, options.outputs, str(error))
    except NoRows:
        if not source.drops:
            raise
        make_empty(source, options.outputs, "what this figure compares was screened out")


if __name__ == "__main__":
    run_stage(main)
