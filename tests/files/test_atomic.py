"""What a writer leaves that is killed, and who removes it."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from workflow_scripts.files.atomic import write_text, written_atomically
from workflow_scripts.files.checksums import checksum_file, verify_checksum
from workflow_scripts.paths import PROJECT

LEFT = {
    "nobody": "999999999-1",
    "without its start": "999999999",
    "another of a number that runs now": f"{os.getpid()}-1",
    "a number that runs now": f"{os.getpid()}",
}

# how a writer stands in the middle of its work; it says so and waits for a line, or to be killed
FILE = "temporary.write_text('half')\n    wait()"
FOLDER = "temporary.mkdir()\n    (temporary / 'weights').write_text('half')\n    wait()"
CHECKSUM = "temporary.write_text('whole')\n    checksums.os.replace = lambda *_: wait()"


@contextmanager
def writer(path: Path, work: str = FILE):
    """Another process in the middle of a write."""
    code = (
        "import sys; from pathlib import Path\n"
        "from workflow_scripts.files import checksums\n"
        "from workflow_scripts.files.atomic import written_atomically\n"
        "def wait():\n    print('writing', flush=True)\n    sys.stdin.readline()\n"
        f"with written_atomically(Path({str(path)!r}), checksum={work == CHECKSUM}) as temporary:\n"
        f"    {work}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "writing\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def killed(process: subprocess.Popen) -> None:
    """Kill a process and do not ask how it ended: the system still lists it."""
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("who", LEFT.values(), ids=LEFT.keys())
def test_what_earlier_processes_left_goes_with_the_next_write(tmp_path, who):
    """Also where the process has a number that now is another's, this one's even."""
    path, folder = tmp_path / "mask.safetensors", tmp_path / "checkpoint"
    path.with_name(f".mask.safetensors.{who}.tmp").write_text("half")
    (tmp_path / f".checkpoint.{who}.tmp/more").mkdir(parents=True)
    (tmp_path / f".checkpoint.{who}.tmp/more/weights").write_text("half")
    (tmp_path / f".link.{who}.tmp").symlink_to("nowhere")
    write_text(path, "whole")
    with written_atomically(folder) as temporary:
        temporary.mkdir()
    with written_atomically(tmp_path / "link") as temporary:
        temporary.symlink_to("mask.safetensors")
    assert names(tmp_path) == ["checkpoint", "link", "mask.safetensors"]
    assert names(folder) == []


@pytest.mark.parametrize("work", [FILE, FOLDER, CHECKSUM], ids=["file", "folder", "checksum"])
def test_a_writer_that_is_killed_and_the_next_one_leave_nothing(tmp_path, work):
    path = tmp_path / "out"
    with writer(path, work) as process:
        killed(process)
    assert names(tmp_path)
    assert not path.exists()
    write_text(path, "whole")
    assert names(tmp_path) == [checksum_file(path).name, "out"]
    verify_checksum(path)


def test_the_room_is_free_before_the_next_one_writes(tmp_path):
    path = tmp_path / "out"
    with writer(path, FOLDER) as process:
        killed(process)
    with written_atomically(path) as temporary:
        assert names(tmp_path) == []
        temporary.write_text("whole")


def test_one_that_ends_only_now_leaves_nothing_either(tmp_path):
    """As a job whose snakemake was killed may: the next snakemake's job has begun by then."""
    path = tmp_path / "out"
    with writer(path) as process, written_atomically(path) as temporary:
        temporary.write_text("whole")
        killed(process)
    assert names(tmp_path) == ["out"]


def test_two_may_write_one_path_at_a_time(tmp_path):
    """As two jobs do that ask the judge the same."""
    path = tmp_path / "out"
    with writer(path) as process:
        write_text(path, "whole")
        write_text(path, "whole")
        process.communicate("go on\n")
        assert process.returncode == 0
    assert path.read_text() == "half"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("name", ["chains", "*", "c[a-h]ains", "chains.jsonl.1"])
def test_what_is_not_left_of_this_file_stays(tmp_path, name):
    others = [
        ".chains.jsonl.999999999-1.tmp",
        ".chains.jsonl.sha256.999999999-1.tmp",
        ".chains.before.tmp",
        ".chains.tmp",
        "chains.999999999-1.tmp",
        ".chains.999999999-1.tmp.jsonl",
    ]
    for other in others:
        (tmp_path / other).write_text("a person's, or of another file")
    write_text(tmp_path / name, "whole")
    checksum = checksum_file(tmp_path / name).name
    assert names(tmp_path) == sorted([*others, name, checksum])


def test_what_cannot_be_removed_keeps_nobody_from_writing(tmp_path, monkeypatch):
    left = tmp_path / ".out.999999999-1.tmp"
    left.write_text("half")

    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        write_text(tmp_path / "out", "whole")
    assert (tmp_path / "out").read_text() == "whole"
    write_text(tmp_path / "out", "whole")
    assert names(tmp_path) == ["out"]
