r"""What an answer states where it is a number or an expression."""

import re

from workflow_scripts.answers.extraction.integers import whole_number
from workflow_scripts.answers.extraction.prose import (
    MAX_LENGTH,
    bare_value,
    concluded_value,
    few_words,
    stated_value,
    value_at_start,
)
from workflow_scripts.answers.extraction.statements import Extraction, Statement, believed, nothing

# what may stand before the last = of one value
_NAMES = re.compile(
    r"(?:[\w\s=+*/^(){}$.·×-]|\\(?:times|cdot|div|[dt]?frac|sqrt|left|right|binom|[\[(])(?![A-Za-z]))+"
)


_ROWS = re.compile(
    r"\\begin\{(aligned|align\*?|gathered|split|eqnarray\*?)\}(.*?)\\end\{\1\}", re.DOTALL
)

_MAX_SENTENCE = 500  # characters of a box that is read as a sentence


def extract_expression(text: str, finish: str, prefix: str = "") -> Extraction:
    """The mathematical answer that an answer states, whole and as it is written there.

    `finish` is the answer's (`eos` or `length`). Several boxes with nothing but commas, "and" or
    "or" between them are one answer.
    """
    unread = None
    for statement in believed(text, finish, prefix):
        if (found := _value(statement)) is not None:
            return Extraction(found, statement.form)
        if statement.form == "stated" and not statement.begins:
            unread = unread or Extraction(statement.text, "stated")
    return unread or nothing(finish)


def extract_integer(text: str, finish: str, prefix: str = "") -> Extraction:
    """What an answer states, a whole number in plain form: the last of `6 * 7 = 42`.

    What is no whole number is returned as it is.
    """
    found = extract_expression(text, finish, prefix)
    if found.extracted is None:
        return found
    if found.reason == "last line" and not re.search(r"\d", found.extracted):
        return nothing(finish)  # words that end an answer state no number
    names, _, value = found.extracted.rpartition("=")
    names_one = _NAMES.fullmatch(names) and not re.search(r"\b(?:and|or)\b", names)
    number = whole_number(found.extracted) or (whole_number(value) if names_one else None)
    return Extraction(number or found.extracted, found.reason)


def _value(statement: Statement) -> str | None:
    said = _ROWS.sub(_in_a_line, statement.text)
    if statement.form == "boxed":
        return _of_box(statement.text)
    if len(said) > MAX_LENGTH and (number := whole_number(said)):
        return number
    if statement.alone:
        return bare_value(said)
    if statement.begins:
        return value_at_start(said) or _words_alone(said)
    if statement.form == "stated":
        return stated_value(said) or few_words(said)
    return concluded_value(said) or few_words(said)


def _of_box(said: str) -> str:
    """What is in a box; of a sentence its value."""
    is_short = len(said) <= _MAX_SENTENCE
    is_sentence = is_short and re.search(r"[A-Za-z]{2,} [A-Za-z]{2,} .*[0-9]", said)
    return (is_sentence and stated_value(said)) or said


def _words_alone(said: str) -> str | None:
    """One or two words that are all that is said."""
    said = said.strip(" *_`")
    return said if re.fullmatch(r"\w+\W?|\w+ \w+", said) else None


def _in_a_line(match: re.Match[str]) -> str:
    """Rows of equations as a chain, where all but the first go on with it; else as a list."""
    rows = [" ".join(row.replace("&", "").split()) for row in match[2].split(r"\\")]
    rows = [row for row in rows if row]
    return ("" if all(row.startswith("=") for row in rows[1:]) else ", ").join(rows)
