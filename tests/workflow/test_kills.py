"""Kills in the middle of decoding, and what the next snakemake makes of what they left."""

import pytest

from benchmarks.kills import kill_once, prepared, run_undisturbed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def base(folder):
    return prepared(folder / "base", every=40, variants=["dense"])


@pytest.fixture(scope="module")
def undisturbed(base, folder):
    return run_undisturbed(base, folder / "undisturbed")


def test_a_run_that_was_killed_goes_on_by_itself(base, undisturbed, folder):
    """No unlocking, nothing finished is decoded again, and no byte differs.

    A killed job is met in test_chaos.
    """
    kill = kill_once(
        base, folder / "killed", undisturbed, "snakemake", lambda run, _: run.decoded() >= 15
    )
    assert kill.target == "snakemake" and kill.running == "generate"
    assert 15 <= kill.stored < undisturbed.completions
    assert kill.outlived < 20
    assert kill.finished_twice == 0
    assert kill.is_same
