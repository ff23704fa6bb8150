import dataclasses
import os
import subprocess
import sys

import pytest

from tests.grading.judge.judge_server import completion, serving
from workflow_scripts.artefacts.records import (
    Answer,
    Judgement,
    Problem,
    read_records,
    write_records,
)
from workflow_scripts.config.judge import JudgeJob
from workflow_scripts.config.thinking import AnswerPrefix
from workflow_scripts.errors import InputError
from workflow_scripts.grading import judge_answers
from workflow_scripts.grading.judge.prompts import PROTOCOLS, Case, stated_in
from workflow_scripts.grading.judge_answers import cases_of, judgements
from workflow_scripts.paths import PROJECT

KEY = "sk-planted-0123456789"
PROBLEMS = {
    "a": Problem("a", "How much is a half?", r"\frac{1}{2}", "math"),
    "b": Problem("b", "Which?", "B", "choice", ["red", "blue"]),
}


def answer(identity, repeat, text):
    return Answer(identity, repeat, 8, 0, 1, "stop", 1, "eos", text)


ANSWERS = [
    answer("a", 1, r"\boxed{0.5}"),
    answer("a", 0, r"\boxed{\frac{2}{4}}"),
    answer("b", 0, "It is B"),
    answer("b", 1, "It is A"),
    answer("a", 2, r"\boxed{3}"),
]


def options(url, **changes):
    values = {"url": url, "model": "m", "key_variable": "NO_KEY", "attempts": 2, "parallel": 3}
    return JudgeJob(**values | changes)


def wise(number, body):
    """Correct are solutions that hold a half, or B."""
    solution = body["messages"][0]["content"].split("Solution to be judged")[1].split("Does the")[0]
    right = any(text in solution for text in ("0.5", "2}{4", "It is B"))
    return 200, {}, completion("Correct." if right else "incorrect")


def test_every_answer_is_judged_in_its_place(tmp_path):
    with serving(wise) as server:
        judged = judgements(PROBLEMS, ANSWERS, options(server.url), tmp_path)
        again = judgements(PROBLEMS, ANSWERS[::-1], options(server.url, parallel=1), tmp_path)
    assert [(j.id, j.repeat, j.budget, j.correct, j.reply, j.reason) for j in judged] == [
        ("a", 1, 8, True, "Correct.", "judged"),
        ("a", 0, 8, True, "Correct.", "judged"),
        ("b", 0, 8, True, "Correct.", "judged"),
        ("b", 1, 8, False, "incorrect", "judged"),
        ("a", 2, 8, False, "incorrect", "judged"),
    ]
    assert again == judged[::-1] and len(server.requests) == 5
    question = next(
        text for body in server.requests if "It is A" in (text := body["messages"][0]["content"])
    )
    assert "Which?\nA) red\nB) blue" in question and "Correct answer:\nB\n" in question


def test_equal_answers_are_one_question(tmp_path):
    with serving(wise) as server:
        same = [answer("a", n, r"\boxed{0.5}") for n in range(5)]
        judged = judgements(PROBLEMS, same, options(server.url), tmp_path)
    assert [j.correct for j in judged] == [True] * 5 and len(server.requests) == 1


def test_a_reply_that_says_nothing_is_no_verdict(tmp_path):
    with serving(lambda number, body: (200, {}, completion("correct or\nincorrect?"))) as server:
        (judged,) = judgements(PROBLEMS, ANSWERS[:1], options(server.url), tmp_path)
    assert judged == Judgement("a", 1, 8, None, "correct or incorrect?", "unreadable")


def test_what_was_answered_before_the_judge_gave_up_is_kept(tmp_path):
    def plays(number, body):
        return wise(number, body) if number < 3 else (401, {}, b"quota")

    with serving(plays) as server:
        with pytest.raises(InputError, match="HTTP 401"):
            judgements(PROBLEMS, ANSWERS, options(server.url, parallel=1), tmp_path)
        assert len(list(tmp_path.rglob("*.json"))) == 3
        before = len(server.requests)
        judgements(PROBLEMS, ANSWERS[:3], options(server.url, parallel=1), tmp_path)
        assert len(server.requests) == before


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        (r"It is \boxed{3}, no, \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{3} and then \boxed{4", r"\boxed{3} and then \boxed{4"),
        ("Answer: it is\n\n7", "it is\n\n7"),
        ("The ANSWER : 7\nAnswer: 8", "7\nAnswer: 8"),
        ("So 7.", "So 7."),
    ],
)
def test_what_the_paper_takes_for_the_answer(text, stated):
    assert stated_in(text) == stated


def test_what_the_format_began_to_state_is_a_part_of_the_answer():
    said = answer("b", 0, " B")
    for one, prefix, stated in (
        (said, "Final Answer:", " B"),
        (dataclasses.replace(said, trace_finish="length"), "Final Answer:", "B"),
    ):
        (case,) = cases_of(PROBLEMS, [one], AnswerPrefix(after_cap=prefix))
        assert case.stated == stated and case.is_choice and case.text == " B"


PAPER = {"prompt": "paper", "benchmarks": ["a"], "temperature": 0.5, "max_tokens": 1024}


