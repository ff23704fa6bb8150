r"""One way of writing for mathematical answers that people and models write in many.

`clean` takes away what changes the look of an answer and not its meaning (`\left`, `\dfrac`, dollar
signs, spaces, Unicode signs), and `rational` reads numbers exactly. Nothing is evaluated.
"""

import re
from collections.abc import Iterable
from fractions import Fraction

# Signs that LaTeX has commands for, and figures of other kinds.
_SIGNS = str.maketrans(
    dict.fromkeys("−﹣－‐‑–", "-")
    | dict(zip("０１２３４５６７８９", "0123456789", strict=True))
    | {c: f"^{n}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    | {c: f"_{n}" for n, c in enumerate("₀₁₂₃₄₅₆₇₈₉")}
    | {"½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}"}
    | {"×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "÷": "/", "∕": "/", "⁄": "/", "∗": "*"}
    | {"π": r"\pi ", "∞": r"\infty ", "√": r"\sqrt ", "±": r"\pm ", "∪": r"\cup ", "∈": r"\in "}
    | {"≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≃": r"\approx "}
    | {"ℝ": r"\mathbb{R}", "∖": r"\setminus ", "∅": r"\emptyset ", "…": "..."}
    | {"°": r"^\circ ", "º": r"^\circ ", "％": "%", "¢": r"\text{ cents}"}
    | {"α": r"\alpha ", "β": r"\beta ", "θ": r"\theta ", "λ": r"\lambda ", "φ": r"\phi "}
    | {"\u2009": r"\,", "\u202f": r"\,", "\u00a0": " ", "\u200b": ""}
    | {"，": ", ", "（": "(", "）": ")"}
)

# backslashes that were all escaped once more: `\\\\frac{1}{2}`
_ESCAPED = re.compile(
    r"\\\\(?:[dtc]?frac|d?binom|sqrt|left|text[a-z]*|math[a-z]+|begin|boxed|pi|theta|alpha|infty|times"
    r"|cdot|circ|pm|leq?|geq?|neq?|cup|in|sin|cos|tan|log|ln|overline)(?![A-Za-z])|\\\\[{}%]"
)
_ALONE = re.compile(r"(?<!\\)\\(?:\\\\)*(?!\\)")  # an odd number of them

_ROOT_SIGN = re.compile(r"√\s*([0-9]+(?:\.[0-9]+)?|[A-Za-z])")
_BRACKET_OR_THOUSANDS = re.compile(
    r"\\[{}]|[()\[\]]|(?<![0-9.])(?P<number>[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?![0-9])"
)
_SPACED_THOUSANDS = re.compile(  # 27 000, but not 3 125/1000
    r"(?<![0-9./^_}] )(?<![0-9A-Za-z.,/^_])[1-9][0-9]{0,2}(?:[ '’][0-9]{3})+"
    r"(?![0-9]|[ '’,][0-9]| ?/)"
)
_SURE_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|,?\s*\\[,!]\s*)(?=[0-9]{3}(?![0-9]))")
_LINE_END = re.compile(r"(?<!\\)\\\n")
_BOLD = re.compile(r"(?<![^\s(\[\"'=:])\*\*(?=\S)|(?<=\S)\*\*(?![^\s.,;:!?)\]\"'])")
_SIZES = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits|nolimits)(?![A-Za-z])\.?"
)
_SPACES = re.compile(r"(?<!\\)\\(?:[,;:! ]|q?quad(?![A-Za-z]))|~")
_FONTS = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up|md)?|math(?:rm|bf|it|sf|tt|normal)|bm|boldsymbol|"
    r"[mhf]box|operatorname\*?)\s*\{"
)
_EMPTY_TEXT = re.compile(r"\\text\{\s*\}")
_DELIMITERS = re.compile(r"(?<!\\)\\[\[\]()]|(?<!(?<!\\)\\)\$")  # `\$` is money
_OLD_FONTS = re.compile(
    r"\\(?:(?:rm|bf|it|sf|tt|small|normalsize|large|Large|LARGE|huge|Huge)(?![A-Za-z])"
    r"|(?:text)?color\s*\{[A-Za-z]*\})\s*"
)
# what tells values from words in `\text{}`: digits, but as the power of a unit, and commands
_IN_TEXT = re.compile(
    r"(?:[_^]\s*)?\\text\{|\\[{}]|\^\s*(?:-?[0-9]|\{\s*-?[0-9]+\s*\})|[{}]|[0-9]|\\[A-Za-z]|\\\$"
)
_ORDINAL = re.compile(  # but not the letters in 2nd + 1
    r"(?<![0-9A-Za-z.}])([0-9]*(?:1st|2nd|3rd|[0-9]th))(?=\s*(?:$|[,.;)}]|[A-Za-z]{2}|\\text))"
    r"|(?<=[0-9])\s*\^?\s*\{?\s*\\text\{\s*(?:st|nd|rd|th)\s*\}\s*\}?"
    r"|(?<=[0-9])\s*\^\s*\{\s*(?:st|nd|rd|th)\s*\}"
)
_INDEX = re.compile(r"_\s*\{\s*([0-9A-Za-z])\s*\}(?![0-9A-Za-z])")
_PERIOD = re.compile(  # 0.1(6), 0.1\bar6 and 0.1666...
    r"(?<![0-9.])([0-9]*)(\.[0-9]*)"
    r"(?:\(([0-9]+)\)|\\overline ?([0-9])|(?:\.\.\.|\\[lc]?dots))(?![0-9A-Za-z(])"
)
_DOTTED = re.compile(r"(?<=[0-9.])\\dot ?\{?([0-9])\}?(?:([0-9]*)\\dot ?\{?([0-9])\}?)?")
_ALL_REALS = re.compile(
    r"(?:[a-z] (?:is|can be|=|\\in) )?(?:(?:the )?set of )?"
    r"(?:(?:all|any|every)(?: of)?(?: the)? reals?(?: numbers?| values?)?|(?:the )?reals"
    r"|(?:the )?real numbers)(?: (?:of |for )?[a-z])?"
    r"(?:(?:,? (?:except|but|other than|excluding|without)(?: for| when| where)?(?: [a-z] ?=)?"
    r"|(?:,? (?:with|where) [a-z])? ?\\ne) (.+))?",
    re.IGNORECASE,
)
_ROUGHLY = r"(?:about|approximately|approx\.?|roughly)"
_SYNONYMS = (
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\[dt]binom(?![A-Za-z])"), r"\\binom"),
    (re.compile(r"\\leq(?:slant)?(?![A-Za-z])|\\leqq(?![A-Za-z])|<\s?="), r"\\le "),
    (re.compile(r"\\geq(?:slant)?(?![A-Za-z])|\\geqq(?![A-Za-z])|>\s?="), r"\\ge "),
    (re.compile(r"\\neq(?![A-Za-z])|\\not\s?=|!="), r"\\ne "),
    (re.compile(r"\\textsuperscript\s*(?=\{)"), "^"),
    (re.compile(rf"(?<![A-Za-z\\]){_ROUGHLY}(?= [0-9$\\-])"), r"\\approx"),
    (re.compile(rf"\\text\{{\s*{_ROUGHLY}\s*\}}"), r"\\approx "),
    (re.compile(r"\\(?:approxeq|simeq|doteq)(?![A-Za-z])"), r"\\approx "),
    (re.compile(r"\\mathbb\s*\{?\s*R\s*\}?|\\(?:R|Reals)(?![A-Za-z])"), r"\\mathbb{R}"),
    (re.compile(r"\\(?:smallsetminus|backslash)(?![A-Za-z])"), r"\\setminus "),
    (re.compile(r"\\bar(?=\s*\{?\s*[0-9])"), r"\\overline"),
    (re.compile(r"\+\s?(?=\\infty(?![A-Za-z]))"), ""),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r"\\l(?:brace|Brace)(?![A-Za-z])"), r"\\{"),
    (re.compile(r"\\r(?:brace|Brace)(?![A-Za-z])"), r"\\}"),
    (re.compile(r"\\lbrack(?![A-Za-z])"), "["),
    (re.compile(r"\\rbrack(?![A-Za-z])"), "]"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\\degrees?(?![A-Za-z])"), r"^\\circ "),
    (re.compile(r"\^\s*\{\s*\\circ\s*\}"), r"^\\circ "),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"(?<![A-Za-z\\])(?:percent|per cent|pct)(?![A-Za-z])"), "%"),
    (re.compile(r"\\text\{\s*%\s*\}"), "%"),
    (re.compile(r"\\textdollar(?![A-Za-z])|\\text\{\s*\\\$\s*\}"), r"\\$"),
    (re.compile(r"(?<![A-Za-z\\])(sqrt|pi|infty|infinity|oo)(?![A-Za-z])"), r"\\\1 "),
    (re.compile(r"\\(?:infinity|oo)(?![A-Za-z])"), r"\\infty"),
)  # fmt: skip
_FRACTION = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|([0-9A-Za-z]))\s*(?:\{([^{}]*)\}|([0-9A-Za-z]))")
_NO_OVER = r"(?!\\over(?![A-Za-z]))"
_OVER = re.compile(rf"\{{((?:{_NO_OVER}[^{{}}])*)\\over(?![A-Za-z])([^{{}}]*)\}}")
_ALL_OVER = re.compile(rf"((?:{_NO_OVER}[^=,])*)\\over(?![A-Za-z])([^=,]*)")
_ROW_GAP = re.compile(r"\\\\\s?\[\s?-?[0-9.]+\s?(?:pt|ex|em|mm|cm|in)\s?\]")
_WIDE_SPACE = re.compile(  # between two equations
    r"(=[^=]*?[^=\s\\])\s*\\(?:q?quad(?![A-Za-z])|[ ;])\s*(?=\\?[A-Za-z]+(?:_\w|_\{\w+\})?\s?=)"
)
_MATRIX = re.compile(r"\\(begin|end)\{(?:[pbvBV]?matrix|smallmatrix|array)\}(?:\{[lcr|]*\})?")
_EDGES = " \n\t.,;:?"  # an exclamation mark may be a factorial


