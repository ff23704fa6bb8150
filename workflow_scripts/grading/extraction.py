r"""Where in an answer its final statement stands, and what it states.

What a model still thinks in its answer is cut away first, and so are the markers of its format. It
states its answer in a box (`\boxed{42}`), after "Answer:", "Final Answer:" or "the answer is", or
bare: in its last line, or in its first, which follows what the format itself says ("Final Answer:")
at the end of the prompt. The first of these that there is counts, and of several of its kind the
last. Every step takes time linear in the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from workflow_scripts.grading.choices import choice_in, letter_alone
from workflow_scripts.grading.integers import first_or_last, last_in, whole_number
from workflow_scripts.grading.prose import expression_in, is_bare


@dataclass(frozen=True)
class Extraction:
    """What an answer states: a number in plain decimal form, a letter, else the words as they are.

    `extracted` is None where no statement was found. `reason` says where it was found: `boxed`,
    `stated`, `last line`, `first line`, `none`, or `truncated` where there is none and the answer
    was cut off.
    """

    extracted: str | None
    reason: str


_SHOWN = 100  # characters of a statement that is no whole number

_THINKING_ENDS = re.compile(r"</think(?:ing)?>|<\|im_start\|>\s*answer\b")
_THINKING_STARTS = re.compile(r"<think(?:ing)?>|<\|im_start\|>\s*think\b")
_TURN_ENDS = re.compile(
    r"<\|im_end\|>|<\|endoftext\|>|<\|eot_id\|>|<\|im_start\|>\s*(?:user|system)\b"
)
_MARKER = re.compile(r"<\|[A-Za-z_]{1,30}\|>(?:\s*assistant\b)?")

_BRACE = re.compile(r"\\(?:boxed|fbox)\s*+\{|\\[{}]|[{}]")
_UNBRACED = re.compile(r"\\(?:boxed|fbox)\s*+(?![{\s])(\\?[A-Za-z]+|[^\s$\\{}]+)")
_OPEN_BOX = re.compile(r"\\(?:boxed|fbox)\s*+\{")
_BETWEEN = re.compile(r"(?:[\s,;$&]|\\[,;:()\[\]]|\\q?quad|\\text\s*\{\s*(?:and|or)\s*\}|and|or)*+")
_STATED = re.compile(
    r"\b(?:final\s+)?answer[\s*_]*+[:：][\s*_]*+"
    r"|\b(?:answer|option|choice)\s+(?:is|would\s+be|must\s+be|should\s+be)\b\s*+[:：]?[\s*_]*+"
    r"(?!(?:correct|right|wrong|incorrect|not|verified|valid|consistent|clear|therefore|then|in|as|"
    r"indeed|also|unique|reasonable|given|found|obtained|expected|confirmed|so|to|that|what)\b)",
    re.IGNORECASE,
)
_DISPLAY = {"\\[": "\\]", "$$": "$$"}


def extract_integer(text: str, finish: str) -> Extraction:
    """The whole number that an answer states. `finish` is the answer's (`eos` or `length`).

    A statement that is no whole number is returned as it stands (its first 100 characters), so
    that it can be read beside the grade.
    """
    text = without_thinking(text)
    box = boxed(text)
    if box is not None:
        number = whole_number(box.rsplit("=", 1)[-1])  # a box may say what it holds: x = 42
        return Extraction(number or shown(box), "boxed")
    statement = stated(text)
    if statement is not None:
        number = whole_number(statement) or first_or_last(statement)
        return Extraction(number or shown(statement), "stated")
    if _is_cut_in_box(text, finish):
        return _nothing(finish)
    last, first = last_line(text), first_line(text)
    if whole_number(last) is None and whole_number(first) is not None:
        return Extraction(whole_number(first), "first line")
    number = last_in(last)
    return Extraction(number, "last line") if number is not None else _nothing(finish)


def extract_expression(text: str, finish: str) -> Extraction:
    """The mathematical answer that an answer states, whole and as it is written there.

    Several boxes with nothing but commas, "and" or "or" between them are one answer.
    """
    text = without_thinking(text)
    boxes = last_boxes(text)
    if boxes:
        return Extraction(", ".join(boxes), "boxed")
    statement = stated(text)
    if statement is not None:
        return Extraction(expression_in(statement, from_start=True) or statement, "stated")
    if _is_cut_in_box(text, finish):
        return _nothing(finish)
    last, first = _OPEN_BOX.sub("", last_line(text)), first_line(text)
    if not is_bare(last) and is_bare(first):
        return Extraction(first, "first line")
    expression = expression_in(last, from_start=False)
    return Extraction(expression, "last line") if expression else _nothing(finish)


def extract_choice(text: str, finish: str, choices: Sequence[str]) -> Extraction:
    """The letter of the choice that an answer states, by letter or by the choice's own text."""
    text = without_thinking(text)
    box = boxed(text)
    if box is not None:
        return Extraction(choice_in(box, choices) or shown(box), "boxed")
    statements = _statements(text)
    for statement in reversed(statements):
        letter = choice_in(statement, choices)
        if letter:
            return Extraction(letter, "stated")
    last, first = last_line(text), first_line(text)
    letters = letter_alone(last, choices), letter_alone(first, choices)
    if letters[1] and not letters[0]:
        return Extraction(letters[1], "first line")
    letter = choice_in(last, choices)
    if letter:
        return Extraction(letter, "last line")
    return Extraction(shown(statements[-1]), "stated") if statements else _nothing(finish)


