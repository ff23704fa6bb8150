"""The task file of JEEBench, on made-up rows in its real layout, through the harness's loader."""

import json

import datasets
import pytest
from lm_eval.tasks import TaskManager

from tests.config.config_door import DEFAULT
from workflow_scripts.artefacts.records import Answer
from workflow_scripts.config.load import load_settings
from workflow_scripts.errors import InputError
from workflow_scripts.generation.prompts import _content
from workflow_scripts.grading.grade_answers import grade
from workflow_scripts.inputs.problems.problems import layout_of, problems_from_rows
from workflow_scripts.inputs.problems.rows import Row
from workflow_scripts.paths import PROJECT

FILE = PROJECT / "workflow_scripts/tasks/definitions/jeebench.yaml"
OPTIONS = "\n\n(A) 2\n\n(B) 3\n\n(C) 4\n\n(D) 6"


def row(index: int, kind: str, gold: str, question: str) -> dict:
    return {
        "subject": "math", "description": "a made-up paper", "gold": gold, "index": index,
        "type": kind, "question": question,
    }  # fmt: skip


ROWS = [
    row(1, "MCQ", "B", f"Which is odd?{OPTIONS}"),
    row(2, "MCQ(multiple)", "ACD", f"Which are even?{OPTIONS}"),
    row(3, "Integer", "7", "What is 3 + 4?"),
    row(4, "Numeric", "0.33", "What is a third?\n\nTo two places.\n"),
]
# the row, a response, its marks
RESPONSES = [
    (0, r"So it is \boxed{B}.", 1.0), (0, r"\boxed{A}", 0.0), (0, "The answer is (B).", 1.0),
    (0, r"\boxed{B, C}", 0.0), (0, r"\boxed{3}", 0.0), (0, "", 0.0),
    (1, r"\boxed{ACD}", 1.0), (1, r"\boxed{D, A, C}", 1.0), (1, r"\boxed{AC}", 0.5),
    (1, r"\boxed{A}", 0.25), (1, r"\boxed{ABCD}", 0.0), (1, r"\boxed{B}", 0.0),
    (1, "The correct options are (A), (C) and (D).", 1.0), (1, "I cannot say.", 0.0),
    (2, r"\boxed{7}", 1.0), (2, r"\boxed{7.0}", 1.0), (2, r"\boxed{6.995}", 1.0),
    (2, r"\boxed{6.98}", 0.0), (2, "The final answer is 7.", 1.0), (2, r"\boxed{-7}", 0.0),
    (3, r"\boxed{0.33}", 1.0), (3, r"\boxed{0.34}", 1.0), (3, r"\boxed{0.345}", 0.0),
    (3, r"\boxed{\frac{1}{3}}", 1.0), (3, r"\boxed{3.3 \times 10^{-1}}", 1.0),
    (3, r"\boxed{33\%}", 1.0), (3, "It is about 0.33 m.", 1.0), (3, r"\boxed{x}", 0.0),
]  # fmt: skip


@pytest.fixture(scope="module")
def task():
    with pytest.MonkeyPatch.context() as patch:
        asked = []

        def load_dataset(path, name=None, **options):
            asked.append((path, name))
            return datasets.DatasetDict(test=datasets.Dataset.from_list(ROWS))

        patch.setattr(datasets, "load_dataset", load_dataset)
        loaded = TaskManager(include_defaults=False).load([str(FILE)])["tasks"]["jeebench"]
        assert asked == [("daman1209arora/jeebench", None)]
        yield loaded


def test_the_words_are_those_of_the_benchmark(task):
    settings = load_settings(DEFAULT, PROJECT)
    wording = settings.wording_of("jeebench").prompt
    layout = layout_of(settings.benchmarks["jeebench"].source)
    problems, _ = problems_from_rows([Row("here", one) for one in ROWS], "jeebench", layout)
    for doc, problem in zip(task.test_docs(), problems, strict=True):
        assert task.doc_to_text(doc) == _content(problem, wording, "jeebench")
    first = task.doc_to_text(ROWS[0])
    assert first.startswith("In this problem, only one option will be correct. ")
    assert first.endswith(
        " exactly one multiple-choice letter, with \\boxed\nAnswer:\n\n"
        "Problem: Which is odd?\n(A) 2\n(B) 3\n(C) 4\n(D) 6"
    )
    assert task.doc_to_text(ROWS[3]).endswith("Problem: What is a third?\nTo two places.")


@pytest.mark.parametrize(("number", "response", "marks"), RESPONSES)
def test_responses_get_the_marks_that_the_benchmark_gives(task, number, response, marks):
    """And that grading, the stage, gives to the same answer."""
    assert task.process_results(ROWS[number], [response]) == {"score": marks}
    layout = layout_of(load_settings(DEFAULT, PROJECT).benchmarks["jeebench"].source)
    problems, _ = problems_from_rows([Row("here", ROWS[number])], "jeebench", layout)
    answer = Answer(problems[0].id, 0, 1, 0, 1, "stop", 1, "eos", response)
    (graded,) = grade(problems, [answer], "answers.jsonl")
    assert graded.mark == marks


def test_the_metric_is_the_mean_of_marks(task):
    assert task.aggregation()["score"]([1.0, 0.25, 0.0, 1.0]) == pytest.approx(0.5625)
    assert task.higher_is_better() == {"score": True}
    assert json.loads(json.dumps(task.config.generation_kwargs)) == {
        "until": [], "do_sample": False, "max_gen_toks": 32768,
    }  # fmt: skip


def test_an_unknown_type_is_one_line(task):
    with pytest.raises(InputError) as caught:
        task.doc_to_text(row(9, "Essay", "x", "Why?"))
    assert str(caught.value) == (
        "task jeebench: a made-up paper, index 9 (jeebench-0): kind is 'Essay', which answer_kind "
        "has not: MCQ, MCQ(multiple), Integer, Numeric"
    )