def clean(text: str) -> str:
    """The answer with one spelling for what has several; what it means stays."""
    if _ESCAPED.search(text) and not _ALONE.search(text):
        text = text.replace("\\\\", "\\")
    text = _ROOT_SIGN.sub(r"\\sqrt{\1}", _LINE_END.sub(" ", text)).translate(_SIGNS)
    text = _BOLD.sub("", _DELIMITERS.sub(" ", text))
    text = _without_commas(_SURE_THOUSANDS.sub("", _SIZES.sub("", text)))
    text = _FONTS.sub(lambda _: r"\text{", text)
    text = _OLD_FONTS.sub("", _EMPTY_TEXT.sub(" ", text))
    text = _MATRIX.sub(r"\\\1{matrix}", _ROW_GAP.sub(r"\\\\ ", text))
    text = _SPACES.sub(" ", _WIDE_SPACE.sub(r"\1, ", text))
    for pattern, spelling in _SYNONYMS:
        text = pattern.sub(spelling, text)
    text = _INDEX.sub(r"_\1", _ORDINAL.sub(lambda m: (m[1] or "")[:-2] + " ", text))
    text = _OVER.sub(r"\\frac{\1}{\2}", _values_without_font(text))
    text = _PERIOD.sub(_overlined, _DOTTED.sub(r"\\overline{\1\2\3}", text))
    text = _SPACED_THOUSANDS.sub(lambda match: re.sub("[^0-9]", "", match[0]), text)
    text = _without_edges(" ".join(_FRACTION.sub(_braced_fraction, text).split()))
    if over := _ALL_OVER.fullmatch(text):
        return rf"\frac{{{over[1].strip()}}}{{{over[2].strip()}}}"
    return _reals(text) if "real" in text.lower() else text


