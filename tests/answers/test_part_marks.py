"""The marks for several choices: JEEBench's rule, against its words taken one by one."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.answers.kinds import mark_of, marks_of_choices
from workflow_scripts.artefacts.records import Problem

SUBSETS = ["".join(chosen) for size in range(5) for chosen in itertools.combinations("ABCD", size)]


def by_words(right: str, named: str) -> float:
    """All right ones and no other: 1. Else 0.25 for each right one, unless a wrong one is named."""
    found = [letter for letter in "ABCD" if letter in named]
    wrong = [letter for letter in found if letter not in right]
    missed = [letter for letter in right if letter not in found]
    if not wrong and not missed:
        return 1.0
    return 0.0 if wrong else sum(0.25 for _ in found)


@pytest.mark.parametrize("right", SUBSETS[1:])
def test_every_answer_to_every_problem_of_four_choices(right):
    table = {named: by_words(right, named) for named in SUBSETS}
    assert {named: marks_of_choices(right, named) for named in SUBSETS} == table
    exact = {named: float(named == right) for named in SUBSETS}
    assert {named: marks_of_choices(right, named, exact=True) for named in SUBSETS} == exact


@pytest.mark.parametrize(
    ("right", "named", "marks"),
    [
        ("ABD", "ABD", 1.0), ("ABD", "AB", 0.5), ("ABD", "A", 0.25), ("ABD", "ABCD", 0.0),
        ("ABD", "C", 0.0), ("ABD", "", 0.0), ("B", "B", 1.0), ("ABCD", "ABC", 0.75),
    ],
)  # fmt: skip
def test_marks_by_hand(right, named, marks):
    assert marks_of_choices(right, named) == marks


@given(st.sets(st.sampled_from("ABCD"), min_size=1), st.permutations("ABCD"), st.integers(1, 3))
def test_the_order_of_letters_does_not_matter_and_all_right_ones_get_full_marks(
    right, order, times
):
    said = ", ".join([letter for letter in order if letter in right] * times)
    problem = Problem("p", "?", "".join(sorted(right)), "choices")
    assert mark_of(problem, rf"\boxed{{{said}}}") == 1.0


@given(st.sampled_from(SUBSETS[1:]), st.sampled_from(SUBSETS[1:]))
def test_an_answer_that_is_written_gets_the_marks_of_its_letters(right, named):
    problem = Problem("p", "?", right, "choices")
    assert mark_of(problem, f"The answers are {' and '.join(named)}.") == by_words(right, named)


@pytest.mark.parametrize("text", [r"\boxed{A, E}", r"\boxed{42}", "A or B", "", "I do not know."])
def test_what_names_no_choices_gets_nothing(text):
    assert mark_of(Problem("p", "?", "AB", "choices"), text) == 0.0