def _is_cut_in_box(text: str, finish: str) -> bool:
    """Whether the end of the answer's tokens fell into a box: what stands in it is a beginning."""
    starts = [match.end() for match in _OPEN_BOX.finditer(text)]
    if finish != "length" or not starts:
        return False
    depth = 1
    for match in _BRACE.finditer(text, starts[-1]):
        depth += {"}": -1, r"\{": 0, r"\}": 0}.get(match.group(), 1)
        if depth == 0:
            return False
    return True


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


def boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{}` whose braces balance; None where there is none.

    `\fbox{}` counts as well, and so does `\boxed 7` where nothing has braces. A box that is empty
    or was cut off does not count, nor do braces that LaTeX escapes.
    """
    boxes = _boxes(text)
    if boxes:
        return boxes[-1].content
    unbraced = _UNBRACED.findall(text)
    return unbraced[-1] if unbraced else None


def last_boxes(text: str) -> list[str]:
    """The contents of the last box and of those before it that are one statement with it."""
    boxes = _boxes(text)
    if not boxes:
        box = boxed(text)
        return [] if box is None else [box]
    together = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        between = text[box.end + 1 : together[0].start]
        if "\n" in between or not _BETWEEN.fullmatch(between):
            break
        together.insert(0, box)
    return list(dict.fromkeys(box.content.strip() for box in together))


class _Box(NamedTuple):
    """A box from the start of its command to its closing brace."""

    start: int
    content: str
    end: int


def _boxes(text: str) -> list[_Box]:
    """Boxes whose braces balance, in order; of nested ones only the innermost."""
    opened: list[re.Match[str] | None] = []  # the command of a box; None for a plain brace
    found: list[_Box] = []
    for match in _BRACE.finditer(text):
        sign = match.group()
        if sign == "}":
            box = opened.pop() if opened else None
            # of two boxes inside one another the inner one starts later, and counts
            if box and (not found or box.start() > found[-1].start):
                content = text[box.end() : match.start()]
                if content.strip():
                    found.append(_Box(box.start(), content, match.start()))
        elif sign == "{":
            opened.append(None)
        elif len(sign) > 2:
            opened.append(match)
    return found


def stated(text: str) -> str | None:
    """The line after the last "Answer:" or "the answer is" that anything follows."""
    statements = _statements(text)
    return statements[-1] if statements else None


def _statements(text: str) -> list[str]:
    """What follows every "Answer:" and "the answer is", to the end of its line or formula."""
    found = []
    for following in _STATED.split(text)[1:]:
        ending = _DISPLAY.get(following[:2])
        inside, closed, _ = following[2:].partition(ending) if ending else ("", "", "")
        statement = inside if closed else following.split("\n", 1)[0]
        found.append(statement.strip())
    return [statement for statement in found if statement.strip("*_ ")]


def last_line(text: str) -> str:
    """The last line of a text in which anything stands, or its last formula if that ends it."""
    text = text.rstrip()
    for opening, ending in _DISPLAY.items():
        if text.endswith(ending):
            start = text.rfind(opening, 0, -2)
            return text[start + 2 : -2].strip() if start >= 0 else text[:-2].strip()
    return text.rsplit("\n", 1)[-1]


def first_line(text: str) -> str:
    """The first line of a text in which anything stands; empty where there is none."""
    return text.lstrip().split("\n", 1)[0].strip()


def shown(text: str) -> str:
    """A statement on one line, cut to a length that a reader of grades can take in."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
