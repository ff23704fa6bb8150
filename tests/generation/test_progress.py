"""The lines that tell a person how far a job is."""

import os
import subprocess
import sys
import time

import pytest

from workflow_scripts.generation.progress import Progress, message_writer


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_line_says_what_is_done_how_fast_and_how_long_at_most():
    lines, clock = [], Clock()
    progress = Progress(lines.append, clock)
    clock.now += 300  # loading the model is no decoding
    progress.start()
    for _ in range(30):
        clock.now += 0.5
        progress(tokens=20, most_left=90)
    # 20 completions in 10 s: 90 more take 45 s
    assert lines == ["20 of at most 110 completions, 40 tokens/s, at most 0:00:45 left"]


def test_lines_are_ten_seconds_apart_and_the_last_one_sums_up():
    lines, clock = [], Clock()
    progress = Progress(lines.append, clock)
    for i in range(1000):
        clock.now += 0.1
        progress(tokens=7, most_left=999 - i)
    progress.finish()
    assert 9 <= len(lines) - 1 <= 10
    assert lines[-1] == "decoded 1000 completions in 0:01:40, 70 tokens/s"


def test_a_line_goes_into_the_log_and_to_the_terminal(capsys):
    reading, writing = os.pipe()
    message_writer("reasoner/dense", writing)("half done")
    assert capsys.readouterr().err == "reasoner/dense: half done\n"
    assert os.read(reading, 100) == b"reasoner/dense: half done\n"
    os.close(reading), os.close(writing)


def test_a_terminal_that_is_gone_or_was_never_there_stops_nothing(capsys):
    reading, writing = os.pipe()
    os.close(reading)
    tell = message_writer("reasoner/dense", writing)
    tell("one")
    os.close(writing)
    tell("two")
    assert capsys.readouterr().err == "reasoner/dense: one\nreasoner/dense: two\n"


def test_a_terminal_that_takes_nothing_is_not_waited_for(capsys):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    start = time.monotonic()
    message_writer("reasoner/dense", writing)("held")
    assert time.monotonic() - start < 5
    os.close(reading), os.close(writing)


def test_the_redirection_of_the_rules_reaches_the_terminal_and_the_log(tmp_path):
    """As in rules/generation.smk: descriptor 3 is what stderr was before the log took it."""
    code = (
        "from workflow_scripts.generation.progress import message_writer; "
        "message_writer('reasoner/dense', 3)('hi')"
    )
    command = f'"{sys.executable}" -c "{code}" 3>&2 > "{tmp_path}/log" 2>&1'
    finished = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert finished.stderr == "reasoner/dense: hi\n" == (tmp_path / "log").read_text()
    assert finished.stdout == ""
