r"""Units at the end of an answer, which a question names and an answer need not repeat.

A unit that is known by several names is one unit here, so that 5 cents and 5 dollars differ; a word
that is not known as a unit is taken off a number all the same, and differs from nothing. Some words
say something about the number: `million` is a factor, and `5 squared` is not taken apart.
"""

import re
from fractions import Fraction

from workflow_scripts.answers.comparison.notation import rational

# units with their other names
_UNITS = """
    degree, degrees, deg; radian, radians, rad, rads; percent, %; cent, cents; dollar, dollars,
    usd, bucks; euro, euros, eur; pound sterling, gbp; yen, jpy; inch, inches, in; foot, feet,
    ft; yard, yards, yd, yds; mile, miles, mi; millimeter, millimeters, millimetre, millimetres,
    mm; centimeter, centimeters, centimetre, centimetres, cm, cms; decimeter, decimeters, dm;
    meter, meters, metre, metres, m; kilometer, kilometers, kilometre, kilometres, km, kms;
    milligram, milligrams, mg; gram, grams, g; kilogram, kilograms, kg, kgs; ounce, ounces, oz;
    pound, pounds, lb, lbs; milliliter, milliliters, millilitre, millilitres, ml; liter, liters,
    litre, litres, l; gallon, gallons, gal; second, seconds, sec, secs, s; minute, minutes, min,
    mins; hour, hours, hr, hrs, h; day, days; week, weeks; month, months; year, years, yr, yrs;
    mph, miles/hour; km/h, kmh, kph, km/hr; m/s, mps; hertz, hz; joule, joules, j; newton,
    newtons; watt, watts; volt, volts; kelvin, kelvins; mole, moles, mol
"""
KNOWN = {
    alias: names[0]
    for names in ([name.strip() for name in unit.split(",")] for unit in _UNITS.split(";"))
    for alias in names
}

_SYMBOLS = set(
    ["eV", "keV", "MeV", "kJ", "kN", "kW", "kWh", "Pa", "kPa", "MB", "GB", "kB", "mA", "mV"]
)

# glued to a number, one letter is a variable
_BARE = sorted((name for name in KNOWN if len(name) > 1 and name.isalpha()), key=len, reverse=True)
_POWER = r"(?:\s*\^\s*\{?\s*([23])\s*\}?)?"
_AS_TEXT = re.compile(rf"(.*[^\s{{])\s*\\text\s*\{{([^{{}}]*)\}}{_POWER}", re.DOTALL)
_DEGREES = re.compile(r"(.*[^\s{])\s*\^\\circ(?: ?(?:\\text\{ ?)?([CFK])\}?)?", re.DOTALL)
_PERCENT = re.compile(r"(.*[^\s{])\s*%", re.DOTALL)
_GLUED = re.compile(rf"(.*[0-9}})])({'|'.join(_BARE)}){_POWER}", re.DOTALL)
_WORDS = re.compile(
    r"(.*?[0-9)}A-Za-z]) ([A-Za-z]{2,}(?:[ ./-]+[A-Za-z]{2,})*)" + _POWER, re.DOTALL
)
_LETTER = re.compile(rf"(.*[0-9}}]) ([mgshlLJNWVK]){_POWER}", re.DOTALL)
_MONEY = {r"\$": "dollar", "€": "euro", "£": "pound sterling", "¥": "yen"}
_CURRENCY = re.compile(r"(?:US ?)?(\\\$|[€£¥]) ?")
_MODULUS = re.compile(
    r"(.*[^\s({]) ?(?:\\pmod ?|\( ?(?:\\text\{ ?)?\\?mod(?![A-Za-z]) ?\}? ?)"
    r"\{? ?([0-9A-Za-z]+) ?\}?\)?",
    re.DOTALL,
)
_QUANTITY = re.compile(  # a number, and its unit
    r"([-+]?(?:\\frac\{[^{}]*\}\{[^{}]*\}|[0-9.]+(?: ?/ ?[0-9.]+)?)"
    r"(?: ?(?:\\times|\\cdot|x|\*) ?10 ?\^ ?(?:\{[^{}]*\}|-?[0-9]+)|[eE][-+]?[0-9]+"
    r"| ?\^ ?(?:\{[^{}]*\}|-?[0-9]+))?)"
    r"( ?(?:\\text\{[^{}]*\}|\\(?:mu|Omega|AA|cdot)(?![A-Za-z])|\^(?:\\circ|[ {]?-?[0-9]\}?)"
    r"|[^\W\d_]{2,}|(?<![^\W\d_])[mgshlLJNWVKACMTFHS](?![^\W\d_])|[ %Å°/.-])*)"
)
_POWER_OF_TEN = re.compile(r"^(?=10 ?\^)")
_FACTORS = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_FACTORS["trillion"] = 10**12
_ABOUT_NUMBERS = """
    and or is are was not times plus minus over divided squared cubed factorial pi half halves
    thirds fourths fifths sixths sevenths eighths ninths tenths hundredths thousandths most least
    wrong incorrect impossible
"""
_MATHEMATICAL = """
    in mod sin cos tan cot sec csc log ln exp sqrt base to the lim max min gcd lcm if for where with
"""


