"""Rows of any source as `Problem` records, every one checked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_scripts.artefacts.records import IN_QUESTION, Problem
from workflow_scripts.config.catalogues import FetchedBenchmark
from workflow_scripts.config.sources.base import Source
from workflow_scripts.config.sources.problems import Problems
from workflow_scripts.errors import InputError
from workflow_scripts.files.user_rows import check_characters
from workflow_scripts.inputs.problems.answers import (
    FORMS,
    KINDS,
    OF_CHOICES,
    bare,
    choices_in,
    each_of,
    place_choices,
    read_choices,
)
from workflow_scripts.inputs.problems.rows import Row

FIELDS = ("id", "question", "answer", "kind", "choices", "tolerance", "marks")
MARKS = ("partial", "exact")  # for several choices; the first where row and source name none
OF_NUMBERS = ("integer", "number")  # kinds that may have a tolerance
OF_CHOICE = ("letter", "index")  # forms of choices alone
TOLERANCE = 0.01  # of an answer of kind number whose row and source name none


@dataclass(frozen=True)
class Layout:
    """How rows hold problems.

    Without `columns` a row has the fields of a `Problem` and no others; with them, `columns` maps
    fields to the row's own columns (`choices` to a list of them), and other columns are ignored.
    `answer_kind` is the kind of every answer whose row names none, or by what the column of kinds
    holds; `answer_form` how the answer's column holds it, `choice_order` the order in which choices
    are given; `tolerance` and `marks` are those of answers whose row names none.
    """

    columns: Mapping[str, Any] | None = None
    answer_kind: str | Mapping[str, str] | None = None
    answer_form: str = "cell"
    choice_order: str = "given"
    tolerance: float | None = None
    marks: str | None = None

    @property
    def choices_in_question(self) -> bool:
        """Whether the choices' column is that of the question."""
        columns = self.columns or {}
        return list(columns.get("choices", ())) == [columns.get("question")]


def layout_of(source: Source) -> Layout:
    """How the rows of a benchmark's source hold problems."""
    return Layout(**(source.layout() if isinstance(source, Problems) else {}))


def problems_from_rows(
    rows: Sequence[Row], name: str, layout: Layout = Layout()
) -> tuple[list[Problem], int]:
    """Problems in the order of the rows, and how many answers were taken out of other text.

    A row without an id gets `{name}-{row number}`, counted from 0 and padded with zeros to equal
    width. Raises `InputError` naming the row, and its id where it has one, for anything that is not
    a complete problem.
    """
    if not rows:
        raise InputError(f"benchmark {name!r}: its source has no rows")
    width = len(str(len(rows) - 1))
    taken_out = 0
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for number, row in enumerate(rows):
        problem, was_taken_out = _problem(row, f"{name}-{number:0{width}}", layout)
        taken_out += was_taken_out
        if problem.id in seen:
            raise InputError(
                f"{row.where}: id {problem.id!r} was used at {seen[problem.id]} already"
            )
        seen[problem.id] = row.where
        problems.append(problem)
    return problems, taken_out


def check_count(found: int, name: str, benchmark: FetchedBenchmark) -> None:
    """Raise `InputError` where a benchmark has not as many problems as its entry says it has."""
    expected, limit = benchmark.problems, benchmark.limited_to
    if expected is not None and found != expected:
        raise InputError(
            f"benchmark {name!r}: has {found} problems, the config says {expected} "
            f"(benchmarks.{name}.problems)"
        )
    if found < (limit or 0):
        raise InputError(
            f"benchmark {name!r}: has {found} problems, and the limit is {limit}; lower "
            f"benchmarks.{name}.limit or leave it out"
        )


def _problem(row: Row, default_id: str, layout: Layout) -> tuple[Problem, bool]:
    """A row's problem, and whether its answer was taken out of what stands around it."""
    values = _fields(row, layout.columns)
    identity = values.get("id")
    if identity is None:
        identity = default_id
    if type(identity) not in (str, int) or identity == "":
        raise InputError(f"{row.where}: id is {identity!r}, not a text or a whole number")
    check_characters(str(identity), f"{row.where}: id")
    where = f"{row.where} ({identity})"
    question = values.get("question")
    if question is None or isinstance(question, str) and not question.strip():
        raise InputError(f"{where}: has no question")
    if not isinstance(question, str):
        raise InputError(f"{where}: question is {_short(question)}, not a text")
    kind = _kind(values, layout, where)
    choices, in_question = None, False
    if values.get("choices") is not None and not layout.choices_in_question:
        choices = read_choices(values["choices"], where)
    elif kind in OF_CHOICES:
        in_question = True
        choices = [*IN_QUESTION] if layout.choices_in_question else choices_in(question)
        if choices is None:
            raise InputError(
                f"{where}: has no choices, which an answer of kind {kind} is one of, and no "
                f"{', '.join(IN_QUESTION)} in its question"
            )
    answer = _answer(values, kind, choices, layout, where)
    tolerance, marks = _tolerance(values, kind, layout, where), _marks(values, kind, layout, where)
    texts = [("question", question), ("answer", answer), *(("choices", c) for c in choices or ())]
    for field, text in texts:
        check_characters(text, f"{where}: {field}")
    if kind in OF_CHOICES:
        choices, answer = place_choices(question, choices, answer, layout.choice_order)
    choices = None if in_question else choices
    problem = Problem(str(identity), question, answer, kind, choices, tolerance, marks)
    stated = values["answer"]
    return problem, isinstance(stated, str) and bare(stated) != stated.strip()


