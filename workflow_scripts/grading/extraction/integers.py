"""Which whole number a text states: one, or none. No arithmetic is done.

No number is picked out of a fraction, a power or a root. Every step takes time linear in the text.
"""

import re
from collections import deque

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
_CONTINUES = re.compile(rf"\s*+(?:{_OPERATOR}|=|,?\s*+(?:and|or|to)\s++[0-9$\\{_HOLE}-])")
_OPERAND_BEFORE = re.compile(rf"[0-9A-Za-z)\]}}{_HOLE}]\s*{_OPERATOR}\s*$")
_OPERATOR_AFTER = re.compile(r"\s*+(?:[+*×÷·/^]|\\(?:times|cdot|div|pm)\b)")
# "is not 5", "less than 5", "negative 5", "3 or 5", "between 3 and 5": no statement of 5
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|nor|cannot|than|negative|minus)|n['’]t)\s+(?:be\s+)?(?:equal\s+to\s+)?$"
    r"|[0-9]\s+(?:and|or|to)\s+$"
)
_ITEMS = re.compile(r"[,;]|\b(?:and|or)\b")
_NAMED = re.compile(r"[\s$*(]*[A-Za-z]\s*=")
_REACH = 24  # characters before a number that are searched for what makes it none


def whole_number(text: str) -> str | None:
    """The number that `text` is, in plain form; None where it is anything else or more.

    Dollar signs, text that is a unit, degrees, percent signs, thousands separators and a decimal
    part of zeros are allowed around it. Plain form: no leading zeros, no sign but a minus, and 0
    without one. Digits stay text, for they can be more than an int is willing to parse.
    """
    match = _WHOLE.fullmatch(_plain(text))
    return _plain_form(match[0]) if match else None


def _plain(text: str) -> str:
    """`text` with one kind of minus sign and digits, and without units and ornament."""
    text = _THOUSANDS.sub("", text.translate(_MINUS))
    text = _TEXT.sub(lambda match: match[1] if re.search("[0-9]", match[1]) else " ", text)
    text = _ORNAMENT.sub("", _DEGREES.sub("", text))
    return _EMPHASIS.sub("", text).strip()


def first_or_last(text: str) -> str | None:
    """The number that a statement starts with, unless it goes on calculating; else its last one.

    None for several values with names of their own (`x = 1, y = 5`), of which it says no one.
    """
    items = [item for item in _ITEMS.split(text) if item.strip()]
    are_named = len(items) > 1 and all(map(_NAMED.match, items))
    return at_start(text) or (None if are_named else last_in(text))


def at_start(text: str) -> str | None:
    """The number that a statement starts with, unless it goes on calculating or lists more."""
    masked = _without_expressions(_plain(text))
    first = _NUMBER.match(masked)
    goes_on = first and _CONTINUES.match(masked, first.end())
    return _plain_form(first[0]) if first and not goes_on else None


def last_in(text: str) -> str | None:
    """The last number in a text, unless it is part of a calculation that was not carried out."""
    masked = _without_expressions(_plain(text))
    last = next(iter(deque(_NUMBER.finditer(masked), maxlen=1)), None)
    if last is None or _OPERATOR_AFTER.match(masked, last.end()):
        return None
    before = masked[max(0, last.start() - _REACH) : last.start()]
    denied = _OPERAND_BEFORE.search(before) or _DENIED_BEFORE.search(before)
    return None if denied else _plain_form(last[0])


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


def _plain_form(number: str) -> str:
    digits = re.sub("[^0-9]", "", number.partition(".")[0]).lstrip("0") or "0"
    return f"-{digits}" if "-" in number and digits != "0" else digits
