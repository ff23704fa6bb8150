"""The cells of a run as one small file, that every table is made from.

A JSONL file: a line that says what the run is to hold and what of it is missing, then a line for
every cell with its grades by problem.
"""

import json
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_text
from workflow_scripts.files.checksums import verify_checksum
from workflow_scripts.tables.content.cells import Cell, Cells


def write_cells(path: Path, run: Cells) -> None:
    """Write the cells, atomically."""
    head = {
        "format": 2,
        "models": run.models,
        "variants": run.variants,
        "benchmarks": run.benchmarks,
        "missing": run.missing,
        "budgets": run.budgets,
    }
    lines = [head, *(_line(cell) for cell in run.cells)]
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def _line(cell: Cell) -> dict[str, Any]:
    return {
        "model": cell.model,
        "variant": cell.variant,
        "benchmark": cell.benchmark,
        "budget": cell.budget,
        "repeats": cell.repeats,
        "trace_tokens": cell.trace_tokens,
        "answer_tokens": cell.answer_tokens,
        "correct": {i: [int(good) for good in row] for i, row in cell.correct.items()},
        "extracted": dict(cell.extracted),
    }


def load_cells(path: Path) -> Cells:
    """Read the cells. Raises `InputError` where the file is not one of cells."""
    verify_checksum(path)
    try:
        head, *lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        if head.pop("format") != 2:
            raise ValueError("format")
        names = {key: tuple(value) for key, value in head.items()}
        return Cells(cells=tuple(_cell(line) for line in lines), **names)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: not a file of cells, as collect_cells writes it") from None


def _cell(line: dict[str, Any]) -> Cell:
    return Cell(
        **{
            **line,
            "repeats": tuple(line["repeats"]),
            "correct": {i: tuple(map(bool, row)) for i, row in line["correct"].items()},
            "extracted": {i: tuple(row) for i, row in line["extracted"].items()},
        }
    )
