"""Tasks of the evaluation harness through snakemake, on a run that has its masks."""

import json
import shutil
from pathlib import Path

import pytest

from tests.workflow.checkout import SMALL, Checkout, jobs_run, write_config

RUN = SMALL["run"] | {
    "variants": ["dense", "shortgpt-1"],
    "tasks": ["chains-next-step", "chains-answer"],
}
LIMITED = {"chains-next-step": {"limit": 12}, "chains-answer": {"limit": 12}}
CONFIG = ("--configfile", "small.yaml")
TABLE = "results/tables/tasks.csv"
TASKS = Path("results/reasoner/shortgpt-1/tasks")


def asked(checkout: Checkout, config: dict, *targets: str) -> str:
    write_config(checkout, SMALL | {"run": RUN, "tasks": LIMITED} | config)
    return checkout.run("--cores", "2", *targets, *CONFIG)


@pytest.fixture(scope="module")
def ran(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    folder = tmp_path_factory.mktemp("tasks") / "copy"
    shutil.copytree(finished.folder, folder, symlinks=True)
    checkout = Checkout(folder)
    printed = asked(checkout, {}, TABLE, "results/figures/tasks/reasoner.svg")
    assert jobs_run(printed)["run_tasks"] == 2 and jobs_run(printed)["fetch_task"] == 2
    return checkout


def made(checkout: Checkout) -> dict[str, bytes]:
    files = sorted((checkout.folder / TASKS).glob("[a-z]*"))
    return {file.name: file.read_bytes() for file in files}


def test_the_table_has_every_task_and_what_a_variant_loses(ran: Checkout) -> None:
    lines = (ran.folder / "results/tables/tasks.md").read_text().splitlines()
    head = next(line for line in lines if line.startswith("| variant"))
    assert [cell.strip() for cell in head.split("|")[-4:-1]] == [
        "reasoning",
        "generation",
        "all tasks",
    ]
    row = next(line for line in lines if line.startswith("| shortgpt-1"))
    assert all("(" in cell for cell in row.split("|")[-4:-1]), "differences to dense"
    assert (ran.folder / "results/figures/tasks/reasoner.svg").stat().st_size


def test_by_family_the_results_are_the_same_bytes_from_the_store(ran: Checkout) -> None:
    before = made(ran)
    assert sorted(before)[0] == "generation.json" and len(before) == 6
    shutil.rmtree(ran.folder / TASKS)
    printed = asked(ran, {"harness": {"jobs": "family"}}, *(str(TASKS / n) for n in before))
    assert jobs_run(printed)["run_tasks"] == 2
    assert made(ran) == before
    log = (ran.folder / "logs/run_tasks/reasoner/shortgpt-1/generation.log").read_text()
    assert "Running" not in log, "no engine had anything to do"


def test_a_larger_limit_asks_for_what_is_new_alone(ran: Checkout) -> None:
    more = LIMITED | {"chains-answer": {"limit": 15}}
    asked(ran, {"tasks": more}, str(TASKS / "generation.json"))
    found = json.loads((ran.folder / TASKS / "generation.json").read_text())
    assert found["tasks"]["chains-answer"]["samples"] == 15
    log = (ran.folder / "logs/run_tasks/reasoner/shortgpt-1.log").read_text()
    assert "/3 [" in log and "/15 [" not in log.partition("Running generate_until")[2]


def test_a_task_that_the_harness_has_not_is_one_line(ran: Checkout) -> None:
    tasks = LIMITED | {"mine": {"task": "helaswag"}}
    write_config(ran, SMALL | {"run": RUN | {"tasks": ["mine"]}, "tasks": tasks})
    refused = ran.snakemake("--cores", "1", "resources/tasks/mine/manifest.json", *CONFIG)
    assert refused.returncode != 0 and "Traceback" not in refused.stdout
    said = [line for line in refused.stdout.splitlines() if line.startswith("error: ")]
    assert said[0].startswith(
        "error: tasks.mine: the harness has no task 'helaswag'; close to it: "
    )
    assert "hellaswag" in said[0]
