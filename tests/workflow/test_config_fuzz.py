"""Configs with mistakes in them: refused in clear lines before anything is planned, or runnable."""

import random

import pytest

from benchmarks.config_fuzz import Case, cases, dry_runs, report, shipped
from tests.config.config_mistakes import KINDS
from tests.workflow.checkout import PROJECT, copy_project

MISTAKES = 90  # in each config; `python -m benchmarks.config_fuzz` makes 300
PLANNED = 1  # of each config's that are let in
STOPPED = 3  # of all that are refused: at one door, whatever the config


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def found(checkout) -> list[Case]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        return [case for name in shipped() for case in cases(name, MISTAKES, 0, checkout.folder)]


def test_every_shipped_config_is_put_to_the_test(found):
    assert {"config.yaml", "paper.yaml", "smollm2.yaml", "strict.yaml"} <= {*shipped()}
    for name in shipped():
        kinds = [case.mistake.kind for case in found if case.config == name]
        assert {*kinds} == {*KINDS, "garbled"} and len(kinds) == MISTAKES


def test_the_door_says_what_is_wrong_in_clear_lines(found):
    print(report(found))
    assert [(case.file, case.mistake.said, case.fault) for case in found if case.fault] == []
    # most mistakes of these kinds are mistakes, and most need one line
    refused = [case for case in found if case.lines]
    assert len(refused) > len(found) / 2
    assert sum(len(case.lines) == 1 for case in refused) > 0.8 * len(refused)


def test_snakemake_plans_what_is_let_in_and_stops_at_what_is_refused(found, checkout):
    draw = random.Random(0)
    chosen = []
    for name in shipped():
        let_in = [case for case in found if case.config == name and not case.lines]
        chosen += draw.sample(let_in, PLANNED)
    chosen += draw.sample([case for case in found if case.lines], STOPPED)
    faults, _ = dry_runs(checkout, chosen, jobs=2)
    assert [(case.file, case.mistake.said, fault) for case, fault in faults] == []
