"""Files of the stage `tasks`: the number of a task from its samples, and what is refused."""

import json
import math

import pytest

from workflow_scripts.artefacts.task_records import (
    TaskResult,
    TaskResults,
    TaskScore,
    estimate,
    read_results,
    read_scores,
    write_results,
    write_scores,
)
from workflow_scripts.errors import InputError


def result(**changes):
    return TaskResult(
        **{
            "task": "boolq",
            "version": "2.0",
            "metric": "acc",
            "filter": "none",
            "kind": "mean",
            "higher_is_better": True,
            "samples": 4,
            "value": 0.75,
            "metrics": {"acc,none": 0.75},
        }
        | changes
    )


def test_what_is_written_is_what_is_read(tmp_path):
    results = TaskResults(tasks={"BoolQ": result()}, provenance={"engine": "transformers"})
    write_results(tmp_path / "classification.json", results)
    assert read_results(tmp_path / "classification.json") == results

    scores = [TaskScore("BoolQ", "boolq", "ä\n1", 1.0, 1.0), TaskScore("w", "w", "0", -3.5, 2.0)]
    write_scores(tmp_path / "classification.scores.jsonl", scores)
    assert read_scores(tmp_path / "classification.scores.jsonl") == scores


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # three instructions of which two are followed, and one of one
        ("mean", (2 + 1) / (3 + 1)),
        ("perplexity", math.exp(-3 / 4)),
        ("bits", -3 / 4 / math.log(2)),
    ],
)
def test_the_number_of_a_task_is_a_ratio_of_sums(kind, expected):
    assert estimate(kind, [2.0, 1.0], [3.0, 1.0]) == pytest.approx(expected, rel=1e-15)


def test_the_perplexity_of_a_uniform_guess_is_the_number_of_choices():
    assert estimate("perplexity", [-5 * math.log(100)] * 3, [5.0] * 3) == pytest.approx(100)
    assert estimate("bits", [-8 * math.log(256)] * 3, [8.0] * 3) == pytest.approx(8)


def test_bad_files_are_one_line_that_names_the_key(tmp_path):
    results = tmp_path / "classification.json"
    results.write_text(json.dumps({"tasks": {"BoolQ": result().model_dump() | {"kind": "median"}}}))
    with pytest.raises(InputError, match=r"classification.json: tasks.BoolQ.kind 'median'"):
        read_results(results)

    scores = tmp_path / "classification.scores.jsonl"
    row = {"task": "BoolQ", "subtask": "boolq", "doc": "0", "value": 1.0, "weight": 1.0}
    for wrong in ({"weight": 0.0}, {"doc": 0}, {"value": float("nan")}):
        scores.write_text(json.dumps(row) + "\n" + json.dumps(row | wrong) + "\n")
        with pytest.raises(InputError, match=rf"scores.jsonl:2: {next(iter(wrong))}"):
            read_scores(scores)


def test_a_changed_file_is_noticed(tmp_path):
    path = tmp_path / "classification.scores.jsonl"
    write_scores(path, [TaskScore("BoolQ", "boolq", "0", 1.0, 1.0)])
    path.write_text(path.read_text().replace("1.0", "0.0"))
    with pytest.raises(InputError, match="has changed since it was written"):
        read_scores(path)
