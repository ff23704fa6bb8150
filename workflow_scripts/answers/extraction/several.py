r"""Which choices an answer states where several may be right: a set of letters.

    \boxed{A, B, D}     The correct options are (A) and (C).     Die Antworten sind A und C.     ABD

Read as a single choice is (`choices`), but what joins letters joins them here: "A and C" are both.
A list about the answer ("the answers are A and C") counts before what is said of options one by one
("A is correct. B is not."), which adds up. "A or C" leaves open which, and states nothing.
"""

import re
from collections.abc import Sequence

from workflow_scripts.answers.extraction.choices import (
    LONGEST,
    MOST,
    Line,
    after_lead,
    good_items,
    lines_of,
)
from workflow_scripts.answers.extraction.claims import (
    all_of,
    called_answer,
    called_right,
    claim_of,
    concluded,
    concludes,
    denied,
    is_denied,
    is_open,
    retracts,
    sentences,
)
from workflow_scripts.answers.extraction.lead_ins import LANGUAGES, lead_ins
from workflow_scripts.answers.extraction.mentions import NAMES, SIGN, letters, marked
from workflow_scripts.answers.extraction.options import Option, option_of, options_of, plain
from workflow_scripts.answers.extraction.statements import (
    Extraction,
    after_prefix,
    believed,
    nothing,
    shown,
)

OPEN = frozenset()  # where it is left open which of several options is meant


def _joins(field: str) -> re.Pattern[str]:
    """A letter and what joins it with the next one, in any language."""
    rows = LANGUAGES.values()
    spaced = "|".join(getattr(row, field) for row in rows if row.spaced)
    other = "|".join(getattr(row, field) for row in rows if not row.spaced)
    return re.compile(
        rf"((?<![A-Za-z0-9])[A-Z][)\]*_$}}]{{0,4}}),?(?:\s+(?:{spaced})\s+|\s*(?:{other})\s*)"
        r"(?:also\s+)?(?=(?:option\s+|\\text\s*)?[(\[*_${]{0,4}[A-Z](?![A-Za-z0-9]))",
    )


_AND, _OR = _joins("and_"), _joins("or_")
_SEMICOLON = re.compile(r"(?<![A-Za-z0-9])([A-Z][)\]]?)\s*;\s*(?=[(\[]?[A-Z](?![A-Za-z0-9]))")
_PLURALS = [
    (re.compile(rf"(?<!\w){several}(?!\w)", re.IGNORECASE), one)
    for row in LANGUAGES.values()
    for several, one in row.plurals
]
_IN_BRACKETS = re.compile(r"[(\[]([A-Z](?:\s*,\s*(?:and\s+)?[A-Z])+)[)\]]")
_SEVERAL_OPTIONS = re.compile(
    r"\b(?:options|choices|statements)(?=\s+[(\[*]{0,3}[A-Z](?![A-Za-z]))", re.I
)
_ALL = re.compile(r"(?<=\bare )(?:all|both|each|indeed) (?=correct|right|true)")
_EVERY = re.compile(
    r"\b[Aa]ll (?:of )?(?:the )?(?:four |given )?(?:options|choices|statements)"
    r"(?= are (?:correct|right|true)\b)"
)
_ONLY = re.compile(r"(?<=[A-Z)*]) (?:only|alone)(?=[\s.*]*$)", re.MULTILINE)
_ITEM = re.compile(
    r"^[ \t]{0,12}(?:[-*•+]|[0-9]{1,2}[.)])?[ \t]{0,12}[*_$]{0,3}(?:[Oo]ption\s+)?"
    r"[(\[]?([A-Z])(?:[)\].:*]|$)[^\n]*$",
    re.MULTILINE,
)
_LIST_BELOW = re.compile(  # `The correct options are:`, and a line for each
    r"(\b(?:correct|right|true|valid)\s+(?:options|answers|choices|statements)\b[^\n:]{0,60}:)"
    r"[*_ ]*\n+"
    rf"((?:{_ITEM.pattern}\n*){{1,26}})",
    re.MULTILINE,
)
_GLUED = r"(?<![A-Za-z0-9])([A-Z]{2,26})(?![A-Za-z0-9])"
_BEFORE_GLUED = r"[\s*_({\[$:：]{0,6}(?:\\(?:text|mathrm|mathbf)[a-z]*\{)?"
_GLUED_AT_START = re.compile(
    rf"{_BEFORE_GLUED}(?:(?:options?|choices?)\s+)?{_BEFORE_GLUED}{_GLUED}"
)
_GLUED_IN_PLACE = re.compile(
    rf"(?:\b[Oo]ptions?\b|\b[Cc]hoices?\b|选(?:项|項)?|選(?:项|項)?)\s?[(\[*]{{0,3}}{_GLUED}"
    rf"|{_GLUED}(?= (?:are|is) (?:all |both |the )?(?:correct|right|true|answer))"
)
_GLUED_ALONE = re.compile(
    r"^[^\w\n]{0,20}(?:(?:so|thus|hence|therefore|finally)\b)?[^\w\n]{0,10}"
    rf"{_GLUED}[^\w\n]{{0,20}}$",
    re.IGNORECASE | re.MULTILINE,
)
_WORDS_IN_BOX = re.compile(
    r"\b(?:options?|choices?|answers?|statements?|only|both|all|are|is|correct|right|true|the|and)\b",
    re.IGNORECASE,
)
_OF_OPTIONS = re.compile(r"\b(?:options|choices)\b", re.IGNORECASE)  # and no answer
_LIST_RANGE = re.compile(rf"[◆◇◈]({SIGN}) ?(?:[–—-]|\b(?:through|to)\b) ?[◆◇◈]({SIGN})")
_BOX_RANGE = re.compile(r"([A-Z])\s*(?:[–—-]|through|to)\s*([A-Z])")


