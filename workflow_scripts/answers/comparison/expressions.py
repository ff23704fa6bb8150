r"""Whether two single expressions are equal, by math-verify; to be run in a process of its own.

math-verify's reader of LaTeX is given one expression. It is called as `math_verify.parse` calls it,
which cannot be told to keep capital letters apart from small ones. The other reader there is, for
plain expressions, hands text to Python's `eval` by way of sympy's `parse_expr`; it is never used
here. The LaTeX reader builds sympy objects from a grammar; of an answer's text only the digits of
its numbers reach `eval`, by way of `sympy.Number`. But it can be asked for work without end
(`9^{9^{9}}`, `\operatorname{eye}(10^9)`). So an expression must be made of known characters and
commands and must not be known to be huge, and whoever calls this sets limits on time and memory for
what is left.
"""

import logging
import math
import random
import re
from functools import lru_cache
from typing import Any

from workflow_scripts.answers.comparison.notation import closing, rational

MAX_LENGTH = 400  # characters
MAX_DEPTH = 24  # brackets inside one another
MAX_NUMBER = 60  # digits of one number that are handed to the library
MAX_POWER = 20_000  # decimal digits of a power, factorial or binomial of written numbers
MAX_EXPONENT = 60  # of brackets in which there are letters

# What the comparisons were made for: another version may compare differently.
PACKAGES = {"math-verify": "0.9.0", "latex2sympy2-extended": "1.11.0", "sympy": "1.14.0"}

