"""What the system says of a file is one line of a stage."""

import errno
import os
import subprocess
import sys

import pytest

from tests.ordinary_user import AS_ORDINARY_USER, CAN_BE
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.paths import BUNDLED, PROJECT


def fetched(tmp_path, source, output):
    """The end of a stage as an ordinary user: its exit code and what it printed."""
    stage = "workflow_scripts.download.fetch_benchmark"
    options = f'{{"source": {{"kind": "local", "path": "{source}"}}}}'
    command = [sys.executable, "-m", stage, "--options", options, "--output", output]
    done = subprocess.run(
        [*AS_ORDINARY_USER, *command], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(not CAN_BE, reason="root without setpriv may read and write everything")
def test_files_that_may_not_be_read_and_folders_that_may_not_be_written(tmp_path):
    source, locked = tmp_path / "problems.jsonl", tmp_path / "locked"
    source.write_bytes((BUNDLED / "benchmarks/chains.jsonl").read_bytes())
    locked.mkdir(mode=0o555)
    code, said = fetched(tmp_path, source, locked / "b.jsonl")
    assert (code, said) == (1, f"error: {locked / '.b.jsonl.tmp'}: Permission denied\n")
    source.chmod(0)
    code, said = fetched(tmp_path, source, tmp_path / "b.jsonl")
    assert (code, said) == (1, f"error: {source}: Permission denied\n")


@pytest.mark.parametrize("name", ["file/below", "folder", "loop"])
def test_a_path_that_is_something_else_is_one_line(tmp_path, capsys, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SystemExit) as ended:
        run_stage(lambda: (tmp_path / name).write_text("", encoding="utf-8"))
    assert ended.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {tmp_path / name}: ") and printed.count("\n") == 1


def test_a_defect_keeps_its_traceback():
    def main():
        raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))

    with pytest.raises(BrokenPipeError):
        run_stage(main)


@pytest.mark.parametrize(("started", "collects"), [("-m", False), ("-c", True)])
def test_garbage_is_left_alone_from_the_start_of_a_stage_until_it_runs(started, collects):
    """And nowhere else: a program that imports the package keeps its own setting."""
    program = (
        "import gc, sys; sys.argv[0] = sys.argv[1]\n"
        "from workflow_scripts.jobs.stage import run_stage\n"
        "print(gc.isenabled()); run_stage(lambda: print(gc.isenabled(), gc.get_freeze_count() > 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, started], cwd=PROJECT, capture_output=True, check=True
    )
    assert done.stdout.decode() == f"{collects}\nTrue True\n"