def extract_choices(text: str, finish: str, choices: Sequence[str], prefix: str = "") -> Extraction:
    """The letters of the choices that an answer states, in their order and each once: `ABD`.

    Without `choices` these stand in the question, and are letters alone. What an answer states
    instead of letters is returned as it is.
    """
    options = options_of(tuple(choices) or None)
    first = next(believed(text, finish, prefix), None)
    if first and first.form == "boxed" and (found := _in_box(first.text, options)):
        return Extraction(found, "boxed")
    whole, begun = after_prefix(prefix, text)
    whole = f"Answer: {whole.lstrip()}" if begun else whole
    lines = lines_of(apart(whole[-MOST:], options), finish, options)
    found, form = _stated(lines, options)
    if found:
        return Extraction("".join(sorted(found)), form)
    if first and first.form in ("boxed", "stated") and found is None:
        said = shown(first.text)
        return (
            Extraction(said, first.form) if not _letters_alone(said, options) else nothing(finish)
        )
    return nothing(finish)


def apart(text: str, options: Sequence[Option]) -> str:
    """A text in which `ABD` is `A, B, D` where it stands for choices, and joined letters are joined
    by English words."""
    known = {option.letter for option in options}

    def spread(match: re.Match[str]) -> str:
        glued = next(filter(None, match.groups()))
        if not set(glued) <= known:
            return match[0]
        return match[0].replace(glued, ", ".join(glued))

    text = _LIST_BELOW.sub(lambda match: f"{match[1]} {', '.join(_ITEM.findall(match[2]))}\n", text)
    for pattern, word in ((_AND, "and"), (_OR, "or")):
        text = pattern.sub(rf"\1 {word} ", text)
    text = _IN_BRACKETS.sub(r"\1", _SEMICOLON.sub(r"\1, ", text))
    text = _EVERY.sub(", ".join(sorted(known)), _ONLY.sub("", text))
    text = _SEVERAL_OPTIONS.sub("option", _ALL.sub("", text))
    for several, one in _PLURALS:
        text = several.sub(one, text)
    text = _GLUED_IN_PLACE.sub(spread, _GLUED_ALONE.sub(spread, text))
    for _, end in reversed(lead_ins(text)):
        if match := _GLUED_AT_START.match(text, end):
            text = text[:end] + spread(match) + text[match.end() :]
    return text


