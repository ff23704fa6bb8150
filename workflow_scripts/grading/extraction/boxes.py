r"""The boxes of an answer: `\boxed{42}`, and what else stands for one. Linear in the text."""

import re
from typing import NamedTuple

_BRACE = re.compile(r"\\(?:boxed|fbox)\s*+\{|\\[{}]|[{}]")
_UNBRACED = re.compile(r"\\(?:boxed|fbox)\s*+(?![{\s])(\\?[A-Za-z]+|[^\s$\\{}]+)")
OPEN_BOX = re.compile(r"\\(?:boxed|fbox)\s*+\{")
_BETWEEN = re.compile(
    r"(?:[\s,;$&]|\\[,;:()\[\] ]|\\q?quad|\\text\s*\{\s*(?:and|or)\s*\}|and|or)*+"
)


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


def is_cut_in_box(text: str) -> bool:
    """Whether the last box that opens has no end: what stands in it is a beginning."""
    starts = [match.end() for match in OPEN_BOX.finditer(text)]
    depth = 1 if starts else 0
    for match in _BRACE.finditer(text, starts[-1] if starts else len(text)):
        depth += {"}": -1, r"\{": 0, r"\}": 0}.get(match.group(), 1)
        if depth == 0:
            return False
    return bool(starts)