def _overlined(match: re.Match[str]) -> str:
    """A decimal with a line over its period. One that is not marked has been written repeatedly."""
    whole, decimals, *periods = match.groups()
    period = next(filter(None, periods), "")
    for length in range(1, 20) if not period else ():
        last = decimals[-length:]
        if last.isdigit() and decimals.endswith(last * (3 if length == 1 else 2)):
            period = last
            break
    return rf"{whole or 0}{decimals}\overline{{{period}}}" if period else match[0]


def _reals(text: str) -> str:
    """`all real numbers except 2` in signs."""
    words = " ".join(re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text).split())
    match = _ALL_REALS.fullmatch(words)
    if not match:
        return text
    return rf"\mathbb{{R}} \setminus \{{{match[1]}\}}" if match[1] else r"\mathbb{R}"


def _without_commas(text: str) -> str:
    """Without the commas of thousands. In brackets a comma separates: (1,234) are two numbers."""
    cuts, depth = [], 0
    for match in _BRACKET_OR_THOUSANDS.finditer(text):
        if match["number"] is None:
            depth = max(0, depth + (1 if match[0][-1] in "([{" else -1))
        elif depth == 0:
            cuts.append((*match.span(), match[0].replace(",", "")))
    return _replaced(text, cuts)


def _values_without_font(text: str) -> str:
    r"""`\mathbf{\frac{1}{2}}` and `\text{27 miles}` without the font; words keep theirs."""
    opened = []  # where a group's brace starts and ends, and whether there is a value in it
    cuts = []
    for match in _IN_TEXT.finditer(text):
        sign = match[0]
        group = [*match.span(), False] if sign.endswith("{") and sign != r"\{" else None
        value = sign != "{" if group else sign[0] != "^" and sign[-1] not in "{}"
        if sign == "}" and opened:
            start, end, value = opened.pop()
            if value and text[start] in "_^":
                cuts.append((start, end, text[start] + "{"))
            elif value and text[start] == "\\":
                cuts += [(start, end, " "), (*match.span(), " ")]
        if value and opened:
            opened[-1][2] = True
        if group:
            opened.append(group)
    return _replaced(text, sorted(cuts))


