r"""What an answer is made of: the items of a list, a tuple, an interval, a union or a matrix."""

import re
from collections.abc import Sequence
from string import ascii_lowercase

from workflow_scripts.answers.comparison.notation import closing

RELATION = re.compile(r"(<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z]))")
_MATRIX = re.compile(
    r"[(\[]? ?\\begin\{matrix\}((?:(?!\\(?:begin|end)\{).)*)\\end\{matrix\} ?[)\]]?"
)
_TRANSPOSED = re.compile(
    r"(.*[)\]}]) ?\^ ?\{? ?(?:\\text\{ ?)?(?:T|\\top|\\intercal) ?\}?(?: ?\})?"
)
# what vectors and matrices are multiplied with
_TIMES_MATRIX = re.compile(r"([^=,;&]*[^=,;&\s(\[]) ?([(\[]? ?\\begin\{matrix\}.*)")
_MATRIX_TIMES = re.compile(r"(.*\\end\{matrix\} ?[)\]]?) ?(?:\\cdot|\\times|\*) ?(.+)")
_TIMES_TUPLE = re.compile(
    r"(-|-?(?:[0-9./]|\\(?:frac|sqrt|pi)(?![A-Za-z])|[{}]| )*[0-9}])"
    r"(?: ?(?:\\cdot|\\times|\*))? ?(\(.*,.*\)|\\langle.*\\rangle)"
)
_ALL = r"\mathbb{R}"
_EXCLUDING = re.compile(r"\\mathbb\{R\} ?(?:\\setminus|-) ?\\\{(.+)\\\}")
_UNEQUAL = re.compile(r"[A-Za-z] ?\\ne(?![A-Za-z]) ?(.+)")
_REAL_NAME = re.compile(
    r"[A-Za-z] ?\\in ?\\mathbb\{R\} ?[,:|]? ?(?=[^\s\\-])|, ?[A-Za-z] ?\\in ?\\mathbb\{R\}$"
)
_SUCH_THAT = r"(?::|\\mid(?![A-Za-z])|\||\\vert(?![A-Za-z]))"
_SET_BUILDER = re.compile(
    rf"\\\{{ ?([A-Za-z])(?: ?\\in ?\\mathbb\{{R\}})? ?{_SUCH_THAT} ?(.+?) ?\\\}}"
)
_WORD = r"(?:\\text\{{ ?{0} ?\}}|(?<![A-Za-z\\]){0}(?![A-Za-z])|\\l{0}(?![A-Za-z]))"
_OR = re.compile(_WORD.format("or") + r"|\\vee(?![A-Za-z])")
_AND = re.compile(rf",? ?(?:{_WORD.format('and')}|{_OR.pattern}) ?")
_NEXT_EQUATION = re.compile(r"(= ?-?[0-9.]+) (?=[A-Za-z] ?=)")  # in x = 3 y = 5
_EQUATION = re.compile(r"(\\?[A-Za-z]+(?:_(?:\w|\{\w+\}))?) ?= ?.+")
_PM = re.compile(r"\\(pm|mp)(?![A-Za-z])")


def parts_of(text: str) -> tuple[str, list[str]] | None:
    """What an answer is made of: a kind and its items; None for a single expression.

    Kinds: `set`, `union`, `matrix`, a pair of brackets, `all but` for the real numbers without
    some, or nothing for a list without brackets.
    """
    if match := _SET_BUILDER.fullmatch(text):
        return parts_of(match[2]) if re.search(rf"\b{match[1]}\b", match[2]) else None
    text = _REAL_NAME.sub("", text)
    if (but := _excluded(text)) is not None:
        return ("all but", but) if but else ("()", [r"-\infty", r"\infty"])
    if text in (r"\emptyset", r"\varnothing", r"\{\}", r"\{ \}"):
        return "set", []
    ranges = split(text, r"\cup") if r"\cup" in text else _split_or(text)
    if len(ranges) > 1:
        return _without_points(ranges) or ("union", [r.strip() for r in ranges])
    if interval := _interval(text):
        return interval
    if transposed := _TRANSPOSED.fullmatch(text):
        kind, items = parts_of(transposed[1]) or ("", [])
        return ("matrix", items) if kind in ("matrix", "()", "[]") else None
    if match := _MATRIX.fullmatch(text):
        rows = [row.split("&") for row in match[1].split(r"\\") if row.strip()]
        is_vector = len(rows) == 1 or all(len(row) == 1 for row in rows)
        kind = "matrix" if is_vector else f"matrix of {len(rows)} rows"
        return kind, [cell.strip() for row in rows for cell in row]
    if match := _MATRIX_TIMES.fullmatch(text):
        text = f"{match[2]} {match[1]}"
    if match := _TIMES_MATRIX.fullmatch(text) or _TIMES_TUPLE.fullmatch(text):
        kind, items = parts_of(match[2]) or ("", [])
        factor = re.sub(r"(?:\\cdot|\\times|\*)$", "", match[1].strip()).strip()
        if kind.startswith(("matrix", "()")) and r"\begin" not in factor:
            factor = "-1" if factor == "-" else factor
            return kind, [rf"({factor}) \cdot ({item})" for item in items]
    for opening, ending, kind in ((r"\{", r"\}", "set"), (r"\langle", r"\rangle", "()")):
        if text.startswith(opening) and text.endswith(ending):
            return kind, _items(text[len(opening) : -len(ending)])
    if text[:1] in "([" and text[-1:] in ")]" and closing(text, 0) == len(text) - 1:
        items = _items(text[1:-1])
        return (text[0] + text[-1], items) if len(items) > 1 else None
    return _list(text)


