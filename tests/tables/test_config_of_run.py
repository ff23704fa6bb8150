"""The config of a run as a file, which the report reads: of any size, and up to date."""

import json
import os

import pytest

from tests.workflow.checkout import SMALL, copy_project, write_config

ARGUMENT = 131_072  # bytes that an argument of a command has at most


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


def made_of(variants: int) -> dict:
    """A config of that many variants, whose benchmark is the bundled one."""
    names = [f"wanda-of-some-kind-{number}" for number in range(variants)]
    way = {"method": "wanda", "sparsity": 0.5, "calibration": "chains"}
    run = {"variants": ["dense", *names], "benchmarks": ["chains"]}
    return {"run": run, "variants": dict.fromkeys(names, way), "generation": SMALL["generation"]}


def test_a_config_may_be_larger_than_an_argument_of_a_command(checkout, tmp_path):
    """In a folder of its own, as with `--directory`."""
    write_config(checkout, made_of(570), "large.yaml")
    for name in ("bundled", "config"):
        os.symlink(checkout.folder / name, tmp_path / name)
    flags = ("--configfile", "large.yaml", "--directory", str(tmp_path))
    checkout.run("--cores", "1", "results/config.json", *flags)
    path = tmp_path / "results/config.json"
    assert path.stat().st_size > ARGUMENT
    config = json.loads(path.read_text(encoding="utf-8"))
    assert len(config["variants"]) == 571 and config["generation"]["budgets"] == [6, 24, 72]
    # what the jobs that read it are told is short, whatever it holds
    target = ("results/tables/so_far", "--forcerun", "tables_so_far")
    shown = checkout.run("--dry-run", "--printshellcmds", *target, *flags)
    command = shown.split("python -m workflow_scripts.tables.everything")[1].split("\n")[0]
    assert "--config results/config.json" in command and len(command) < ARGUMENT / 2


def test_the_file_is_made_again_where_the_config_changes(checkout):
    flags = ("--cores", "1", "results/config.json", "--configfile", "small.yaml")
    write_config(checkout, made_of(2))
    checkout.run(*flags)
    path = checkout.folder / "results/config.json"
    assert len(json.loads(path.read_text(encoding="utf-8"))["variants"]) == 3
    write_config(checkout, made_of(3))
    assert checkout.planned(*flags) == {"write_config": 1}
