"""What an answer states where it is a number or an expression."""

import re

from workflow_scripts.grading.extraction.integers import (
    at_start,
    first_or_last,
    last_in,
    whole_number,
)
from workflow_scripts.grading.extraction.prose import expression_at_start, expression_in, is_bare
from workflow_scripts.grading.extraction.statements import Extraction, Statement, believed, nothing

_NAMES = re.compile(r"[\w\s=+*/^(){}-]+")  # what may stand before the last = of one value


def extract_integer(text: str, finish: str, prefix: str = "") -> Extraction:
    """The whole number that an answer states. `finish` is the answer's (`eos` or `length`).

    A statement that is no whole number is returned as it is, like an expression.
    """
    for statement in believed(text, finish, prefix):
        if (found := _integer(statement)) is not None:
            return Extraction(found, statement.form)
    return nothing(finish)


def _integer(statement: Statement) -> str | None:
    said = statement.text
    if statement.form == "boxed":
        return _number_in_box(said)
    if statement.alone:
        return whole_number(said)
    if statement.begins:
        number = at_start(said) or (first_or_last(said) if is_bare(said) else None)
        expression = number or expression_at_start(said)
        return expression if expression and re.search("[0-9]", expression) else None
    if statement.form == "stated":
        number = whole_number(said) or first_or_last(said)
        return number or expression_in(said, True) or said
    return last_in(said)


def _number_in_box(box: str) -> str:
    """The whole number in a box, which may say what it is (`x = 42`); else the box as it is."""
    names, _, value = box.rpartition("=")
    names_one = _NAMES.fullmatch(names) and not re.search(r"\b(?:and|or)\b", names)
    return whole_number(box) or (whole_number(value) if names_one else None) or box


def extract_expression(text: str, finish: str, prefix: str = "") -> Extraction:
    """The mathematical answer that an answer states, whole and as it is written there.

    Several boxes with nothing but commas, "and" or "or" between them are one answer.
    """
    for statement in believed(text, finish, prefix):
        if (found := _expression(statement)) is not None:
            return Extraction(found, statement.form)
    return nothing(finish)


def _expression(statement: Statement) -> str | None:
    said = statement.text
    if statement.form == "boxed":
        return said
    if statement.alone:
        return said if is_bare(said) else None
    if statement.begins:
        return expression_at_start(said)
    if statement.form == "stated":
        return expression_in(said, True) or said
    return expression_in(said, from_start=False)
