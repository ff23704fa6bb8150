r"""Whether two sympy objects mean the same: numbers, expressions with letters, relations.

Everything is decided by values. A difference of numbers is evaluated with more and more digits
until it has some, or is nothing to `DIGITS` of them; so neither 1/2004! and 1/2006! are equal nor
are \sqrt{117} and 3\sqrt{13} unequal. With letters the same is done at points that are the same
every time; roots of negative numbers and logarithms are defined at none of them, so that
\sqrt{xy} is \sqrt{x}\sqrt{y}, and \sqrt{x^2} is not x. Equations are equal if they differ by a
factor, or are solved for another letter; inequalities, if by a positive one, or if their solutions
are the same. What cannot be decided is None.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from sympy import (
    Abs,
    Basic,
    Eq,
    Expr,
    Max,
    Min,
    N,
    Ne,
    Pow,
    Rational,
    S,
    Symbol,
    Tuple,
    ceiling,
    floor,
    fraction,
    log,
    simplify,
    solve,
    together,
)
from sympy.core.evalf import PrecisionExhausted
from sympy.core.function import AppliedUndef
from sympy.core.relational import GreaterThan, Relational, StrictGreaterThan
from sympy.logic.boolalg import And

DIGITS = 600  # to which a difference of numbers is nothing
DIGITS_AT_POINTS = 150
ENOUGH = 4  # points at which both sides are defined
POINTS = 16

Point = Mapping[str, Rational]


def same(one: Any, other: Any) -> bool | None:
    """Whether two parsed expressions are equal; None where that is not known here."""
    if isinstance(one, (Relational, And)) and isinstance(other, (Relational, And)):
        return _same_relations(one, other)
    if isinstance(one, (Relational, And)) or isinstance(other, (Relational, And)):
        return False
    if isinstance(one, Expr) and isinstance(other, Expr):
        first, second = _plain(one), _plain(other)
        if first == second:
            return first is not S.NaN
        difference = first - second
        verdict = _is_nothing(difference, first, second)
        return simplify(difference) == 0 if verdict is None else verdict
    return None


def _plain(expression: Expr) -> Expr:
    """Worked out as far as it goes by itself, with `f(x)` as a letter."""
    done = expression.doit()
    return done.xreplace({f: Symbol(str(f)) for f in done.atoms(AppliedUndef)})


def _is_nothing(difference: Expr, *sides: Expr) -> bool | None:
    """Whether a difference is nothing wherever its sides are defined.

    Where both sides have roots of letters, letters are positive: it is how the
    root of a/b is written as the root of ab by b.
    """
    if difference.is_Rational or difference in (S.NaN, S.ComplexInfinity):
        return difference == 0
    if not difference.free_symbols:
        has_value = _has_value(difference, {}, DIGITS)
        return None if has_value is None else not has_value
    defined = 0
    is_positive = len(sides) == 2 and all(map(_has_roots, sides)) and not difference.has(Abs)
    for point in _points(difference, is_positive):
        has_value = _has_value(difference, point) if _is_defined(difference, point) else None
        if has_value:
            return False
        defined += has_value is not None
    return True if defined >= ENOUGH else None


def _has_value(expression: Expr, point: Point, digits: int = DIGITS_AT_POINTS) -> bool | None:
    """Whether an expression is more than nothing there; None where it has no value."""
    if expression.has(floor, ceiling):  # which have no digits to look at where they are whole
        expression = expression.subs(_letters(expression, point))
    try:
        value = expression.evalf(15, subs=_letters(expression, point), maxn=digits, strict=True)
    except PrecisionExhausted:
        return False
    return value != 0 if value.is_number and value.is_finite else None


def _letters(expression: Basic, point: Point) -> dict[Symbol, Rational]:
    return {letter: point[letter.name] for letter in expression.free_symbols}


def _has_roots(expression: Expr) -> bool:
    return any(p.free_symbols and p.exp.is_Rational and p.exp.q > 1 for p in expression.atoms(Pow))


def _points(expression: Basic, is_positive: bool = False) -> Iterator[Point]:
    """Fractions and whole numbers, of either sign, for the letters of an expression."""
    names = sorted({letter.name for letter in expression.free_symbols})
    draw = random.Random(0)
    breaks = expression.has(Abs, floor, ceiling, Max, Min) or any(
        power.exp.free_symbols and power.base.is_number and not power.base.is_positive
        for power in expression.atoms(Pow)
    )
    scales = (1, 10, 100, 10_000) if breaks else (1, 4)
    for number in range(POINTS * (2 if breaks else 1)):
        row, column = divmod(number, 4)
        sign = (1, -1) if column > 1 and not is_positive else (1,)
        below = (1, 1_009, 1_009, 9_973)[column]
        scale = scales[row % len(scales)] if column != 3 or breaks else 0
        most = 9 * below * scale if scale else below - 1
        values = [Rational(draw.randint(1, most), below) * draw.choice(sign) for _ in names]
        if column == 0:  # even and odd ones, in all ways of two letters
            values = [2 * value + (row >> n % 2 & 1) for n, value in enumerate(values)]
        yield dict(zip(names, values, strict=True))


def _is_defined(expression: Basic, point: Point) -> bool:
    """Whether all parts of an expression have real values, but for those without letters."""
    for part in expression.atoms(Pow, log):
        base, power = (part.args[0], S.NaN) if isinstance(part, log) else part.args
        if not part.free_symbols:
            continue
        value, exponent = (x.subs(_letters(x, point)) for x in (base, power))
        if exponent.is_integer:
            if exponent.is_negative and value.is_zero:
                return False
            continue
        value = N(value, 15)
        if not value.is_Float and not value.is_Rational or value < 0:
            return False
    return True


# --- relations

_TURNED = (GreaterThan, StrictGreaterThan)


def _same_relations(one: Basic, other: Basic) -> bool | None:
    if {letter.name for letter in one.free_symbols} != {x.name for x in other.free_symbols}:
        return False
    kinds = [type(relation) for relation in (one, other)]
    if isinstance(one, Eq) and isinstance(other, Eq) or kinds == [Ne, Ne]:
        return _same_equations(one, other)
    if any(isinstance(relation, (Eq, Ne)) for relation in (one, other)):
        return False
    if isinstance(one, Relational) and isinstance(other, Relational):
        strict = [relation.rel_op in ("<", ">") for relation in (one, other)]
        factor = _factor(_less(one), _less(other))
        if factor is not None:
            return strict[0] == strict[1] and bool(factor > 0)
    if len(one.free_symbols) == 1:
        return _solutions(one) == _solutions(other)
    return None if isinstance(one, And) or isinstance(other, And) else False


def _less(relation: Relational) -> Expr:
    """What is less than nothing."""
    difference = _plain(relation.lhs) - _plain(relation.rhs)
    return -difference if isinstance(relation, _TURNED) else difference


def _solutions(relation: Basic) -> Any:
    letter = Symbol("x", real=True)
    parts = relation.args if isinstance(relation, And) else (relation,)
    parts = [part.func(*map(_plain, part.args)) for part in parts]
    return And(*(p.subs({x: letter for x in p.free_symbols}) for p in parts)).as_set()


def _same_equations(one: Relational, other: Relational) -> bool:
    sides = [_plain(equation.lhs) - _plain(equation.rhs) for equation in (one, other)]
    if _factor(*(fraction(together(side))[0] for side in sides)) is not None:
        return True
    return _solves(one, sides[1]) and _solves(other, sides[0])


def _solves(equation: Relational, difference: Expr) -> bool:
    """Whether `y = ...` is the one solution of `difference = 0` for its letter."""
    letter, value = equation.args
    if not isinstance(letter, Symbol) or letter in value.free_symbols:
        return False
    letters = [x for x in difference.free_symbols if x.name == letter.name]
    solutions = solve(difference, *letters)
    return len(solutions) == 1 and same(value, solutions[0]) is True


def _factor(one: Expr, other: Expr) -> Any:
    """The number that `one` is `other` times; None where it is none, or nothing."""
    ratios = []
    for point in _points(Tuple(one, other)):
        if not _is_defined(Tuple(one, other), point):
            continue
        first, second = (N(side, 60, subs=_letters(side, point)) for side in (one, other))
        if not (first.is_finite and second.is_finite):
            return None
        zeros = [abs(value) < 1e-30 for value in (first, second)]
        if any(zeros) and not all(zeros):
            return None
        if not any(zeros):
            ratios.append(first / second)
    near = (abs(ratio - ratios[0]) <= abs(ratio) * Rational(1, 10**40) for ratio in ratios)
    return ratios[0] if len(ratios) >= ENOUGH and all(near) else None
