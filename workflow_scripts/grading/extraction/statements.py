r"""Where in an answer its final statement is, and what it states.

What a model still thinks in its answer is cut away first, and so are the markers of its format. It
states its answer in a box (`\boxed{42}`), after "Answer:", "Final Answer:" or "the answer is", or
bare: in its last line or in its first. The first of these that there is counts, and of several of
its kind the last. Every step takes time linear in the text.

Where the format itself has begun the statement (the answer prefix is "Final Answer:"), the text
starts with what is stated; a first line that starts with an answer then counts before a last line
that is a sentence. The last line of an answer that was cut off is no statement: it is where the
tokens ended.
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


def extract_integer(text: str, finish: str, prefix: str = "") -> Extraction:
    """The whole number that an answer states. `finish` is the answer's (`eos` or `length`).

    A statement that is no whole number is returned as it is, like an expression.
    """
    text, begun = _after(prefix, text)
    if boxes := last_boxes(text):
        return Extraction(_number_in_box(", ".join(boxes)), "boxed")
    if statement := _statement(text):
        number = whole_number(statement) or first_or_last(statement)
        return Extraction(number or expression_in(statement, True) or statement, "stated")
    if finish == "length" and is_cut_in_box(text):
        return _nothing(finish)
    last, first = last_line(text, finish), first_line(text)
    if whole_number(last) is None:
        if number := whole_number(first):
            return Extraction(number, "first line")
        number = at_start(begun) or (first_or_last(begun) if is_bare(begun) else None)
        expression = number or expression_at_start(begun)
        if expression and re.search("[0-9]", expression):
            return Extraction(expression, "stated")
    number = last_in(last)
    return Extraction(number, "last line") if number else _nothing(finish)


def _number_in_box(box: str) -> str:
    """The whole number in a box, which may say what it is (`x = 42`); else the box as it is."""
    names, _, value = box.rpartition("=")
    names_one = _NAMES.fullmatch(names) and not re.search(r"\b(?:and|or)\b", names)
    return whole_number(box) or (whole_number(value) if names_one else None) or box


def extract_expression(text: str, finish: str, prefix: str = "") -> Extraction:
    """The mathematical answer that an answer states, whole and as it is written there.

    Several boxes with nothing but commas, "and" or "or" between them are one answer.
    """
    text, begun = _after(prefix, text)
    if boxes := last_boxes(text):
        return Extraction(", ".join(boxes), "boxed")
    if statement := _statement(text):
        return Extraction(expression_in(statement, True) or statement, "stated")
    if finish == "length" and is_cut_in_box(text):
        return _nothing(finish)
    last, first = OPEN_BOX.sub("", last_line(text, finish)), first_line(text)
    if not is_bare(last):
        if is_bare(first):
            return Extraction(first, "first line")
        if expression := expression_at_start(begun):
            return Extraction(expression, "stated")
    expression = expression_in(last, from_start=False)
    return Extraction(expression, "last line") if expression else _nothing(finish)


def extract_choice(text: str, finish: str, choices: Sequence[str], prefix: str = "") -> Extraction:
    """The letter of the choice that an answer states, by letter or by the choice's own text.

    A box or statement that names no choice (a value on the way) does not end the search.
    """
    text, begun = _after(prefix, text)
    box, statements = boxed(text), _statements(text)
    last, first = last_line(text, finish), first_line(text)
    found = [(choice_in(box, choices) if box else None, "boxed")]
    found += [(choice_in(statement, choices), "stated") for statement in reversed(statements)]
    if not letter_alone(last, choices):
        found.append((letter_alone(first, choices), "first line"))
        found.append((choice_at_start(begun, choices), "stated"))
    found.append((choice_in(last, choices), "last line"))
    for letter, reason in found:
        if letter:
            return Extraction(letter, reason)
    if box is not None:
        return Extraction(shown(box), "boxed")
    return Extraction(shown(statements[-1]), "stated") if statements else _nothing(finish)


def _after(prefix: str, text: str) -> tuple[str, str]:
    """An answer without thinking and markers, and its first line where `prefix` begins a statement.

    That line is empty where the prefix begins none, where other text is in between, and where the
    line only announces what follows: the first of a list, or with a colon at its end.
    """
    opening = next((m for m in _STATED.finditer(f"{prefix} 0") if m.end() > len(prefix)), None)
    prefix = prefix[opening.start() :] if opening else ""
    whole = without_thinking(prefix + text)
    if not prefix or not whole.startswith(prefix):
        return without_thinking(text), ""
    text = whole[len(prefix) :]
    line = first_line(text)
    # a prefix "the answer is" begins no statement before "not 5"
    is_statement = _STATED.match(prefix + text) and not _ANNOUNCES.search(line)
    return text, line if is_statement else ""


def _nothing(finish: str) -> Extraction:
    return Extraction(None, "truncated" if finish == "length" else "none")


def without_thinking(text: str) -> str:
    """An answer from where its last thinking ends to where its turn ends, without markers.

    Where nothing follows the end of the thinking, what was written before it counts.
    """
    text = next((part for part in reversed(_THINKING_ENDS.split(text)) if part.strip()), "")
    text = _THINKING_STARTS.split(text, maxsplit=1)[0]
    before = (text[: ending.start()] for ending in _TURN_ENDS.finditer(text))
    return _MARKER.sub("\n", next((part for part in before if part.strip()), text))


def _statement(text: str) -> str | None:
    return next(reversed(_statements(text)), None)


def _statements(text: str) -> list[str]:
    """What follows every "Answer:" and "the answer is", to the end of its line or formula."""
    found = []
    openings = list(_STATED.finditer(text))
    ends = [opening.start() for opening in openings[1:]] + [len(text)]
    for opening, end in zip(openings, ends, strict=False):
        following = text[opening.end() : end]
        ending = _DISPLAY.get(following[:2])
        statement, closed, _ = following[2:].partition(ending) if ending else ("", "", "")
        if not closed:
            statement = following.partition("\n")[0]
            statement = _ITEM.sub("", statement) if "\n" in opening[0] else statement
        found.append(statement.strip())
    return [statement for statement in found if statement.strip("*_ ")]


def last_line(text: str, finish: str = "eos") -> str:
    """The last line of a text that says anything, or its last formula if that ends it.

    Empty where the text was cut off (`finish` is `length`).
    """
    end = 0 if finish == "length" else len(text)
    while end > 0 and _RULE.fullmatch(text, text.rfind("\n", 0, end) + 1, end):
        end = text.rfind("\n", 0, end)
    text = text[: max(end, 0)].rstrip()
    for opening, ending in _DISPLAY.items():
        if text.endswith(ending):
            return text[:-2].rpartition(opening)[2].strip()
    return _ITEM.sub("", text.rpartition("\n")[2])


def first_line(text: str) -> str:
    """The first line of a text that is not blank; empty where there is none."""
    line = text.lstrip()
    begins = "\n" in text[: len(text) - len(line)]  # else "- 5" may be a number
    line = line.partition("\n")[0].strip()
    return _ITEM.sub("", line) if begins else line


def shown(text: str, most: int = _SHOWN) -> str:
    """A text on one line, cut to a length that a reader of grades can take in."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + "…"
