r"""Whether two mathematical answers are the same answer, layer by layer.

Spelling first (`notation`), then what an answer is made of: bases, words, lists, tuples, intervals,
unions, matrices, assignments, units. What is left are pairs of single expressions; numbers among
them are compared exactly here, and everything else is asked of `expressions_equal`.

- A list without brackets or in braces is a set: its order does not matter. In round or square
  brackets it does. Square and round brackets differ.
- Brackets may be left out around a tuple, and a name in front of a value (`x = 5` is 5; but x = 5
  is not y = 5). Several equations are a list: neither `x = 1 or x = -2` nor `x = 1, y = -2` is -2.
- Capital and small letters differ, but not in the name in front of a value.
- A decimal is the number that it says. 10 % is 10 and 0.1: questions ask for either.
- A unit may be left out, but two known units must be the same. A million is a factor.
- Digits in another base are the answer with or without its base written at them; never a number of
  equal value in yet another base.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, partial
from itertools import dropwhile

from workflow_scripts.answers.comparison.notation import clean, rational
from workflow_scripts.answers.comparison.structure import (
    RELATION,
    as_relation,
    denial,
    gap_of,
    parts_of,
    pieces,
    split,
)
from workflow_scripts.answers.comparison.units import without_unit

Equal = Callable[[str, str], bool]

MAX_ITEMS = 40  # of a list that is compared item by item

_BASES = re.findall("[a-z]+", "two three four five six seven eight nine ten eleven twelve")
_BASE = re.compile(
    r"(?:\(?([0-9A-Za-z]+)\)?) ?_ ?\{? ?(?:\\text\{ ?)?\(?([0-9]{1,2}|[a-z]{3,9})\)? ?\}{0,2}"
)
_IN_BASE = re.compile(
    r"([0-9A-Za-z]+) ?(?:\\text)?[({]* ?(?:in )?base[ -]([0-9]{1,2}|[a-z]{3,9}) ?[)}]*"
)
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_LETTER = re.compile(r"\(?([A-Z])\)?")
_NAME = (
    r"(?:\\?[A-Za-z]+(?:_(?:\w|\{[^{}]+\}))?(?:'|\^\{-1\})?(?:\([A-Za-z](?:, ?[A-Za-z])*\))?"
    r"|\([A-Za-z](?:, ?[A-Za-z])*\))"
)
_ASSIGNMENT = re.compile(rf"({_NAME}) ?(?:=|\\in(?![A-Za-z])) ?(.+)")
_ABOUT = re.compile(rf"(?:{_NAME})? ?\\approx ?(.+)")
_GREEK = [
    rf"\{name}"
    for name in re.findall(
        "[a-z]+",
        "alpha beta gamma delta epsilon theta lambda mu pi rho sigma tau phi varphi chi psi omega",
    )
]
_POUNDS = {"pound", "pound sterling"}
_TIME = re.compile(
    r"(?P<hour>[0-9]{1,2})(?:: ?(?P<minute>[0-5][0-9]))? ?(?:(?P<half>[ap])\.? ?m\.?)?",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"(?<![A-Za-z\\])(?:at|because|for|if|since|when|where|with)(?![A-Za-z])")
_NAMES = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")


def equal(gold: str, answer: str, expressions_equal: Equal) -> bool:
    """Whether `answer` is the right answer `gold`, both as they were written.

    `expressions_equal` decides about two single `clean` expressions, the gold one first.
    """
    return equal_by(gold, answer, partial(_single_equal, expressions_equal=expressions_equal))


def equal_by(gold: str, answer: str, single_equal: Equal) -> bool:
    """Whether `answer` is `gold`, where `single_equal` decides about two `clean` answers that are
    no list and have no name."""
    return _equal(clean(gold), clean(answer), single_equal)


def quick_equal(gold: str, answer: str) -> bool | None:
    """`equal` where spelling or exact numbers decide it; None where more would have to be known."""
    gold, answer = clean(gold), clean(answer)
    if _key(gold) == _key(answer):
        return True
    values = rational(gold), rational(answer)
    return None if None in values else values[0] == values[1]


def _equal(gold: str, answer: str, single_equal: Equal, depth: int = 0) -> bool:
    if not answer or depth > 6:
        return False
    if _key(gold) == _key(answer):
        return True

    def deeper(one: str, other: str) -> bool:
        return _equal(one.strip(), other.strip(), single_equal, depth + 1)

    for layer in (_times_equal, _bases_equal, _words_equal, _values_equal, _parts_equal):
        verdict = layer(gold, answer, deeper)
        if verdict is not None:
            return verdict
    return single_equal(gold, answer)


def _key(text: str) -> str:
    """Equal for answers that differ in spaces and in how text is set."""
    return re.sub(r"(?<![0-9]) | (?![0-9])", "", _bare(text))


def _bare(text: str) -> str:
    return _TEXT.sub(lambda match: match[1], text)


def _times_equal(gold: str, answer: str, _: Equal) -> bool | None:
    """Times of the day, of which one at least says which half of it."""
    one, other = _times(gold), _times(answer)
    if not one or not other or not (one[1] or other[1]):
        return None
    return bool(one[0] & other[0])


def _times(text: str) -> tuple[set[int], bool] | None:
    """Which minutes of the day a time may be, and whether it says a.m. or p.m."""
    named = {"noon": "12:00 pm", "midnight": "12:00 am"}
    bare = " ".join(_bare(text).split()).lower()
    match = _TIME.fullmatch(named.get(bare.removeprefix("12 "), bare))
    if not match or not (match["minute"] or match["half"]) or int(match["hour"]) > 23:
        return None
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), match["half"]
    if half:
        return {60 * (hour % 12 + 12 * (half == "p")) + minute}, True
    return {60 * h + minute for h in ({hour, (hour + 12) % 24} if 0 < hour < 13 else {hour})}, False


def _bases_equal(gold: str, answer: str, _: Equal) -> bool | None:
    one, other = _in_base(gold), _in_base(answer)
    if one and other:
        return one == other
    if other:
        return other == (_key(gold), 10)
    if one and re.fullmatch("[0-9A-Za-z]+", answer):
        return _in_base(f"{answer}_{one[1]}") == one
    return None


def _in_base(text: str) -> tuple[str, int] | None:
    match = _BASE.fullmatch(text) or _IN_BASE.fullmatch(text)
    if not match or not re.search("[0-9]", match[1]):
        return None
    base = _BASES.index(match[2]) + 2 if match[2] in _BASES else match[2]
    return (match[1].lstrip("0").upper(), int(base)) if str(base).isdigit() else None


def _words_equal(gold: str, answer: str, _: Equal) -> bool | None:
    """Answers in words, where the right one is. Case, articles and brackets do not matter."""
    said = _words(gold)
    if said is None:
        return None
    if letter := _LETTER.fullmatch(_bare(gold).strip()):
        begun = re.match(r"\(?([A-Z])(?:\)|\.|:|$)", _bare(answer).strip())
        return bool(begun) and begun[1] == letter[1]
    return said == _words(answer, anything=True)


def _words(text: str, anything: bool = False) -> list[str] | None:
    r"""The words of an answer in words: `\text{}` around all of it, or a word of four letters."""
    bare = _bare(text)
    is_text = _TEXT.fullmatch(text) and not re.search("[0-9]", bare)
    plain = re.fullmatch(r"[A-Za-z][A-Za-z' -]{3,}", bare) and re.search("[A-Za-z]{4,}", bare)
    if not (is_text or plain or anything):
        return None
    words = re.findall(r"[^\W_]+", bare.lower())
    return list(dropwhile(lambda word: word in ("the", "a", "an"), words))


def _values_equal(gold: str, answer: str, deeper: Equal) -> bool | None:
    """Values that have a name in front of them, or end a chain of equations."""
    one, other = _assignment(gold), _assignment(answer)
    ranged = [RELATION.search(text) and set(_NAMES.findall(text)) for text in (gold, answer)]
    if all(ranged) and ranged[0] != ranged[1]:
        return False
    if one and other:
        return _named_equal(one, other, deeper)
    if one or other:
        values = one[1] if one else gold, other[1] if other else answer
        is_equation = "=" in (answer if one else gold)
        return deeper(*values) or (None if is_equation else False)
    if about := _ABOUT.fullmatch(answer):
        return deeper(gold, about[1]) or deeper(gold, answer.partition(r"\approx")[0])
    *before, last = split(answer, "=")
    if before and "=" not in gold and len(pieces(answer)) < 2:
        # a polynomial that is nothing is an equation
        is_value = last.strip() != "0" or not re.search(
            r"[A-Za-z].*[-+]|[-+].*[A-Za-z]", before[-1]
        )
        return is_value and _is_one(answer) and deeper(gold, last)
    return None


def _named_equal(one: tuple[str, str], other: tuple[str, str], deeper: Equal) -> bool | None:
    """Two values with names; None where it takes more to say than comparing the values.

    Functions of any name are alike, but sine and its like are no names.
    """
    (name, mark, call), (other_name, other_mark, other_call) = map(
        _parts_of_name, (one[0], other[0])
    )
    letters = all(map(_is_letter, (name, other_name)))
    if (name, mark, call) == (other_name, other_mark, other_call):
        return deeper(one[1], other[1])
    if letters and (call or other_call):
        alike = name != other_name and mark == other_mark
        return alike and deeper(one[1], other[1])
    # perhaps solved for another letter
    value = re.sub(r"\\[A-Za-z]+", " ", other[1].lower())
    return None if not letters or name in (value if len(name) == 1 else other[1]) else False


def _parts_of_name(said: str) -> tuple[str, str, str]:
    """`f`, `'` and `(x)` of `f'(x)`; capital and small letters of names are alike."""
    name, bracket, arguments = _key(said).partition("(")
    plain = name.removesuffix("^{-1}").removesuffix("'")
    return plain.lower(), name[len(plain) :], bracket + arguments


def _is_letter(name: str) -> bool:
    return len(name) == 1 or name in _GREEK


def _is_one(text: str) -> bool:
    """Whether a text is no list and no relation, but perhaps a chain of equations.

    What follows the last sign of `y = 3 when x = 5` is not what the chain is about.
    """
    inside = text.partition("=")[2].rpartition("=")[0]
    return not (RELATION.search(text) or _CONDITION.search(inside) or len(pieces(text)) > 1)


def _assignment(text: str) -> tuple[str, str] | None:
    """Name and value of `x = 5`, of `f(x) = x^2` and of `x = 10/2 = 5`."""
    match = _ASSIGNMENT.fullmatch(text)
    if match and _is_one(match[2] if match[1].startswith("(") else text):
        return match[1], match[2].rsplit("=", 1)[-1].strip()
    return None


def _parts_equal(gold: str, answer: str, deeper: Equal) -> bool | None:
    """Sets, lists, tuples, intervals, unions and matrices; None where neither side is one."""
    one, other = parts_of(gold), parts_of(answer)
    if one is None and other is None:
        return None
    if one is None or other is None:
        relation, interval = (gold, other) if one is None else (answer, one)
        if RELATION.search(relation) and len(pieces(relation)) < 2:
            return _solutions_equal(gold, answer, relation, interval, deeper)
    if all(map(RELATION.search, (gold, answer))) and len(set(_NAMES.findall(gold))) > 1:
        return None
    (kind, items), (other_kind, other_items) = one or ("", [gold]), other or ("", [answer])
    if len(items) != len(other_items) or len(items) > MAX_ITEMS:
        return False
    bare = {"", "set"}
    if kind == other_kind or {kind, other_kind} <= bare:
        ordered = kind not in {"set", "", "union", "all but"}
    elif kind in ("()", "matrix") and other_kind in ("()", "matrix", ""):
        ordered = True
    elif {kind, other_kind} in ({"set", "()"}, {"", "()"}) and kind in bare:
        ordered = False  # the right answer is a set, written here as a tuple
    else:
        return False
    if ordered:
        return all(map(deeper, items, other_items))
    return _same_set(items, other_items, deeper)


def _solutions_equal(
    gold: str, answer: str, relation: str, parts: tuple[str, list[str]], deeper: Equal
) -> bool | None:
    """A relation that is not solved and an interval, which becomes a relation as well."""
    if parts[0] != "union" and RELATION.search(gold) and RELATION.search(answer):
        return None
    names = set(_NAMES.findall(relation))
    name = names.pop() if len(names) == 1 else None
    said = as_relation(parts, name) if name else None
    if name and said is None and (gap := gap_of(parts)):  # |x| > 2 is not |x| <= 2
        said, denied = as_relation(gap, name), denial(relation)
        gold, answer = (denied, answer) if relation == gold else (gold, denied)
        relation = denied
    if said is None:
        return False
    return deeper(said, answer) if relation == answer else deeper(gold, said)


def _same_set(items: Sequence[str], others: Sequence[str], deeper: Equal) -> bool:
    """Whether every item has a partner of its own among the others, in any order."""
    keys, other_keys = list(map(_key, items)), list(map(_key, others))
    partner: dict[int, int] = {}

    @cache
    def fits(place: int, other: int) -> bool:
        return keys[place] == other_keys[other] or deeper(items[place], others[other])

    def finds_partner(place: int, tried: set[int]) -> bool:
        """Whether there is one that is free, or whose own partner finds another (Kuhn, 1955)."""
        for other in sorted(range(len(others)), key=lambda n: other_keys[n] != keys[place]):
            if other not in tried and fits(place, other):
                tried.add(other)
                if other not in partner or finds_partner(partner[other], tried):
                    partner[other] = place
                    return True
        return False

    return all(finds_partner(place, set()) for place in range(len(items)))


def _single_equal(gold: str, answer: str, expressions_equal: Equal) -> bool:
    """Two single expressions: without their units; numbers exactly, else by `expressions_equal`."""
    # an exact value may be followed by an estimate; an estimate alone stays one
    gold, answer = (text.partition(r"\approx")[0].strip() or text for text in (gold, answer))
    if "=" in gold and "=" in answer:  # letters at the end are no unit
        return expressions_equal(gold, answer)
    bare = without_units(gold, answer)
    if bare is None:
        return False
    gold, answer, ratio = bare
    if _key(gold) == _key(answer):
        return True
    values = rational(gold), rational(answer)
    if None in values:
        return expressions_equal(gold, answer)
    return values[1] in (values[0], values[0] * ratio)


def without_units(gold: str, answer: str) -> tuple[str, str, Fraction] | None:
    """Two single answers without their units; None where these are known and differ.

    Of percentages the answer may be the right one times a ratio as well, which comes last: 10 % is
    10 and 0.1.
    """
    (gold, unit), (answer, other_unit) = without_unit(gold), without_unit(answer)
    if unit and other_unit and unit != other_unit and {unit, other_unit} != _POUNDS:
        return None
    ratio = Fraction(1)
    if "percent" in (unit, other_unit) and unit != other_unit:
        ratio = Fraction(100) if other_unit else Fraction(1, 100)
    return gold, answer, ratio
