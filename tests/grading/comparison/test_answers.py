r"""Whether two answers are one: right answer, what was written for it, whether that is right.

Whole answers as models write them stand in `written_answers`; here stands what an answer is taken
to be once it has been found, with near misses beside what must be right.
"""

import pytest

from workflow_scripts.grading.comparison.pool import compare_all

RIGHT, WRONG = True, False

VALUES_WITH_NAMES = [
    ("1,-2", r"x = 1 \text{ or } x = -2", RIGHT),
    ("1,-2", "x = 1 or x = -2", RIGHT),
    ("1,-2", "$x = 1$ and $x = -2$", RIGHT),
    ("1,-2", "x = **1** and x = **-2**", RIGHT),
    ("1,-2", "x = 1 or x = 2", WRONG),
    ("1,-2", "x = 1 or y = 1", WRONG),
    ("-2", r"x = 1 \text{ or } x = -2", WRONG),
    ("-2", "x = 1 or x = -2", WRONG),
    ("-2", "$x = 1$ and $x = -2$", WRONG),
    (r"1 \pm \sqrt{19}", r"x = 1+\sqrt{19} \text{ or } x = 1-\sqrt{19}", RIGHT),
    (r"1 \pm \sqrt{19}", r"x = 1 \pm \sqrt{19}", RIGHT),
    (r"1 \pm \sqrt{19}", r"x = 1+\sqrt{19} \text{ or } x = 1+\sqrt{19}", WRONG),
    (r"1-\sqrt{19}", r"x = 1+\sqrt{19} \quad \text{or} \quad x = 1-\sqrt{19}", WRONG),
    (r"1-\sqrt{19}", r"1 \pm \sqrt{19}", WRONG),
    ("5, 3", "x = 5; x = 3", RIGHT),
    ("5, 3", r"x = 5, \quad x = 3", RIGHT),
    ("5, 3", r"x = 5 \quad x = 3", RIGHT),
    ("5, 3", "x = 5 or 3", RIGHT),
    ("3", "x = 5; x = 3", WRONG),
    ("3", r"a = 7 \text{ and } b = 3", WRONG),
    ("5", r"x = 3 \\ y = 5", WRONG),
    ("5", r"x = 3 \lor x = 5", WRONG),
    ("5", r"x = 3 \vee x = 5", WRONG),
    ("5", r"x = 3\ y = 5", WRONG),
    ("5", "x = 3\ny = 5", WRONG),
    ("5", r"x \ge= 5", WRONG),
    ("5", "x > = 5", WRONG),
    ("5", r"x \not= 5", WRONG),
    ("5", r"f(x) = 3 \text{ when } x = 5", WRONG),
    ("5", r"3 = y \text{ where } y = 5", WRONG),
    # a chain is one value all the same
    ("5", "x = 10/2 = 5", RIGHT),
    ("5", "x = y = 5", RIGHT),
    (r"12\pi", r"V = \pi r^2 h = 12\pi", RIGHT),
    ("5", "a + b = 5", RIGHT),
]

TUPLES_WITH_NAMES = [
    ("(3,5)", "x = 3, y = 5", RIGHT),
    ("(3,5)", "y = 5, x = 3", RIGHT),
    ("(3,5)", "y = 3, x = 5", WRONG),
    ("(3,5)", r"x = 3 \text{ and } y = 5", RIGHT),
    ("(3,5)", r"x = 3 \\ y = 5", RIGHT),
    ("(3,5)", "(x = 3, y = 5)", RIGHT),
    ("(3,5)", "(x = 3, y = 6)", WRONG),
    ("5", "(x = 3, y = 5)", WRONG),
    ("(3,5)", "x_2 = 5, x_1 = 3", RIGHT),
    ("(3,5)", "x_2 = 3, x_1 = 5", WRONG),
    ("3, 5", "x_2 = 3, x_1 = 5", RIGHT),
    ("x=3, y=5", "(3,5)", RIGHT),
    ("x=3, y=5", "(5,3)", WRONG),
    ("x=3, y=5", "y = 5, x = 3", RIGHT),
    ("x=3, y=5", "y = 3, x = 5", WRONG),
    ("(3,5)", "x = 3 or x = 5", WRONG),
    ("(3,5)", "x = 3, x = 5", WRONG),
    ("(3,5)", "3 or 5", WRONG),
    ("(3,5)", "3, 5", RIGHT),
    ("(6,31,-1)", r"a = 6,\ b = 31,\ c = -1", RIGHT),
    ("(6,31,-1)", r"c = -1, a = 6, b = 31", RIGHT),
    (r"(3, \frac{\pi}{2})", r"r = 3, \theta = \frac{\pi}{2}", RIGHT),
    ("(3,5)", "w = 3, h = 5", RIGHT),
    ("(1,2), (3,4)", r"(x,y) = (1,2) \text{ or } (x,y) = (3,4)", RIGHT),
    ("(1,2), (3,4)", "(x,y) = (1,2), (3,4)", RIGHT),
    ("(3,4)", "(x,y) = (1,2), (x,y) = (3,4)", WRONG),
    ("(3,4)", "(x,y) = (1,2), (3,4)", WRONG),
]

