r"""Numbers within a tolerance, in the ways in which they are written."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.answers.comparison.numbers import is_number, within
from workflow_scripts.answers.comparison.values import value
from workflow_scripts.answers.kinds import mark_of
from workflow_scripts.artefacts.records import Problem

NEAR, FAR = True, False

# right answer, answer, whether they differ by at most 0.01
WRITTEN = [
    # at the border, where binary numbers differ by more or less than they say
    ("0.33", "0.34", NEAR), ("0.33", "0.32", NEAR), ("0.33", "0.341", FAR), ("0.33", "0.319", FAR),
    ("0.33", "0.3400000000001", FAR), ("2", "2.01", NEAR), ("2", "1.99", NEAR),
    ("2", "2.0100001", FAR), ("-2", "-2.01", NEAR), ("-2", "2.0", FAR), ("0", "0.01", NEAR),
    ("0", "-0.01", NEAR), ("0", "0.011", FAR), ("1.15", "1.16", NEAR), ("1.15", "1.14", NEAR),
    ("1000000.33", "1000000.34", NEAR), ("1000000.33", "1000000.345", FAR),
    ("0.3", "31/100", NEAR), ("0.3", "311/1000", FAR), ("1/3", "0.343", NEAR),
    ("1/3", "0.3434", FAR), ("0.005", "-0.005", NEAR),
    # manners
    ("0.33", "1/3", NEAR), ("0.33", r"\frac{1}{3}", NEAR), ("0.33", r"\dfrac13", NEAR),
    ("0.33", ".33", NEAR), ("0.33", "0.330", NEAR), ("0.33", "+0.33", NEAR),
    ("2.5", r"2\frac{1}{2}", NEAR), ("2.5", "2 1/2", NEAR), ("0.33", r"0.\overline{3}", NEAR),
    ("1500", "1.5e3", NEAR), ("1500", "1,500", NEAR), ("1500", r"1.5 \times 10^3", NEAR),
    ("0.0032", r"3.2 \times 10^{-3}", NEAR), ("3.2e-1", "0.32", NEAR),
    (r"3.2 \times 10^{2}", "320", NEAR), ("320", r"3.2 \times 10^{3}", FAR),
    ("0.5", r"50\%", NEAR), ("0.5", "50 %", NEAR), ("50", r"50\%", NEAR), ("0.5", "51.1%", FAR),
    ("0.5", "51%", NEAR), ("50%", "0.5", NEAR), ("-5", "−5.00", NEAR), ("5", "(5)", NEAR),
    # with what stands around it
    ("9.8", r"9.8 \text{ m/s}^2", NEAR), ("9.8", "9.8 m/s^2", NEAR), ("9.8", "9.81 N", NEAR),
    ("9.8", r"9.8\,\mathrm{J\,mol^{-1}\,K^{-1}}", NEAR), ("9.8", "9.8 J/(mol K)", NEAR),
    ("9.8", r"9.8\ \Omega", NEAR), ("9.8", r"9.8\,\mu\text{m}", NEAR), ("9.8 m", "9.8", NEAR),
    ("9.8 m", "9.8 s", FAR), ("9.8", "x = 9.8", NEAR), ("9.8", r"x \approx 9.8", NEAR),
    ("9.8", r"x = \frac{49}{5} = 9.8", NEAR), ("9.8", r"\frac{49}{5} \approx 9.8", NEAR),
    # worked out
    ("0.87", r"\frac{\sqrt{3}}{2}", NEAR), ("6.28", r"2\pi", NEAR), ("0.37", "e^{-1}", NEAR),
    ("1.41", r"\sqrt{2} \approx 1.4", NEAR), ("2", r"\sqrt[3]{8}", NEAR), ("0.69", r"\ln 2", NEAR),
    ("3", r"\sqrt{9.1}", FAR), ("2", r"\sqrt{4}", NEAR), ("8", "2^3", NEAR), ("7", "2 + 5", NEAR),
    # no such number
    ("5", "5, 6", FAR), ("5", "x", FAR), ("5", "5x", FAR), ("5", "5 or 6", FAR), ("5", "", FAR),
    ("5", "five or so", FAR), ("5", "9^{9^{9}}", FAR), ("5", r"\sqrt{-5}", FAR), ("5", "5/0", FAR),
    ("5", "(" * 500 + "5", FAR), ("5", "9" * 5000, FAR), ("5", r"\tan", FAR), ("5", "5!", FAR),
    ("5", r"\{5, 6\}", FAR), ("5", "[4.99, 5.01]", FAR), ("5", r"5 \pm 0.1", FAR),
]  # fmt: skip


def test_there_are_as_many_forms_as_it_takes():
    assert len({case[:2] for case in WRITTEN}) == len(WRITTEN) > 80


@pytest.mark.parametrize(("right", "answer", "is_near"), WRITTEN)
def test_numbers_within_a_hundredth(right, answer, is_near):
    assert within(right, answer, 0.01) == is_near
    problem = Problem("p", "?", right, "number", None, 0.01)
    if answer and "or" not in answer:  # which is prose, in a box
        assert mark_of(problem, rf"\boxed{{{answer}}}") == float(is_near)


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(0, 300))
def test_decimals_are_compared_as_they_are_written(right, answer, tolerance):
    """In thousandths, of which the comparison is one of whole numbers."""
    right, answer = min(right, answer), max(right, answer)
    for one, other in ((right, answer), (answer, right), (right, right + tolerance)):
        texts = [f"{'-' * (n < 0)}{abs(n) // 1000}.{abs(n) % 1000:03}" for n in (one, other)]
        assert within(*texts, tolerance / 1000) == (abs(one - other) <= tolerance)


def test_without_a_tolerance_nothing_differs():
    assert within("0.5", "1/2", 0.0) and not within("0.5", "0.5000000001", 0.0)


@pytest.mark.parametrize(
    ("text", "is_one"), [("0.5", 1), ("2 m", 1), (r"\pi", 1), ("20%", 1), ("x", 0), ("2, 3", 0)]
)
def test_what_is_a_number(text, is_one):
    assert is_number(text) == is_one


def _sums(inner):
    pairs = st.tuples(inner, inner)
    return (
        pairs.map(lambda two: (rf"({two[0][0]}) + ({two[1][0]})", two[0][1] + two[1][1]))
        | pairs.map(lambda two: (rf"({two[0][0]}) - ({two[1][0]})", two[0][1] - two[1][1]))
        | pairs.map(lambda two: (rf"({two[0][0]}) \cdot ({two[1][0]})", two[0][1] * two[1][1]))
        | pairs.map(lambda two: (rf"2({two[0][0]})({two[1][0]})", 2 * two[0][1] * two[1][1]))
        | inner.map(lambda one: (rf"\frac{{{one[0]}}}{{7}}", one[1] / 7))
        | inner.map(lambda one: (rf"({one[0]})^2", one[1] ** 2))
        | inner.map(lambda one: (rf"-({one[0]})", -one[1]))
    )


LEAVES = st.integers(0, 99).map(lambda n: (str(n), Fraction(n)))


@given(st.recursive(LEAVES, _sums, max_leaves=5))
def test_sums_and_products_are_worked_out_exactly(expression):
    text, expected = expression
    found = value(text)
    assert found == expected or (found is None and text.count("(") > 20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"2\pi", 2 * math.pi), (r"\frac{\pi}{4}", math.pi / 4), ("e^{2}", math.e**2),
        (r"\sqrt{2}+1", math.sqrt(2) + 1), (r"3\sqrt{2}", 3 * math.sqrt(2)),
        (r"\sin(\pi/6)", 0.5), (r"\log 1000", 3.0), (r"\ln(e^3)", 3.0), ("2^{-3}", 0.125),
        ("2^{1/2}", math.sqrt(2)), (r"\sqrt{\frac{9}{4}}", 1.5), ("-2^2", -4.0), ("6/3/2", 1.0),
        (r"5.31 \ln 2 - 1", 5.31 * math.log(2) - 1), ("10^{12}", 1e12),
    ],
)  # fmt: skip
def test_expressions_are_worked_out(text, expected):
    assert float(value(text)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    ["", "x", "2x", "2 3", "(2", "2)", r"\frac{1}", r"\foo{2}", "2^", "1/0", "0^{-1}", "(-8)^{1/3}",
     "9^{9^{9}}", "10^{1000000}", r"\ln 0", r"\sqrt{-1}", "2 +", "*2", "{2]", "e^{e^{e^{e}}}",
     "(" * 60 + "1" + ")" * 60],
)  # fmt: skip
def test_what_is_no_number_has_no_value(text):
    assert value(text) is None


@given(st.text(st.sampled_from(r"0123456789.+-*/^(){}[]\pisqrtfaclne ") | st.characters()))
def test_any_text_is_read_without_an_error(text):
    value(text)
    within("1", text, 0.01)
