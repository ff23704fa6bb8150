"""Scores of tasks, gathered: what does not fit together is one line that names it."""

import json
import shutil

import numpy as np
import pytest

from tests.tables import task_results
from tests.tables.task_results import OPTIONS, TASKS
from workflow_scripts.artefacts.task_records import (
    TaskResults,
    read_results,
    read_scores,
    write_results,
    write_scores,
)
from workflow_scripts.errors import InputError
from workflow_scripts.tables.collect_task_scores import main
from workflow_scripts.tables.content.task_scores import (
    load_task_scores,
    read_task_scores,
    tasks_of,
)

NAMES = {"models": OPTIONS["models"], "variants": ["dense", "flap-20"], "tasks": OPTIONS["tasks"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks") / "results"
    task_results.write_run(folder)
    return folder


@pytest.fixture
def results(made, tmp_path):
    return shutil.copytree(made, tmp_path / "results")


def collect(results, **changes):
    output = results.parent / "tables/task_scores.parquet"
    options = json.dumps({**NAMES, **changes})
    main(["--results", str(results), "--options", options, "--output", str(output)])
    return load_task_scores(output.parent)


def test_every_score_of_the_run_is_there_in_its_order(made):
    frame = collect(made)
    first = (made.parent / "tables/task_scores.parquet").read_bytes()
    collect(made)
    assert (made.parent / "tables/task_scores.parquet").read_bytes() == first
    found = {task.name: task for task in tasks_of(frame)}
    assert list(found) == [*TASKS] and frame.attrs["missing"] == []
    assert found["jee"].metric == "exact_match,boxed" and found["aime"].metric == "exact_match"
    for model, variant, name, values, weights in task_results.scores():
        if variant not in NAMES["variants"]:
            continue
        task = found[name]
        order = np.argsort([str(doc) for doc in range(len(values))])
        assert np.array_equal(task.values[model, variant], values[order])
        assert np.array_equal(task.weights, weights[order])
        assert (task.family, task.kind) == (TASKS[name].family, TASKS[name].kind)


def change(results, place, *, keep=None, drop=None, rename=None, **changes):
    """Change the results of one task, or its scores: keep some, or change the first's keys."""
    folder, name = results / place, "boolq"
    scores = read_scores(folder / "classification.scores.jsonl")
    known = dict(read_results(folder / "classification.json").tasks)
    of_task = [one for one in scores if one.task == name]
    others = [one for one in scores if one.task != name]
    if drop:
        del known[name]
    of_task = of_task[slice(keep)]
    if rename:
        of_task[0] = type(of_task[0])(**vars(of_task[0]) | rename)
    if changes:
        known[name] = known[name].model_copy(update=changes)
    write_scores(folder / "classification.scores.jsonl", of_task + others)
    write_results(folder / "classification.json", TaskResults(tasks=known))


PLACE = "reasoner/flap-20/tasks"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keep": 79}, "classification.scores.jsonl: task 'boolq': has 79 samples, "
         "classification.json says 80"),
        ({"value": 0.123}, "classification.json says 0.123"),
        ({"rename": {"doc": "x"}},
         "task 'boolq': sample '0' of boolq_of_harness is in answerer/dense and not in "
         "reasoner/flap-20"),
        ({"rename": {"doc": "1"}},
         ".scores.jsonl:2: task 'boolq': sample '1' of boolq_of_harness is there twice"),
        ({"version": "2.0"}, "task 'boolq': version is '2.0' in reasoner/flap-20 and '1.0' in "
         "answerer/dense; measure both alike"),
        ({"metric": "acc_norm"}, "task 'boolq': metric is 'acc_norm' in reasoner/flap-20"),
        ({"drop": True}, "results: no results of reasoner/flap-20: boolq; run its tasks again"),
    ],
)  # fmt: skip
def test_what_one_side_lacks_is_named(results, changes, said):
    change(results, PLACE, **changes)
    with pytest.raises(InputError) as error:
        collect(results)
    assert said in str(error.value) and len(error.value.args) == 1
    assert not (results.parent / "tables/task_scores.parquet").exists()


def test_other_weights_are_named(results):
    folder = results / "reasoner/flap-20/tasks"
    scores = read_scores(folder / "generation.scores.jsonl")
    first = scores[0]
    scores[0] = type(first)(**vars(first) | {"weight": 2 * first.weight, "value": 0.0})
    write_scores(folder / "generation.scores.jsonl", scores)
    known = read_results(folder / "generation.json").tasks
    of_task = [one for one in scores if one.task == first.task]
    value = sum(one.value for one in of_task) / sum(one.weight for one in of_task)
    known = {**known, first.task: known[first.task].model_copy(update={"value": value})}
    write_results(folder / "generation.json", TaskResults(tasks=known))
    said = f"sample '0' of ifeval_of_harness weighs {2 * first.weight:g} in reasoner/flap-20 and"
    with pytest.raises(InputError, match=said):
        collect(results)


def test_what_is_not_there_yet_is_told(results):
    (results / "reasoner/flap-20/tasks/language.json").unlink()
    change(results, PLACE, drop=True)
    frame = read_task_scores(results, **NAMES)
    assert frame.attrs["missing"] == ["reasoner/flap-20: boolq", "reasoner/flap-20: language"]
    with pytest.raises(InputError) as error:
        collect(results)
    assert len(error.value.args) == 2
    nothing = read_task_scores(results / "nowhere", **NAMES)
    assert nothing.empty and list(tasks_of(nothing)) == []
