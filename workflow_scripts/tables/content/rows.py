"""The rows of the tables, as CSV: one dataclass for each table, its fields the columns."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from workflow_scripts.errors import InputError
from workflow_scripts.files.checksums import verify_checksum

MEAN = "(mean)"  # in the place of a benchmark's name, which has no brackets: over all of them
P_VALUES = ("p", "p_holm")  # columns

Made = TypeVar("Made")


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


@dataclass(frozen=True)
class MeanRow:
    """One row of mean_accuracy.csv: means over benchmarks that weigh the same."""

    model: str
    variant: str
    budget: int
    benchmarks: int
    accuracy: float
    se: float
    ci_low: float
    ci_high: float
    trace_tokens: float
    answer_tokens: float


@dataclass(frozen=True)
class ComparisonRow:
    """One row of comparison.csv: a variant against a reference under one budget.

    `family` is what p values are corrected over, `dense` or `structured` of one model. `removed`
    are shares of all linear weights, NaN where unknown; `difference` is `accuracy` less
    `reference_accuracy`, with its standard error and 95 % interval; `p_holm` is `p` corrected;
    `detectable` is infinite where no difference is.
    """

    family: str
    model: str
    benchmark: str
    budget: int
    variant: str
    removed: float
    reference: str
    reference_removed: float
    problems: int
    repeats: int
    accuracy: float
    reference_accuracy: float
    difference: float
    se: float
    ci_low: float
    ci_high: float
    p: float
    p_holm: float
    detectable: float
    verdict: str


@dataclass(frozen=True)
class AreaRow:
    """One row of areas.csv: the area under a variant's budget curve, a mean accuracy.

    `benchmark` may be `MEAN`, over benchmarks that weigh the same. `difference` is to the reference
    on the same problems, NaN where there is no reference.
    """

    model: str
    benchmark: str
    variant: str
    budgets: int
    area: float
    se: float
    ci_low: float
    ci_high: float
    difference: float
    difference_low: float
    difference_high: float


@dataclass(frozen=True)
class ParallelRow:
    """One row of parallel.csv: what k repeats under one budget are worth together.

    `tokens` is k times the mean of trace and answer; both rates have their 95 % intervals.
    """

    model: str
    variant: str
    benchmark: str
    budget: int
    k: int
    tokens: float
    pass_at_k: float
    pass_low: float
    pass_high: float
    majority_at_k: float
    majority_low: float
    majority_high: float


def csv_text(rows: Sequence[Any], kind: type = Row) -> str:
    """Rows of one dataclass as CSV, its fields as columns.

    Six decimals: finer than any benchmark's grid, coarser than rounding. p values have six
    significant digits instead: those of exact tests can be small, and are never 0.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(kind)])
    for row in rows:
        writer.writerow([_text(name, value) for name, value in vars(row).items()])
    return text.getvalue()


def _text(name: str, value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return f"{value:.6g}" if name in P_VALUES else f"{value:.6f}"


def read_rows(path: Path, kind: type[Made] = Row) -> list[Made]:
    """Read a table of one kind of rows.

    Raises `InputError` for other columns, a value of another type, and a file that is not what its
    checksum says.
    """
    verify_checksum(path)
    columns, types = [field.name for field in dataclasses.fields(kind)], get_type_hints(kind)
    try:
        table = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    if not table or table[0] != columns:
        raise InputError(f"{path}: its columns are not {', '.join(columns)}")
    rows = []
    for number, values in enumerate(table[1:], 2):
        try:
            named = dict(zip(columns, values, strict=True))
            rows.append(kind(**{name: types[name](value) for name, value in named.items()}))
        except ValueError as error:
            raise InputError(f"{path}:{number}: not a row of this table ({error})") from None
    return rows


def rows_of(model: str, benchmark: str, path: Path, kind: type[Made] = Row) -> list[Made]:
    """The rows of one model on one benchmark, of a table as `read_rows` reads it.

    Raises `InputError` where there is none.
    """
    rows = [
        row for row in read_rows(path, kind) if (row.model, row.benchmark) == (model, benchmark)
    ]
    if not rows:
        raise InputError(f"{path}: no row for {model} on {benchmark}")
    return rows