def test_the_paper_s_judge_is_asked_what_signs_do_not_decide(tmp_path):
    """About mathematics it sees the right answer, about choices the problem."""
    answers = [*ANSWERS, answer("b", 2, r"\boxed{b}"), answer("b", 3, "red")]
    seen = []

    def plays(number, body):
        text = body["messages"][0]["content"]
        assert (body["temperature"], body["max_tokens"]) == (0.5, 1024)
        problem, solution = text.split("Solution:\n")
        seen.append(solution.split("\n")[0])
        if seen[-1] in ("red", "It is A", "It is B"):
            assert "Which?\nA) red\nB) blue" in problem
            return 200, {}, completion({"red": "-1", "It is A": "A"}.get(seen[-1], "B."))
        assert "Options:\n1. \\frac{1}{2}\n\n" in problem
        return 200, {}, completion("1" if seen[-1] in ("0.5", r"\frac{2}{4}") else "-1")

    with serving(plays) as server:
        judged = judgements(PROBLEMS, answers, options(server.url, **PAPER), tmp_path)
    assert sorted(seen) == ["0.5", "3", "It is A", "It is B", r"\frac{2}{4}", "red"]
    assert [(j.correct, j.reason) for j in judged] == [
        (True, "judged"), (True, "judged"), (True, "judged"), (False, "judged"), (False, "judged"),
        (True, "compared"), (False, "judged"),
    ]  # fmt: skip


def test_a_benchmark_that_is_not_on_the_list_is_compared_as_the_paper_compares_amc(tmp_path):
    problems = {"a": Problem("a", "?", "27", "integer")}
    texts = [r"\boxed{27}", r"\boxed{027}", r"\boxed{27.0}", r"\boxed{\text{27}}", "It is 27", "27"]
    answers = [answer("a", n, text) for n, text in enumerate(texts)]
    write_records(tmp_path / "amc.jsonl", problems.values())
    write_records(tmp_path / "answers.jsonl", answers)
    with serving(wise) as server:
        command = ["--benchmark", tmp_path / "amc.jsonl", "--answers", tmp_path / "answers.jsonl"]
        command += ["--options", options(server.url, **PAPER).model_dump_json(exclude_none=True)]
        command += ["--cache", tmp_path / "cache", "--output", tmp_path / "j.jsonl"]
        judge_answers.main([str(part) for part in command])
    found = read_records(tmp_path / "j.jsonl", Judgement)
    assert [j.correct for j in found] == [True, True, False, False, False, True]
    assert {j.reason for j in found} == {"compared"} and server.requests == []


def test_a_judge_is_told_what_a_number_may_differ_by():
    problems = {"a": Problem("a", "1/3=?", "0.33", "number", tolerance=0.01)}
    problems["b"] = Problem("b", "3+4=?", "7", "integer")
    found = judge_answers.cases_of(
        problems, [answer("a", 0, "1/3"), answer("b", 0, "7")], AnswerPrefix()
    )
    assert [case.question for case in found] == [
        "1/3=?\n(A number within 0.01 of the correct answer is correct.)",
        "3+4=?",
    ]


CASE = Case("?", "42", "So it is 42", "So it is 42")
CHOICE = Case("?", "B", "It is blue", "It is blue", is_choice=True)


@pytest.mark.parametrize(
    ("reply", "verdict", "of_choice"),
    [("1", True, None), (" 1.\n", True, None), ("-1", False, False), ("2", None, None),
     ("one", None, None), ("1 or 2", None, None), ("", None, None), ("B", None, True),
     ("A.", None, False), ("b", None, None), ("B) blue", None, None)],
)  # fmt: skip
def test_reading_what_the_paper_asks_for(reply, verdict, of_choice):
    assert PROTOCOLS["paper"].read(reply, CASE) is verdict
    assert PROTOCOLS["paper"].read(reply, CHOICE) is of_choice


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("correct", True), ("Incorrect.", False), ("**Correct**", True), ("not sure", None),
     ("correct, not incorrect", None), ("", None), ("correctly", None), ("Not correct.", None),
     ("The answer is not correct", None), ("It isn't correct.", None), ("_incorrect_\n", False),
     ("<think>It is not correct, or is it?</think>\n\nCorrect.", True), ("correct\ncorrect", None)],
)  # fmt: skip
def test_reading_a_word(reply, verdict):
    assert PROTOCOLS["equivalence"].read(reply, CASE) is verdict


@pytest.mark.parametrize(
    ("stated", "right", "verdict"),
    [("42", "42", True), ("042", "42", True), ("41", "42", False), ("42.0", "42", None),
     ("-42", "42", None), ("", "42", None), ("42", r"\frac{84}{2}", None)],
)  # fmt: skip
def test_the_paper_compares_digits_without_the_judge(stated, right, verdict):
    case = Case("?", right, "text", stated)
    assert PROTOCOLS["paper"].decided(case) is verdict
    assert PROTOCOLS["equivalence"].decided(case) is None


def test_the_key_stands_in_no_file_and_no_log(tmp_path):
    """The judge repeats the key in everything it says; then it fails with it."""

    def plays(number, body):
        if number <= len(ANSWERS):
            return 200, {"X-Key": KEY}, completion(f"correct, {KEY}")
        return 403, {}, f"bad key {KEY}".encode()

    write_records(tmp_path / "benchmark.jsonl", PROBLEMS.values())
    write_records(tmp_path / "answers.jsonl", [*ANSWERS, answer("b", 2, "C")])
    with serving(plays) as server:
        for cache, code in (("one", 0), ("two", 1)):
            done = subprocess.run(
                [
                    sys.executable, "-m", "workflow_scripts.grading.judge_answers",
                    "--benchmark", tmp_path / "benchmark.jsonl",
                    "--answers", tmp_path / "answers.jsonl",
                    "--options", options(server.url, key_variable="PLANTED")
                    .model_dump_json(exclude_none=True),
                    "--cache", tmp_path / cache, "--output", tmp_path / "judgements.jsonl",
                ],
                cwd=PROJECT, env=os.environ | {"PLANTED": KEY}, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == code, done.stderr
            assert KEY not in done.stdout + done.stderr
    assert server.keys == [f"Bearer {KEY}"] * len(server.keys)
    assert [j.correct for j in read_records(tmp_path / "judgements.jsonl", Judgement)] == [None] * 6
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3 + 5
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
