"""Digests of stages that are kept: the same as new ones, and new after any edit."""

import os
import sys

import pytest

from workflow_scripts.jobs import source_digests, stage_digests
from workflow_scripts.jobs.source_digests import source_digest
from workflow_scripts.jobs.stage_digests import stage_digest


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two stages; `ask` is what a new process would be told of one."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for module in (source_digests, stage_digests):
        monkeypatch.setattr(module, "PACKAGE", tmp_path / "package")
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "shared.py").write_text("FACTOR = 3\n")
    (folder / "one.py").write_text("from package.shared import FACTOR\n")
    (folder / "two.py").write_text("FACTOR = 4\n")
    yield folder
    forget()


def forget():
    """As a new process does."""
    for function in (stage_digest, stage_digests._kept, source_digests._known):
        function.cache_clear()


def ask(*modules):
    forget()
    return stage_digest(*modules)


def test_it_is_the_digest_of_the_sources(package):
    for modules in (("one",), ("two",), ("one", "two")):
        assert ask(*modules) == ask(*modules) == source_digest(*modules)


def test_what_is_kept_is_not_looked_for_again(package, monkeypatch):
    first = ask("one")
    monkeypatch.setattr(stage_digests, "source_digest", None)
    assert ask("one") == first


def test_an_edit_is_noticed_whatever_its_time_and_size(package):
    first, other = ask("one"), ask("two")
    time = (package / "shared.py").stat().st_mtime
    (package / "shared.py").write_text("FACTOR = 5\n")
    os.utime(package / "shared.py", (time, time))
    assert ask("one") != first and ask("two") == other
    (package / "shared.py").write_text("FACTOR = 3  # again\n")
    assert ask("one") == first


def test_a_damaged_file_is_made_again(package):
    first, kept = ask("one"), package / stage_digests.KEPT
    whole = kept.read_text()
    for text in ("{", whole.replace('"digests":{', '"digests":{"two":1,')):
        kept.write_text(text)
        assert ask("one") == first
        assert kept.read_text() == whole


def test_nothing_is_written_where_python_writes_nothing(package, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert ask("one") == source_digest("one")
    assert not (package / stage_digests.KEPT).exists()


def test_a_module_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="no_such_stage"):
        stage_digest("masking.no_such_stage")
