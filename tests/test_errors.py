"""Messages: what comes from data stays on its line and leaves the terminal alone."""

import json
import pickle

import pytest

from workflow_scripts.artefacts.records import Answer, read_records
from workflow_scripts.errors import MAX_LINE, InputError
from workflow_scripts.inputs.text_files import numbered_rows
from workflow_scripts.jobs.stage import run_stage

HOSTILE = "a\nerror: all is well\r\x1b[2J\x1b]0;title\x07\u202eb\ud800"


def test_a_message_has_the_lines_it_was_given():
    error = InputError(f"config: {HOSTILE}", "two: Größe, 数, 'quoted'")
    first, second = str(error).split("\n")
    assert first == (r"config: a\nerror: all is well\r\x1b[2J\x1b]0;title\x07\u202eb\ud800")
    assert second == "two: Größe, 数, 'quoted'"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_long_message_keeps_both_ends():
    line = str(InputError(f"mine.jsonl:3: {'x' * 10_000}: must be short"))
    assert len(line) <= MAX_LINE
    assert line.startswith("mine.jsonl:3: xxx") and line.endswith("xxx: must be short")


def test_field_names_of_a_file_cannot_write_to_the_terminal(tmp_path, capsys):
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps({HOSTILE: "", "b" * 5000: ""}) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        run_stage(lambda: list(numbered_rows(path, "text")))
    printed = capsys.readouterr().err
    assert printed.startswith(
        f"error: {path}:1: has no field 'text'; there: a\\nerror: all is well"
    )
    assert printed.count("\n") == 1 and printed[:-1].isprintable() and len(printed) < MAX_LINE + 10


def test_a_long_value_of_a_record_is_one_line(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"id": ["x\n" * 9999]}) + "\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_records(path, Answer)
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= MAX_LINE
