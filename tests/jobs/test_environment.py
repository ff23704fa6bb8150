"""The environment that jobs inherit."""

import os
import sys
from pathlib import Path

from workflow_scripts.jobs.environment import prepare


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


def test_preparing_twice_changes_nothing_more():
    environment = {"PATH": "/usr/bin", "PYTHONPATH": "/a:/b", "HF_HUB_DISABLE_PROGRESS_BARS": "0"}
    prepare(environment, Path("/b"))
    once = dict(environment)
    prepare(environment, Path("/b"))
    assert environment == once and environment["PYTHONPATH"] == "/b:/a"
    assert environment["HF_HUB_DISABLE_PROGRESS_BARS"] == "0"
