"""Draw the figures of one kind.

    python -m workflow_scripts.tables.plot --figure scaling_curves --results results \
        --tables results/tables --output results/figures/scaling_curves --options \
        '{"title": "{model} on {benchmark}: ...", "values": [["model", ["reasoner"]],
        ["benchmark", ["chains", "sums"]]], ...}'

A figure is a module of `tables.drawing` whose `draw` makes it from a `Source`. There is one for
every combination of `values`, in each format: `results/figures/scaling_curves/reasoner/chains.svg`
and so on. The other options are those of each of them.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.columns import NoRows, NothingToShow
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.entries import FIGURE_FORMATS
from workflow_scripts.tables.figure_places import figure_file, filled_in, places


class Drawing(NamedTuple):
    """A figure to draw: what it is called, its module of `tables.drawing`, and its files."""

    name: str
    module: str
    source: Source
    outputs: list[Path]


def drawings(module: str, kind: Source, folder: Path) -> Iterator[Drawing]:
    """Every figure of a kind, with files in a folder of the kind's name; `kind` has its options."""
    shared = dict(kind.options)
    title, values = shared.pop("title"), shared.pop("values")
    for place in places(values):
        own = {**place, "title": filled_in(title, place, kind.reference)}
        outputs = [Path(figure_file(folder, place, ending)) for ending in FIGURE_FORMATS]
        name = f"{folder.name} of {' on '.join(place.values())}"
        yield Drawing(name, module, replace(kind, options=shared | own), outputs)


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


def draw(one: Drawing) -> None:
    """Draw a figure of a run that is complete."""
    try:
        make(one.module, one.source, one.outputs)
    except NothingToShow as error:
        make_empty(one.source, one.outputs, str(error))
    except NoRows:
        if not one.source.drops:
            raise
        make_empty(one.source, one.outputs, "what this figure compares was screened out")
    except Exception as error:
        error.add_note(f"This was {one.name}.")  # a traceback does not say which of them
        raise


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", required=True, help="a module of tables.drawing")
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--tables", required=True, type=Path, help="folder of the tables")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON, see above")
    parser.add_argument("--output", required=True, type=Path, help="folder of the figures")
    given = parser.parse_args(arguments)
    kind = Source(given.results, given.tables, given.options)
    for one in drawings(given.figure, kind, given.output):
        draw(one)


if __name__ == "__main__":
    run_stage(main)
