"""The environment that jobs inherit."""

import os
import sys
from pathlib import Path

import pytest

from workflow_scripts.jobs.environment import prepare, round_alike


def test_this_interpreter_and_this_project_come_first():
    environment = {"PATH": "/usr/bin:/bin", "OTHER": "kept"}
    prepare(environment, Path("/projects/mine"))
    here = str(Path(sys.executable).parent)
    assert environment["PATH"].split(os.pathsep) == [here, "/usr/bin", "/bin"]
    assert environment["PYTHONPATH"] == "/projects/mine"
    assert environment["OTHER"] == "kept"


def test_threads_wait_without_work_unless_the_user_says_otherwise():
    environment = {}
    prepare(environment, Path("/projects/mine"))
    assert environment["OMP_WAIT_POLICY"] == "passive"
    environment = {"OMP_WAIT_POLICY": "active"}
    prepare(environment, Path("/projects/mine"))
    assert environment["OMP_WAIT_POLICY"] == "active"


INTEL, OTHER = "vendor_id\t: GenuineIntel\n", "vendor_id\t: AuthenticAMD\n"


@pytest.mark.parametrize(
    ("cpus", "own", "wanted"),
    [(INTEL, {}, "AUTO,STRICT"), (INTEL, {"MKL_CBWR": "AVX2"}, "AVX2"), (OTHER, {}, None)],
)
def test_products_round_alike_on_intel(monkeypatch, cpus, own, wanted):
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: cpus)
    round_alike(environment := {**own})
    assert environment.get("MKL_CBWR") == wanted


def test_preparing_twice_changes_nothing_more():
    environment = {"PATH": "/usr/bin", "PYTHONPATH": "/a:/b", "HF_HUB_DISABLE_PROGRESS_BARS": "0"}
    prepare(environment, Path("/b"))
    once = dict(environment)
    prepare(environment, Path("/b"))
    assert environment == once and environment["PYTHONPATH"] == "/b:/a"
    assert environment["HF_HUB_DISABLE_PROGRESS_BARS"] == "0"
