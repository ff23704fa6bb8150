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
from workflow_scripts.grading.judge.prompts import PROTOCOLS, Case
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


def test_the_paper_s_options_are_the_right_answer_and_those_extracted_before():
    earlier = {(case.text, case.earlier) for case in cases_of(PROBLEMS, ANSWERS, AnswerPrefix())}
    assert earlier == {
        (r"\boxed{\frac{2}{4}}", ()),
        (r"\boxed{0.5}", (r"\frac{2}{4}",)),
        (r"\boxed{3}", (r"\frac{2}{4}", "0.5")),
        ("It is B", ()),
        ("It is A", ("B",)),
    }


def test_what_the_format_began_to_state_is_extracted_for_the_judge_too():
    said = [answer("b", 0, " B, because of this.\n\nIt is so."), answer("b", 1, "C")]
    cut = [dataclasses.replace(one, trace_finish="length") for one in said]
    for answers, prefix, extracted in (
        (said, "Final Answer:", None),
        (cut, "", None),
        (cut, "Final Answer:", "B"),
    ):
        (case, _) = cases_of(PROBLEMS, answers, AnswerPrefix(after_cap=prefix))
        assert case.extracted == extracted


def test_the_paper_s_protocol_shows_numbered_options_and_reads_a_number(tmp_path):
    seen = {}

    def plays(number, body):
        text = body["messages"][0]["content"]
        shown = text.split("Options:\n")[1].split("\n\nSolution:\n")
        seen[shown[1].split("\n")[0]] = shown[0].split("\n")
        return 200, {}, completion("2" if "0.5" in shown[1] else "-1")

    with serving(plays) as server:
        judged = judgements(PROBLEMS, ANSWERS, options(server.url, prompt="paper"), tmp_path)
    assert seen["0.5"] == [r"1. \frac{1}{2}", r"2. \frac{2}{4}"]
    assert seen["3"] == [r"1. \frac{1}{2}", r"2. \frac{2}{4}", "3. 0.5"]
    # the second option is an earlier answer, which is not the right one
    assert [j.correct for j in judged] == [False] * 5


CASE = Case("?", "42", "So it is 42", "42", ("41", "42"))


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("1", True), (" 1.\n", True), ("2", False), ("-1", False), ("3", None), ("0", None),
     ("-2", None), ("one", None), ("1 or 2", None), ("", None), ("99999999999", None)],
)  # fmt: skip
def test_reading_an_index(reply, verdict):
    assert PROTOCOLS["paper"].read(reply, CASE) is verdict


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
    ("extracted", "right", "verdict"),
    [("42", "42", True), ("41", "42", False), ("42.0", "42", None), (None, "42", None),
     ("42", r"\frac{84}{2}", None)],
)  # fmt: skip
def test_the_paper_compares_digits_without_the_judge(extracted, right, verdict):
    case = Case("?", right, "text", extracted)
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
                    "--options", options(server.url, key_variable="PLANTED").model_dump_json(),
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
