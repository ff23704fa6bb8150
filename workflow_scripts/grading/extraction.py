r"""Where in an answer its final statement stands, and which whole number it states.

A model states its answer in a box (`\boxed{42}`), after "Answer:" or "Final Answer:", or bare in
its last line; the first of these that there is counts, and of several of its kind the last. What
is stated is one whole number or it is none: no arithmetic is done, and no number is picked out of
a fraction, a power or a root. Every step takes time linear in the text.
"""

import re
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Extraction:
    """What an answer states: a whole number in plain decimal form, else the words that stand there.

    `extracted` is None where no statement was found. `reason` says where it was found: `boxed`,
    `stated`, `last line`, `none`, or `truncated` where there is none and the answer was cut off.
    """

    extracted: str | None
    reason: str


_SHOWN = 100  # characters of a statement that is no whole number

_BRACE = re.compile(r"\\boxed\s*+\{|\\[{}]|[{}]")
_STATED = re.compile(r"\b(?:final\s+)?answer[\s*_]*+[:：][\s*_]*+", re.IGNORECASE)

_MINUS = str.maketrans(
    dict.fromkeys("−﹣－‐‑–", "-") | dict(zip("０１２３４５６７８９", "0123456789", strict=True))
)
_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|\\[,!]|[\u2009\u202f\u00a0])(?=[0-9]{3}(?![0-9]))")
_DEGREES = re.compile(r"\^\s*+(?:\\circ|\{\s*+\\circ\s*+\})|°")
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|boldsymbol|mbox)\s*+\{([^{}]*)\}")
_ORNAMENT = re.compile(r"\\[$%,;:! ()\[\]]|[$%`]")
# emphasis leans on a word on one side only, a product on both or on neither
_EMPHASIS = re.compile(r"(?<![^\s(\[\"'])[*_]++(?=\S)|(?<=\S)(?<![*_])[*_]++(?![^\s.,;:!?)\]\"'])")

# parts of an expression whose digits are not a number by themselves
_COMMAND = re.compile(r"\\(?:[dtc]?frac|[dt]?binom|sqrt)(?![A-Za-z])\s*+")
_WORD = r"(?<![0-9A-Za-z.,])[0-9A-Za-z][0-9A-Za-z.,]*+"
_ARGUMENT = r"(?:\{[^{}]*+\}|[+-]?[0-9A-Za-z]++)"
_SCRIPT = re.compile(rf"(?:{_WORD}|[)\]}}])(?:\s*+\^\s*+|_){_ARGUMENT}|{_WORD}(?=[⁰¹²³⁴-⁹])")
_RATIO = re.compile(r"(?<![0-9A-Za-z.,])[0-9][0-9.,]*+\s*+/\s*+(?=[0-9A-Za-z(\\{])[0-9A-Za-z.,]*+")
_HOLE = "\0"

_PLAIN = r"(?:[0-9]{1,3}(?:,[0-9]{3})++(?![0-9])|[0-9]++)(?:\.0++(?![0-9]))?"
_WHOLE = re.compile(rf"([+-]?)\s*+({_PLAIN})\.?")
_NUMBER = re.compile(
    rf"(?<![0-9A-Za-z_.,/])(?:(?<![0-9A-Za-z)\]}}])-|(?<=[=:(])\s*+-\s*+)?{_PLAIN}"
    r"(?![0-9_\0]|[.,][0-9]|[A-Za-z](?![A-Za-z])|\\[A-Za-z])"
)
_OPERATOR = r"(?:[+*×÷·/-]|\\(?:times|cdot|div|pm)\b)"
_CONTINUES = re.compile(rf"\s*+(?:{_OPERATOR}|=)")
_OPERAND_BEFORE = re.compile(rf"[0-9A-Za-z)\]}}{_HOLE}]\s*{_OPERATOR}\s*$")
_OPERATOR_AFTER = re.compile(r"\s*+(?:[+*×÷·/^]|\\(?:times|cdot|div|pm)\b)")
_REACH = 16  # characters before a number that are searched for an operator


def extract_integer(text: str, finish: str) -> Extraction:
    """The whole number that an answer states. `finish` is the answer's (`eos` or `length`).

    A statement that is no whole number is returned as it stands (its first 100 characters), so
    that it can be read beside the grade.
    """
    box = boxed(text)
    if box is not None:
        number = whole_number(box.rsplit("=", 1)[-1])  # a box may say what it holds: x = 42
        return Extraction(number or _shown(box), "boxed")
    statement = stated(text)
    if statement is not None:
        number = whole_number(statement) or _first_or_last(statement)
        return Extraction(number or _shown(statement), "stated")
    number = _last(_plain(last_line(text)))
    if number is not None:
        return Extraction(number, "last line")
    return Extraction(None, "truncated" if finish == "length" else "none")


def boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{}` whose braces balance; None where there is none.

    A box that is empty or was cut off does not count, nor do braces that LaTeX escapes.
    """
    opened: list[int | None] = []  # where the content of a box starts; None for a plain brace
    last: tuple[int, int] | None = None
    for match in _BRACE.finditer(text):
        found = match.group()
        if found == "}":
            start = opened.pop() if opened else None
            # of two boxes inside one another the inner one starts later, and counts
            inner = start is not None and (last is None or start > last[0])
            if inner and not text[start : match.start()].isspace() and start < match.start():
                last = (start, match.start())
        elif found == "{":
            opened.append(None)
        elif len(found) > 2:
            opened.append(match.end())
    return text[last[0] : last[1]] if last else None


def stated(text: str) -> str | None:
    """The line after the last "Answer:" or "Final Answer:" that anything follows."""
    last = None
    for statement in _STATED.split(text)[1:]:
        last = statement.split("\n", 1)[0].strip() or last
    return last


def last_line(text: str) -> str:
    """The last line of a text in which anything stands; empty where there is none."""
    return text.rstrip().rsplit("\n", 1)[-1]


def whole_number(text: str) -> str | None:
    """The number that `text` is, in plain form; None where it is anything else or more.

    Dollar signs, text that is a unit, degrees, percent signs, thousands separators and a decimal
    part of zeros are allowed around it. Plain form: no leading zeros, no sign but a minus, and 0
    without one. Digits stay text, for they can be more than an int is willing to parse.
    """
    match = _WHOLE.fullmatch(_plain(text))
    return _canonical(match[1], match[2]) if match else None


def _plain(text: str) -> str:
    """`text` with one kind of minus sign and digits, and without units and ornament."""
    text = _THOUSANDS.sub("", text.translate(_MINUS))
    text = _TEXT.sub(lambda match: match[1] if re.search("[0-9]", match[1]) else " ", text)
    text = _ORNAMENT.sub("", _DEGREES.sub("", text))
    return _EMPHASIS.sub("", text).strip()


def _first_or_last(text: str) -> str | None:
    """The number that a statement starts with, unless it goes on calculating; else its last one."""
    text = _plain(text)
    masked = _without_expressions(text)
    first = _NUMBER.match(masked)
    if first and not _CONTINUES.match(masked, first.end()):
        return _number(first.group())
    return _last(text)


def _last(text: str) -> str | None:
    """The last number in `text`, unless it is part of a calculation that was not carried out."""
    masked = _without_expressions(text)
    last = next(iter(deque(_NUMBER.finditer(masked), maxlen=1)), None)
    if last is None or _OPERATOR_AFTER.match(masked, last.end()):
        return None
    before = masked[max(0, last.start() - _REACH) : last.start()]
    return None if _OPERAND_BEFORE.search(before) else _number(last.group())


def _without_expressions(text: str) -> str:
    """`text` with a hole for every fraction, root, power and index."""
    closing = _closing_braces(text)
    parts, done = [], 0
    for match in _COMMAND.finditer(text):
        if match.start() < done:
            continue  # inside the one before
        end = match.end()
        for _ in range(2):
            if end in closing:
                end = closing[end] + 1
            elif end < len(text) and text[end].isalnum():
                end += 1
        parts += [text[done : match.start()], _HOLE]
        done = end
    masked = "".join(parts) + text[done:]
    return _RATIO.sub(_HOLE, _SCRIPT.sub(_HOLE, masked))


def _closing_braces(text: str) -> dict[int, int]:
    """Position of every brace or bracket that opens a group to that of the one that closes it."""
    opened: list[int] = []
    closing = {}
    for match in re.finditer(r"[{}\[\]]", text):
        if match.group() in "{[":
            opened.append(match.start())
        elif opened:
            closing[opened.pop()] = match.start()
    return closing


def _number(text: str) -> str:
    sign = "-" if "-" in text else ""
    return _canonical(sign, text.replace("-", "").strip())


def _canonical(sign: str, digits: str) -> str:
    digits = digits.split(".")[0].replace(",", "").lstrip("0") or "0"
    return f"-{digits}" if sign == "-" and digits != "0" else digits


def _shown(text: str) -> str:
    """A statement on one line, cut to a length that a reader of grades can take in."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