LETTERS = [
    ("R^2-r^2", "0", WRONG),
    ("R^2-r^2", "(R-r)(R+r)", RIGHT),
    (r"\pi(R^2-r^2)", r"\pi(r^2-R^2)", WRONG),
    (r"\pi(R^2-r^2)", r"\pi R^2 - \pi r^2", RIGHT),
    ("a+2A", "3a", WRONG),
    ("a+2A", "2A+a", RIGHT),
    ("3R^2", "3r^2", WRONG),
    ("3R^2", r"3 \cdot R^2", RIGHT),
    (r"\Delta+1", r"\delta+1", WRONG),
    ("2e", r"\frac{4e}{2}", RIGHT),
    ("6+9i", r"3(2+3i)", RIGHT),
]

MATRIX = r"\begin{pmatrix} -7 \\ 16 \\ 5 \end{pmatrix}"
MATRICES = [
    (MATRIX, r"\begin{pmatrix} -7 \\[4pt] 16 \\[6pt] 5 \end{pmatrix}", RIGHT),
    (MATRIX, r"\begin{pmatrix} -7 \\[1ex] 16 \\ 5 \end{pmatrix}", RIGHT),
    (MATRIX, "\\begin{pmatrix}\n-7 \\\\\n16 \\\\\n5\n\\end{pmatrix}", RIGHT),
    (MATRIX, r"\left[\begin{array}{c}-7\\16\\5\end{array}\right]", RIGHT),
    (MATRIX, r"\left(\begin{array}{r}-7\\16\\5\end{array}\right)", RIGHT),
    (MATRIX, r"\left[\begin{array}{c}-7\\16\\-5\end{array}\right]", WRONG),
    (MATRIX, r"\begin{pmatrix} -7 \\[4pt] 16 \end{pmatrix}", WRONG),
    (MATRIX, r"\begin{pmatrix}-7\\16\end{pmatrix}\begin{pmatrix}5\end{pmatrix}", WRONG),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
     r"\left[\begin{array}{cc}1&2\\[2mm]3&4\end{array}\right]", RIGHT),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
     r"\left[\begin{array}{cc}1&3\\[2mm]2&4\end{array}\right]", WRONG),
]  # fmt: skip

FONTS = [
    (r"\frac{14}{3}", r"\mathbf{\frac{14}{3}}", RIGHT),
    (r"\frac{14}{3}", r"\mathbf{\frac{14}{5}}", WRONG),
    (r"\frac{1}{2}", r"\boldsymbol{\frac12}", RIGHT),
    (r"\frac{1}{2}", r"\text{$\frac12$}", RIGHT),
    (r"\frac{1}{2}", r"x = \textbf{\text{$\frac12$}}", RIGHT),
    (r"\frac{1}{2}", r"\large\frac{1}{2}", RIGHT),
    (r"\frac{1}{2}", r"\color{blue}{\frac{1}{2}}", RIGHT),
    (r"3\sqrt{13}", r"\mathbf{3\sqrt{13}}", RIGHT),
    (r"3\sqrt{13}", r"\mathbf{3}\sqrt{13}", RIGHT),
    ("23", r"\mathbf{2}\mathbf{3}", WRONG),
    ("x^{12}", r"x^\mathbf{12}", RIGHT),
    ("58,500", r"\text{58,500}", RIGHT),
    ("28800", r"\mathbf{28,800}", RIGHT),
    ("28,800", r"\{28,800\}", WRONG),
    ("28800", "(28,800)", WRONG),
    ("28800", "x = (28,800)", WRONG),
    ("(28,800)", "x = (28,800)", RIGHT),
    ("32348", r"\text{32,348 people}", RIGHT),
    (r"\frac{20000}{\pi}", r"\frac{20,000}{\pi}", RIGHT),
    (r"\frac{448}{15625}", r"\frac{448}{15,625}", RIGHT),
    ("9.8", r"9.8\,\mathrm{m/s^2}", RIGHT),
    (r"15\mbox{ cm}^2", r"15 \, \mathrm{cm^2}", RIGHT),
    (r"15\mbox{ cm}^2", r"15 \, \mathrm{m^2}", WRONG),
    (r"\text{even}", r"\mathbf{even}", RIGHT),
    ("5", "x = **5**", RIGHT),
    ("5", "x = **5", RIGHT),  # as it is left where emphasis around a line is taken off
    (r"\frac{14}{3}", "Sum = **14/3**", RIGHT),
    (r"\frac{1}{2}", "Probability = **1/2**", RIGHT),
    ("8", "2**3", RIGHT),
    ("8", "2 ** 3", RIGHT),
    ("x^5+1", "x**5 + 1", RIGHT),
    (r"\frac{14}{3}", r"14 \over 3", RIGHT),
    (r"\frac{14}{3}", r"{14 \over 3}", RIGHT),
    (r"\frac{14}{3}", r"x = {14 \over 3}", RIGHT),
    (r"\frac{\sqrt{3}}{2}", r"\sqrt{3} \over 2", RIGHT),
    (r"\frac{14}{3}", r"3 \over 14", WRONG),
]

