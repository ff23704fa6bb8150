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


@pytest.mark.parametrize(
    ("name", "usual", "own"),
    [
        ("OMP_WAIT_POLICY", "passive", "active"),  # threads wait without work
        ("MALLOC_MMAP_THRESHOLD_", str(32 * 2**20), "65536"),  # freed tensors' memory is used again
        ("MALLOC_TRIM_THRESHOLD_", str(128 * 2**20), "65536"),
    ],
)
def test_what_costs_time_is_set_unless_the_user_says_otherwise(name, usual, own):
    environment = {}
    prepare(environment, Path("/projects/mine"))
    assert environment[name] == usual
    environment = {name: own}
    prepare(environment, Path("/projects/mine"))
    assert environment[name] == own


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
