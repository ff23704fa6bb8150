r"""The mathematical expression in a sentence that states it.

So the area is $12\pi$ square meters.       12\pi
x = 5, because 2x = 10                      x = 5
"""

import re
from itertools import pairwise, takewhile

from workflow_scripts.grading.extraction.integers import first_or_last

_FORMULA = re.compile(
    r"(?<!\\)\$\$(.+?)\$\$|(?<!\\)\$([^$]+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.S
)
_SENTENCE_ENDS = re.compile(
    r"(?<=[^\s.])[.!?]\s+(?=[A-Z(\"'*$\\])"
    r"|[;,]?\s+(?:because|since|which|where|as\s+(?:required|desired|needed|we|it)|so\s|I\s+hope|"
    r"when|this|that|obtained|found|after)\b"
    r"|\s+\((?=[A-Za-z]{2,}\s)"
)
_OPENING = re.compile(
    r"(?:(?:so|thus|hence|therefore|then|and|we\s+(?:get|have|find)|it|this|that|there|here)\b[\s,]*)*"
    r"(?:(?:the|our|my)\s+)?(?:(?:final|correct|right)\s+)?(?:answer|result|value|solution)?s?\s*"
    r"(?:(?:is|are|equals|=|:)\s*(?:equal\s+to\s+)?:?\s+)",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}(?![A-Za-z{(])")
_MATHEMATICAL = "and or in mod sin cos tan cot sec csc log ln exp sqrt pi base inf infty infinity"
_END_VALUE = re.compile(
    r"(?:\b(?:is|are|be|equals?|to|of|get|gives?|obtain|have|find|=|:)\s+|=\s*|^)"
    r"(-?\s?[$€£]?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)(?:\s*/\s*[0-9]+)?(?:\s*%|(?:\s+[A-Za-z]+){0,3})?)"
    r"[.!\s]*$"
)
_JOINED = re.compile(r"[\s,;]*(?:and|or)?[\s,;]*")  # between formulas that are one expression
_MAX_LENGTH = 2000  # characters of a statement that are looked at
_MAX_WORDS = 3  # of an answer that is no sentence: `5 meters per second`
_MAX_WORDS_AT_START = 2  # of one that a text starts with: `5 square meters`
_EMPHASIS = " \t\n*_`"


def is_bare(text: str) -> bool:
    """Whether a line is an answer and nothing else: no sentence, and not only words."""
    return bool(text.strip()) and _words(text) == 0


def expression_in(text: str, from_start: bool) -> str | None:
    """The expression that a statement consists of, starts with (`from_start`) or ends with.

    None where there is none, unless the statement is a few words, which may be the answer.
    """
    text = (text[:_MAX_LENGTH] if from_start else text[-_MAX_LENGTH:]).strip(_EMPHASIS)
    if formulas := list(_FORMULA.finditer(text)):
        return _of_formulas(text, formulas, from_start)
    text = _SENTENCE_ENDS.split(text, maxsplit=1)[0] if from_start else text
    text = text.strip(_EMPHASIS).rstrip(".!?")
    opening = _OPENING.match(text)
    told = text[opening.end() :].strip(_EMPHASIS) if opening else text
    if _words(told) <= _MAX_WORDS and told:
        return told
    if value := _END_VALUE.search(text):
        return value[1].strip()
    return first_or_last(text) if from_start else None


def expression_at_start(line: str) -> str | None:
    """The expression or the one or two words that a line starts with; None where a sentence starts.

    The line follows "Final Answer:", but nothing says that the model has answered at once.
    """
    line = line.strip(_EMPHASIS)
    found = expression_in(line, from_start=True)
    if not found or not line.startswith(found) or re.fullmatch(r"\W*[A-Za-z]\W*", found):
        return None
    if not re.search("[0-9=^$\\\\]", found):  # only words
        return found if re.fullmatch(r"\w+\W?|\w+ \w+", line) else None
    ends = re.match(r"[\s*_`]*(?:[.,;:!(]|because\b|since\b|$)", line[len(found) :])
    begins = _FORMULA.match(found) or _words(found.split(maxsplit=1)[0]) == 0
    few = _words(_FORMULA.sub(" ", found)) <= _MAX_WORDS_AT_START
    return found if begins and few and ends else None


def _of_formulas(text: str, formulas: list[re.Match[str]], from_start: bool) -> str:
    outside = _FORMULA.sub(" ", text).strip(" .,;:!?*_`")
    if _words(outside) == 0 and not re.search("[0-9]", outside):
        return text
    opening = _OPENING.match(text)
    joined = [_JOINED.fullmatch(text[a.end() : b.start()]) for a, b in pairwise(formulas)]
    if from_start and formulas[0].start() <= (opening.end() if opening else 0):
        end = formulas[len(list(takewhile(bool, joined)))].end()
        unit = re.match(r"\s*(?:[A-Za-z]+\s*){0,3}(?=[.,;]|$)", text[end:])
        return text[formulas[0].start() : end + (unit.end() if unit else 0)].strip()
    start = formulas[-1 - len(list(takewhile(bool, reversed(joined))))].start()
    return text[start : formulas[-1].end()]


def _words(text: str) -> int:
    """How many words a text holds that are neither commands nor names of functions."""
    bare = re.sub(r"\\(?:text|mbox|mathrm|textbf)\s*\{[^{}]*\}|\\[A-Za-z]+", " ", text)
    return len([w for w in _WORD.findall(bare) if w.lower() not in _MATHEMATICAL.split()])
