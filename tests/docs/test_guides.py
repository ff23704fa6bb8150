"""The guides' examples: each diff applies, and what it adds shows up in a run."""

import csv
import json
import re
import subprocess
import sys

import pytest
import yaml
from snakemake.utils import update_config

from tests.workflow.checkout import PROJECT, SMALL, small_checkout, write_config

DOCS = PROJECT / "docs"
# the files that each may open
MAX_FILES = {"add-method": 2, "add-allocation": 2, "add-engine": 3, "add-figure": 2}


def opened(guide: str) -> list[str]:
    diff = (DOCS / "examples" / f"{guide}.diff").read_text(encoding="utf-8")
    return re.findall(r"^\+\+\+ b/(.*)$", diff, re.MULTILINE)


@pytest.mark.parametrize("guide", MAX_FILES)
def test_an_example_opens_few_files_and_its_guide_names_each(guide):
    text = (DOCS / f"{guide}.md").read_text(encoding="utf-8")
    files = opened(guide)
    assert 1 < len(files) <= MAX_FILES[guide]
    assert sorted(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)) == sorted(files)
    assert f'--8<-- "docs/examples/{guide}.diff"' in text


def shown(guide: str) -> dict:
    """The config that a guide shows."""
    blocks = re.findall(
        r"^```yaml\n(.*?)^```", (DOCS / f"{guide}.md").read_text(encoding="utf-8"), re.M | re.S
    )
    return yaml.safe_load(blocks[0]) if blocks else {}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A copy of the project with all four examples, and a small run of what they show."""
    checkout = small_checkout(tmp_path_factory.mktemp("guides") / "project")
    for guide in MAX_FILES:
        diff = str(DOCS / "examples" / f"{guide}.diff")
        subprocess.run(["git", "apply", diff], cwd=checkout.folder, check=True)
    config: dict = {}
    for guide in MAX_FILES:
        update_config(config, shown(guide))
    update_config(config, SMALL)
    config["run"]["variants"] = ["ria-50", "wanda-ramp-50"]
    write_config(checkout, config)
    figure = "results/figures/budget_use/reasoner/small.svg"
    targets = ["results/tables/accuracy.csv", figure]
    checkout.run("--cores", "2", *targets, "--configfile", "small.yaml")
    return checkout.folder


def test_the_method_and_the_allocation_have_rows_in_the_table(run):
    rows = list(csv.DictReader((run / "results/tables/accuracy.csv").open()))
    assert {row["variant"] for row in rows} == {"ria-50", "wanda-ramp-50"}


def test_the_method_removes_what_it_was_asked_to(run):
    record = json.loads((run / "results/reasoner/ria-50/mask.json").read_text(encoding="utf-8"))
    assert record["removed_fraction"] == pytest.approx(0.5, abs=1e-3)


def test_the_allocation_rises_from_the_first_block_to_the_last(run):
    record = json.loads(
        (run / "results/reasoner/wanda-ramp-50/allocation.json").read_text(encoding="utf-8")
    )
    sparsities = list(record["linears"].values())
    assert sparsities[-1] - sparsities[0] == pytest.approx(0.3)
    assert sparsities == sorted(sparsities)


def test_the_engine_is_named_beside_what_it_generated(run):
    record = json.loads(
        (run / "results/reasoner/ria-50/generation.json").read_text(encoding="utf-8")
    )
    assert "sequential" in json.dumps(record)


def test_the_figure_is_drawn(run):
    for ending in ("svg", "png"):
        assert (run / f"results/figures/budget_use/reasoner/small.{ending}").stat().st_size > 5000


def test_the_examples_pass_the_linters(run):
    files = [name for guide in MAX_FILES for name in opened(guide)]
    for command in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *files], cwd=run, check=True)