def _kind(values: Mapping[str, Any], layout: Layout, where: str) -> str:
    if isinstance(layout.answer_kind, Mapping):
        said = values.get("kind")
        if str(said) not in layout.answer_kind:
            there = ", ".join(layout.answer_kind)
            raise InputError(f"{where}: kind is {_short(said)}, which answer_kind has not: {there}")
        return layout.answer_kind[str(said)]
    kind = values.get("kind", layout.answer_kind)
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"{where}: kind is {kind!r}; allowed: {', '.join(KINDS)}")
    return kind


def _tolerance(values: Mapping[str, Any], kind: str, layout: Layout, where: str) -> float | None:
    """By how much an answer may differ; None where it is no number, or has to be a whole one."""
    said = values.get("tolerance")
    if said in (None, ""):
        said = layout.tolerance if kind in OF_NUMBERS else None
        return TOLERANCE if said is None and kind == "number" else said
    if kind not in OF_NUMBERS:
        raise InputError(f"{where}: has a tolerance, which an answer of kind {kind} has not")
    try:
        tolerance = float(said)
    except (TypeError, ValueError):
        tolerance = -1.0
    if isinstance(said, bool) or not 0 <= tolerance < math.inf:
        raise InputError(f"{where}: tolerance is {_short(said)}, not a number of at least 0")
    return tolerance


def _marks(values: Mapping[str, Any], kind: str, layout: Layout, where: str) -> str | None:
    """`exact` where some of several right choices get nothing; else None."""
    said = values.get("marks")
    if said in (None, ""):
        said = layout.marks if kind == "choices" else None
    elif kind != "choices":
        raise InputError(f"{where}: has marks, which an answer of kind {kind} has not")
    elif said not in MARKS:
        raise InputError(f"{where}: marks is {_short(said)}; allowed: {', '.join(MARKS)}")
    return None if said == MARKS[0] else said


def _fields(row: Row, columns: Mapping[str, Any] | None) -> dict[str, Any]:
    """The row by the names of a problem's fields."""
    if columns is None:
        for key in row.values:
            if key not in FIELDS:
                raise InputError(
                    f"{row.where}: unknown field {key!r}; allowed: {', '.join(FIELDS)}; "
                    "for other names map them in `columns`"
                )
        return dict(row.values)

    def cell(field: str, column: str) -> Any:
        if column not in row.values:
            there = ", ".join(row.values)
            lack = "has no answer: " if field == "answer" else ""
            raise InputError(
                f"{row.where}: {lack}no column {column!r} for {field}; there are: {there}"
            )
        return row.values[column]

    found: dict[str, Any] = {}
    for field, column in columns.items():
        if isinstance(column, str):
            found[field] = cell(field, column)
        else:
            cells = [cell(field, name) for name in column]
            found[field] = cells if len(cells) > 1 else cells[0]
    return found


def _answer(
    values: Mapping[str, Any], kind: str, choices: list[str] | None, layout: Layout, where: str
) -> str:
    cell = values.get("answer")
    if cell is None or isinstance(cell, str) and not cell.strip():
        raise InputError(f"{where}: has no answer")
    form = layout.answer_form
    if kind in OF_CHOICES and (layout.columns is None or layout.choices_in_question):
        form = "letter"  # as a normalised file names choices
    elif kind not in OF_CHOICES and isinstance(layout.answer_kind, Mapping) and form in OF_CHOICE:
        form = "cell"
    if kind == "choices":
        cells = each_of(cell, form)
        stated = cells and [FORMS[form](one, choices) for one in cells]
        stated = None if not stated or None in stated else stated
    else:
        stated = FORMS[form](cell, choices)
    if stated is None:
        lack = f" and form {form}" if form != "cell" else ""
        raise InputError(f"{where}: answer is {_short(cell)}, which is not of kind {kind}{lack}")
    written = KINDS[kind](stated, choices)
    if written is None:
        raise InputError(f"{where}: answer is {_short(stated)}, which is not of kind {kind}")
    return written


def _short(value: Any) -> str:
    """A value for a message of one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
