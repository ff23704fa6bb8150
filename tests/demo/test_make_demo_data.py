"""The bundled problems and texts are what the stage writes, and what training meets."""

import json
import sys
from itertools import islice

import pytest

from workflow_scripts.artefacts.records import Problem, read_records
from workflow_scripts.demo import make_data
from workflow_scripts.demo.chains import THINK, THINK_END, is_held_out, training_examples
from workflow_scripts.demo.tokenizer import build_tokenizer, prompt
from workflow_scripts.paths import PROJECT

BUNDLED = PROJECT / "bundled"
BENCHMARK = BUNDLED / "benchmarks" / "chains.jsonl"
TRAINING_BENCHMARK = BUNDLED / "benchmarks" / "chains-training.jsonl"
CALIBRATION = BUNDLED / "calibration" / "chains.jsonl"
WITH_STEPS = BUNDLED / "calibration" / "chains-with-steps.jsonl"
WITHOUT_STEPS = BUNDLED / "calibration" / "chains-without-steps.jsonl"
FILES = {
    "--benchmark": BENCHMARK,
    "--training-benchmark": TRAINING_BENCHMARK,
    "--calibration": CALIBRATION,
    "--with-steps": WITH_STEPS,
    "--without-steps": WITHOUT_STEPS,
}


def rows(path=CALIBRATION):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_bundled_data_are_what_the_stage_writes(tmp_path, monkeypatch):
    made = {flag: tmp_path / f"{flag}.jsonl" for flag in FILES}
    flags = [str(part) for flag_and_path in made.items() for part in flag_and_path]
    monkeypatch.setattr(sys, "argv", ["make_data", *flags])
    make_data.main()
    for flag, bundled in FILES.items():
        assert made[flag].read_bytes() == bundled.read_bytes(), flag


@pytest.mark.parametrize(
    ("path", "count", "held_out"), [(BENCHMARK, 240, True), (TRAINING_BENCHMARK, 320, False)]
)
def test_bundled_problems_are_of_one_side_of_the_task(path, count, held_out):
    problems = read_records(path, Problem)
    assert len({problem.question for problem in problems}) == count
    assert all(is_held_out(problem.question) == held_out for problem in problems)


@pytest.mark.parametrize("path", [CALIBRATION, WITH_STEPS, WITHOUT_STEPS], ids=lambda p: p.stem)
def test_bundled_texts_are_apart_from_the_benchmark(path):
    held_out = {problem.question for problem in read_records(BENCHMARK, Problem)}
    assert not any(row["prompt"] in held_out or is_held_out(row["prompt"]) for row in rows(path))


def test_both_models_texts_are_the_problems_that_training_begins_with_and_no_cut_trace():
    met = [example for example in islice(training_examples(0), 8000) if not example.cut]
    pairs = list(zip(rows(WITH_STEPS), rows(WITHOUT_STEPS), strict=True))
    assert len(pairs) == 4000
    for example, (worked, answered) in zip(met, pairs, strict=False):
        assert worked["prompt"] == answered["prompt"] == example.question
        trace, end, answer = worked["completion"].removeprefix(THINK).partition(THINK_END)
        # six tokens for each of as many steps as the question has operations
        assert len(trace) == 6 * sum(map(example.question.count, "+-*"))
        assert answered["completion"] == THINK + end + answer


def test_bundled_calibration_fills_128_windows_of_128_tokens():
    assert all(set(row) == {"prompt", "completion"} for row in rows())
    tokenizer = build_tokenizer()
    tokens = sum(
        len(tokenizer.encode(prompt(tokenizer, row["prompt"]) + row["completion"]))
        for row in rows()
    )
    assert tokens >= 128 * 128
    assert CALIBRATION.stat().st_size < 300_000
