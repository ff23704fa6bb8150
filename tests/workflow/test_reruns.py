"""Every row of the table of reruns in docs/guarantees.md, met by a run of snakemake."""

import pytest

from benchmarks.reruns import (
    CHANGES,
    HEAD,
    first_run,
    in_words,
    measure_all,
    planned_without_notes,
    prepared,
    row,
)
from tests.workflow.checkout import PROJECT

NAMES = [change.name for change in CHANGES]
EACH = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("reruns") / "base")


@pytest.fixture(scope="module")
def reruns(base):
    return dict(measure_all(base, base.folder.parent))


@pytest.fixture(scope="module")
def documented():
    return (PROJECT / "docs" / "guarantees.md").read_text().splitlines()


def test_the_table_has_a_row_for_every_change_and_no_other(documented):
    start = documented.index(HEAD[0]) + len(HEAD)
    assert [line.split(" | ")[0] for line in documented[start : start + len(NAMES) + 1]] == [
        *(f"| {name}" for name in NAMES),
        "",
    ]


def test_the_run_before_the_changes(base, documented):
    assert first_run(base) in documented


@EACH
def test_row(reruns, documented, name):
    assert row(name, reruns[name]) in documented
    assert reruns[name].later == {}, "a second call runs nothing"


@EACH
def test_row_without_snakemakes_notes(base, documented, name, tmp_path):
    planned = planned_without_notes(base, tmp_path / "copy", CHANGES[NAMES.index(name)])
    start = f"| {name} | {in_words(planned)} | "
    assert any(line.startswith(start) for line in documented), start
