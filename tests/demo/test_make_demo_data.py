"""The bundled benchmark and calibration texts are what the stage writes."""

import json
import sys

from workflow_scripts.artefacts.records import Problem, read_records
from workflow_scripts.demo import make_data
from workflow_scripts.demo.chains import is_held_out
from workflow_scripts.demo.tokenizer import build_tokenizer, prompt
from workflow_scripts.paths import PROJECT

BUNDLED = PROJECT / "bundled"
BENCHMARK = BUNDLED / "benchmarks" / "chains.jsonl"
CALIBRATION = BUNDLED / "calibration" / "chains.jsonl"


def rows():
    return [json.loads(line) for line in CALIBRATION.read_text().splitlines()]


def test_bundled_data_are_what_the_stage_writes(tmp_path, monkeypatch):
    benchmark, calibration = tmp_path / "benchmark.jsonl", tmp_path / "calibration.jsonl"
    monkeypatch.setattr(
        sys,
        "argv",
        ["make_data", "--benchmark", str(benchmark), "--calibration", str(calibration)],
    )
    make_data.main()
    assert benchmark.read_bytes() == BENCHMARK.read_bytes()
    assert calibration.read_bytes() == CALIBRATION.read_bytes()


def test_bundled_benchmark_holds_records():
    problems = read_records(BENCHMARK, Problem)
    assert len(problems) == 240
    assert all(is_held_out(problem.question) for problem in problems)


def test_bundled_calibration_is_apart_from_the_benchmark():
    held_out = {problem.question for problem in read_records(BENCHMARK, Problem)}
    assert not any(row["prompt"] in held_out or is_held_out(row["prompt"]) for row in rows())


def test_bundled_calibration_fills_128_windows_of_128_tokens():
    assert all(set(row) == {"prompt", "completion"} for row in rows())
    tokenizer = build_tokenizer()
    tokens = sum(
        len(tokenizer.encode(prompt(tokenizer, row["prompt"]) + row["completion"]))
        for row in rows()
    )
    assert tokens >= 128 * 128
    assert CALIBRATION.stat().st_size < 300_000
