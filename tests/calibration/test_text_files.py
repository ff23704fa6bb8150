"""Rows of text are the same rows in every kind of file, and a damaged file is one line."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.calibration import text_files
from workflow_scripts.calibration.text_files import numbered_rows
from workflow_scripts.errors import InputError

# a line separator and a form feed are characters of a text and end no line of a file
TEXTS = ["first", "zwei\u2028Zeilen", "trois\x0c", "four and more"]


def rows(path: Path, column: str | None = None) -> list:
    return list(numbered_rows(path, column))


def refused(path: Path, column: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        rows(path, column)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lines(records: list) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
@pytest.mark.parametrize("ending", ["", "\n", "\n\n", "\r\n"])
def test_json_lines_plain_or_packed(tmp_path, suffix, ending):
    content = lines([{"text": text} for text in TEXTS]).removesuffix(b"\n") + ending.encode()
    (tmp_path / f"a.{suffix}").write_bytes(content)
    (tmp_path / f"a.{suffix}.gz").write_bytes(gzip.compress(content))
    expected = [(number, {"text": text}) for number, text in enumerate(TEXTS, 1)]
    assert rows(tmp_path / f"a.{suffix}") == expected
    assert rows(tmp_path / f"a.{suffix}.gz") == expected


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_of_a_text_file_that_hold_something(tmp_path, end):
    content = end.join([TEXTS[0], "  ", "", *TEXTS[1:], ""]).encode()
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(content))
    expected = [(n, {"text": text}) for n, text in zip((1, 4, 5, 6), TEXTS, strict=True)]
    assert rows(tmp_path / "a.txt") == rows(tmp_path / "a.txt.gz") == expected


def test_a_column_of_a_corpus(tmp_path):
    records = [{"url": "u", "content": text, "text": 3, "n": [1]} for text in TEXTS]
    (tmp_path / "a.jsonl").write_bytes(lines(records))
    expected = [{"text": text} for text in TEXTS]
    assert [row for _, row in rows(tmp_path / "a.jsonl", "content")] == expected
    line = refused(tmp_path / "a.jsonl", "body")
    there = "there: url, content, text, n"
    assert line == f"{tmp_path}/a.jsonl:1: has no field 'body'; {there}"
    line = refused(tmp_path / "a.jsonl", "text")
    assert line == f"{tmp_path}/a.jsonl:1: field 'text' is 3, not a string"


def test_parquet(tmp_path):
    many = [f"text {number}" for number in range(3000)]
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": many, "content": many[::-1]}).to_parquet(path)
    assert rows(path) == [(number, {"text": text}) for number, text in enumerate(many)]
    assert [row["text"] for _, row in rows(path, "content")] == many[::-1]
    assert refused(path, "body") == f"{path}: has no column 'body'; there: text, content"
    pd.DataFrame({"text": ["a", None]}).to_parquet(path)
    assert refused(path) == f"{path}, row 1: field 'text' is None, not a string"
    path.write_bytes(path.read_bytes()[:-30])
    assert refused(path).startswith(f"{path}: not a parquet file or damaged (")


def test_a_truncated_or_damaged_archive(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    content = gzip.compress(lines([{"text": text} for text in TEXTS]))
    path.write_bytes(content[:-12])
    assert refused(path).startswith(f"{path}: truncated or damaged (")
    path.write_bytes(lines([{"text": "not packed"}]))
    assert refused(path).startswith(f"{path}: truncated or damaged (")
    path.write_bytes(content[:30] + b"\xff\xff" + content[32:])
    assert refused(path).startswith(f"{path}")


def test_files_that_are_none(tmp_path):
    assert refused(tmp_path / "gone.jsonl") == f"{tmp_path}/gone.jsonl: No such file or directory"
    assert refused(tmp_path / "gone.parquet").startswith(f"{tmp_path}/gone.parquet: ")
    kinds = ".jsonl, .json, .txt, .jsonl.gz, .json.gz, .txt.gz or .parquet"
    assert refused(tmp_path / "a.csv") == f"{tmp_path}/a.csv: a file of texts is {kinds}"


def test_a_file_is_read_as_far_as_it_is_asked_for(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines([{"text": "whole"}]) + b"{")
    assert next(numbered_rows(path)) == (1, {"text": "whole"})
    assert refused(path).startswith(f"{path}:2: not valid JSON (")


PAIR = {"prompt": "{question}", "completion": "<t>{how far}</t>{answer}, {answer}"}
RECORDS = [
    {"question": "q1?", "how far": "{answer} {x}", "answer": "a1", "n": 1},
    {"question": "q2?", "how far": "", "answer": "a2", "n": 2},
]
MADE = [
    {"prompt": "q1?", "completion": "<t>{answer} {x}</t>a1, a1"},
    {"prompt": "q2?", "completion": "<t></t>a2, a2"},
]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json.gz", "a.parquet"])
def test_pairs_are_made_of_fields(tmp_path, name):
    """What a field holds is put in as it is, braces and all."""
    path = tmp_path / name
    if path.suffix == ".parquet":
        pd.DataFrame(RECORDS).to_parquet(path)
    else:
        content = lines(RECORDS)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    assert [row for _, row in numbered_rows(path, pair=PAIR)] == MADE
    where = path if path.suffix == ".parquet" else f"{path}:1"
    lack = "column" if path.suffix == ".parquet" else "field"
    with pytest.raises(InputError) as caught:
        list(numbered_rows(path, pair=PAIR | {"prompt": "{task}"}))
    there = "question, how far, answer, n"
    assert str(caught.value) == f"{where}: has no {lack} 'task'; there: {there}"
    where = f"{path}, row 0" if path.suffix == ".parquet" else f"{path}:1"
    with pytest.raises(InputError) as caught:
        list(numbered_rows(path, pair=PAIR | {"prompt": "{n}"}))
    assert str(caught.value) == f"{where}: field 'n' is 1, not a string"


BOUND = 1 << 12


@pytest.fixture
def small_bounds(monkeypatch) -> None:
    """What no line may come to in bytes, as small as a test's files."""
    monkeypatch.setattr(text_files, "MAX_LINE", BOUND)


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_a_line_that_would_fill_the_memory_is_refused(tmp_path, small_bounds, suffix):
    path = tmp_path / f"a{suffix}"
    pack = gzip.compress if suffix.endswith(".gz") else bytes
    path.write_bytes(pack(b"first\n" + b"x" * (BOUND - 1) + b"\n"))
    assert len(list(numbered_rows(path))) == 2
    path.write_bytes(pack(b"first\n" + b"x" * BOUND + b"\n"))
    assert refused(path) == f"{path}:2: a line of more than {BOUND} bytes"


