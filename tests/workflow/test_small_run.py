"""The whole workflow on a small config: what it makes, what reruns, and what a kill costs."""

import os
import shutil
import signal
import subprocess
import time

import pandas as pd
import pytest
import yaml

from tests.workflow.checkout import (
    SMALL,
    Checkout,
    copy_project,
    environment,
    small_checkout,
    write_config,
)

CONFIG = ("--configfile", "small.yaml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    """A small run with two cores, to be looked at and not to be changed."""
    checkout = small_checkout(tmp_path_factory.mktemp("finished"))
    checkout.run("--cores", "2", *CONFIG)
    return checkout


@pytest.fixture
def changeable(finished, tmp_path) -> Checkout:
    """A copy of the finished run, with its times and metadata, that a test may change."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


def test_the_table_holds_every_cell(finished):
    table = pd.read_csv(finished.folder / "results/tables/accuracy.csv")
    assert list(table.columns) == [
        "model", "variant", "benchmark", "budget", "problems", "repeats",
        "accuracy", "se", "ci_low", "ci_high", "trace_tokens", "answer_tokens",
    ]  # fmt: skip
    cells = [(v, b) for v in SMALL["run"]["variants"] for b in SMALL["generation"]["budgets"]]
    assert list(table[["variant", "budget"]].itertuples(index=False, name=None)) == cells
    assert set(table.problems) == {12} and set(table.repeats) == {2}
    dense = table[table.variant == "dense"].set_index("budget")
    assert dense.accuracy[72] > 0.9 > dense.accuracy[6]
    assert dense.trace_tokens[6] == 6


def test_one_core_in_another_clone_makes_the_same_bytes(finished, tmp_path):
    other = small_checkout(tmp_path)
    other.run("--cores", "1", *CONFIG)
    tables = finished.tables()
    assert {"results/tables/accuracy.csv", "results/tables/accuracy.md"} < set(tables)
    assert other.tables() == tables
    for made in ("answers/small.jsonl", "traces/small.jsonl", "mask.safetensors", "mask.json"):
        path = f"results/reasoner/wanda-50/{made}"
        assert (other.folder / path).read_bytes() == (finished.folder / path).read_bytes()


def test_a_second_run_does_nothing(finished):
    start = time.monotonic()
    assert "Nothing to be done" in finished.run("--cores", "all", *CONFIG)
    assert time.monotonic() - start < 15


def test_plain_snakemake_works_through_the_default_profile(finished):
    assert "Nothing to be done" in finished.run(*CONFIG)


def edit(checkout: Checkout, source: str) -> None:
    """Add a comment to a source file."""
    path = checkout.folder / "workflow_scripts" / source
    path.write_text(path.read_text() + "\n# edited\n")


def test_editing_the_grading_code_reruns_grading_and_tables_alone(changeable):
    edit(changeable, "grading/extraction.py")
    assert set(changeable.planned(*CONFIG)) == {
        "all", "grade_answers", "accuracy_table", "scaling_curves",
    }  # fmt: skip


def test_editing_a_figure_reruns_figures_alone(changeable):
    edit(changeable, "tables/scaling_curves.py")
    assert set(changeable.planned(*CONFIG)) == {"all", "scaling_curves"}


def test_adding_a_variant_builds_that_variant_alone(changeable):
    variants = SMALL["run"]["variants"]
    run = SMALL["run"] | {"variants": [*variants, "magnitude-20"]}
    write_config(changeable, SMALL | {"run": run})
    assert changeable.planned(*CONFIG) == {
        "all": 1, "allocate_sparsity": 1, "build_mask": 1, "generate": 1, "grade_answers": 1,
        "allocation_plot": 1, "accuracy_table": 1, "scaling_curves": 1,
    }  # fmt: skip
    changeable.run("--cores", "2", *CONFIG)
    table = pd.read_csv(changeable.folder / "results/tables/accuracy.csv")
    assert list(dict.fromkeys(table.variant)) == [*variants, "magnitude-20"]


def test_a_new_budget_and_repeat_decode_only_what_is_new(changeable):
    before = changeable.decoded()
    generation = SMALL["generation"] | {"budgets": [6, 12, 24, 72]}
    write_config(changeable, SMALL | {"generation": generation})
    changeable.run("--cores", "2", *CONFIG)
    # one trace per problem and repeat serves every budget: new answers at most, one each
    assert 0 < changeable.decoded() - before <= 3 * 12 * 2


def test_a_rebuilt_mask_with_the_same_bytes_decodes_nothing(changeable):
    before, tables = changeable.decoded(), changeable.tables()
    printed = changeable.run("--cores", "2", "--forcerun", "build_mask", *CONFIG)
    assert "rule generate:" in printed
    assert changeable.decoded() == before and changeable.tables() == tables


def test_export_makes_a_checkpoint_that_transformers_opens(changeable):
    from transformers import AutoModelForCausalLM

    target = "results/reasoner/shortgpt-1/checkpoint"
    changeable.run("--cores", "1", target, *CONFIG)
    exported = AutoModelForCausalLM.from_pretrained(changeable.folder / target)
    dense = AutoModelForCausalLM.from_pretrained(changeable.folder / "resources/models/reasoner")
    assert exported.config.num_hidden_layers == dense.config.num_hidden_layers - 1


def test_report_holds_the_table_and_the_figure(changeable):
    changeable.run("--report", "report.html", *CONFIG)
    html = (changeable.folder / "report.html").read_text()
    for item in ("accuracy.html", "scaling_curves/reasoner/small.svg"):
        assert item in html


def test_a_killed_run_goes_on_where_it_was(finished, tmp_path):
    """kill -9 of snakemake and all its jobs once some completions are stored."""
    checkout = small_checkout(tmp_path)
    process = subprocess.Popen(
        checkout.command("--cores", "2", *CONFIG),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and checkout.decoded() < 40:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = checkout.decoded()
    assert 40 <= kept < finished.decoded(), "the run was over before it could be killed"
    checkout.run("--unlock", *CONFIG)
    checkout.run("--cores", "2", *CONFIG)
    assert checkout.tables() == finished.tables()
    # nothing that was finished is decoded again; a torn last line per job may be
    assert checkout.decoded() <= finished.decoded() + 2


def test_an_overlay_runs_nothing_that_it_does_not_name(finished):
    default = yaml.safe_load((finished.folder / "config/config.yaml").read_text())
    ran = {path.name for path in (finished.folder / "results/reasoner").iterdir()}
    assert ran == {"statistics", *SMALL["run"]["variants"]}
    assert not ran >= set(default["run"]["variants"])


def test_a_path_with_a_typo_is_an_error_before_anything_runs(tmp_path):
    finished = copy_project(tmp_path).snakemake(
        "--cores", "1", "results/reasoner/wanda-21/mask.json"
    )
    assert finished.returncode != 0 and "MissingRuleException" in finished.stdout
    assert not (tmp_path / "results").exists()
