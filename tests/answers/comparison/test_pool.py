"""Comparisons in processes of their own: limits, replacements, and nothing that is executed."""

import contextlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time

import psutil
import pytest

from benchmarks.grading import GOLDS, grade_texts, hostile_texts
from tests.answers.comparison import misbehaving
from workflow_scripts.answers.comparison import pool, worker
from workflow_scripts.answers.comparison.expressions import PACKAGES
from workflow_scripts.answers.comparison.pool import Verdict, compare_all
from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT


def test_a_comparison_that_goes_wrong_ends_and_harms_no_other(monkeypatch, tmp_path):
    monkeypatch.setattr(pool, "WALL_SECONDS", 4)
    monkeypatch.setattr(worker, "compare", misbehaving.compare)
    notes = {
        "behave": "",
        "sleep": "hung",
        "spin": "out of time",
        "endless_step": "out of time",
        "take_memory": "out of memory",
        "killed_once": "",
        "fall": "crashed",
        "leave": "crashed",
        "fail": "crashed",
    }
    verdicts = compare_all([(name, str(tmp_path / "mark")) for name in notes], workers=2)
    assert {name: verdict for (name, _), verdict in verdicts.items()} == {
        name: Verdict(not note, note) for name, note in notes.items()
    }
    assert multiprocessing.active_children() == []


def test_workers_that_do_not_start_are_no_verdict(monkeypatch):
    monkeypatch.setattr(worker, "start", misbehaving.start)
    with pytest.raises(InputError, match=r"'x\+y' and 'y\+x' could not be compared"):
        compare_all([("x+y", "y+x")])


def test_a_comparison_that_the_system_ends_is_no_verdict(monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "compare", misbehaving.compare)
    for name in ("killed", "out_of_processor_time"):
        with pytest.raises(InputError, match=rf"^'{name}' and .* 2 GiB of memory"):
            compare_all([(name, "-"), ("behave", "-")], workers=2)


def test_workers_that_are_killed_between_comparisons_cost_no_verdict(monkeypatch):
    pairs = [("behave", str(number)) for number in range(200)]
    monkeypatch.setattr(pool, "START_SECONDS", 5)
    monkeypatch.setattr(pool, "WALL_SECONDS", 5)
    monkeypatch.setattr(worker, "compare", misbehaving.compare)
    killed = []

    def kill_three():
        while len(killed) < 3:
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if process.ppid() != os.getpid():
                        process.kill()
                        killed.append(process.pid)
            time.sleep(0.3)

    killer = threading.Thread(target=kill_three, daemon=True)
    killer.start()
    assert set(compare_all(pairs).values()) == {Verdict(True)}


def test_less_memory_than_a_comparison_may_take_is_no_verdict():
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 29, 3 << 29))\n"
        "from workflow_scripts.answers.comparison import pool, worker\n"
        "from tests.answers.comparison import misbehaving\n"
        "worker.compare = misbehaving.compare\n"
        "pool.compare_all([('take_memory', '-')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert "InputError: 'take_memory' and '-' could not be compared" in done.stderr
    assert "ulimit -v is 1572864" in done.stderr


def test_workers_end_with_the_process_that_started_them(tmp_path):
    code = (
        "from workflow_scripts.answers.comparison import pool, worker\n"
        "from tests.answers.comparison import misbehaving\n"
        "worker.compare = misbehaving.compare\n"
        f"pool.compare_all([('spin', {str(tmp_path / 'mark')!r})])"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT) as started:
        while not (tmp_path / "mark.spinning").exists():
            assert started.poll() is None
            time.sleep(0.1)
        below = psutil.Process(started.pid).children(recursive=True)
        started.kill()
    assert below and psutil.wait_procs(below, timeout=60)[1] == []


def test_what_is_easy_needs_no_worker(monkeypatch):
    monkeypatch.setattr(pool, "ProcessPool", lambda *_, **__: pytest.fail("started"))
    easy = {
        ("1", "1.0"): Verdict(True),
        (r"\frac12", "0.5"): Verdict(True),
        ("2", "3"): Verdict(False),
        ("x", " x "): Verdict(True),
        ("1", "9" * 5000): Verdict(False, "too long"),
    }
    assert compare_all([*easy, *easy], workers=2) == easy


def test_a_library_of_another_version_is_refused_and_not_a_wrong_answer(monkeypatch):
    monkeypatch.setitem(PACKAGES, "math-verify", "0.0.1")
    with pytest.raises(InputError, match=r"^math-verify: .* 0\.0\.1, .*envs/lock\.txt"):
        compare_all([("x+y", "y+x")])


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
from workflow_scripts.answers.comparison.answers import equal
from workflow_scripts.answers.comparison.expressions import Refused, expressions_equal, prepare
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