def _in_box(box: str, options: Sequence[Option]) -> str | None:
    found = _letters_alone(box, options) or option_of(box, options)
    if found:
        return found
    text = claim_of(marked(apart(plain(box), options), options))
    listed = called_answer(text) or all_of(text)
    said = _set_of(listed) if listed else set().union(*map(_set_of, called_right(text)))
    return "".join(sorted(said)) or None


def _letters_alone(text: str, options: Sequence[Option]) -> str | None:
    """The letters that a text is and nothing else, in their order and each once."""
    known = "".join(option.letter for option in options)
    text = _AND.sub(r"\1, ", plain(text))
    if _OR.search(text):
        return None
    text = _WORDS_IN_BOX.sub(" ", text)
    if match := _BOX_RANGE.fullmatch(text.strip(" ().[]")):
        return _between(*match.groups()) if {*match.groups()} <= {*known} else None
    said = re.sub(r"[\W_]+", "", text)
    if not said or not (said.isupper() or said.islower()) or not set(said.upper()) <= set(known):
        return None
    return "".join(sorted(set(said.upper())))


def _between(one: str, other: str) -> str:
    """Every letter of a range; two that are neighbours, or in no order, are a pair."""
    return "".join(chr(n) for n in range(ord(one), ord(other) + 1)) if one < other else other + one


def _set_of(listed: str) -> frozenset[str]:
    """The letters of options that are listed in a claim; none where it says one of several."""
    if re.search(r"\b(?:or|maybe)\b", listed):
        return OPEN
    match = _LIST_RANGE.fullmatch(listed.strip())
    if match:
        return frozenset(_between(*(letters(sign).pop() for sign in match.groups())))
    return frozenset(letters(listed))


def _stated(lines: Sequence[Line], options: Sequence[Option]) -> tuple[frozenset[str] | None, str]:
    """The letters that are stated, and where; `OPEN` where it is left open which, else None."""
    names = any(NAMES.search(line.raw) for line in lines)
    answer: frozenset[str] | None = None
    right: set[str] = set()
    conclusions: list[frozenset[str]] = []
    free: list[Line] = []
    for line in lines:
        if not line.item:
            free.append(line)
        for sentence in sentences(line.text):
            if retracts(sentence) and not line.item:
                answer, right, conclusions, free = None, set(), [], []
            claim = claim_of(sentence)
            right -= denied(sentence)
            said = set().union(*map(_set_of, called_right(claim)))
            right |= said
            if answer and said and re.search(r"\balso\b", claim):
                answer |= said
            if listed := called_answer(claim):
                answer = _set_of(listed)
            elif not (said or line.item or _OF_OPTIONS.search(claim)) and concludes(claim, names):
                conclusions += [_set_of(listed)] if (listed := concluded(claim)) else []
        if not line.item and (found := _whole(line, options)) is not None:
            answer = found
    if answer is not None or right:
        return (answer if answer is not None else frozenset(right)), "stated"
    if good := good_items(lines):
        return frozenset(good), "stated"
    if len(set(conclusions)) == 1:
        return conclusions[0], "stated"
    for lines, form in ((free[-1:], "last line"), (free[:1], "first line")):
        if found := lines and _at_end(lines[0], names):
            return found, form
    return None, ""


def _whole(line: Line, options: Sequence[Option]) -> frozenset[str] | None:
    """The letters of the options that a line is and nothing else, or that its lead-in leads to."""
    if len(line.text) > LONGEST or is_denied(line.text) or is_open(line.text):
        return None
    if listed := all_of(line.text):
        return _set_of(listed)
    found = after_lead(line, options) or option_of(line.raw, options)
    return frozenset(found) if found else None


def _at_end(line: Line, names: bool) -> frozenset[str] | None:
    """The letters that a line concludes with, where nothing calls itself the answer.

    Where letters are `names` of other things, a letter alone is no option.
    """
    for sentence in reversed(sentences(line.text)):
        claim = claim_of(sentence)
        if (names and "◇" in claim) or _OF_OPTIONS.search(claim):
            return None
        if listed := concluded(claim):
            return _set_of(listed)
    return None
