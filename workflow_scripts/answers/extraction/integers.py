"""How numbers are written in a text, and which whole number a text is, if it is one.

No arithmetic is done. Every step takes time linear in the text.
"""

import re

from workflow_scripts.answers.comparison.notation import clean
from workflow_scripts.answers.comparison.units import without_unit

DIGITS = str.maketrans("０１２３４５６７８９", "0123456789")
_MINUS = str.maketrans(dict.fromkeys("−﹣－‐‑–", "-"))
_GAPS = r"(?:\{,\}|\\[,!]|['’\u2009\u202f\u00a0 ])"  # between thousands, as signs that are no comma
_THOUSANDS = re.compile(rf"(?<![0-9.,])([0-9]{{1,3}})((?:{_GAPS}[0-9]{{3}})+)(?![0-9])")
_ANY_GAP = re.compile(_GAPS)
_DEGREES = re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|°")
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|boldsymbol|mbox)\s*\{([^{}]*)\}")
_ORNAMENT = re.compile(r"\\[$%,;:! ()\[\]]|[$%`]")
# emphasis leans on a word on one side only, a product on both or on neither
_EMPHASIS = re.compile(
    r"(?<![^\s(\[\"'])(?<![*_])[*_]{1,3}(?=[^\s*_])"
    r"|(?<=[^\s*_])[*_]{1,3}(?![*_])(?![^\s.,;:!?)\]\"'])"
)
_WHOLE = re.compile(r"([+-]?)\s*((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.0+)?)\.?")
_HAS_UNIT = re.compile(r"[-+]?[0-9][0-9.,]*[\s\\A-Za-z].*", re.DOTALL)
_MAX_LENGTH = 200  # characters of a number with its unit

_ONES = re.findall(
    "[a-z]+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen",
)
_TENS = re.findall("[a-z]+", "twenty thirty forty fifty sixty seventy eighty ninety")
IN_WORDS = rf"(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_ONES[1:10])}))?|{'|'.join(_ONES[::-1])}"

_VULGAR = "[¼-¾⅐-⅞]"
# a number and what is part of it: money, thousands, a fraction, a time, an end like `th` or `km`
NUMBER = (
    r"(?:(?:US)?(?:\\?\$|[€£¥])\s?)?"
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:[ '’\u2009\u202f\u00a0][0-9]{3})+)(?![0-9])"
    r"(?:\.[0-9]+)?|[0-9]+(?:[.,][0-9]+)*|\.[0-9]+)"
    rf"(?::[0-9]{{2}}(?![0-9]))*(?:\s[0-9]+/[0-9]+(?![0-9/])|\s?{_VULGAR})?"
    rf"(?:(?:[A-Za-z]{{2,}}|\s?\\?%|°|[²³¹⁰⁴-⁹]+|_(?:[0-9]+|\{{[0-9]+\}}))(?![A-Za-z]))?|{_VULGAR}"
)


def whole_number(text: str) -> str | None:
    """The number that `text` is, in plain form; None where it is anything else or more.

    Units, dollar signs, degrees, percent signs, thousands separators and a decimal part of zeros
    are allowed around it; a million is a factor. Plain form: no leading zeros, no sign but a minus,
    and 0 without one. Digits stay text, for they can be more than an int is willing to parse.
    """
    plain = _plain(text)
    match = _WHOLE.fullmatch(plain)
    if match is None and len(plain) < _MAX_LENGTH and _HAS_UNIT.fullmatch(plain):
        match = _WHOLE.fullmatch(without_unit(clean(plain))[0])
    return _plain_form(match[0]) if match else None


def in_figures(text: str) -> str:
    """A number in words as it is written in figures, and thousands without signs between them."""
    found = re.fullmatch(IN_WORDS, text.strip(), re.IGNORECASE)
    if found is None:
        return _joined(text)
    tens, _, ones = re.sub(r"[\s-]+", " ", found[0].lower()).partition(" ")
    value = _ONES.index(tens) if tens in _ONES else 10 * _TENS.index(tens) + 20
    return str(value + (_ONES.index(ones) if ones else 0))


def _joined(text: str) -> str:
    return _THOUSANDS.sub(lambda match: match[1] + _ANY_GAP.sub("", match[2]), text)


def _plain(text: str) -> str:
    """`text` with one kind of minus sign and digits, and without units and ornament."""
    text = _joined(text.translate(_MINUS).translate(DIGITS))
    text = _TEXT.sub(lambda match: match[1] if re.search("[0-9]", match[1]) else match[0], text)
    text = _ORNAMENT.sub("", _DEGREES.sub("", text))
    return _EMPHASIS.sub("", text).strip()


def _plain_form(number: str) -> str:
    digits = re.sub("[^0-9]", "", number.partition(".")[0]).lstrip("0") or "0"
    return f"-{digits}" if "-" in number and digits != "0" else digits
