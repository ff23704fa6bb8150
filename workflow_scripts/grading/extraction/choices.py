r"""Which choice a text names: by its letter, in the forms that models write, or by its own text.

The prompt names choices A), B), ... in their order.
"""

import re
from collections.abc import Sequence

from workflow_scripts.grading.extraction.statements import Extraction, believed, nothing, shown

_FONTS = re.compile(r"\\(?:text[a-z]{0,2}|math[a-z]{1,4}|boldsymbol|bm|mbox)\s*+\{([^{}]*)\}")
_ORNAMENT = re.compile(r"\\[$,;:! ()\[\]]|[$*_`\"'{}#→⇒✅✓✔]|\\(?:q?quad|bf|rm|it|sf)(?![A-Za-z])")
_ALONE = re.compile(
    r"(?:(?:option|choice|answer|letter)\s*+:?\s*+)?[(\[]?\s*([A-Za-z])\s*[)\]]?\s*[.:,]?",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:(?:option|choice|answer)\s*+)?[(\[]?([A-Z])(?:[)\]][.:]?|[.:]|\s+[-–—])\s", re.I
)
_LETTER = r"[(\[]?\b([A-Z])(?![A-Za-z'])[)\]]?"
_SURELY = r"(?:(?:therefore|thus|indeed|clearly|definitely)\s+)?"
_IS = r"(?:is|are|must\s+be|would\s+be|should\s+be|has\s+to\s+be)\s+"
# clear statements, and then those that are one where no other letter is in sight
_CORRECT = re.compile(
    rf"{_LETTER}\s+{_IS}{_SURELY}(?:the\s+)?(?:only\s+)?(?:correct\b|right\b|best\b|answer\b)"
)
_NAMED = re.compile(
    rf"\b(?:option|choice|answer|letter|[Cc]orrect\s*+:)\s*+(?:is\s++)?:?\s*+{_LETTER}"
)
_BRACKETED = re.compile(r"\(([A-Z])\)")
_LAST_WORD = re.compile(
    r"\b(?i:is|be|but|so|thus|hence|therefore|indeed|choose|select|pick|say|go(?:ing)?\s+with)"
    rf"\s*+[:,]?\s*+{_LETTER}\s*[.!]?$"
)
_FIRST_WORD = re.compile(
    rf"{_LETTER}(?:[,;](?!\s*(?:and\s+|or\s+)?[(\[]?[A-Z](?![A-Za-z']))|\s+as\b)"
)
_SUBJECT = re.compile(rf"{_LETTER}\s+is\b")

# what a statement says beside its choice: other letters with a "not", and reasons
_LETTERS = r"(?:(?:option|choice|answer)s?\s+)?[(\[]?\b[A-Z](?![A-Za-z'])[)\]]?"
_OTHERS = rf"{_LETTERS}(?:\s*(?:,|\bn?or\b|\band\b)\s*{_LETTERS}){{0,9}}"
_NO = (
    r"(?:not|cannot|never|neither|nor|exclud(?:es?|ed|ing)|eliminat(?:es?|ed|ing)"
    r"|rul(?:es?|ed|ing)\s+out)"
)
_DENIED = re.compile(
    rf"(?:\b{_NO}|n t|n['’]t)\s+(?:be\s+)?(?:the\s+(?:correct\s+|right\s+)?)?{_OTHERS}"
    rf"|{_OTHERS}\s+(?:cannot\b|(?:is|are|was|were|can)\s+(?:be\s+)?(?:\w+ly\s+)?(?:the\s+)?"
    r"(?:wrong|incorrect|false|impossible|excluded|eliminated|ruled\s+out|not\b|too\b))"
)
_BESIDE_FIRST = re.compile(
    r"(?:(?<=[.;] )|^)(?:although|though|even\s+though|while|whereas|because|since)\b"
    r"[^,.;]{0,200}+,",
    re.I,
)
_BESIDE = re.compile(
    r"\b(?:although|though|while|whereas|because|since|rather\s+than|instead\s+of|unlike)\b"
    r"(?:(?!\b(?:so|thus|hence|therefore)\b)[^.;])*+"
)


def extract_choice(text: str, finish: str, choices: Sequence[str], prefix: str = "") -> Extraction:
    """The letter of the choice that an answer states, by letter or by the choice's own text.

    A box or statement that names no choice (a value on the way) does not end the search.
    """
    other = None
    for statement in believed(text, finish, prefix):
        if statement.alone:
            letter = letter_alone(statement.text, choices)
        elif statement.begins:
            letter = choice_at_start(statement.text, choices)
        else:
            letter = choice_in(statement.text, choices)
        if letter:
            return Extraction(letter, statement.form)
        if statement.form in ("boxed", "stated") and not statement.begins:
            other = other or Extraction(shown(statement.text), statement.form)
    return other or nothing(finish)


def letter_alone(text: str, choices: Sequence[str]) -> str | None:
    """The letter that a text is and nothing else; `option C` and `(c)` are that letter too."""
    return _alone(_plain(text), choices)


def choice_in(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the one choice that a statement names; None where it names none or several."""
    claim = _claim(text)
    if letter := _whole_or_label(text, claim, choices):
        return letter
    correct, named, bracketed, last = (
        {found for found in pattern.findall(claim) if _in_range(found, choices)}
        for pattern in (_CORRECT, _NAMED, _BRACKETED, _LAST_WORD)
    )
    for patterns in ((correct, named), (bracketed, last)):
        letters = set().union(*(letters for letters in patterns if len(letters) == 1))
        if letters:
            return letters.pop() if len(letters) == 1 else None
    return _first(_FIRST_WORD, claim, choices) or _first(_SUBJECT, claim, choices)


def choice_at_start(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the choice that a text is or starts with."""
    claim = _claim(text)
    return _whole_or_label(text, claim, choices) or _first(_FIRST_WORD, claim, choices)


def _whole_or_label(text: str, claim: str, choices: Sequence[str]) -> str | None:
    plain = _plain(text)
    letter = _alone(plain, choices) or _choice_of_text(plain, choices) or _alone(claim, choices)
    match = None if letter else _LABEL.match(claim)
    return _in_range(match[1], choices) if match and match[1].isupper() else letter


def _first(pattern: re.Pattern[str], claim: str, choices: Sequence[str]) -> str | None:
    match = pattern.match(claim)
    return _in_range(match[1], choices) if match else None


def _alone(plain: str, choices: Sequence[str]) -> str | None:
    match = _ALONE.fullmatch(plain)
    return _in_range(match[1].upper(), choices) if match else None


def _claim(text: str) -> str:
    """What a statement claims: without its reasons and the letters that it says are not right."""
    claim = _plain(text)
    for beside in (_BESIDE_FIRST, _BESIDE, _DENIED):
        claim = beside.sub(" ", claim)
    return " ".join(claim.split())


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
