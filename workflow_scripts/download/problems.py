"""Rows of any source as `Problem` records, every one checked."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workflow_scripts.download.benchmark_rows import Row
from workflow_scripts.errors import InputError
from workflow_scripts.records import Problem

FIELDS = ("id", "question", "answer", "kind", "choices")
COLUMNS = ("id", "question", "answer", "choices")

_INTEGER = re.compile(r"[+-]?[0-9]+")


def _integer(answer: Any) -> str | None:
    """A whole number, as a text or a JSON number, in its plain decimal form."""
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    text = str(answer).strip()
    if isinstance(answer, bool) or not _INTEGER.fullmatch(text):
        return None
    digits = text.lstrip("+-").lstrip("0") or "0"
    return f"-{digits}" if text.startswith("-") and digits != "0" else digits


# How the answer of each kind is written in a normalised file; None where it is not of that kind.
KINDS: dict[str, Callable[[Any], str | None]] = {"integer": _integer}


def problems_from_rows(
    rows: Sequence[Row],
    name: str,
    columns: Mapping[str, str] | None = None,
    kind: str | None = None,
) -> list[Problem]:
    """Problems in the order of the rows.

    Without `columns` a row has the fields of a `Problem` and no others; with them, `columns` maps
    fields to the row's own columns, and other columns are ignored. `kind` is the kind of every
    answer whose row names none. A row without an id gets `{name}-{row number}`, counted from 0 and
    padded with zeros to equal width. Raises `InputError` naming the row, and its id where it has
    one, for anything that is not a complete problem.
    """
    _check_columns(columns, kind)
    if not rows:
        raise InputError(f"benchmark {name!r}: its source has no rows")
    width = len(str(len(rows) - 1))
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for number, row in enumerate(rows):
        problem = _problem(row, f"{name}-{number:0{width}}", columns, kind)
        if problem.id in seen:
            raise InputError(f"{row.where}: id {problem.id!r} stands already at {seen[problem.id]}")
        seen[problem.id] = row.where
        problems.append(problem)
    return problems


def _check_columns(columns: Mapping[str, str] | None, kind: str | None) -> None:
    if kind is not None and kind not in KINDS:
        raise InputError(f"source: answer_kind is {kind!r}; allowed: {', '.join(KINDS)}")
    if columns is None:
        return
    for field, column in columns.items():
        if field not in COLUMNS:
            raise InputError(f"source: columns has {field!r}; allowed: {', '.join(COLUMNS)}")
        if not isinstance(column, str) or not column:
            raise InputError(f"source: columns: {field} is {column!r}, not a column's name")
    for field in ("question", "answer"):
        if field not in columns:
            raise InputError(f"source: columns: {field!r} is missing")
    if kind is None:
        raise InputError("source: columns without answer_kind, which says how answers are compared")


def _problem(
    row: Row, default_id: str, columns: Mapping[str, str] | None, kind: str | None
) -> Problem:
    values = _fields(row, columns)
    identity = values.get("id")
    if identity is None:
        identity = default_id
    if type(identity) not in (str, int) or identity == "":
        raise InputError(f"{row.where}: id is {identity!r}, not a text or a whole number")
    where = f"{row.where} ({identity})"
    question = values.get("question")
    if question is None or isinstance(question, str) and not question.strip():
        raise InputError(f"{where}: has no question")
    if not isinstance(question, str):
        raise InputError(f"{where}: question is {_short(question)}, not a text")
    kind_here = values.get("kind", kind)
    if not isinstance(kind_here, str) or kind_here not in KINDS:
        raise InputError(f"{where}: kind is {kind_here!r}; allowed: {', '.join(KINDS)}")
    choices = values.get("choices")
    if choices is not None and not (
        isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)
    ):
        raise InputError(f"{where}: choices is {_short(choices)}, not a list of texts")
    answer = _answer(values, kind_here, where)
    problem = Problem(str(identity), question, answer, kind_here, choices)
    _refuse_half_characters(problem, where)
    return problem


def _fields(row: Row, columns: Mapping[str, str] | None) -> dict[str, Any]:
    """The row by the names of a problem's fields."""
    if columns is None:
        for key in row.values:
            if key not in FIELDS:
                raise InputError(
                    f"{row.where}: unknown field {key!r}; allowed: {', '.join(FIELDS)}; "
                    "for other names map them in `columns`"
                )
        return dict(row.values)
    for field, column in columns.items():
        if column not in row.values:
            there = ", ".join(row.values)
            lack = "has no answer: " if field == "answer" else ""
            raise InputError(
                f"{row.where}: {lack}no column {column!r} for {field}; there are: {there}"
            )
    return {field: row.values[column] for field, column in columns.items()}


def _answer(values: Mapping[str, Any], kind: str, where: str) -> str:
    answer = values.get("answer")
    if answer is None or isinstance(answer, str) and not answer.strip():
        raise InputError(f"{where}: has no answer")
    written = KINDS[kind](answer)
    if written is None:
        raise InputError(f"{where}: answer is {_short(answer)}, which is not of kind {kind}")
    return written


def _refuse_half_characters(problem: Problem, where: str) -> None:
    """JSON can spell half of a surrogate pair, which no file and no tokenizer can hold."""
    for text in (problem.id, problem.question, problem.answer, *(problem.choices or ())):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"{where}: holds half a character (a lone surrogate)") from None


def _short(value: Any) -> str:
    """A value for a message of one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
