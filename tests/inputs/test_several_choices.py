"""Rows of which an answer names several choices, or is a number, in the forms that sources have."""

import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.inputs.problems.problems import Layout, problems_from_rows
from workflow_scripts.inputs.problems.rows import Row

OPTIONS = ["two", "three", "four", "six"]
COLUMNS = {"question": "q", "answer": "a", "choices": ["o"]}


def problem_of(layout: Layout, **values):
    ((problem,), _) = problems_from_rows([Row("here", {"q": "Even?", **values})], "quiz", layout)
    return problem


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("letter", "ACD"), ("letter", "DCA"), ("letter", "A, C, D"), ("letter", "A, C and D"),
        ("letter", "(A)(C)(D)"), ("letter", "acd"), ("letter", ["A", "C", "D"]),
        ("letter", r"$\boxed{A,C,D}$"), ("letter", r"\textbf{ACD}"), ("letter", "AACD"),
        ("index", [0, 2, 3]), ("index", "0, 2, 3"), ("index", ["3", "2", "0"]),
        ("cell", ["two", "four", "six"]), ("cell", ["six", "two", "four"]),
    ],
)  # fmt: skip
def test_several_choices_are_named_by_texts_letters_or_numbers(form, cell):
    problem = problem_of(Layout(COLUMNS, "choices", form), a=cell, o=OPTIONS)
    assert (problem.answer, problem.choices, problem.kind) == ("ACD", OPTIONS, "choices")


def test_letters_follow_their_choices_where_these_are_shuffled():
    layout = Layout(COLUMNS, "choices", "letter", "shuffled")
    problem = problem_of(layout, a="ACD", o=OPTIONS)
    named = {problem.choices["ABCD".index(letter)] for letter in problem.answer}
    assert named == {"two", "four", "six"} and problem.choices != OPTIONS
    assert problem_of(layout, a="BCD", o=["three", "six", "two", "four"]) == problem


@pytest.mark.parametrize(
    ("form", "cell"),
    [("letter", "AE"), ("letter", "A or x"), ("letter", []), ("index", [4]), ("index", "0.5"),
     ("cell", ["five"]), ("cell", "two, four"), ("letter", "none")],
)  # fmt: skip
def test_what_names_no_choices_is_one_line(form, cell):
    with pytest.raises(InputError) as caught:
        problem_of(Layout(COLUMNS, "choices", form), a=cell, o=OPTIONS)
    assert "which is not of kind choices" in str(caught.value)


def test_choices_in_the_question_are_letters():
    columns = {"question": "q", "answer": "a", "choices": ["q"]}
    for kind, cell, letters in (("choice", " b ", "B"), ("choices", "D, B", "BD")):
        for form in ("cell", "letter"):
            problem = problem_of(Layout(columns, kind, form), a=cell)
            assert (problem.answer, problem.choices, problem.letters) == (letters, None, "ABCD")


def test_kinds_by_row_take_choices_only_where_they_are_needed():
    kinds = {"1": "choice", "2": "integer"}
    layout = Layout({**COLUMNS, "kind": "k"}, kinds, "letter")
    assert problem_of(layout, a="C", o=OPTIONS, k=1).answer == "C"
    whole = problem_of(layout, a="4", o=None, k="2")
    assert (whole.answer, whole.kind, whole.choices) == ("4", "integer", None)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (0.5, "0.5"), (3, "3"), (3.0, "3"), ("0.33", "0.33"), ("-1.50", "-1.50"), ("+2", "+2"),
        ("1,234.5", "1234.5"), ("1/3", "1/3"), (r"\frac{1}{3}", r"\frac{1}{3}"), ("1.5e3", "1.5e3"),
        (1e-7, "1e-07"), ("50%", "50%"), ("$0.5$", "0.5"), (r"\boxed{0.5}", "0.5"), ("−2", "-2"),
        (r"3.2 \times 10^{-3}", r"3.2 \times 10^{-3}"),
        ("x", None), ("1/0", None), ("1, 2", None), ("2 m", None), (True, None), ("nan", None),
        ("1e", None), ("half", None),
    ],
)  # fmt: skip
def test_numbers_are_written_out(cell, written):
    layout = Layout({"question": "q", "answer": "a"}, "number")
    if written is None:
        with pytest.raises(InputError, match="which is not of kind number"):
            problem_of(layout, a=cell)
    else:
        problem = problem_of(layout, a=cell)
        assert (problem.answer, problem.tolerance) == (written, 0.01)


@pytest.mark.parametrize(
    ("kind", "said", "layout", "tolerance"),
    [
        ("number", None, None, 0.01), ("number", None, 0.5, 0.5), ("number", 0, 0.5, 0.0),
        ("number", "0.2", None, 0.2), ("integer", None, None, None), ("integer", None, 0.01, 0.01),
        ("integer", 0.1, None, 0.1), ("number", "", None, 0.01), ("math", None, 0.01, None),
    ],
)  # fmt: skip
def test_a_row_s_own_tolerance_goes_before_the_source_s(kind, said, layout, tolerance):
    row = {"question": "q", "answer": "1", "kind": kind, "tolerance": said}
    ((problem,), _) = problems_from_rows([Row("here", row)], "sums", Layout(tolerance=layout))
    assert problem.tolerance == tolerance


@pytest.mark.parametrize(
    ("said", "layout", "marks"),
    [(None, None, None), ("partial", "exact", None), ("exact", None, "exact"),
     (None, "exact", "exact"), (None, "partial", None)],
)  # fmt: skip
def test_a_row_s_own_marks_go_before_the_source_s(said, layout, marks):
    row = {"question": "q", "answer": "A", "kind": "choices", "choices": OPTIONS, "marks": said}
    ((problem,), _) = problems_from_rows([Row("here", row)], "quiz", Layout(marks=layout))
    assert problem.marks == marks
