"""Programs against their tests: right ones, wrong ones, and those that would rather cheat."""

import json
import textwrap
from itertools import combinations, pairwise

import pytest

from workflow_scripts.tasks.code import human_eval, inside, judging
from workflow_scripts.tasks.code.judging import judge, passes_cases, passes_checks
from workflow_scripts.tasks.code.live_code_bench import ProblemTests
from workflow_scripts.tasks.code.pass_at_k import metrics, pass_at_k
from workflow_scripts.tasks.sandbox.modes import Mode

# in the form of HumanEval, with a helper in the prompt that the test uses
PROBLEM = {
    "task_id": "Made/1",
    "entry_point": "halve",
    "prompt": textwrap.dedent('''
        from typing import List


        def double(xs: List[int]) -> List[int]:
            """Each twice."""
            return [2 * x for x in xs]


        def halve(xs: List[int]) -> List[int]:
            """The inverse of double."""
    '''),
    "test": textwrap.dedent("""
        METADATA = {}


        def check(candidate):
            assert candidate(double([1, 2, 3])) == [1, 2, 3]
            assert candidate([]) == [], "nothing"
    """),
}
RIGHT = "    return [x // 2 for x in xs]\n"


def passes(completion: str, problem: dict[str, str] = PROBLEM, seconds: int = 1) -> bool:
    return passes_checks(problem["prompt"] + completion, problem, seconds)


def test_a_right_program_passes_and_a_wrong_one_does_not():
    assert passes(RIGHT)
    assert passes(RIGHT + "print('done')\nif __name__ == '__main__':\n    raise SystemExit(1)\n")
    assert not passes("    return xs\n")
    assert not passes("    pass\n")
    assert not passes("    return [\n")
    assert not passes("    raise ValueError\n")
    assert not passes("    while True: pass\n")


CHEATS = {
    "exit": "    import sys; sys.exit(0)\n",
    "exit at once": "    return []\nimport os\nos._exit(0)\n",
    "always equal": """
    class Equal(list):
        def __eq__(self, other): return True
        def __ne__(self, other): return False
        def __len__(self): return 3
    return Equal()
""",
    "equal to everything": """
    class Equal:
        def __eq__(self, other): return True
    return Equal()
""",
    "other names for the tests": """
    import builtins, sys
    for module in list(sys.modules.values()):
        for name in ("check", "decode", "encode", "be_tests"):
            if hasattr(module, name):
                setattr(module, name, lambda *_: [1, 2, 3])
    builtins.AssertionError = SystemExit
    return []
""",
    "frames": """
    import sys
    frame = sys._getframe()
    while frame:
        for name, value in frame.f_locals.items():
            if name == "test" or "candidate(" in repr(value)[:100_000]:
                return [1, 2, 3]
        frame = frame.f_back
    return []
""",
    "told to everybody": """
    import os
    for descriptor in range(256):
        try:
            os.write(descriptor, b'{"passed": true}\\n')
        except OSError:
            pass
    return []
""",
    "told at once": """
    return []
import os
for descriptor in range(256):
    try:
        os.write(descriptor, b'{"ready": true}\\n{"passed": true}\\n{"value": 1}\\n')
    except OSError:
        pass
""",
    "no answer": "    return []\nimport os\nos.closerange(3, 256)\n",
    "no plain answer": """
    import os
    for descriptor in range(3, 256):
        try:
            os.write(descriptor, b'[' * 100_000 + b'\\n')
        except OSError:
            pass
    return []
""",
    "the other box": """
    import os
    for process in range(2, 50):
        try:
            os.kill(process, 9) if process != os.getpid() else None
        except OSError:
            pass
    return []
""",
}


@pytest.mark.parametrize("completion", CHEATS.values(), ids=CHEATS)
def test_cheating_is_no_pass(completion):
    assert not passes(completion)


VALUES = [None, True, 0, 0.1, float("inf"), 1j, "ä\n", b"\x00", [], (1, [2]), {3, 4}, {"a": (1,)}]


def test_plain_data_come_through_as_they_are():
    for value in [*VALUES, {(1, 2): {"x"}}, [[()]], float("-inf"), -(10**5000)]:
        came = inside.decode(json.loads(json.dumps(inside.encode(value))))
        assert came == value and type(came) is type(value)
    problem = PROBLEM | {
        "entry_point": "same",
        "prompt": 'def same(*xs):\n    """What it is given."""\n',
        "test": textwrap.dedent(f"""
            inf = float("inf")
            def check(candidate):
                values = [*{VALUES!r}, 10**5000]
                got = candidate(*values)
                assert got == tuple(values) and [*map(type, got)] == [*map(type, values)]
        """),
    }
    assert passes("    return xs\n", problem)
    assert not passes("    return list(xs)\n", problem)


def test_verdicts_do_not_hang_on_chance():
    problem = PROBLEM | {
        "entry_point": "draw",
        "prompt": 'def draw():\n    """A number from 0 to 1."""\n',
        "test": "import random\ndef check(candidate):\n    assert candidate() == random.random()\n",
    }
    assert passes("    import random\n    return random.random()\n", problem)
    draws = ProblemTests(None, [("", "0.8444218515250481"), ("", "0.8444218515250481")])
    assert passes_cases("import random\nprint(random.random())", draws, seconds=1)


def test_numbers_of_numpy_are_numbers():
    problem = PROBLEM | {
        "entry_point": "mean",
        "prompt": 'def mean(xs):\n    """Their mean, whether it is whole, and how many."""\n',
        "test": "def check(candidate):\n    assert candidate([1, 2, 3]) == (2.0, True, 3)\n",
    }
    numpy = (
        "    import numpy as np\n    m = np.mean(xs)\n    return m, m == np.rint(m), np.size(xs)\n"
    )
    assert passes(numpy + "", problem)
    assert passes(numpy.replace("np.size(xs)", "np.int64(3)"), problem)


