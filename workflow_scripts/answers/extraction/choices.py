r"""Which choice an answer states: by its letter, by its own text, or by its value.

The prompt names choices A), B), ... in their order. A box counts first; then what calls an option
the answer ("the answer is C", "I choose C", a line that is nothing but "C. 4.2 eV"), the last of
these; then a conclusion that names an option as one ("this agrees with option C"), where there is
but one; then what the last line or the first says. Nothing counts that is denied, asked or
imagined, that was taken back or cut off, or that belongs to a walk through the options.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workflow_scripts.answers.extraction.claims import (
    SEVERAL,
    alone,
    claim_of,
    concludes,
    is_denied,
    is_open,
    labelled,
    retracts,
    sentences,
    strong,
    weak,
)
from workflow_scripts.answers.extraction.lead_ins import CLOSING, LANGUAGES, lead_ins, words
from workflow_scripts.answers.extraction.mentions import NAMES, SIGN, letters, marked
from workflow_scripts.answers.extraction.options import (
    Option,
    letter_alone,
    option_of,
    options_of,
    plain,
)
from workflow_scripts.answers.extraction.prose import stated_value
from workflow_scripts.answers.extraction.statements import (
    Extraction,
    after_prefix,
    believed,
    nothing,
    shown,
)

_QUOTED = re.compile(r"^\s*>\s?")
_RULE = re.compile(r"(?:[-*_=`~#.:|\s]|\\[\[\]]|\$\$)*")  # a line that separates others
_FINISHED = re.compile(r".*[.!?。](?=\s)")  # the sentences of a line that was cut off, but the last
_HEADING = re.compile(r"[ \t]*[#*_]")
_BULLET = re.compile(r"\s*([-•+|]|[0-9]{1,2}[.)])?\s*")
_ITEM = re.compile(
    rf"[◆◇◈○]({SIGN})(?= ?(?:[).:|✓✗]|[–—-] )|\s*$)|◆({SIGN})(?! (?:is|was|seems)\b)"
)
# `(A) the gap is small`, where no option has a text that it could be known by
_BARE_ITEM = re.compile(rf"◈({SIGN})(?! (?:is|was|seems|and|or)\b)")
_GOOD_ITEM = re.compile(r"✓|\b(?:yes|correct|right|true|matches|fits|the answer)\b", re.IGNORECASE)
_BAD_ITEM = re.compile(r"✗|\b(?:not|no|incorrect|wrong|partially|if)\b|n't", re.IGNORECASE)
_IS = re.compile(words("is_", *LANGUAGES) + r"|=|≈|\\approx", re.IGNORECASE)
_NOT = re.compile(words("no", *LANGUAGES), re.IGNORECASE)
MOST = 20_000  # characters at the end of an answer that are read, but for boxes
LONGEST = 500  # characters of a line that may be one option and nothing else
_CLAUSE = re.compile(r"[,;(]\s|\.\s|\s(?:because|since)\b")
_LETTERS = re.compile(r"(?<![A-Za-z])[A-Z](?![A-Za-z])")
_RANGE = re.compile(r"\b(?:or|less|more|least|most|between|above|below|than|from|whether)\b|\?\s*$")


@dataclass(frozen=True)
class Line:
    """A line as it was written and as it is `marked`; `item`: the option of a walk it is about."""

    raw: str
    text: str
    item: str | None = None


def extract_choice(text: str, finish: str, choices: Sequence[str], prefix: str = "") -> Extraction:
    """The letter of the choice that an answer states; else what it states instead of one."""
    options = options_of(tuple(choices) or None)
    first = next(believed(text, finish, prefix), None)
    if first and first.form == "boxed" and (letter := _in_box(first.text, options)):
        return Extraction(letter, "boxed")
    whole, begun = after_prefix(prefix, text)
    whole = f"Answer: {whole.lstrip()}" if begun else whole
    letter, form = _stated(lines_of(whole[-MOST:], finish, options), options)
    if letter not in (None, SEVERAL):
        return Extraction(letter, form)
    if first and first.form in ("boxed", "stated") and not letter_alone(first.text, options):
        return Extraction(shown(first.text), first.form)
    return nothing(finish)


def _in_box(box: str, options: Sequence[Option]) -> str | None:
    if letter := letter_alone(box, options) or option_of(box, options):
        return letter
    text = claim_of(marked(box, options))
    return strong(text) or alone(text) or labelled(text)


def _stated(lines: Sequence[Line], options: Sequence[Option]) -> tuple[str | None, str]:
    names = any(NAMES.search(line.raw) for line in lines)
    names = names or any(len(set(_LETTERS.findall(o.key))) > 1 for o in options)
    answers: list[str] = []
    conclusions: list[str] = []
    free: list[Line] = []
    for line in lines:
        if not line.item:
            free.append(line)
        for sentence in sentences(line.text):
            if retracts(sentence) and not line.item:
                answers, conclusions, free = [], [], []
            claim = claim_of(sentence)
            if letter := strong(claim):
                answers.append(letter)
            elif not line.item and concludes(claim, names) and (letter := weak(claim)):
                conclusions.append(letter)
        if not line.item and (letter := _whole(line, options) or after_lead(line, options)):
            answers.append(letter)
    if answers:
        return answers[-1], "stated"
    if len(set(conclusions)) == 1:
        return conclusions[0], "stated"
    if letter := _good_item(lines):
        return letter, "stated"
    for line, form in [
        *((line, "last line") for line in free[-1:]),
        *((line, "first line") for line in free[:1]),
    ]:
        if letter := _at_end(line, options, names):
            return letter, form
    return None, ""


def _whole(line: Line, options: Sequence[Option]) -> str | None:
    """The letter of the option that a line is and nothing else."""
    if len(line.text) > LONGEST or is_denied(line.text) or is_open(line.text):
        return None
    return alone(line.text) or letter_alone(line.raw, options) or option_of(line.raw, options)


def after_lead(line: Line, options: Sequence[Option]) -> str | None:
    """The letter of the option whose value follows the last lead-in of a line without a mention."""
    if letters(line.text) or not claim_of(sentences(line.text)[-1]):
        return None
    for _, end in lead_ins(line.raw)[-1:]:
        rest = line.raw[end:]
        said = stated_value(rest) or _CLAUSE.split(rest)[0]
        return letter_alone(rest, options) or option_of(said, options)
    return None


def _at_end(line: Line, options: Sequence[Option], names: bool) -> str | None:
    """The letter that a line concludes with, where nothing in the answer calls itself one.

    Where letters are `names` of other things, a letter alone is no option.
    """
    for sentence in reversed(sentences(line.text)):
        claim = claim_of(sentence)
        if names and "◇" in claim:
            return None
        if letter := weak(claim) or labelled(claim) or _long_text(sentence, options):
            return letter
    if "\\boxed" in line.raw or _NOT.search(line.raw) or _RANGE.search(line.raw):
        return None
    letter = option_of(_IS.split(line.raw)[-1], options)
    return letter if letters(line.text) <= {letter} else None


def _long_text(sentence: str, options: Sequence[Option]) -> str | None:
    """The letter of the option whose own text ends a sentence, where that text is long."""
    found = letters(sentence)
    if is_denied(sentence) or is_open(sentence) or len(found) > 1:
        return None
    letter = found.pop() if re.search(rf"○{SIGN}\W*$", sentence) else None
    return next((o.letter for o in options if o.letter == letter and o.is_long), None)


def lines_of(text: str, finish: str, options: Sequence[Option]) -> list[Line]:
    """The lines of a text that say something; one that announces the next is one with it."""
    raw = [_QUOTED.sub("", line) for line in text.split("\n")]
    raw = [line for line in raw if not _RULE.fullmatch(line) and not CLOSING.match(line)]
    if finish == "length" and raw:
        finished = _FINISHED.match(raw[-1])
        cut = raw[-1][finished.end() if finished else 0 :]
        if any(retracts(sentence) for sentence in sentences(plain(cut).strip())):
            return []
        raw[-1:] = [finished[0]] if finished else []
    texts = [marked(line, options) for line in raw]
    lines: list[Line] = []
    announced = False
    for line, text, item in zip(raw, texts, _walk(texts, options), strict=True):
        if announced and not item:
            before = lines.pop()
            lines.append(Line(f"{before.raw}\n{line}", f"{before.text} {text}"))
        else:
            lines.append(Line(line, text, item))
        announced = not item and _announces(lines[-1])
        if announced and not text.endswith((":", "=")):
            lines[-1] = Line(lines[-1].raw, f"{lines[-1].text}:")
    return lines


def _announces(line: Line) -> bool:
    """Whether the answer comes in the next line: after a colon, or a heading that says so."""
    if line.text.endswith((":", "=", " is")):
        return True
    heading = f"{line.raw.strip()}\n0"
    return any(end >= len(heading) - 1 for _, end in lead_ins(heading))


def _walk(texts: Sequence[str], options: Sequence[Option]) -> list[str | None]:
    """For every line the option that it is about, where lines go through the options in order."""
    items: list[str | None] = [None] * len(texts)
    run: list[tuple[int, str]] = []
    shape = None
    bare = not any(option.key for option in options)
    for number, text in enumerate([*texts, None]):
        bullet = _BULLET.match(text or "")
        item = _ITEM.match(text or "", bullet.end())
        if bare and not item:
            item = _BARE_ITEM.match(text or "", bullet.end())
        if not item and text is not None:
            continue
        sign = next(filter(None, item.groups())) if item else ""
        begins = re.sub("[0-9]+", "1", bullet[1] or "")
        if run and (begins != shape or sign <= run[-1][1]):
            if len(run) > 1:
                for place, of in run:
                    items[place] = of
            run = []
        run.append((number, sign))
        shape = begins
    return items


def _good_item(lines: Sequence[Line]) -> str | None:
    """The letter of the only option that a walk through them calls right."""
    good = good_items(lines)
    return good.pop() if len(good) == 1 else None


def good_items(lines: Sequence[Line]) -> set[str]:
    """The letters of the options that a walk through them calls right."""
    good = (
        line.item
        for line in lines
        if line.item and _GOOD_ITEM.search(line.text) and not _BAD_ITEM.search(line.text)
    )
    return letters("".join(good))
