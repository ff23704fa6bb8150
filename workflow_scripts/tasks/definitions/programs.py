"""Functions of the tasks that run code: humaneval*.yaml, livecodebench*.yaml."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from workflow_scripts.tasks.code import human_eval
from workflow_scripts.tasks.code.judging import Asked, judge, passes_cases, passes_checks
from workflow_scripts.tasks.code.live_code_bench import tests_of
from workflow_scripts.tasks.code.pass_at_k import metrics

if TYPE_CHECKING:
    from datasets import Dataset

# of processor time: for all tests of a problem as the harness has it, for the many more of
# HumanEval+ as OLMES has it (arXiv 2406.08446), for each test as LiveCodeBench has it
SECONDS, SECONDS_OF_PLUS, SECONDS_OF_CASE = 3, 20, 6
FENCE = "```"
FENCED = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n(.*?)```", re.DOTALL)
WITH_STARTER = """{question}

Solve this problem in Python. Complete the following code and keep its names:
```python
{starter}
```
Give the complete code in one code block that begins with ```python."""
WITH_INPUT = """{question}

Solve this problem in Python, with a program that reads its input from standard input and prints \
its answer to standard output.
Give the complete program in one code block that begins with ```python."""

Row = Mapping[str, Any]
Programs = list[list[str]]
Asking = Callable[[Row, str], Asked]

# the tests of a problem have megabytes: they stay with the data, and out of the samples
_rows: "dict[str, tuple[Dataset, int]]" = {}

human_eval_problems = human_eval.load


def completed(responses: Sequence[Sequence[str]], rows: Sequence[Row]) -> Programs:
    """Programs of which the responses are the rest."""
    return [
        [row["prompt"] + text for text in texts] for row, texts in zip(rows, responses, strict=True)
    ]


def completed_in_fence(responses: Sequence[Sequence[str]], rows: Sequence[Row]) -> Programs:
    """Programs of which the responses are the rest, up to the end of the code block."""
    cut = [[text.partition(FENCE)[0] for text in texts] for texts in responses]
    return completed(cut, rows)


def in_last_fence(responses: Sequence[Sequence[str]], rows: Sequence[Row]) -> Programs:
    """The last code block of each response; nothing where there is none."""
    return [[(FENCED.findall(text) or [""])[-1] for text in texts] for texts in responses]


def judge_checks(programs: Programs, rows: Sequence[Row]) -> Programs:
    """The programs as they are, all judged side by side, for `score_checks` to find them so."""
    return _judged(programs, rows, partial(_checks, SECONDS))


def judge_more_checks(programs: Programs, rows: Sequence[Row]) -> Programs:
    """The programs as they are, all judged side by side, for `score_more_checks`."""
    return _judged(programs, rows, partial(_checks, SECONDS_OF_PLUS))


def judge_cases(programs: Programs, rows: Sequence[Row]) -> Programs:
    """The programs as they are, all judged side by side, for `score_cases`."""
    return _judged(programs, rows, _cases)


def score_checks(row: Row, programs: Programs) -> dict[str, float]:
    """`pass@k` of a problem's programs under the tests of HumanEval."""
    return _score(row, programs, partial(_checks, SECONDS))


def score_more_checks(row: Row, programs: Programs) -> dict[str, float]:
    """`pass@k` of a problem's programs under the tests of HumanEval+."""
    return _score(row, programs, partial(_checks, SECONDS_OF_PLUS))


def score_cases(row: Row, programs: Programs) -> dict[str, float]:
    """`pass@k` of a problem's programs under the tests of LiveCodeBench."""
    return _score(row, programs, _cases)


def without_tests(data: "Dataset") -> "Dataset":
    """LiveCodeBench's problems without their tests, which stay at hand for `score_cases`."""
    _rows.update((name, (data, index)) for index, name in enumerate(data["question_id"]))
    return data.remove_columns(["public_test_cases", "private_test_cases"])


def ask_for_program(row: Row) -> str:
    """A problem of LiveCodeBench as it is put to a model."""
    form = WITH_STARTER if row["starter_code"].strip() else WITH_INPUT
    return form.format(question=row["question_content"], starter=row["starter_code"].rstrip())


def _judged(programs: Programs, rows: Sequence[Row], asked: Asking) -> Programs:
    pairs = zip(rows, programs, strict=True)
    judge([asked(row, program) for row, texts in pairs for program in texts])
    return programs


def _score(row: Row, programs: Programs, asked: Asking) -> dict[str, float]:
    return metrics(judge([asked(row, program) for program in programs[0]]))


def _checks(seconds: int, row: Row, program: str) -> Asked:
    what = (seconds, row["prompt"], row["test"], program)
    return what, partial(passes_checks, program, row, seconds)


def _cases(row: Row, program: str) -> Asked:
    data, index = _rows[row["question_id"]]
    what = (row["question_id"], program)
    return what, lambda: passes_cases(program, tests_of(data[index]), SECONDS_OF_CASE)