def _excluded(text: str) -> list[str] | None:
    r"""What the real numbers are without: nothing in `\mathbb{R}`, 2 in `x \ne 2`."""
    if text == _ALL:
        return []
    if match := _EXCLUDING.fullmatch(text):
        return _items(match[1])
    items = _items(text) if _UNEQUAL.fullmatch(text) else []
    return [_UNEQUAL.sub(r"\1", item) for item in items] or None


def _without_points(ranges: Sequence[str]) -> tuple[str, list[str]] | None:
    """Open intervals with nothing but their ends between them, as those ends."""
    kinds, ends = zip(*(parts_of(part.strip()) or ("", []) for part in ranges), strict=True)
    if set(kinds) != {"()"} or any(len(pair) != 2 for pair in ends):
        return None
    flat = [end.replace(" ", "") for pair in ends for end in pair]
    is_all = flat[0] == r"-\infty" and flat[-1] == r"\infty" and flat[1:-1:2] == flat[2:-1:2]
    return ("all but", [low for low, _ in ends[1:]]) if is_all else None


def _list(text: str) -> tuple[str, list[str]] | None:
    """A list without brackets, whose items may have names.

    x, y and z, or x_1 and x_2, are a tuple in the order of their names. Values of one name have no
    order, nor have those between which there is an "or": they are a set. Else it may be either.
    """
    items = _items(text)
    if len(items) < 2:
        return None
    names = [match[1] for item in items if (match := _EQUATION.fullmatch(item))]
    if _OR.search(text) or len(set(names)) < len(names):
        return "set", items
    letters = "".join(sorted(names)).lower() in ascii_lowercase
    indices = len({name.partition("_")[0] for name in names}) == 1
    if len(names) == len(items) and (letters or indices):
        return "()", sorted(items)
    return "", items


def _split_or(text: str) -> list[str]:
    """The parts of `x < 2 or x > 5`; one part where it is nothing of the kind."""
    parts = _AND.split(text)
    return parts if all(_interval(part.strip()) for part in parts) else [text]


def _interval(text: str) -> tuple[str, list[str]] | None:
    """The interval that an inequality for one variable says."""
    pieces = [piece.strip() for piece in RELATION.split(text)]
    if len(pieces) == 3:
        name, sign, bound = pieces if _is_name(pieces[0]) else _turned(pieces)
        if not _is_name(name) or _is_name(bound):
            return None
        if sign in _LESS:
            return "(" + _LESS[sign][1], [r"-\infty", bound]
        return _LESS[_TURNED[sign]][0] + ")", [bound, r"\infty"]
    if len(pieces) == 5 and _is_name(pieces[2]):
        low, first, _, second, high = pieces if pieces[1] in _LESS else _turned(pieces)
        if first in _LESS and second in _LESS:
            return _LESS[first][0] + _LESS[second][1], [low, high]
    return None


_LESS = {"<": "()", r"\le": "[]"}  # the brackets of an interval with such an end
_TURNED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}


def as_relation(interval: tuple[str, list[str]], name: str) -> str | None:
    """What an interval says of a name; None for anything else."""
    (kind, ends), signs = interval, {"(": "<", "[": r"\le", ")": "<", "]": r"\le"}
    if len(kind) != 2 or len(ends) != 2:
        return None
    low = "" if ends[0] == r"-\infty" else f"{ends[0]} {signs[kind[0]]} "
    return f"{low}{name}" + ("" if ends[1] == r"\infty" else f" {signs[kind[1]]} {ends[1]}")


def gap_of(union: tuple[str, list[str]]) -> tuple[str, list[str]] | None:
    """The interval that `(-\\infty, a) \\cup (b, \\infty)` leaves out; None for anything else."""
    kind, items = union
    parts = [parts_of(item) or ("", []) for item in items] if kind == "union" else []
    if len(parts) != 2 or {len(kind) + len(ends) for kind, ends in parts} != {4}:
        return None
    (first, (low, begin)), (second, (end, high)) = parts
    if (low, high) != (r"-\infty", r"\infty"):
        return None
    return ("[" if first[1] == ")" else "(") + ("]" if second[0] == "(" else ")"), [begin, end]


def denial(relation: str) -> str:
    """What holds where a relation does not."""
    signs = {"<": r"\ge ", ">": r"\le ", r"\le": ">", r"\ge": "<"}
    return (
        RELATION.sub(lambda match: signs[match[1]], relation)
        if len(RELATION.findall(relation)) == 1
        else ""
    )


def _turned(relation: Sequence[str]) -> list[str]:
    """A relation read from right to left."""
    return [_TURNED.get(piece, piece) for piece in reversed(relation)]


def _is_name(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z](?: ?\([A-Za-z]\))?|\\(?!infty|pi)[A-Za-z]+", text))


def _items(text: str) -> list[str]:
    r"""The pieces of a list; `a \pm b` is two of them."""
    items = []
    for piece in pieces(text):
        for signs in ("+-", "-+") if _PM.search(piece) else ("",):
            items.append(_PM.sub(lambda m, signs=signs: signs[m[1] == "mp"], piece).strip())
    return items


def pieces(text: str) -> list[str]:
    """What is between commas, semicolons, line ends, "and" and "or", outside of brackets."""
    if r"\begin" not in text:
        text = _NEXT_EQUATION.sub(r"\1, ", text.replace(r"\\", ", "))
    found = [piece.strip() for piece in split(_AND.sub(", ", text), ",", ";")]
    return [piece for piece in found if piece]


def split(text: str, *separators: str) -> list[str]:
    """Pieces between separators that are outside of all brackets."""
    depth, done, found = 0, 0, []
    for match in re.finditer("|".join(map(re.escape, separators)) + r"|[()\[\]{}]", text):
        if match[0] not in separators:
            depth += 1 if match[0] in "([{" else -1
        elif depth == 0:
            found.append(text[done : match.start()])
            done = match.end()
    return [*found, text[done:]]
