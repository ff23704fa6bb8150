r"""The boxes of an answer: `\boxed{42}`, and what else is taken for one. Linear in the text."""

import re
from typing import NamedTuple

_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\[{}]|[{}]")
_UNBRACED = re.compile(r"\\(?:boxed|fbox)\s*(?![{\s])(\\?[A-Za-z]+|[^\s$\\{}]+)")
OPEN_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BETWEEN = re.compile(r"(?:[\s,;$&]|\\[,;:()\[\] ]|\\q?quad|\\text\s*\{\s*(?:and|or)\s*\}|and|or)*")


class _Box(NamedTuple):
    """A box from the start of its command to its closing brace."""

    start: int
    content: str
    end: int


def box_groups(text: str) -> list[tuple[str, int, int]]:
    r"""What is in every `\boxed{}` whose braces balance, and where it starts and ends.

    Boxes with nothing but commas, "and" or "or" between them are one, with commas between.
    `\fbox{}` counts as well, and so does `\boxed 7` where nothing has braces. A box that is empty
    or was cut off does not count, nor do braces that LaTeX escapes.
    """
    boxes, _ = _boxes(text)
    if not boxes:
        return [(match[1], *match.span()) for match in _UNBRACED.finditer(text)]
    groups: list[list[_Box]] = []
    for box in boxes:
        between = text[groups[-1][-1].end + 1 : box.start] if groups else "\n"
        if "\n" in between or not _BETWEEN.fullmatch(between):
            groups.append([])
        groups[-1].append(box)
    return [
        (", ".join(dict.fromkeys(b.content.strip() for b in group)), group[0].start, group[-1].end)
        for group in groups
    ]


def is_cut_in_box(text: str) -> bool:
    """Whether the last box that opens has no end: what is in it is a beginning."""
    return _boxes(text)[1]


def _boxes(text: str) -> tuple[list[_Box], bool]:
    """Boxes whose braces balance, in order, of nested ones the innermost; and whether one is cut.

    That is the last one that opens.
    """
    opened: list[re.Match[str] | None] = []  # the command of a box; None for a plain brace
    found: list[_Box] = []
    last = None
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
            last = match
            opened.append(match)
    return found, last is not None and last in opened
