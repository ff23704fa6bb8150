"""Files are whole or not there, whatever ends their writer."""

import os
import subprocess
import sys

import pytest

from workflow_scripts.files.atomic import write_text, written_atomically
from workflow_scripts.files.checksums import checksum_file, verify_checksum
from workflow_scripts.paths import PROJECT

# how a writer is killed in the middle of its work
FILE = "temporary.write_text('half'); kill()"
FOLDER = "temporary.mkdir(); (temporary / 'weights').write_text('half'); kill()"
CHECKSUM = "temporary.write_text('whole'); atomic.os.replace = kill"


def killed_writer(path, work):
    code = (
        "import os; from pathlib import Path; from workflow_scripts.files import atomic\n"
        "def kill(*_): os.kill(os.getpid(), 9)\n"
        f"with atomic.written_atomically(Path({str(path)!r})) as temporary:\n    {work}\n"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == -9


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("work", [FILE, FOLDER, CHECKSUM], ids=["file", "folder", "checksum"])
def test_a_writer_that_is_killed_and_the_next_one_leave_nothing(tmp_path, work):
    path = tmp_path / "out"
    killed_writer(path, work)
    assert names(tmp_path) and not path.exists()
    with written_atomically(path) as temporary:
        assert not temporary.exists()  # its place is free before the next one writes
        temporary.write_text("whole")
    assert names(tmp_path) == [checksum_file(path).name, "out"]
    verify_checksum(path)


def test_a_block_that_raises_leaves_what_was_there(tmp_path):
    path = tmp_path / "out"
    write_text(path, "before")
    there = names(tmp_path)
    with pytest.raises(OSError) as full, written_atomically(path) as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert full.value.filename == str(path)
    assert path.read_text() == "before" and names(tmp_path) == there
    verify_checksum(path)


def test_folders_and_links_are_replaced_whole(tmp_path):
    folder, link = tmp_path / "checkpoint", tmp_path / "link"
    for name in ("first", "second"):
        with written_atomically(folder) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
        with written_atomically(link) as temporary:
            temporary.symlink_to(name)
    assert names(folder) == ["second"] and os.readlink(link) == "second"
    assert names(tmp_path) == ["checkpoint", "link"]
