r"""The value that a sentence states.

    So the area is $12\pi$ square meters.                     $12\pi$ square meters
    The remainder when $3^{20}$ is divided by 7 is 2.         2
    She must read 14 pages a day in the remaining 5 days.     14 pages

A sentence is read as a shape, one letter for each token (`_SORTS` says which). In it runs of
mathematics are values, and the words around them say what they are: what something is ("is 2"),
what stands beside the matter ("in 5 days"), a reason, a bound ("at least 5"), a denial.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from workflow_scripts.answers.comparison.units import known
from workflow_scripts.answers.extraction.integers import DIGITS, IN_WORDS, NUMBER, in_figures
from workflow_scripts.answers.extraction.lead_ins import LANGUAGES, words

MAX_LENGTH = 2000  # characters of a statement that are looked at
_PLAIN_WORD = re.compile(r"(?<![\\A-Za-z{])[a-z]{3,}(?![A-Za-z{}])")
_MAX_PLAIN = 8  # of them, beside a value that is alone
_MAX_WORDS = 3  # of an answer in words

_GROUP = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_PROTECTED = re.compile(  # formulas, and LaTeX outside of them
    r"(?<!\\)\$\$.+?\$\$|(?<!\\)\$(?:[^$\\]|\\.)+\$|\\\(.+?\\\)|\\\[.+?\\\]"
    r"|\\begin\{(\w+\*?)\}.*?\\end\{\1\}"
    rf"|\\[dtc]?frac\s?(?:{_GROUP}|\w)\s?(?:{_GROUP}|\w)|\\sqrt\s?(?:\[\w+\])?(?:{_GROUP}|\w)"
    rf"|\\(?!approx|q?quad)[A-Za-z]+(?:\s?{_GROUP})*",
    re.DOTALL,
)
_TWO_PRICES = re.compile(r"\$\s?[0-9][0-9.,]*\s[^$\\]*[A-Za-z]{2,}[^$\\]*\$")  # `$5 and then $6`
_THOUSANDS = re.compile(r"(?<=[0-9])(?:,?\\[!,]\s?|\{,\})(?=[0-9]{3}(?![0-9]))")
_SPACES = re.compile(r"(?<!\\)\\[,;:! ]|\\q?quad(?![A-Za-z])")
_CALCULATOR = re.compile("<<[^<>]*>>")  # GSM8K's notes
_EMPHASIS = re.compile(  # leans on a word on one side only, a product on both or on neither
    r"(?<![^\s(\[\"'（：])[*_]{1,3}(?=\S)|(?<=\S)(?<![*_])[*_]{1,3}(?![^\s.,;:!?)\]\"'。，、])|`"
)
_PROOF_ENDS = re.compile(r"\s*(?:\$?\\(?:blacksquare|square|qed|Box)\$?|[∎■□]|Q\.?E\.?D\.?)\s*$")
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*(?!\s*:)")
_NEGATIVE = re.compile(
    r"(?<![0-9\ue000-\uf8ff]\s)\b(?:negative|minus)\s+(?=[$]?[0-9\ue000-\uf8ff])"
)
_NAME = re.compile(r"[\s$\\(\[]*(?:\\?[A-Za-z]\s?)+(?:_\w|_\{\w+\})?'*(?:\([^()=]*\))?[\s$\\)\]]*")
_CONSTANT = re.compile(
    r"\\(?:pi|infty|emptyset|varnothing|text|frac|sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp)|(?<![A-Za-z])e(?![A-Za-z])"
)

_FUNCTION = r"(?:sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|pi|mod|infinity|inf|gcd|lcm)(?![^\W\d_])"
_LETTER = r"[πθ∞α-ωΔ√](?![^\W\d_])|(?<![^\W\d_])(?!i\.e|e\.g)[A-Za-z](?:_(?:\w|\{\w+\}))?(?!['’\w])"
_GOES_ON = (  # calculates on with the number before
    r"(?:squared|cubed|factorial|root|plus|minus|divided\s+by|times(?=\s+[0-9$\ue000-\uf8ff])"
    r"|over(?=\s+[0-9$])|out\s+of(?=\s+[0-9])|in(?=\s+[0-9]+[.!]?$)|to\s+the\s+(?:power|\w+\s+power)"
    r"|and\s+(?:a|one|two|three)[\s-](?:half|third|quarter|fourth|fifth|quarters|thirds|fifths))"
)
_BOUND = (
    r"(?:at\s+least|at\s+most|(?:\w+er|more|less)\s+than|than|between|up\s+to|exceeds?|below|above"
    r"|under|mindestens|höchstens|au\s+moins|au\s+plus|al\s+menos|como\s+máximo|pelo\s+menos|не\s+менее)"
)
_NO_PLACE = (  # nothing beside the matter, and no purpose
    r"(?:ha(?:s|ve|d)\s+to|needs?\s+to|able\s+to|going\s+to|altogether|in\s+(?:all|total|fact|the\s+end)|at\s+last|"
    r"of\s+course|as\s+(?:required|desired|needed)|an?\s+(?!multiple|factor|divisor|power)\w+\s+of|to\s+(?:get|obtain|find|give|"
    r"make|yield|reach|have))"
)
_LABEL = (
    r"(?:question|problem|case|step|equation|eq|figure|table|part|section|method|line|theorem|lemma"
    r"|base|example|exercise|claim|condition|option|choice)s?(?=\.?\s\(?[0-9])"
)
_OF_A_NOUN = (
    r"(?:the|an?|all|these|those|its|his|her|their|our|each|every|remaining|first|last|next|other"
    r"|total|initial|original|given|same|both|only|exactly|about|approximately|les|la|le|los|las|"
    r"der|die|das|den|dem)"
)
_CLOSED = r"(?![^\W\d_])"


def _grammar(*languages: str) -> re.Pattern[str]:
    """What the tokens of a sentence in these languages are; a group is named after its letter."""
    sorts = (
        ("f", "[\ue000-\uf8ff]"),  # a formula, or LaTeX
        ("n", rf"(?<![A-Za-z0-9_])(?:{NUMBER})"),
        ("h", rf"\b{_BOUND}{_CLOSED}"),
        ("t", rf"\b{_GOES_ON}{_CLOSED}"),
        ("m", rf"\b{_NO_PLACE}{_CLOSED}"),
        ("z", rf"\b(?:{IN_WORDS})(?![^\W\d_]|-)"),
        ("v", rf"\b{_FUNCTION}|{_LETTER}"),
        ("x", words("no", *LANGUAGES) + "|至少|至多|最多|最少|大于|小于|超过|以上|以下"),
        ("s", words("so", *languages) + "|∴|=>|⇒|→"),
        ("i", words("is_", *languages) + r"|≈|\\approx"),
        ("l", words("since", *languages) + r"|\b(?:i\.e\.|e\.g\.)"),
        ("j", rf"\bper{_CLOSED}"),
        ("p", words("of", *languages) + rf"|\b{_LABEL}"),
        ("a", rf"\b(?:and|or|und|oder|et|ou|y|o|e|и|или|oraz|lub){_CLOSED}|和|或"),
        ("d", rf"\b{_OF_A_NOUN}{_CLOSED}"),
        ("y", rf"\b\w{{2,}}ing{_CLOSED}"),
        ("T", rf"\bto{_CLOSED}"),
        (
            "W",
            r"[A-Za-z]{2,}(?:\^\{?[23]\}?|[²³]|/[A-Za-z]+)(?!\w)|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]|[^\W\d_]+(?:['’–-]\w+)*\w*|\w+",
        ),
        ("o", r"(?:!=|[-+*×·÷/=^<>≤≥≠|%°²³±∪∩−])+"),
        ("B", r"[(\[{（]"),
        ("E", r"[)\]}）]"),
        ("c", "[,;，；、]"),
        ("e", "[.!?。！？…]+"),
        ("k", "[:：]"),
        ("u", r"\S"),
    )
    return re.compile("|".join(f"(?P<{name}>{what})" for name, what in sorts), re.IGNORECASE)


_ENGLISH = _grammar("English", "Chinese", "Japanese", "Korean")
_ANY = _grammar(*LANGUAGES)
_IS_ENGLISH = re.compile(r"\b(?:the|are|and|we|has|have|it|of|is|this|there|they|each)\b", re.I)
_IS_FOREIGN = re.compile(
    r"[^\W\d_a-z\u0370-\u03ff]|\b(?:la|le|les|el|los|die|der|das|ist|est|es|donc|und|il|una?|dus|het)\b",
    re.I,
)
_ONE_LETTER = dict.fromkeys("yYeEoOiиИ", "a") | dict.fromkeys("wzvвсукВСУК", "p")

# --- shapes

_IN = r"B(?:[nfgvoc]|B[nfgvoc]*E)*E"
_ITEM = rf"(?:[nfgv]|{_IN})"
_RUN = re.compile(rf"o?{_ITEM}(?:o*{_ITEM})*")
_JOINS = re.compile("c?a?")
_IS_CLAIMED = re.compile(r"[ik][wdmy]?$")
_IS_BESIDE = re.compile(r"[pjt](?:[dz]*|yd?)$|Twd?$")
_IS_DENIED = re.compile(r"(?:x[wmipTdy]{0,3}|h[dwmy]?)$")
_IS_SUBJECT = re.compile("i(?!d)")
_DENIED_BEHIND = re.compile("[wi]?x")
_TOTAL = re.compile(r"\s(?:in\s+(?:total|all)|altogether|total|overall)\b", re.IGNORECASE)
_ASIDE = re.compile("B[^BE]*[wdmyipls][^BE]*E")
_ENDS = re.compile(r"$|[eclsBkx]|p[wdm]")
_UNIT = re.compile(r"w{1,2}(?:jw)?(?=$|[eclspjtmBkTa])")
_STARTS = re.compile(r"[scke]*")


@dataclass(frozen=True)
class _Sentence:
    """The tokens of a sentence: a letter for each, and where in the text each starts and ends."""

    text: str
    shape: str
    spans: list[tuple[int, int]]

    def said(self, start: int, end: int) -> str:
        return self.text[self.spans[start][0] : self.spans[end - 1][1]] if end > start else ""


@dataclass(frozen=True)
class _Value:
    """A run of values in a sentence, by the tokens at which it starts, ends, and its unit ends."""

    start: int
    end: int
    unit: int
    is_claimed: bool
    is_beside: bool
    is_denied: bool


class Line:
    """A line or formula of an answer, as it is read."""

    def __init__(self, text: str) -> None:
        self._formulas: list[str] = []
        text = re.sub("[\ue000-\uf8ff]", " ", text[:MAX_LENGTH].translate(DIGITS))
        text = _PROOF_ENDS.sub("", text)
        prices = _TWO_PRICES.search(text)
        text = _PROTECTED.sub(self._protect, text.replace("$", "\\$") if prices else text)
        text = _THOUSANDS.sub("", text)
        text = _SPACES.sub(" ", _CALCULATOR.sub("", text))
        self.is_bold = text.strip().startswith("**") and text.strip().rstrip(".").endswith("**")
        self.bold = [match[1] for match in _BOLD.finditer(text)]
        text = _NEGATIVE.sub("-", _EMPHASIS.sub("", text))
        self.text = text.strip()
        self.sentences = list(_sentences(self.text, self._formulas))

    def _protect(self, match: re.Match[str]) -> str:
        self._formulas.append(match[0])
        return chr(0xE000 + len(self._formulas) - 1)

    def whole(self, text: str) -> str:
        """A part of the text with its formulas."""
        return re.sub("[\ue000-\uf8ff]", lambda m: self._formulas[ord(m[0]) - 0xE000], text).strip()


_line = lru_cache(maxsize=16)(Line)  # one line is read in several ways


def stated_value(text: str) -> str | None:
    """The value that a text states: as a whole, at its start, or in one of its sentences.

    It follows a lead-in, and what follows the value explains it: so the first sentence counts that
    has one.
    """
    line = _line(text)
    if bare := _bare(line):
        return bare
    for sentence in line.sentences:
        if value := _at_start(line, sentence) or _of_sentence(line, sentence):
            return value
    return None


def value_at_start(text: str) -> str | None:
    """The value that a text is or starts with."""
    line = _line(text)
    return _bare(line) or _at_start(line, line.sentences[0])


def concluded_value(text: str) -> str | None:
    """The value that the last line of an answer ends in: of its last sentence that has one."""
    line = _line(text)
    if bare := _bare(line):
        return bare
    for sentence in reversed(line.sentences):
        if value := _of_sentence(line, sentence):
            return value
    return None


def bare_value(text: str) -> str | None:
    """A text that is a value and nothing else."""
    return (
        None if len(_PLAIN_WORD.findall(text, 0, MAX_LENGTH)) > _MAX_PLAIN else _bare(_line(text))
    )


def _sentences(text: str, formulas: list[str]) -> Iterator[_Sentence]:
    grammar = _ENGLISH if _IS_ENGLISH.search(text) or not _IS_FOREIGN.search(text) else _ANY
    letters, spans = [], []
    for token in grammar.finditer(text):
        letter = _letter(token, formulas, grammar is _ENGLISH)
        if letters and letters[-1] == "e" and _ends_before(text, token.start()):
            yield _Sentence(text, _shape(letters), spans)
            letters, spans = [], []
        letters.append(letter)
        spans.append(token.span())
    yield _Sentence(text, _shape(letters), spans)


def _shape(letters: list[str]) -> str:
    return re.sub("(?<=[nf])k(?=[nf])", "o", "".join(letters))  # a ratio


def _ends_before(text: str, place: int) -> bool:
    """Whether a full stop before `place` ends a sentence: no `e.g. five`."""
    return text[place - 1] in "。！？" or (text[place - 1].isspace() and not text[place].islower())


def _letter(token: re.Match[str], formulas: list[str], is_english: bool) -> str:
    letter, said = token.lastgroup or "u", token[0]
    if letter == "f" and formulas[ord(said) - 0xE000].startswith("\\boxed"):
        return "u"
    if letter == "f":
        return "g" if _is_name(formulas[ord(said) - 0xE000]) else "f"
    if letter == "v" and len(said) == 1:
        around = re.search(r"[-+*/^=<>≤≥(]$", token.string[: token.start()].rstrip()) or re.match(
            r"\s?[-+*/^=<>≤≥(]", token.string[token.end() :]
        )
        glued = token.start() and token.string[token.start() - 1] in "0123456789)"
        if not (around or glued):
            return "w" if said in "aAI" else "v" if is_english else _ONE_LETTER.get(said, "v")
    return letter.lower() if letter == "W" else letter


def _is_name(formula: str) -> bool:
    return bool(_NAME.fullmatch(formula)) and not _CONSTANT.search(formula)


def _bare(line: Line) -> str | None:
    """The text where it is a value, perhaps with a unit that is known, and nothing else."""
    if len(line.sentences) != 1:
        return None
    sentence = line.sentences[0]
    shape = sentence.shape.rstrip("e")
    if re.fullmatch("o?z|[nfgvoBEcak]*[nfgvE][oak]*", shape) and re.search("[nfgvz]", shape):
        return _tidy(line.whole(line.text).rstrip("!")) + "!" * bool(
            re.fullmatch(r".*[0-9]!", line.text)
        )
    value = next(iter(_values(line, sentence)), None)
    if value and (value.start, value.unit) == (0, len(shape)):
        is_unit = line.is_bold or known(sentence.said(value.end, len(shape)))
        return _said(line, sentence, value) if is_unit else None
    return None


def _at_start(line: Line, sentence: _Sentence) -> str | None:
    """The value that a sentence starts with, if the sentence then ends or goes on to explain."""
    values = _values(line, sentence)
    start = _STARTS.match(sentence.shape).end()
    if not values or values[0].start != start or values[0].is_denied:
        return None
    first = values[0]
    if first.is_claimed and any("s" in sentence.shape[start : v.start] for v in values):
        return None  # what the value is worked out from
    ends = _ENDS.match(sentence.shape, first.unit)
    if ends:
        return _said(line, sentence, first)
    return None


def _of_sentence(line: Line, sentence: _Sentence) -> str | None:
    """The value that a sentence is about: the last that it claims, else the last that is free."""
    values = [v for v in _values(line, sentence) if not v.is_denied]
    values = _without_reasons(sentence.shape, values)
    conclusion = sentence.shape.rfind("s")
    values = [v for v in values if v.start > conclusion] or values
    bold = [v for v in values if _is_bold(line, sentence.said(v.start, v.end))]
    free = [v for v in values if not v.is_beside]
    claimed = [v for v in free if v.is_claimed]
    for chosen in (bold if len(bold) == 1 else [], claimed, _one_of(sentence, free)):
        if chosen:
            return _said(line, sentence, chosen[-1])
    if not values:
        return None
    last = values[-1]
    before = sentence.said(max(0, last.start - 1), last.start).lower()
    ends = _ENDS.match(sentence.shape, last.unit) is not None
    to_it = re.fullmatch(".*[wi]T", sentence.shape[: last.start])  # "we get to 42"
    at_it = before == "at" and len(values) == 1 and last.unit > last.end  # "runs at 12 mph"
    return _said(line, sentence, last) if ends and (to_it or at_it) else None


def _one_of(sentence: _Sentence, values: list[_Value]) -> list[_Value]:
    """The one of several values that a sentence claims none of: its object, its total, its result.

    None where they stand in clauses beside each other.
    """
    totals = [v for v in values if _TOTAL.match(sentence.text, sentence.spans[v.unit - 1][1])]
    if len(totals) == 1 or len(values) < 2:
        return totals or values
    between = sentence.shape[values[-2].end : values[-1].start]
    return values[-1:] if not re.search("[ca]", between) or re.search("cy[wdm]*$", between) else []


def _values(line: Line, sentence: _Sentence) -> list[_Value]:
    """The values of a sentence in their order."""
    shape = sentence.shape
    shape = re.sub(r"(?<=[ik])([wdm]?)z(?=w{0,2}(?:$|[ecl]))", r"\1n", shape)
    shape = shape.replace("z", "d" if re.search("[nf]", shape) else "n")
    spans: list[tuple[int, int]] = []
    for run in _RUN.finditer(shape):
        start, end = run.span()
        if spans and _JOINS.fullmatch(shape, spans[-1][1], start) and start > spans[-1][1]:
            gap = shape[spans[-1][1] : start]
            if not (gap == "c" and _IS_BESIDE.search(shape, 0, spans[-1][0])):
                spans[-1] = (spans[-1][0], end)
                continue
        spans.append((start, end))
    asides = [match.span() for match in _ASIDE.finditer(shape)]
    found: list[_Value] = []
    for start, end in spans:
        before, run = shape[:start], shape[start:end]
        is_equation = "=" in line.whole(sentence.said(start, end))
        is_claimed = bool(_IS_CLAIMED.search(before)) or is_equation
        if not re.search("[nfo]", run) and not is_claimed:
            continue  # a name
        in_brackets = any(low < start < high for low, high in asides)
        behind = "k" in before and any(
            v.start < before.rfind("k") and not v.is_beside for v in found
        )
        is_beside = bool(_IS_BESIDE.search(before)) or in_brackets or behind
        unit = end
        if shape[end : end + 1] == "t":  # goes on calculating
            unit = end + len(re.match("[^ecl]*", shape[end:])[0])
        elif found_unit := _UNIT.match(shape, end):
            unit = found_unit.end() if sentence.said(end, found_unit.end()).isascii() else end
        # "3 is wrong" and "3 does not work" say something about 3
        subject = _IS_SUBJECT.match(shape, end) and sentence.said(end, end + 1).lower() == "is"
        is_denied = bool(_IS_DENIED.search(before) or subject or _DENIED_BEHIND.match(shape, end))
        found.append(_Value(start, end, unit, is_claimed, is_beside, is_denied))
    return found


def _without_reasons(shape: str, values: list[_Value]) -> list[_Value]:
    """Values that stand in no reason or condition.

    One that begins a clause ends with a comma. One behind a subject ends where the verb comes ("the
    rest when 9 is divided by 7 is 2"), one behind a value with its clause.
    """
    for reason in re.finditer("l", shape):
        start = reason.start()
        if not shape[:start].strip("scae"):
            end = re.compile("[^c]*").match(shape, start).end()
        elif any(v.start < start and not v.is_beside for v in values):
            end = re.compile("[^s]*").match(shape, start).end()
        else:
            end = re.compile("[^ics]*").match(shape, start).end()
        inside = [v for v in values if start < v.start < end]
        values = [v for v in values if v not in inside]
    return values


def _is_bold(line: Line, value: str) -> bool:
    return any(re.search(rf"(?<![0-9]){re.escape(value)}(?![0-9])", text) for text in line.bold)


def _said(line: Line, sentence: _Sentence, value: _Value) -> str:
    number, unit = sentence.said(value.start, value.end), sentence.said(value.end, value.unit)
    return f"{_tidy(line.whole(number))} {line.whole(unit)}".rstrip(" .,;:")


def _tidy(text: str) -> str:
    return in_figures(text.rstrip(' \t\n.,;:。，、"').lstrip(" \t\n,;:，、"))


def few_words(text: str, most: int = _MAX_WORDS) -> str | None:
    """The answer in words that a text is, or ends in after "is"; None where there is a value."""
    line = _line(text)
    sentence = line.sentences[0]
    if not sentence.shape or _values(line, sentence):
        return None
    end = len(sentence.shape.rstrip("e"))
    start = max(_STARTS.match(sentence.shape).end(), sentence.shape.rfind("i") + 1)
    return _tidy(line.whole(sentence.said(start, end))) or None if end - start <= most else None