_CHARACTERS = re.compile(r"[0-9A-Za-z+\-*/^_=<>!|.,;:%'&(){}\[\]\\ ]*")
_COMMANDS = """
    frac binom sqrt pi infty cdot times div pm mp le ge ne in cup cap text begin end langle rangle
    lfloor rfloor lceil rceil sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho
    sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
    mathbb overline vec hat bar circ ell mid lvert rvert vert prime
"""
_MATRIX = re.compile(r"\\(?:begin|end)\{matrix\}")
_POWER = re.compile(r"([0-9.]+)\s*\^\s*\{?\s*-?([0-9.]+)\s*\}?(?:\s*\^\s*\{?\s*-?([0-9.]+))?")
_FACTORIAL = re.compile(r"([0-9]+)\s*!")
_FACTORIAL_OF_MORE = re.compile(r"[)\]}!]\s*!|\^\s*\{[^{}]*!")
_BINOMIAL = re.compile(r"\\binom\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_POWER_OF_BRACKETS = re.compile(r"[)\]}]\s*\^\s*(?:\{\s*)?-?([0-9]+)")
_ROOT_OF_BRACKETS = re.compile(r"(\\sqrt|\^)\s*\(")
_TWO_NUMBERS = re.compile(r"(?<![_^0-9.])[0-9.]+ +[0-9]")  # the library would add them
_DECIMAL = re.compile(r"(?<![0-9A-Za-z_.])([0-9]*)\.([0-9]+)(?![0-9.])")
_PERIODIC = re.compile(r"[0-9]*\.[0-9]*\\overline ?\{ ?[0-9]+ ?\}")
_FUNCTIONS = re.compile(
    r"(?<![\\A-Za-z])(arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log|ln|exp)"
    r"(?![A-Za-z])"
)


class Refused(Exception):
    """An expression that is not handed to the library; the message says why."""


def expressions_equal(gold: str, answer: str) -> bool:
    """Whether two `clean` expressions are equal. Raises `Refused` for one that is not compared."""
    one, other = _parsed(_guarded(gold)), _parsed(_guarded(answer))
    if one is None or other is None:
        return False
    return _same(one, other) or _equal_as_complex(one, other)


def prepare() -> None:
    """Load the library whole and let its parser learn the grammar, before processes are copied."""
    import sympy.physics.units  # noqa: F401 - sympy loads it at the first expression it simplifies

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    for text in (
        r"\frac{1}{2}", r"3\sqrt{13}+\sqrt[3]{x^{2}}", r"x^2+y_{1}-2ab", r"2\cdot\pi r^2", r"5-2i",
        r"(a+5)(b-2)", r"5x-7y=0", r"\sin(2x)+\cos x", r"\log_2 8", r"e^{-x}", r"x<5", r"10!",
        r"\binom{5}{2}", r"|x|", r"-\frac{a}{b}", r"1,2", r"\text{even}",
    ):  # fmt: skip
        expressions_equal(text, text + "+1")


def forget() -> None:
    """Begin every comparison alike, whatever was compared before.

    sympy tests some equalities at random points, and keeps what it has worked out.
    """
    from sympy.core.cache import clear_cache
    from sympy.core.random import seed

    random.seed(0)
    seed(0)
    clear_cache()


def _guarded(text: str) -> str:
    """An expression as it is handed over, or `Refused`."""
    if len(text) > MAX_LENGTH:
        raise Refused("too long")
    text = _FUNCTIONS.sub(r"\\\1 ", _braced(text))
    if not _CHARACTERS.fullmatch(text):
        raise Refused("unknown signs")
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_DEPTH:
            raise Refused("nested too deeply")
        if depth < 0:
            break
    if depth:
        raise Refused("unbalanced")
    commands = re.findall(r"\\([A-Za-z]+)", text)
    environments = commands.count("begin") + commands.count("end")
    if set(commands) - set(_COMMANDS.split()) or len(_MATRIX.findall(text)) != environments:
        raise Refused("unknown commands")
    if max(map(len, re.findall("[0-9]+", text)), default=0) > MAX_NUMBER:
        raise Refused("number too long")
    if _TWO_NUMBERS.search(text):
        raise Refused("two numbers side by side")
    if _is_huge(text):
        raise Refused("number too large")
    return _DECIMAL.sub(_as_fraction, _PERIODIC.sub(_as_exact, text))


def _braced(text: str) -> str:
    r"""`\sqrt(x+1)` and `x^(a+b)` with braces, as LaTeX has them."""
    while match := _ROOT_OF_BRACKETS.search(text):
        start = match.end() - 1
        end = closing(text, start)
        if end is None or text[end] != ")":
            raise Refused("unbalanced")
        text = f"{text[: match.start()]}{match[1]}{{{text[start + 1 : end]}}}{text[end + 1 :]}"
    return text


def _is_huge(text: str) -> bool:
    """Whether written numbers make powers, factorials or binomials that take an age to work out.

    It need not see every one: what it does not see is ended by the limit on time.
    """
    digits = [_power_digits(*match.groups()) for match in _POWER.finditer(text)]
    digits += [_factorial_digits(float(number)) for number in _FACTORIAL.findall(text)]
    for above, below in _BINOMIAL.findall(text):
        if re.search("[0-9]{4}", above):  # n over k is at most n^k
            digits.append(float(below) * len(above) if below.strip().isdigit() else math.inf)
    letters = re.search(r"(?<![\\A-Za-z])[A-Za-z]", text)
    # a sum with letters is multiplied out, a number is not
    limit = MAX_EXPONENT if letters else MAX_POWER
    return (
        (not letters and bool(_FACTORIAL_OF_MORE.search(text)))
        or max(digits, default=0) > MAX_POWER
        or max(map(float, _POWER_OF_BRACKETS.findall(text)), default=0) > limit
    )


def _power_digits(base: str, power: str, tower: str | None) -> float:
    """About how many decimal digits a power, or a tower of two, of written numbers has."""
    try:
        return float(power) ** float(tower or 1) * math.log10(max(float(base), 1.0) + 1e-9)
    except (OverflowError, ValueError):
        return math.inf


def _factorial_digits(number: float) -> float:
    return number * math.log10(number / math.e) if number > 3 else 1.0


def _as_exact(match: re.Match[str]) -> str:
    value = rational(match[0])
    return rf"(\frac{{{value.numerator}}}{{{value.denominator}}})"


def _as_fraction(match: re.Match[str]) -> str:
    """A decimal as the exact fraction that it is, so that nothing is compared by rounding."""
    whole, decimals = match.groups()
    if not decimals.strip("0"):
        return whole or "0"
    return rf"(\frac{{{int(whole + decimals)}}}{{{10 ** len(decimals)}}})"


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    from latex2sympy2_extended import NormalizationConfig, normalize_latex
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy
    from math_verify.parser import should_treat_as_complex

    # no units: it would take the t of 3t for one
    spelling = NormalizationConfig(malformed_operators=True, nits=True, units=False, boxed="none")
    text = normalize_latex(text, spelling)
    try:
        return latex2sympy(
            text,
            is_real=not should_treat_as_complex(text),
            normalization_config=None,
            conversion_config=ConversionConfig(lowercase_symbols=False),  # R is not r
        )
    except MemoryError:
        raise
    except Exception:  # whatever its grammar does not know
        return None


def _same(one: Any, other: Any) -> bool:
    """Whether two parsed expressions are equal; sets and what else there is as math-verify says."""
    from math_verify import verify

    from workflow_scripts.answers.comparison.symbolic import same

    try:
        verdict = same(one, other)
    except MemoryError:
        raise
    except Exception:  # whatever sympy raises where it is at a loss
        verdict = False
    if verdict is None:
        # `strict`: x is not y. No time limit: whoever runs this process has one
        return verify([one], [other], strict=True, timeout_seconds=None)
    return verdict


def _equal_as_complex(one: Any, other: Any) -> bool:
    """Whether two expressions are equal once the letter i is the imaginary unit."""
    from sympy import Basic, I

    if not isinstance(one, Basic) or not isinstance(other, Basic):
        return False
    first, second = (
        said.subs({letter: I for letter in said.free_symbols if letter.name == "i"})
        for said in (one, other)
    )
    return (first, second) != (one, other) and _same(first, second)
