r"""Where in an answer its final statement stands, and what it states.

What a model still thinks in its answer is cut away first, and so are the markers of its format. It
states its answer in a box (`\boxed{42}`), after "Answer:", "Final Answer:" or "the answer is", or
bare: in its last line or in its first. The first of these that there is counts, and of several of
its kind the last. Every step takes time linear in the text.

Where the format itself has begun the statement ("Final Answer:", the `lead`), the text starts with
what is stated; a first line that starts with an answer then counts before a last line that is a
sentence. The last line of an answer that was cut off is no statement: it is where the tokens ended.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workflow_scripts.grading.extraction.boxes import OPEN_BOX, boxed, is_cut_in_box, last_boxes
from workflow_scripts.grading.extraction.choices import choice_at_start, choice_in, letter_alone
from workflow_scripts.grading.extraction.integers import (
    at_start,
    first_or_last,
    last_in,
    whole_number,
)
from workflow_scripts.grading.extraction.prose import expression_at_start, expression_in, is_bare


@dataclass(frozen=True)
class Extraction:
    """What an answer states: a number in plain decimal form, a letter, else the words as they are.

    `extracted` is None where no statement was found. `reason` says where it was found: `boxed`,
    `stated`, `last line`, `first line`, `none`, or `truncated` where there is none and the answer
    was cut off.
    """

    extracted: str | None
    reason: str


_SHOWN = 100  # characters of an extraction that a grade shows

_THINKING_ENDS = re.compile(r"</think(?:ing)?>|<\|im_start\|>\s*answer\b")
_THINKING_STARTS = re.compile(r"<think(?:ing)?>|<\|im_start\|>\s*think\b")
_TURN_ENDS = re.compile(
    r"<\|im_end\|>|<\|endoftext\|>|<\|eot_id\|>|<\|im_start\|>\s*(?:user|system)\b"
)
_MARKER = re.compile(r"<\|[A-Za-z_]{1,30}\|>(?:\s*assistant\b)?|</answer>")

_STATED = re.compile(
    r"\b(?:final\s+)?answer[\s*_]*+[:：][\s*_]*+"
    r"|<answer>\s*+"
    r"|\b(?:answer|option|choice)\s+(?:is|would\s+be|must\s+be|should\s+be)\b\s*+[:：]?[\s*_]*+"
    r"(?:(?:,\s*+)?(?:therefore|thus|then|indeed)\b[\s,:*_]*+)?+"
    r"(?!(?:correct|right|wrong|incorrect|not|verified|valid|consistent|clear|in|as|"
    r"also|unique|reasonable|given|found|obtained|expected|confirmed|so|to|that|what)\b)",
    re.IGNORECASE,
)
_DISPLAY = {"\\[": "\\]", "$$": "$$"}
_ITEM = re.compile(r"^\s*+(?:[-*•]|#{1,6})\s++(?=\S)")  # a line's mark of a list or a heading
_RULE = re.compile(r"[-*_=`~#.:|\s]*")  # a line that separates others
_ANNOUNCES = re.compile(r"^1[.)]\s+[A-Za-z*]|:$")
_NAMES = re.compile(r"[\w\s=+*/^(){}-]+")  # what may stand before the last = of one value


def extract_integer(text: str, finish: str, lead: str = "") -> Extraction:
    """The whole number that an answer states. `finish` is the answer's (`eos` or `length`).

    A statement that is no whole number is returned as it stands, like an expression.
    """
    text, led = _after(lead, text)
    boxes = last_boxes(text)
    if boxes:
        return Extraction(_number_in_box(", ".join(boxes)), "boxed")
    statement = stated(text)
    if statement is not None:
        number = whole_number(statement) or first_or_last(statement)
        return Extraction(
            number or expression_in(statement, from_start=True) or statement, "stated"
        )
    if finish == "length" and is_cut_in_box(text):
        return _nothing(finish)
    last, first = _last_line(text, finish), first_line(text)
    if whole_number(last) is None:
        if whole_number(first) is not None:
            return Extraction(whole_number(first), "first line")
        number = at_start(led) or (first_or_last(led) if is_bare(led) else None)
        if number is not None:
            return Extraction(number, "stated")
        expression = expression_at_start(led)
        if expression and re.search("[0-9]", expression):
            return Extraction(expression, "stated")
    number = last_in(last)
    return Extraction(number, "last line") if number is not None else _nothing(finish)


def _number_in_box(box: str) -> str:
    """The whole number in a box, which may say what it is (`x = 42`); else the box as it is."""
    names, _, value = box.rpartition("=")
    names_one = _NAMES.fullmatch(names) and not re.search(r"\b(?:and|or)\b", names)
    return whole_number(box) or (whole_number(value) if names_one else None) or box


def extract_expression(text: str, finish: str, lead: str = "") -> Extraction:
    """The mathematical answer that an answer states, whole and as it is written there.

    Several boxes with nothing but commas, "and" or "or" between them are one answer.
    """
    text, led = _after(lead, text)
    boxes = last_boxes(text)
    if boxes:
        return Extraction(", ".join(boxes), "boxed")
    statement = stated(text)
    if statement is not None:
        return Extraction(expression_in(statement, from_start=True) or statement, "stated")
    if finish == "length" and is_cut_in_box(text):
        return _nothing(finish)
    last, first = OPEN_BOX.sub("", _last_line(text, finish)), first_line(text)
    if not is_bare(last):
        if is_bare(first):
            return Extraction(first, "first line")
        expression = expression_at_start(led)
        if expression:
            return Extraction(expression, "stated")
    expression = expression_in(last, from_start=False)
    return Extraction(expression, "last line") if expression else _nothing(finish)


def extract_choice(text: str, finish: str, choices: Sequence[str], lead: str = "") -> Extraction:
    """The letter of the choice that an answer states, by letter or by the choice's own text.

    A box or statement that names no choice (a value on the way) does not end the search.
    """
    text, led = _after(lead, text)
    box = boxed(text)
    letter = choice_in(box, choices) if box is not None else None
    if letter:
        return Extraction(letter, "boxed")
    statements = _statements(text)
    for statement in reversed(statements):
        letter = choice_in(statement, choices)
        if letter:
            return Extraction(letter, "stated")
    last, first = _last_line(text, finish), first_line(text)
    if not letter_alone(last, choices):
        letter = letter_alone(first, choices)
        if letter:
            return Extraction(letter, "first line")
        letter = choice_at_start(led, choices)
        if letter:
            return Extraction(letter, "stated")
    letter = choice_in(last, choices)
    if letter:
        return Extraction(letter, "last line")
    if box is not None:
        return Extraction(shown(box), "boxed")
    return Extraction(shown(statements[-1]), "stated") if statements else _nothing(finish)


def _after(lead: str, text: str) -> tuple[str, str]:
    """An answer without thinking and markers, and its first line where `lead` begins a statement.

    That line is empty where the lead begins none, where other text stands in between, and where the
    line only announces what follows: the first of a list, or with a colon at its end.
    """
    opening = next((m for m in _STATED.finditer(f"{lead} 0") if m.end() > len(lead)), None)
    lead = lead[opening.start() :] if opening else ""
    whole = without_thinking(lead + text)
    if not lead or not whole.startswith(lead):
        return without_thinking(text), ""
    text = whole[len(lead) :]
    line = first_line(text)
    # a lead "the answer is" begins no statement before "not 5"
    is_statement = _STATED.match(lead + text) and not _ANNOUNCES.search(line)
    return text, line if is_statement else ""


def _nothing(finish: str) -> Extraction:
    return Extraction(None, "truncated" if finish == "length" else "none")


def without_thinking(text: str) -> str:
    """An answer from where its last thinking ends to where its turn ends, without markers.

    Where nothing follows the end of the thinking, what was written before it counts.
    """
    parts = [part for part in _THINKING_ENDS.split(text) if part.strip()]
    text = parts[-1] if parts else ""
    start = _THINKING_STARTS.search(text)
    if start:
        text = text[: start.start()]
    for ending in _TURN_ENDS.finditer(text):
        if text[: ending.start()].strip():
            text = text[: ending.start()]
            break
    return _MARKER.sub("\n", text)


def stated(text: str) -> str | None:
    """The line after the last "Answer:" or "the answer is" that anything follows."""
    statements = _statements(text)
    return statements[-1] if statements else None


def _statements(text: str) -> list[str]:
    """What follows every "Answer:" and "the answer is", to the end of its line or formula."""
    found = []
    openings = list(_STATED.finditer(text))
    ends = [opening.start() for opening in openings[1:]] + [len(text)]
    for opening, end in zip(openings, ends, strict=False):
        following = text[opening.end() : end]
        ending = _DISPLAY.get(following[:2])
        inside, closed, _ = following[2:].partition(ending) if ending else ("", "", "")
        statement = inside if closed else following.split("\n", 1)[0]
        if "\n" in opening.group() and not closed:
            statement = _ITEM.sub("", statement, count=1)
        found.append(statement.strip())
    return [statement for statement in found if statement.strip("*_ ")]


def _last_line(text: str, finish: str) -> str:
    return "" if finish == "length" else last_line(text)


def last_line(text: str) -> str:
    """The last line of a text that says anything, or its last formula if that ends it."""
    end = len(text)
    while end > 0 and _RULE.fullmatch(text, text.rfind("\n", 0, end) + 1, end):
        end = text.rfind("\n", 0, end)
    text = text[: max(end, 0)].rstrip()
    for opening, ending in _DISPLAY.items():
        if text.endswith(ending):
            start = text.rfind(opening, 0, -2)
            return text[start + 2 : -2].strip() if start >= 0 else text[:-2].strip()
    return _ITEM.sub("", text.rsplit("\n", 1)[-1], count=1)


def first_line(text: str) -> str:
    """The first line of a text in which anything stands; empty where there is none."""
    line = text.lstrip()
    begins = "\n" in text[: len(text) - len(line)]  # else "- 5" may be a number
    line = line.split("\n", 1)[0].strip()
    return _ITEM.sub("", line, count=1) if begins else line


def shown(text: str, most: int = _SHOWN) -> str:
    """A text on one line, cut to a length that a reader of grades can take in."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + "…"
