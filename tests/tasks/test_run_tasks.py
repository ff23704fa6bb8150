"""Jobs that run tasks: what they write, what they keep, and what they refuse."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM

from tests.tasks.conftest import Place
from workflow_scripts.artefacts.task_records import read_results, read_scores
from workflow_scripts.config.tasks import FetchedTask
from workflow_scripts.download.fetch_task import fetch_task
from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT
from workflow_scripts.tasks import run_tasks

STEPS = {"chains-next-step": {"limit": 10}}
ANSWERS = {"chains-answer": {"limit": 10, "chat": True}}
SAMPLED = {
    "chains-answer": {
        "limit": 10,
        "chat": True,
        "generation": {"do_sample": True, "temperature": 3.0},
    }
}


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def started(*given: object, **job: object) -> None:
        monkeypatch.setattr(sys, "argv", ["run_tasks", *place.arguments(*given, **job)])
        run_tasks.main()

    return started


class Killed(BaseException):
    """Nothing that code of a job catches."""


@contextmanager
def dies_after(most: int) -> Iterator[list[int]]:
    """Where a job dies in place of the batch after so many; the sizes of those before."""
    seen: list[int] = []

    def watched(called: Callable[..., Any]) -> Callable[..., Any]:
        def call(model: HFLM, *given: torch.Tensor, **named: Any) -> Any:
            if len(seen) == most:
                raise Killed
            seen.append(len(given[0] if given else named["context"]))
            return called(model, *given, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_model_call", "_model_generate"):
            patch.setattr(HFLM, name, watched(getattr(HFLM, name)))
        yield seen


def test_a_job_writes_numbers_scores_and_samples(place: Place, run) -> None:
    run(STEPS | ANSWERS)
    found = read_results(Path("results/dense/tasks/other.json"))
    scores = read_scores(Path("results/dense/tasks/other.scores.jsonl"))
    samples = [json.loads(line) for line in place.output(".samples.jsonl").splitlines()]
    assert {*found.tasks} == {"chains-next-step", "chains-answer"}
    for name, metric in (("chains-next-step", "acc"), ("chains-answer", "exact_match")):
        one = found.tasks[name]
        assert (one.metric, one.filter, one.kind, one.samples) == (metric, "none", "mean", 10)
        assert one.value == one.metrics[f"{metric},none"] == 1.0
        mine = [score for score in scores if score.task == name]
        assert [(s.doc, s.value, s.weight) for s in mine] == [(str(n), 1.0, 1.0) for n in range(10)]
        assert [s["doc_id"] for s in samples if s["task"] == name] == [*range(10)]
    answered = next(sample for sample in samples if sample["task"] == "chains-answer")
    question = answered["doc"]["question"]
    # the chat template's prompt; a response without the thinking before it
    assert answered["arguments"][0][0] == f"<|user|>{question}<|end|><|assistant|>"
    assert answered["resps"] == [[answered["doc"]["answer"]]]
    assert found.provenance["generator"]["harness"] == "0.4.13"
    assert found.provenance["producers"][0]["engine"] == "transformers"


def test_no_engine_starts_where_all_is_kept(
    place: Place, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(STEPS | ANSWERS)
    before = place.outputs()
    monkeypatch.setattr(run_tasks, "STARTS", {})
    run(STEPS | ANSWERS)
    assert place.outputs() == before


@pytest.mark.parametrize("tasks", [STEPS, ANSWERS, SAMPLED], ids=["choice", "greedy", "sampled"])
def test_after_a_kill_a_job_goes_on_with_equal_bytes(
    place: Place, run, tasks, request: pytest.FixtureRequest
) -> None:
    killed = f"killed-{request.node.callspec.id}"
    with dies_after(99) as whole:
        run(tasks, store=f"not-{killed}")
    expected = place.outputs()
    with pytest.raises(Killed), dies_after(1):
        run(tasks, store=killed)
    with dies_after(99) as rest:
        run(tasks, store=killed)
    assert rest == whole[1:]
    assert place.outputs() == expected


def test_a_sampled_response_is_another_in_another_batch(place: Place, run) -> None:
    """Equal seeds for all batches would draw the same places of the same distributions."""
    run(SAMPLED, store="sampled")
    samples = [json.loads(line) for line in place.output(".samples.jsonl").splitlines()]
    assert len({sample["resps"][0][0] for sample in samples}) > 1


def test_after_a_real_kill_a_job_ends_with_equal_bytes(place: Place, run) -> None:
    """SIGKILL while it writes responses, with the store that it left."""
    tasks = {"chains-answer": {"limit": 60, "chat": True}}
    run(tasks, store="whole")
    expected = place.outputs()
    command = [sys.executable, "-m", "workflow_scripts.tasks.run_tasks"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    job = subprocess.Popen([*command, *place.arguments(tasks, "shot")], env=environment)
    while (kept := _kept(place.folder / "shot")) < 8 and job.poll() is None:
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL and 8 <= kept < 60
    run(tasks, store="shot")
    assert place.outputs() == expected


def _kept(store: Path) -> int:
    """How many responses are on the disk."""
    counts = 0
    for file in store.glob("**/*.sqlite"):
        with closing(sqlite3.connect(file)) as database, suppress(sqlite3.OperationalError):
            counts += database.execute("SELECT COUNT(*) FROM responses").fetchone()[0]
    return counts


def test_an_unknown_metric_is_one_line(run) -> None:
    with pytest.raises(InputError) as error:
        run({"chains-next-step": {"limit": 4, "metric": "accuracy"}})
    assert str(error.value) == (
        "tasks.chains-next-step.metric: 'accuracy' is not computed; there are: acc,none"
    )


def test_vllm_finds_the_same_on_a_pruned_model(place: Place, run) -> None:
    """Its workers prune the weights as they read them; a mask that shows is two blocks of six."""
    tasks = STEPS | {"chains-answer": {"limit": 40, "chat": True}}
    run(tasks, variant="shortened")
    expected = read_results(Path("results/shortened/tasks/other.json")).tasks
    assert expected["chains-answer"].value < 0.9
    command = [sys.executable, "-m", "workflow_scripts.tasks.run_tasks"]
    arguments = place.arguments(tasks, variant="shortened", engine="vllm")
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    subprocess.run([*command, *arguments], env=environment, check=True)
    found = read_results(Path("results/shortened/tasks/other.json")).tasks
    assert found["chains-next-step"] == expected["chains-next-step"]
    assert found["chains-answer"].value == pytest.approx(expected["chains-answer"].value, abs=0.051)


def test_a_group_of_tasks_is_one_entry(place: Place, run, tmp_path: Path) -> None:
    """Its samples are pooled, as the harness weighs its tasks by their sizes."""
    rows = [
        {"text": "7*2=", "right": 4},
        {"text": "7*2=", "right": 5},
        {"text": "3+3=", "right": 6},
    ]
    for name, part in (("one", rows[:1]), ("two", rows[1:])):
        lines = "".join(f"{json.dumps(row)}\n" for row in part)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    one = {
        "dataset_path": "json",
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "<|user|>{{text}}?<|end|><|assistant|><think>{{text}}",
        "doc_to_choice": [str(digit) for digit in range(10)],
        "doc_to_target": "right",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc"}],
    }
    names = ("one", "two")
    tasks = [
        {"task": n, **one, "dataset_kwargs": {"data_files": {"test": f"{n}.jsonl"}}} for n in names
    ]
    (tmp_path / "both.yaml").write_text(json.dumps({"group": "both", "task": tasks}))
    entry = {"file": str(tmp_path / "both.yaml")}
    fetch_task("mine", FetchedTask(**entry), run_tasks.FETCHED / "mine" / "manifest.json")
    run({"mine": entry})
    found = read_results(Path("results/dense/tasks/other.json")).tasks["mine"]
    assert (found.task, found.samples, found.value) == ("mine", 3, pytest.approx(2 / 3))
    scores = read_scores(Path("results/dense/tasks/other.scores.jsonl"))
    assert [(score.doc, score.value) for score in scores] == [("0", 1.0), ("0", 0.0), ("1", 1.0)]
    assert len({score.subtask for score in scores}) == 2