ESTIMATES = [
    (r"\frac{11}{36}", r"\frac{11}{36} \approx 0.3056", RIGHT),
    (r"\frac{11}{36}", r"x = \frac{11}{36} ≈ 0.3056", RIGHT),
    (r"\frac{11}{36}", r"\frac{12}{36} \approx 0.3056", WRONG),
    (r"12\pi", r"12\pi \approx 37.7 \text{ cm}^2", RIGHT),
    ("5", r"x \approx 5", WRONG),
    ("5", r"\approx 5", WRONG),
    ("5", r"4.9 \approx 5", WRONG),
    ("1,-2", r"1 \approx 1.0 \text{ or } -2", RIGHT),
]

UNITS = [
    ("5", r"5 \text{ million}", WRONG),
    ("5000000", r"5 \text{ million}", RIGHT),
    ("5000000", r"\$5 \text{ million}", RIGHT),
    (r"\$5{,}000{,}000", "5 million dollars", RIGHT),
    (r"\$5{,}000{,}000", "5 million euros", WRONG),
    ("2500000", r"\frac{5}{2} \text{ million people}", RIGHT),
    ("60", "5 dozen", RIGHT),
    ("5", "5 dozen", WRONG),
    ("5", r"5\text{ thousand}", WRONG),
    ("5000", r"5\text{ thousand}", RIGHT),
    (r"3000\pi", r"3\pi \text{ thousand}", RIGHT),
    ("5", r"5 \text{ times pi}", WRONG),
    ("5", r"5 \text{ pi}", WRONG),
    (r"5\pi", r"5 \text{ pi}", RIGHT),
    ("5", r"5 \text{ squared}", WRONG),
    ("5", r"5\text{ factorial}", WRONG),
    ("5", r"5 \text{ tenths}", WRONG),
    ("5", r"5 \text{ months}", RIGHT),
    ("5", r"5 \text{ is impossible}", WRONG),
    ("5", r"5\text{ at most}", WRONG),
    ("5", r"5\text{ (base 6)}", WRONG),
    ("5", r"5 \text{ ways}", RIGHT),
    ("-2", r"-2 \text{ only}", RIGHT),
    (r"288\pi", r"288\pi in^3", RIGHT),
    ("12", "12 min", RIGHT),
    ("5", "2 3", WRONG),
    (r"5.4 \text{ cents}", r"\$5.4", WRONG),
    (r"5.4 \text{ cents}", "5.4¢", RIGHT),
    (r"5.4 \text{ cents}", "5.4", RIGHT),
    (r"\$18.90", r"18.9", RIGHT),
    (r"\$18.90", r"-\$18.90", WRONG),
    (r"-\$18.90", r"-18.9", RIGHT),
    (r"\$18.90", r"\text{\$}18.90", RIGHT),
    (r"\$18.90", r"18.90\text{ dollars}", RIGHT),
    (r"\$18.90", "€18.90", WRONG),
    (r"\$32,\!348", r"\text{\$32,348}", RIGHT),
    (r"\$32,\!348", r"\$32,348", RIGHT),
    (r"\$5, \$6", "6, 5", RIGHT),
    ("8", r"\$5 + \$3", RIGHT),
    ("(3,5)", r"\$(3,5)\$", RIGHT),
    ("42", r"\$42\$", RIGHT),
    ("5", r"5 \pmod 7", RIGHT),
    ("5", r"5 \pmod{7}", RIGHT),
    ("5", r"5 \text{ (mod 7)}", RIGHT),
    ("5", r"12 \pmod 7", WRONG),
    ("5", r"5 \bmod 3", WRONG),
    (r"5 \pmod 7", r"5 \pmod 8", WRONG),
]  # fmt: skip

CASES = [
    *VALUES_WITH_NAMES, *TUPLES_WITH_NAMES, *LETTERS, *MATRICES, *FONTS, *ESTIMATES, *UNITS,
]  # fmt: skip


@pytest.fixture(scope="module")
def verdicts():
    return compare_all([(gold, answer) for gold, answer, _ in CASES])


@pytest.mark.parametrize(("gold", "answer", "verdict"), CASES)
def test_an_answer_is_right_or_wrong(verdicts, gold, answer, verdict):
    assert verdicts[gold, answer].equal == verdict, verdicts[gold, answer]
