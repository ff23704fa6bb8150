r"""Which choice a text names: by its letter, in the forms that models write, or by its own text.

The prompt names choices A), B), ... in their order.
"""

import re
from collections.abc import Sequence

_FONTS = re.compile(
    r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|boldsymbol|mbox)\s*+\{([^{}]*)\}"
)
_ORNAMENT = re.compile(r"\\[$,;:! ()\[\]]|[$*_`\"'{}]|\\q?quad(?![A-Za-z])")
_ALONE = re.compile(
    r"(?:(?:option|choice|answer|letter)\s*+:?\s*+)?[(\[]?\s*([A-Za-z])\s*[)\]]?\s*[.:,]?",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:(?:option|choice|answer)\s*+)?[(\[]?([A-Z])(?:[)\]][.:]?|[.:]|\s+[-–—])\s", re.I
)
_NAMED = re.compile(
    r"\b(?:option|choice|answer|letter)\s*+(?:is\s++)?:?\s*+[(\[]?([A-Z])(?![A-Za-z'])"
)
_BRACKETED = re.compile(r"\(([A-Z])\)")
_LAST_WORD = re.compile(r"\b(?:is|be|choose|select|pick)\s*+:?\s*+[(\[]?([A-Z])[)\]]?\s*[.!]?$")
_FIRST_WORD = re.compile(r"[(\[]?([A-Z])[)\]]?(?:[,;]|\s+(?:because|since|as|is)\b)")


def letter_alone(text: str, choices: Sequence[str]) -> str | None:
    """The letter that a text is and nothing else; `option C` and `(c)` are that letter too."""
    match = _ALONE.fullmatch(_plain(text))
    return _in_range(match[1].upper(), choices) if match else None


def choice_in(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the one choice that a statement names; None where it names none or several."""
    plain = _plain(text)
    letter = letter_alone(text, choices) or _choice_of_text(plain, choices)
    if letter:
        return letter
    match = _LABEL.match(plain)
    if match and match[1].isupper() and _in_range(match[1], choices):
        return match[1]
    for pattern in (_NAMED, _LAST_WORD, _BRACKETED):
        named = {found for found in pattern.findall(plain) if _in_range(found, choices)}
        if len(named) == 1:
            return named.pop()
    match = _FIRST_WORD.match(plain)
    return _in_range(match[1], choices) if match else None


def _plain(text: str) -> str:
    text = _FONTS.sub(lambda match: match[1], text)
    return " ".join(_ORNAMENT.sub(" ", text).split())


def _in_range(letter: str, choices: Sequence[str]) -> str | None:
    return letter if letter.isascii() and ord(letter) - ord("A") < len(choices) else None


def _choice_of_text(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the only choice whose text this is."""
    said = _squeezed(text)
    same = [n for n, choice in enumerate(choices) if said and _squeezed(_plain(choice)) == said]
    return chr(ord("A") + same[0]) if len(same) == 1 else None


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text).rstrip(".").lower()
