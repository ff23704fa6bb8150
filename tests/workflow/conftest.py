"""One finished run of the small experiment, shared by all processes that run tests."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.workflow.checkout import Checkout, small_checkout


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A small run with two cores, to be looked at and not to be changed."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of all workers
    folder = base / "finished"
    with FileLock(base / "finished.lock"):
        if not (folder / "printed.txt").exists():
            shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
            printed = small_checkout(folder).run("--cores", "2", "--configfile", "small.yaml")
            (folder / "printed.txt").write_text(printed)
    return Checkout(folder)


@pytest.fixture
def changeable(finished: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished run, with its times and metadata, that a test may change."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")