@pytest.mark.parametrize("line", [b"\n", b"a\n"])
def test_a_file_that_unpacks_to_far_more_than_texts_do_is_refused(tmp_path, small_bounds, line):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(line * 100_000))
    assert refused(path) == (
        f"{path}: unpacks to more than 100 times its size, which no file of texts does"
    )
    path.write_bytes(gzip.compress(b"".join(b"%d\n" % number for number in range(20_000))))
    assert len(list(numbered_rows(path))) == 20_000


def test_a_parquet_file_that_unpacks_to_far_more_than_texts_do_is_refused(tmp_path, small_bounds):
    path = tmp_path / "a.parquet"
    for texts, is_refused in ((["x" * 10**7], True), (["some text"] * 10, False)):
        pd.DataFrame({"text": texts}).to_parquet(path, compression="zstd")
        if is_refused:
            assert "unpacks to more than 100 times its size" in refused(path)
        else:
            assert len(list(numbered_rows(path))) == len(texts)


def test_equal_texts_may_shrink_as_far_as_they_do_where_they_are_few(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"the same\n" * 50_000))
    assert len(list(numbered_rows(path))) == 50_000


def test_a_number_that_python_does_not_read_is_one_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": ' + "1" * 5000 + "}\n")
    assert refused(path).startswith(f"{path}:1: not valid JSON (")