def _replaced(text: str, cuts: Iterable[tuple[int, int, str]]) -> str:
    """A text with something else in the place of parts of it: start, end, what is there instead."""
    parts, done = [], 0
    for start, end, instead in cuts:
        parts += [text[done:start], instead]
        done = end
    return "".join(parts) + text[done:]


def _braced_fraction(match: re.Match[str]) -> str:
    above, below = ((match[n] or match[n + 1] or "").strip() for n in (1, 3))
    return rf"\frac{{{above}}}{{{below}}}"


def _without_edges(text: str) -> str:
    """Without punctuation around it, emphasis, and braces that only group."""
    while True:
        before = text
        text = text.rstrip(_EDGES).lstrip(_EDGES.replace(".", ""))
        if text.endswith("\\"):
            text = text[:-1]
        for mark in ("**", "__", "`", "*", '"', "'", r"\$"):
            if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
                text = text[len(mark) : -len(mark)]
        if text.startswith("{") and closing(text, 0) == len(text) - 1:
            text = text[1:-1]
        if text == before:
            return text


def closing(text: str, start: int) -> int | None:
    """Position of the brace or bracket that closes the one at `start`; None where none does.

    Any of `([{` is closed by any of `)]}`, since an interval may begin and end with different ones.
    """
    depth = 0
    for position in range(start, len(text)):
        if text[position] in "([{":
            depth += 1
        elif text[position] in ")]}":
            depth -= 1
            if depth == 0:
                return position
    return None


# --- numbers

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_RATIONALS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<above>{_NUMBER})",
        rf"\\frac\{{(?P<sign2>[+-]?)(?P<above>{_NUMBER})\}}"
        rf"\{{(?P<sign3>[+-]?)(?P<below>{_NUMBER})\}}",
        rf"\(?(?P<above>{_NUMBER})\)? ?/ ?\(?(?P<sign2>[+-]?)(?P<below>{_NUMBER})\)?",
        r"(?P<whole>[0-9]+) ?\+? ?\\frac\{(?P<above>[0-9]+)\}\{(?P<below>[0-9]+)\}",
        r"(?P<whole>[0-9]+)(?: | ?\+ ?)(?P<above>[0-9]+) ?/ ?(?P<below>[0-9]+)",
        rf"(?P<above>{_NUMBER}) ?(?:\\times|\\cdot|\*|x) ?10 ?\^ ?"
        r"(?:\{ ?(?P<power>[+-]? ?[0-9]{1,3}) ?\}|\(?(?P<power2>[+-]?[0-9]{1,3})\)?)",
        r"(?P<begin>[0-9]*\.[0-9]*) ?\\overline ?\{ ?(?P<period>[0-9]+) ?\}",
        rf"(?P<above>{_NUMBER})[eE](?P<power>[+-]?[0-9]{{1,3}})",
    )
)
MAX_NUMBER = 300  # characters; what is longer is compared as text


def rational(text: str) -> Fraction | None:
    """The exact value of a number that is written out, from a `clean` text; None for anything else.

    Whole, decimal and mixed numbers, fractions of numbers and powers of ten. A decimal is the
    number that it says: 0.333 is not a third.
    """
    if len(text) > MAX_NUMBER:
        return None
    sign = -1 if text.startswith("-") else 1
    text = text.lstrip("+-").strip() if text[:1] in "+-" else text
    if text.startswith("(") and closing(text, 0) == len(text) - 1:
        inner = rational(text[1:-1].strip())
        return None if inner is None else sign * inner
    for pattern in _RATIONALS:
        if match := pattern.fullmatch(text):
            return _value(sign, match.groupdict())
    return None


def _value(sign: int, parts: dict[str, str | None]) -> Fraction | None:
    if period := parts.get("period"):  # 0.1\overline{6} is 0.1 and 6/90
        decimals = len(parts["begin"].partition(".")[2])
        rest = Fraction(int(period), 10**decimals * (10 ** len(period) - 1))
        return sign * (Fraction(f"0{parts['begin']}0") + rest)
    below = Fraction(parts.get("below") or 1)
    if below == 0:
        return None
    value = Fraction(parts.get("whole") or 0) + Fraction(parts["above"]) / below
    power = parts.get("power") or parts.get("power2")
    if power is not None:
        value *= Fraction(10) ** int(power.replace(" ", ""))
    minus = [parts.get(key) for key in ("sign2", "sign3")].count("-")
    return sign * (-1) ** minus * value
