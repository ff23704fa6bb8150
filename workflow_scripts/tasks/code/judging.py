"""A program that a model wrote against its tests, in boxes: whether it passes.

What was judged once in a process is not judged again.
"""

import json
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from workflow_scripts.tasks.code import inside
from workflow_scripts.tasks.code.inside import decode, encode
from workflow_scripts.tasks.code.live_code_bench import ProblemTests, same_output
from workflow_scripts.tasks.sandbox.box import Box
from workflow_scripts.tasks.sandbox.choice import SANDBOXED, sandbox_for
from workflow_scripts.tasks.sandbox.limits import Limits
from workflow_scripts.tasks.sandbox.modes import Mode

RUN_CODE = "PRUNETHINK_RUN_CODE"  # `harness.run_code`, for the functions of tasks
SECONDS_OF_START = 2  # processor time that a box has beside its program's
# a program that waits ends after so many times its processor time, on however busy a machine
PATIENCE, PATIENCE_OF_START = 5, 20
# of the conversation with a box, all together; an input or output of LiveCodeBench has megabytes
TALK = 256 << 20

Asked = tuple[Hashable, Callable[[], bool]]  # what is judged, and what judges it

_found: dict[Hashable, bool] = {}


def judge(asked: Sequence[Asked]) -> list[bool]:
    """The verdicts, in order, found side by side: in as many boxes as this job has cores."""
    new = {what: judging for what, judging in asked if what not in _found}
    with ThreadPoolExecutor(_cores()) as pool:
        _found.update(zip(new, pool.map(lambda judging: judging(), new.values()), strict=True))
    return [_found[what] for what, _ in asked]


def passes_checks(program: str, problem: Mapping[str, str], seconds: int) -> bool:
    """Whether a program passes tests in code, in the form of HumanEval.

    `problem` has `prompt`, `entry_point` and `test`, which defines `check` of a function. The
    program has `seconds` of processor time for all of its calls, and so have the tests.
    """
    limits = _limits(seconds, memory_mb=1024)
    order = {"source": program, "entry": problem["entry_point"], "contest": False}
    tests = {name: problem[name] for name in ("prompt", "test")} | {"entry": order["entry"]}
    # the second is started while the first starts
    with Box(_program(), limits, _mode()) as solution, Box(_program(), limits, _mode()) as checks:
        if not _is_ready(solution, order | {"role": "function", "seconds": seconds}, seconds):
            return False
        said = _ask(checks, _line(tests | {"role": "tests"}), limits.wall_seconds)
        while said.startswith(b'{"call"'):
            value = _ask(solution, said, limits.wall_seconds)
            said = _ask(checks, value, limits.wall_seconds) if value else b""
        return _said(said).get("passed") is True


def passes_cases(program: str, tests: ProblemTests, seconds: int) -> bool:
    """Whether a program gives the right output for every input, in the form of LiveCodeBench.

    It has `seconds` of processor time for each of them.
    """
    limits = _limits(seconds * (len(tests.cases) + 1), memory_mb=2048)
    order: dict[str, Any] = {"source": program, "seconds": seconds, "role": "script"}
    if tests.function:
        order |= {"role": "function", "entry": tests.function, "contest": True}
    with Box(_program(), limits, _mode()) as box:
        if not _is_ready(box, order, seconds):
            return False
        is_right = _returns if tests.function else _prints
        return all(is_right(box, *case, _patience(seconds)) for case in tests.cases)


def _returns(box: Box, given: str, right: str, wait: float) -> bool:
    arguments = tuple(json.loads(line) for line in given.split("\n"))
    said = _said(_ask(box, _line({"call": encode(arguments)}), wait))
    try:
        value = decode(said["value"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    # JSON has no tuples, so one that is returned is as good as a list
    return (list(value) if isinstance(value, tuple) else value) == json.loads(right)


def _prints(box: Box, given: str, right: str, wait: float) -> bool:
    written = _said(_ask(box, _line({"stdin": given}), wait)).get("stdout")
    return isinstance(written, str) and same_output(written, right)


def _is_ready(box: Box, order: dict[str, Any], seconds: int) -> bool:
    """Whether the program could be loaded. Raises InputError where its box could not be made."""
    return _said(_ask(box, _line(order), _patience(seconds))) == {"ready": True}


def _ask(box: Box, line: bytes, wait: float) -> bytes:
    """What a box answers; nothing where its program ended or is late.

    Raises InputError where it was not the program that ended, but its sandbox.
    """
    answer = box.ask(line, wait)
    if answer is None:
        box.finish()
    return answer or b""


def _said(answer: bytes) -> dict[str, Any]:
    """What a box answered, if it is anything: a solution can write there what it likes."""
    try:
        said = json.loads(answer or b"null")
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _limits(seconds: int, memory_mb: int) -> Limits:
    return Limits(
        cpu_seconds=seconds + SECONDS_OF_START,
        wall_seconds=_patience(seconds),
        memory_mb=memory_mb,
        file_mb=64,
        scratch_mb=256,
        output_bytes=TALK,
    )


def _patience(seconds: int) -> float:
    return PATIENCE * seconds + PATIENCE_OF_START


@cache
def _program() -> str:
    return Path(inside.__file__).read_text(encoding="utf-8")


@cache
def _mode() -> Mode:
    return sandbox_for(os.environ.get(RUN_CODE, SANDBOXED))


def _cores() -> int:
    """The cores that snakemake gave this job, and otherwise all that the process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() else len(os.sched_getaffinity(0))
