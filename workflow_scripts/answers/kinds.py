"""What an answer of each kind states, and how many of the full marks it gets.

A kind says how an answer is read and how it is compared with the right one. Everything that grades
does it here: the stage `grading` many answers at once, tasks of the harness one by one (`mark_of`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from workflow_scripts.answers.comparison.notation import clean
from workflow_scripts.answers.comparison.numbers import is_number, within
from workflow_scripts.answers.comparison.pool import compare_all
from workflow_scripts.answers.extraction.choices import extract_choice
from workflow_scripts.answers.extraction.integers import whole_number
from workflow_scripts.answers.extraction.several import extract_choices
from workflow_scripts.answers.extraction.statements import Extraction
from workflow_scripts.answers.extraction.values import extract_expression, extract_integer
from workflow_scripts.artefacts.boxes import box_groups
from workflow_scripts.artefacts.records import Problem
from workflow_scripts.errors import InputError

PART = 0.25  # of full marks, for each right choice of several where no wrong one is named


@dataclass(frozen=True)
class Kind:
    """How problems of one kind are graded.

    `extract` finds what an answer states, from the problem, the answer's text and finish, and its
    prefix. `mark` is the part of full marks that this gets, from the problem, its own answer in the
    form that `normal` gives it, and what is stated; None where both have to be compared as
    mathematics. `normal` returns None for an answer that no problem of this kind can have; `needed`
    says what it must be.
    """

    extract: Callable[[Problem, str, str, str], Extraction]
    normal: Callable[[Problem], str | None]
    needed: str
    mark: Callable[[Problem, str, str], float | None]


def _stated(problem: Problem) -> str | None:
    """What a right answer states: of a solution what it concludes, else what it is in a box."""
    whole = extract_expression(problem.answer, "eos")
    if whole.reason not in ("boxed", "stated"):
        whole = extract_expression(rf"\boxed{{{problem.answer}}}", "eos")
    is_found = whole.extracted and whole.reason in ("boxed", "stated") and clean(whole.extracted)
    return whole.extracted if is_found else None


def _whole(problem: Problem) -> str | None:
    boxes = box_groups(problem.answer)
    return whole_number(boxes[-1][0] if boxes else problem.answer)


def _number(problem: Problem) -> str | None:
    stated = _stated(problem)
    is_one = stated is not None and problem.tolerance is not None and is_number(stated)
    return stated if is_one else None


def _letter(problem: Problem) -> str | None:
    return problem.answer if problem.answer in [*problem.letters] else None


def _letters(problem: Problem) -> str | None:
    """The letters in their order, each once."""
    letters = "".join(sorted(set(problem.answer)))
    return letters if letters and set(letters) <= set(problem.letters) else None


def _mark_of_integer(problem: Problem, right: str, stated: str) -> float | None:
    if problem.tolerance is not None:
        return float(within(right, stated, problem.tolerance))
    return None if whole_number(stated) is None else float(stated == right)


def marks_of_choices(right: str, stated: str, exact: bool = False) -> float:
    """The marks for the letters of several choices, as JEEBench gives them (arXiv 2305.15074).

    1 for all the right ones and no other, else 0.25 for each right one if no wrong one is among
    them, and nothing where `exact` says so. What is no letter is a wrong one.
    """
    wanted, named = set(right), set(stated)
    if named == wanted:
        return 1.0
    return 0.0 if exact or named - wanted else PART * len(named)


KINDS = {
    "integer": Kind(
        extract=lambda _, *answer: extract_integer(*answer),
        normal=_whole,
        needed="a whole number",
        mark=_mark_of_integer,
    ),
    "math": Kind(
        extract=lambda _, *answer: extract_expression(*answer),
        normal=_stated,
        needed="an answer",
        mark=lambda *_: None,
    ),
    "number": Kind(
        extract=lambda _, *answer: extract_expression(*answer),
        normal=_number,
        needed="a number with a tolerance",
        mark=lambda problem, right, stated: float(within(right, stated, problem.tolerance)),
    ),
    "choice": Kind(
        extract=lambda problem, text, finish, prefix: extract_choice(
            text, finish, problem.choices or [], prefix
        ),
        normal=_letter,
        needed="the letter of one of its choices",
        mark=lambda _, right, stated: float(stated == right),
    ),
    "choices": Kind(
        extract=lambda problem, text, finish, prefix: extract_choices(
            text, finish, problem.choices or [], prefix
        ),
        normal=_letters,
        needed="letters of its choices",
        mark=lambda problem, right, stated: marks_of_choices(
            right, stated, exact=problem.marks == "exact"
        ),
    ),
}


def right_answer(problem: Problem) -> str:
    """The answer of a problem as it is compared. Raises `InputError` where it cannot be."""
    if problem.kind not in KINDS:
        raise InputError(
            f"problem {problem.id!r}: kind is {problem.kind!r}; graded are: {', '.join(KINDS)}"
        )
    kind = KINDS[problem.kind]
    right = kind.normal(problem)
    if right is None:
        raise InputError(f"problem {problem.id!r}: answer is {problem.answer!r}, not {kind.needed}")
    return right


def has_part_marks(problem: Problem) -> bool:
    """Whether an answer may get a part of full marks."""
    return problem.kind == "choices" and problem.marks != "exact"


def extraction_of(problem: Problem, text: str, finish: str = "eos", prefix: str = "") -> Extraction:
    """What an answer states. `finish` is `length` where it was cut off, `prefix` what the model's
    format wrote in front of it."""
    return KINDS[problem.kind].extract(problem, text, finish, prefix)


def mark_at_once(problem: Problem, right: str, stated: str | None) -> float | None:
    """The part of full marks for what an answer states; None where that takes a comparison."""
    return 0.0 if stated is None else KINDS[problem.kind].mark(problem, right, stated)


def mark_of(problem: Problem, text: str, finish: str = "eos") -> float:
    """The part of full marks that one answer gets."""
    right, stated = right_answer(problem), extraction_of(problem, text, finish).extracted
    mark = mark_at_once(problem, right, stated)
    if mark is None:
        pair = right, stated
        mark = float(compare_all([pair])[pair].equal)
    return mark
