"""Every row of the README's table of reruns, met by a run of snakemake."""

import pytest

from benchmarks.reruns import CHANGES, HEAD, first_run, measure_all, prepared, row
from tests.workflow.checkout import PROJECT

NAMES = [change.name for change in CHANGES]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("reruns") / "base")


@pytest.fixture(scope="module")
def reruns(base):
    return dict(measure_all(base, base.folder.parent))


@pytest.fixture(scope="module")
def readme():
    return (PROJECT / "README.md").read_text().splitlines()


def test_the_table_has_a_row_for_every_change_and_no_other(readme):
    start = readme.index(HEAD[0]) + len(HEAD)
    assert [line.split(" | ")[0] for line in readme[start : start + len(NAMES) + 1]] == [
        *(f"| {name}" for name in NAMES),
        "",
    ]


def test_the_run_before_the_changes(base, readme):
    assert first_run(base) in readme


@pytest.mark.parametrize("name", NAMES)
def test_row(reruns, readme, name):
    assert row(name, reruns[name]) in readme
    assert reruns[name].later == {}, "a second call runs nothing"
