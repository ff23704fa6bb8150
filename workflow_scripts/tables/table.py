"""Make one table in all formats.

    python -m workflow_scripts.tables.table --table comparison --results results \
        --tables results/tables --options '{"reference": "dense"}'

A table is a module of `tables.content` whose `build` makes it from a `Source`. Its CSV files, and
Markdown, LaTeX and HTML under the table's own name, are written into the folder of the tables.
"""

import argparse
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.columns import write_table
from workflow_scripts.tables.content.formats import Section, latex, markdown, page, with_limits
from workflow_scripts.tables.content.screened_out import with_screened_out
from workflow_scripts.tables.content.source import Source


def make(table: str, source: Source) -> None:
    built = import_module(f"workflow_scripts.tables.content.{table}").build(source)
    for name, frame in built.frames.items():
        write_table(source.tables, name, frame)
    limits = source.limits if built.of_answers else {}
    choices = source.choices() if built.of_answers else {}

    def noted(sections: Sequence[Section]) -> list[Section]:
        return with_screened_out(with_limits(sections, limits), choices)

    sections, shown = noted(built.sections), noted(built.page or built.sections)
    pages = {
        "md": markdown(sections),
        "tex": latex(sections, table),
        "html": page("table.html.j2", title=built.title, sections=shown),
    }
    for form, text in pages.items():
        write_text(source.tables / f"{table}.{form}", text)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, help="a module of tables.content")
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--tables", required=True, type=Path, help="folder of the tables")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON, see Source")
    options = parser.parse_args(arguments)
    make(options.table, Source(options.results, options.tables, options.options))


if __name__ == "__main__":
    run_stage(main)
