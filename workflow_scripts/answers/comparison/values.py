r"""The value of a number that is written as an expression: `\frac{\sqrt{3}}{2}`, `2\pi`, `e^{-1}`.

Sums, products, quotients and powers of written numbers are exact; roots, logarithms and the like
are those of floats, which no tolerance that anybody asks for is as fine as. Numbers alone are read,
no letters but e: it is a calculator, and expressions that are to be equal go to `expressions`.
"""

import math
import re
from collections.abc import Callable
from fractions import Fraction

MAX_BRACKETS = 40
MAX_POWER = 400  # of an exact power, and of the digits of its base

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)|\\(?P<command>[A-Za-z]+)"
    r"|(?P<name>sin|cos|tan|ln|log|exp|e)(?![A-Za-z])|(?P<sign>[-+*/^()\[\]{}]))\s*"
)
_CONSTANTS = {"pi": math.pi, "e": math.e}
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp,
    "ln": math.log, "log": math.log10,
}  # fmt: skip
_BRACKETS = {"(": ")", "[": "]", "{": "}"}

Number = Fraction | float


class _Unread(Exception):
    """What is no such expression."""


def value(text: str) -> Fraction | None:
    """The value of a `clean` text; None where it is no number that this can work out."""
    if sum(map(text.count, _BRACKETS)) > MAX_BRACKETS:
        return None
    try:
        found = _Reader(text).whole()
        return Fraction(found)  # raises for what is infinite or no number
    except (_Unread, ArithmeticError, ValueError, TypeError):
        return None


class _Reader:
    """Reads a text from left to right, a method for each rank of operations."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if not match:
                raise _Unread
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            place = match.end()
        self.place = 0

    def next(self) -> tuple[str, str]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "")

    def take(self, *wanted: str) -> str | None:
        """The next token if it is one of these."""
        token = self.next()[1]
        if token not in wanted or self.next()[0] == "end":
            return None
        self.place += 1
        return token

    def whole(self) -> Number:
        found = self.sum()
        if self.next()[0] != "end":
            raise _Unread
        return found

    def sum(self) -> Number:
        total = self.signed()
        while sign := self.take("+", "-"):
            total += self.product() if sign == "+" else -self.product()
        return total

    def signed(self) -> Number:
        sign = self.take("+", "-")
        return -self.product() if sign == "-" else self.product()

    def product(self) -> Number:
        found = self.power()
        while True:
            if self.take("/"):
                found /= self.power()
            elif self.take("*", "cdot", "times") or self.is_factor():
                found *= self.power()
            else:
                return found

    def is_factor(self) -> bool:
        """Whether what comes next is multiplied without a sign."""
        kind, token = self.next()
        return kind in ("command", "name") or token == "("

    def power(self) -> Number:
        base = self.atom()
        if not self.take("^"):
            return base
        exponent = self.signed_atom()
        if isinstance(base, Fraction) and getattr(exponent, "denominator", 0) == 1:
            size = max(abs(base.numerator), base.denominator).bit_length()
            if abs(exponent) * size > MAX_POWER * 4:
                raise _Unread
            return base ** int(exponent)
        return float(base) ** float(exponent)

    def signed_atom(self) -> Number:
        return -self.atom() if self.take("-") else self.atom()

    def atom(self) -> Number:
        kind, token = self.next()
        if token in _BRACKETS:
            return self.group()
        self.place += 1
        if kind == "number":
            return Fraction(token)
        if token == "frac":
            return self.group() / self.group()
        if token == "sqrt":
            order = self.group() if self.next()[1] == "[" else Fraction(2)
            return _root(self.atom(), order)
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token in _FUNCTIONS:
            return _FUNCTIONS[token](float(self.atom()))
        raise _Unread

    def group(self) -> Number:
        opening = self.take(*_BRACKETS)
        if opening is None:
            raise _Unread
        found = self.sum()
        if self.take(_BRACKETS[opening]) is None:
            raise _Unread
        return found


def _root(number: Number, order: Number) -> Number:
    """A root, exact where it is a square root of a fraction of squares."""
    if number < 0 or order <= 0:
        raise _Unread
    if order == 2 and isinstance(number, Fraction):
        parts = math.isqrt(number.numerator), math.isqrt(number.denominator)
        if (parts[0] ** 2, parts[1] ** 2) == (number.numerator, number.denominator):
            return Fraction(*parts)
    return float(number) ** (1 / float(order))
