"""The right answer of a problem: how a source holds it, and how a normalised file writes it."""

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from workflow_scripts.artefacts.boxes import box_groups
from workflow_scripts.artefacts.records import IN_QUESTION
from workflow_scripts.errors import InputError

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
OF_CHOICES = ("choice", "choices")  # kinds of which an answer names choices

_INTEGER = re.compile(r"([+-]?)([0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.0+)?")
_DIGITS = r"(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]*)?|\.[0-9]+"
_NUMBER = re.compile(
    rf"[+-]?(?:(?:{_DIGITS})(?:[eE][+-]?[0-9]{{1,3}}|\s*\\times\s*10\s*\^\s*\{{[+-]?[0-9]{{1,3}}\}})?"
    rf"|(?:{_DIGITS})\s*/\s*0*[1-9][0-9]*|\\[dt]?frac\{{[+-]?(?:{_DIGITS})\}}\{{0*[1-9][0-9]*\}})"
    r"(?:\s*\\?%)?"
)

# a formula as it is set in a text: `$42$` and `\(42\)`, but not `\$42`
_SET = re.compile(
    r"\$\$?([^$]*[^$\\])\$?\$|\\\(((?:(?!\\\)).)*)\\\)|\\\[((?:(?!\\\]).)*)\\\]", re.S
)
_ORNAMENT = re.compile(r"\\(?:text|math)(?:bf|rm|it)?\s*\{([^{}]*)\}")

Choices = Sequence[str] | None


def bare(answer: Any) -> Any:
    """A right answer as one is found in a text: what is in its box, after ####, in dollar signs.

    Whole solutions stand in many data sets where the answer should. What is no text is as it was.
    """
    if not isinstance(answer, str):
        return answer
    boxes = box_groups(answer)
    text = boxes[-1][0] if boxes else answer.rpartition("####")[2]
    match = _SET.fullmatch(text.strip())
    return (next(filter(None, match.groups()), "") if match else text).strip()


def _integer(answer: Any, _: Choices = None) -> str | None:
    """A whole number, as a text (also 1,080 and 27.0) or a JSON number, in its plain form."""
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    match = _INTEGER.fullmatch(str(bare(answer)).strip())
    if isinstance(answer, bool) or not match:
        return None
    digits = match[2].replace(",", "").lstrip("0") or "0"
    return f"-{digits}" if match[1] == "-" and digits != "0" else digits


def _expression(answer: Any, _: Choices = None) -> str | None:
    """A mathematical expression, or a JSON number; None for one that an answer could not hold."""
    if isinstance(answer, str):
        text = bare(answer)
        says_anything = re.search(r"[^\s$.,;:?]", text)
        in_box = box_groups(rf"\boxed{{{text}}}") if says_anything else []
        return text if [content for content, *_ in in_box] == [text] else None
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not math.isfinite(answer):
        return None
    return _integer(answer) or repr(answer)


def _number(answer: Any, _: Choices = None) -> str | None:
    """A number that is written out, as a text (also 1/3, 1.5e3 and 20 %) or a JSON number."""
    text = str(_expression(answer)).replace("−", "-")
    return text.replace(",", "") if _NUMBER.fullmatch(text) else None


def _letter(answer: Any, choices: Choices) -> str | None:
    """The letter of the one choice that the answer is."""
    said = (str(answer).strip(), bare(answer))
    places = [i for i, choice in enumerate(choices or ()) if choice in said]
    return LETTERS[places[0]] if len(places) == 1 else None


def _letters(answer: Any, choices: Choices) -> str | None:
    """The letters of the several choices that the answer names, a list of one or more."""
    letters = [_letter(one, choices) for one in answer]
    return None if not letters or None in letters else "".join(sorted({*letters}))


# How the answer of each kind is written in a normalised file; None where it is not of that kind.
KINDS: dict[str, Callable[[Any, Choices], str | None]] = {
    "integer": _integer,
    "math": _expression,
    "number": _number,
    "choice": _letter,
    "choices": _letters,
}


def _after_hashes(cell: Any, _: Choices) -> str | None:
    """What follows the last ####, as in GSM8K."""
    before, hashes, after = str(cell).rpartition("####")
    return after.strip() or None if hashes else None


def _by_letter(cell: Any, choices: Choices) -> str | None:
    letter = _ORNAMENT.sub(r"\1", str(bare(cell))).strip(" ().:*").upper()
    place = LETTERS.find(letter) if len(letter) == 1 else -1
    return choices[place] if choices and 0 <= place < len(choices) else None


def _by_index(cell: Any, choices: Choices) -> str | None:
    text = _integer(cell)
    place = int(text) if text else -1
    return choices[place] if choices and 0 <= place < len(choices) else None


# How the answer's column holds the answer; None where it does not. The last two name a choice.
FORMS: dict[str, Callable[[Any, Choices], Any]] = {
    "cell": lambda cell, _: cell,
    "hashes": _after_hashes,
    "letter": _by_letter,
    "index": _by_index,
}


def each_of(cell: Any, form: str) -> list[Any] | None:
    """The cells of several choices that one names: a list, `A, B and D`, `ABD` or `0, 2`."""
    if isinstance(cell, list):
        return cell
    if form == "letter":
        said = _ORNAMENT.sub(r"\1", str(bare(cell)))
        said = re.sub(r"\band\b|[\s,;&()]", "", said)
        return [*said] if said.isalpha() and (said.isupper() or said.islower()) else None
    return (
        re.split(r"\s*[,;]\s*", cell.strip())
        if form == "index" and isinstance(cell, str)
        else [cell]
    )


def choices_in(question: str) -> list[str] | None:
    """What stands for choices that are in a question: their letters; None where these are not."""
    found = {*re.findall(r"(?<![A-Za-z])[A-Z](?![A-Za-z])", question)}
    return [*IN_QUESTION] if found >= {*IN_QUESTION} else None


def read_choices(cells: Any, where: str) -> list[str]:
    """Choices as texts without space around them; numbers are written out.

    Raises `InputError` where they are not two or more.
    """
    plain = isinstance(cells, list) and all(
        isinstance(cell, str | int | float) and not isinstance(cell, bool) for cell in cells
    )
    choices = [str(cell).strip() for cell in cells] if plain else []
    if not plain or "" in choices:
        shown = repr(cells) if len(repr(cells)) <= 60 else repr(cells)[:57] + "..."
        raise InputError(f"{where}: choices is {shown}, not a list of texts")
    if not 2 <= len(choices) <= len(LETTERS):
        raise InputError(
            f"{where}: has a list of {len(choices)} choices; must be 2 to {len(LETTERS)}"
        )
    return choices


def place_choices(
    question: str, choices: Sequence[str], letters: str, order: str
) -> tuple[list[str], str]:
    """The choices in the order they are given to the model, and the letters of the right ones.

    `shuffled` is one order for each question, whatever the order in the source: by the sha256 of
    the question and the choice. So it is the same on every machine and in every run.
    """
    right = [choices[LETTERS.index(letter)] for letter in letters]
    placed = list(choices)
    if order == "shuffled":
        placed.sort(key=lambda choice: _digest(f"{question}\0{choice}"))
    return placed, "".join(sorted(LETTERS[placed.index(choice)] for choice in right))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