def without_unit(text: str) -> tuple[str, str | None]:
    """A `clean` text without the unit at its end, and the unit's one name where it is known.

    A power counts as part of the unit: `cm^2` and `square centimeters` are `centimeter^2`.
    """
    if match := _MODULUS.fullmatch(text):
        return match[1], f"mod {match[2]}"
    if money := _CURRENCY.search(text):
        return without_unit(_CURRENCY.sub("", text).strip())[0], _MONEY[money[1]]
    if match := _DEGREES.fullmatch(text):
        return match[1].strip(), "degree"
    if match := _PERCENT.fullmatch(text):
        return match[1].strip(), "percent"
    match = _AS_TEXT.fullmatch(text)
    if (
        match
        and not _words(match[2]) & _words(_ABOUT_NUMBERS)
        and re.search(r"[0-9]|\\pi", match[1])
    ):
        return _with_factor(match[1].strip(), match[2], match[3])
    match = _LETTER.fullmatch(text)
    if match and rational(match[1]) is not None:
        return match[1], known(match[2], match[3])
    match = _GLUED.fullmatch(text) or _WORDS.fullmatch(text)
    is_unit = match and (
        known(match[2])
        or not _words(match[2]) & _words(_ABOUT_NUMBERS + _MATHEMATICAL)
        and all(map(_is_word, re.findall("[A-Za-z]+", match[2])))
    )
    if match and is_unit and _is_value(match[1]):
        return _with_factor(match[1].strip(), match[2], match[3])
    return text, None


def quantity(text: str) -> tuple[Fraction, str] | None:
    """The number that a `clean` text begins with, and the unit that is the rest of it, as written.

    None where the rest is none, or where words stand there that more is said with.
    """
    match = _QUANTITY.fullmatch(text)
    number = match and rational(_POWER_OF_TEN.sub(r"1 \\times ", match[1]))
    if number is None or re.search(r"\b(?:and|or|to)\b", match[2]):
        return None
    return number, match[2]


def _with_factor(value: str, words: str, power: str | None) -> tuple[str, str | None]:
    """A value times what `million` and its like in front of a unit say, and the unit's name."""
    first, _, others = words.strip().partition(" ")
    factor = _FACTORS.get(first.lower())
    if factor is None:
        return value, known(words, power)
    number = rational(value)
    value = rf"({value}) \cdot {factor}" if number is None else str(number * factor)
    return _with_factor(value, others, power)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def _is_word(text: str) -> bool:
    """Whether letters are a word, or a symbol of a unit, rather than a product of letters."""
    spelled = len(text) > 2 and re.search("[aeiouy]", text.lower()) and text not in ("abc", "xyz")
    return bool(spelled) or text.lower() in KNOWN or text in _SYMBOLS


def _is_value(text: str) -> bool:
    """A number, or an expression that no plain word is part of."""
    bare = re.sub(r"\\[A-Za-z]+", "", text)
    is_expression = re.search("[0-9]", bare) and not re.search("[A-Za-z]{2,}", bare)
    return bool(is_expression) or rational(text) is not None


def known(text: str, power: str | None = None) -> str | None:
    """The one name of a unit; None where it is not known."""
    name = " ".join(text.lower().replace(".", "").split())
    if match := re.fullmatch(r"(square|sq|cubic|cu) (.*)", name):
        name, power = match[2], "2" if match[1][0] == "s" else "3"
    if match := re.fullmatch(r"(.*\w) ?\^ ?\{? ?([23]) ?\}?", name):
        name, power = match.groups()
    name = KNOWN.get(name)
    return f"{name}^{power}" if name and power else name
