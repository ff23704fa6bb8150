"""The rows of accuracy.csv, written and read."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

from workflow_scripts.errors import InputError


@dataclass(frozen=True)
class Row:
    """One row of accuracy.csv; its fields are the columns, in this order.

    `accuracy`, its standard error and its 95 % interval are fractions; `se` is NaN where there is
    one problem. The token counts are means over all answers.
    """

    model: str
    variant: str
    benchmark: str
    budget: int
    problems: int
    repeats: int
    accuracy: float
    se: float
    ci_low: float
    ci_high: float
    trace_tokens: float
    answer_tokens: float


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


def csv_text(rows: Sequence[Row]) -> str:
    """The rows as CSV. Six decimals: finer than any benchmark's grid, coarser than rounding."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = dataclasses.astuple(row)
        writer.writerow([f"{v:.6f}" if isinstance(v, float) else v for v in values])
    return text.getvalue()


def read_rows(path: Path) -> list[Row]:
    """Read accuracy.csv. Raises `InputError` for other columns or a value of another type."""
    types = get_type_hints(Row)
    try:
        table = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    if not table or tuple(table[0]) != COLUMNS:
        raise InputError(f"{path}: its columns are not {', '.join(COLUMNS)}")
    rows = []
    for number, values in enumerate(table[1:], 2):
        try:
            named = dict(zip(COLUMNS, values, strict=True))
            rows.append(Row(**{name: types[name](value) for name, value in named.items()}))
        except ValueError as error:
            raise InputError(
                f"{path}:{number}: not a row of the accuracy table ({error})"
            ) from None
    return rows
