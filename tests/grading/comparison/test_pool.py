"""Comparisons in processes of their own: limits, replacements, and nothing that is executed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.grading import GOLDS, grade_texts, hostile_texts
from workflow_scripts.errors import InputError
from workflow_scripts.grading.comparison import pool as equivalence
from workflow_scripts.grading.comparison import worker as comparison_worker
from workflow_scripts.grading.comparison.expressions import PACKAGES
from workflow_scripts.grading.comparison.pool import Comparer, Verdict
from workflow_scripts.paths import PROJECT


def children():
    """The processes that this one has started and not waited for, whoever's tests they serve."""
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()


def sleep(*_):
    time.sleep(1000)


def spin(*_):
    while True:
        pass


def take_memory(*_):
    return len(bytearray(1 << 33))


def fall(*_):
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(*_):
    os._exit(3)


def raise_something(*_):
    raise KeyboardInterrupt


def never_ending_sum(*_):
    return 9 ** (9**9) > 1  # one step of the interpreter: no signal handler of Python's gets a turn


@pytest.mark.parametrize(
    ("does", "note"),
    [
        (sleep, "out of time"),
        (spin, "out of time"),
        (never_ending_sum, "out of time"),
        (take_memory, "out of memory"),
        (fall, "crashed"),
        (leave, "crashed"),
        (raise_something, "crashed"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_comparison_that_goes_wrong_ends_and_harms_no_other(does, note, monkeypatch):
    before = children()
    monkeypatch.setattr(comparison_worker, "CPU_SECONDS", 1)
    monkeypatch.setattr(comparison_worker, "WALL_SECONDS", 3 if does is sleep else 60)
    with monkeypatch.context() as broken:
        broken.setattr(comparison_worker, "equal", does)
        assert comparison_worker.compare("1", "x") == {"equal": False, "note": note}
    monkeypatch.setattr(comparison_worker, "equal", lambda gold, answer, _: gold == answer)
    assert comparison_worker.compare("1", "1") == {"equal": True, "note": ""}
    assert children() == before  # it left no process behind


def test_a_worker_that_was_killed_is_replaced():
    with Comparer(1) as comparer:
        assert comparer.compare([("x+y", "y+x")]) == {("x+y", "y+x"): Verdict(True)}
        worker = comparer._idle.get()
        worker._process.kill()
        worker._process.wait()
        comparer._idle.put(worker)
        pairs = [("2x", "x+x"), ("2x", "x")]
        assert [v.equal for v in comparer.compare(pairs).values()] == [True, False]
        replaced = comparer._idle.get()
        comparer._idle.put(replaced)
    assert replaced._process.poll() is not None  # and ended when it is over


def test_equal_pairs_are_compared_once_and_easy_ones_without_a_worker(monkeypatch):
    asked = []
    monkeypatch.setattr(equivalence, "_Worker", lambda: pytest.fail("started"))
    with Comparer(2) as comparer:
        easy = [("1", "1.0"), (r"\frac12", "0.5"), ("2", "3"), ("x", " x "), ("1", "9" * 5000)]
        verdicts = [comparer.compare(easy)[pair] for pair in easy]
    assert verdicts == [
        *[Verdict(v) for v in (True, True, False, True)],
        Verdict(False, "too long"),
    ]

    class Counting:
        def ask(self, *pair):
            asked.append(pair)
            return Verdict(True)

        def end(self):
            pass

    monkeypatch.setattr(equivalence, "_Worker", Counting)
    with Comparer(3) as comparer:
        comparer.compare([("x", "y"), ("x", "y"), ("x", "z")] * 5)
    assert sorted(asked) == [("x", "y"), ("x", "z")]


def test_a_library_of_another_version_is_refused_and_not_a_wrong_answer(monkeypatch):
    monkeypatch.setitem(PACKAGES, "math-verify", "0.0.1")
    with Comparer(1) as comparer, pytest.raises(InputError) as caught:
        comparer.compare([("x+y", "y+x")])
    assert re.fullmatch(
        r"math-verify: version [0-9.]+ is installed; grading is made for 0\.0\.1, which "
        r"envs/lock\.txt and envs/data\.yaml name",
        str(caught.value),
    )


def test_a_worker_that_cannot_start_is_no_verdict(monkeypatch, tmp_path):
    monkeypatch.setattr(equivalence.comparison_worker, "__name__", "no.such.module")
    with Comparer(1) as comparer, pytest.raises(RuntimeError, match="did not start"):
        comparer.compare([("x+y", "y+x")])


def test_the_versions_are_those_of_the_lock():
    lock = (PROJECT / "envs/lock.txt").read_text().splitlines()
    assert {f"{name}=={version}" for name, version in PACKAGES.items()} <= set(lock)


def test_hostile_answers_are_graded_wrong_and_soon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = hostile_texts(50)
    start = time.monotonic()
    cases = [(GOLDS[n % len(GOLDS)], text) for n, text in enumerate(texts)]
    grades = grade_texts(cases, workers=2)
    assert time.monotonic() - start < 300
    assert len(grades) == 50 and not any(grade.correct for grade in grades)
    assert not list(tmp_path.iterdir())


# what compiles a text that is not a file's is `eval` or `exec` of a text; the library does so with
# numbers, and sympy with code that it makes for polynomials
HARMLESS = re.compile(
    r"from sympy import \*|(?:Integer|Float) ?\('?[0-9.eE+-]+'? ?\)"
    r"|def monomial_\w+\([ABk, ]+\):.*",
    re.DOTALL,
)
WATCHED = """
import json, sys
from workflow_scripts.grading.comparison.answers import equal
from workflow_scripts.grading.comparison.expressions import Refused, expressions_equal, prepare
prepare()
seen = []
def watch(event, arguments):
    if event == "compile" and str(arguments[1]).startswith("<"):
        source = arguments[0]
        seen.append(source.decode() if isinstance(source, bytes) else str(source))
    if event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect"):
        seen.append(event)
sys.addaudithook(watch)
eval("1 + 1")
for gold, answer in json.load(sys.stdin):
    try:
        equal(gold, answer, expressions_equal)
    except Exception:
        pass
print(json.dumps(seen))
"""
CODE = [
    "__import__('os').system('true')", "().__class__.__bases__", "exec('1')", "eval(1+1)",
    "x.__class__", "lambda x: x", "print(1)", "1+1", "f(x)", "Symbol('x')", "S(1)", "{1: 2}",
    "open('x','w')", "x if x else y", "[x for x in y]", r"\operatorname{eval}(1)", "2**3**2",
    r"\frac{1}{2}", "sqrt(2)", "x^2+y", "1/3+1/7", "0.1", "a_1", r"\text{exec}", "e^x", "x<2",
]  # fmt: skip


def test_no_text_of_an_answer_is_ever_executed():
    pairs = [(gold, code) for code in CODE for gold in ("x+1", r"\frac{1}{3}x")]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        input=json.dumps(pairs),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    executed = [source for source in json.loads(done.stdout) if not HARMLESS.fullmatch(source)]
    assert executed == ["1 + 1"]  # the watch itself works