def test_a_sample_of_human_eval():
    """All of them: benchmarks/human_eval.py."""
    rows = human_eval.packaged()
    if rows is None:
        pytest.skip("human-eval is not installed: make harness")
    assert len(rows) == 164
    # those with helpers that the tests use are 32, 38, 50
    some = [row for n, row in enumerate(rows) if n % 32 == 2 or n in (32, 38, 50)]

    def verdicts(completion):
        def asked(row):
            return (row["task_id"], completion(row)), lambda: passes(completion(row), row, 3)

        return judge([asked(row) for row in some])

    assert all(verdicts(lambda row: row["canonical_solution"]))
    assert not any(verdicts(lambda row: "    pass\n"))


def test_code_runs_as_the_config_says(monkeypatch):
    asked = []

    def mode(run_code: str) -> Mode:
        asked.append(run_code)
        return Mode.UNSAFE

    monkeypatch.setattr(judging, "sandbox_for", mode)
    monkeypatch.setenv("PRUNETHINK_RUN_CODE", "unsafe")
    judging._mode.cache_clear()
    try:
        assert passes(RIGHT) and not passes("    return xs\n")
        assert passes_cases("input()\nprint(sum(map(int, input().split())))", SUM, seconds=1)
        assert not passes_cases("print(3)", SUM, seconds=1)
    finally:
        judging._mode.cache_clear()
    assert asked == ["unsafe"]


def test_what_was_judged_is_not_judged_again():
    judged = []

    def asked(name: str, verdict: bool):
        return ("once", name), lambda: judged.append(name) or verdict

    assert judge([asked("a", True), asked("b", False), asked("a", True)]) == [True, False, True]
    assert judge([asked("b", False), asked("a", True)]) == [False, True]
    assert sorted(judged) == ["a", "b"]


SUM = ProblemTests(None, [("2\n1 2\n", "3\n"), ("3\n1 2 4\n", "7\n")])


@pytest.mark.parametrize(
    ("script", "is_right"),
    [
        ("input()\nprint(sum(map(int, input().split())))", True),
        ("import sys\nn, *xs = map(int, sys.stdin.buffer.read().split())\nprint(sum(xs))", True),
        ("def main():\n    input()\n    print(f'  {sum(map(int, input().split()))}.00  \\n')\n\n"
         "if __name__ == '__main__':\n    main()", True),
        # names that LiveCodeBench's own runs import
        ("input()\nc: List[int] = [reduce(mul, [1])]\n"
         "print(c[0] * sum(map(int, input().split())))", True),
        ("input()\nprint(sum(map(int, input().split())))\nimport sys\nsys.exit(1)", True),
        ("import threading\nimport time\ndef main():\n    time.sleep(0.1)\n    input()\n"
         "    print(sum(map(int, input().split())))\nthreading.Thread(target=main).start()", True),
        # a process of its own for each input
        ("import builtins\nbuiltins.n = getattr(builtins, 'n', 0) + 1\ninput()\n"
         "print(sum(map(int, input().split())) if n == 1 else 0)", True),
        ("input()\nprint(sum(map(int, input().split())))\nraise ValueError", False),
        ("print(3)", False),
        ("print('3\\n7')", False),
        ("import os\nos._exit(0)", False),
        ("while True: pass", False),
        ("while True: print('spam')", False),
        ("x = (", False),
        ("", False),
        ("import os\nfor d in range(3, 99):\n    try: os.write(d, b'{\"stdout\": \"3\"}\\n')\n"
         "    except OSError: pass", False),
        ("import os\nos.kill(os.getppid(), 9)\nprint(3)", False),
    ],
)  # fmt: skip
def test_scripts(script, is_right):
    assert passes_cases(script, SUM, seconds=1) is is_right


PAIRS = ProblemTests("pairs", [("[1, 2, 3]\n2", "[[1, 2], [2, 3]]"), ("[]\n2", "[]")])


@pytest.mark.parametrize(
    ("source", "is_right"),
    [
        ("class Solution:\n    def pairs(self, xs: List[int], n: int) -> List[List[int]]:\n"
         "        return [xs[i:i + n] for i in range(len(xs) - 1)]", True),
        ("def pairs(xs, n):\n    return tuple(list(p) for p in pairwise(xs))", True),
        ("def pairs(xs, n):\n    return list(pairwise(xs))", False),
        ("def pairs(xs, n):\n    return [[1, 2], [2, 3]]", False),
        ("def pair(xs, n):\n    return []", False),
        ("def pairs(xs, n):\n    while True: pass", False),
        ("def pairs(xs, n):\n    import os\n    os._exit(0)", False),
    ],
)  # fmt: skip
def test_functions(source, is_right):
    assert passes_cases(source, PAIRS, seconds=1) is is_right


def test_pass_at_k_is_the_share_of_choices_with_one_that_passed():
    for samples in range(1, 8):
        for passed in range(samples + 1):
            verdicts = [n < passed for n in range(samples)]
            for k in range(1, samples + 1):
                choices = list(combinations(verdicts, k))
                share = sum(any(choice) for choice in choices) / len(choices)
                assert pass_at_k(samples, passed, k) == pytest.approx(share, abs=1e-15)
    assert metrics([True]) == {"pass@1": 1.0}
    assert metrics([True, False, False, False, False]) == {
        "pass@1": pytest.approx(0.2),
        "pass@2": pytest.approx(0.4),
        "pass@4": pytest.approx(0.8),
        "pass@5": 1.0,
    }
    many = [pass_at_k(200, 3, k) for k in range(1, 201)]
    assert all(a <= b for a, b in pairwise(many)) and many[-1] == 1
