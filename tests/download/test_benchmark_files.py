"""Problems in files of the user: JSONL, CSV and parquet hold the same; what is damaged is named."""

import json

import pyarrow
import pytest
from pyarrow import parquet

from tests.download.fetching import fetch_benchmark
from workflow_scripts.artefacts.records import Problem, read_records
from workflow_scripts.download.problems.rows import rows_of_file
from workflow_scripts.errors import InputError

ROWS = [
    {"name": "p1", "task": "A line,\nand another one: 6 x 7?", "gold": "42"},
    {"name": "p2", "task": 'Say "half".', "gold": "\\frac{1}{2}"},
    {"name": "p3", "task": "Ä" * 200_000, "gold": "0.5"},
]
CSV = "\ufeffname,task,gold\r\n" + "".join(
    f'{row["name"]},"{row["task"].replace(chr(34), chr(34) * 2)}",{row["gold"]}\r\n' for row in ROWS
)


def write(path, kind):
    if kind == "csv":
        path.write_bytes(CSV.encode())
    elif kind == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_same_problems_come_of_every_kind_of_file(tmp_path, kind):
    path = tmp_path / f"mine.{kind}"
    write(path, kind)
    columns = {"id": "name", "question": "task", "answer": "gold"}
    source = {"kind": "local", "path": str(path), "columns": columns, "answer_kind": "math"}
    fetch_benchmark(source, tmp_path / "b.jsonl")
    assert read_records(tmp_path / "b.jsonl", Problem) == [
        Problem(row["name"], row["task"], row["gold"], "math") for row in ROWS
    ]


def test_rows_of_csv_are_named_by_their_number(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('q,a\n"x\ny",1\n\nz,NA\n')
    assert [(row.where, dict(row.values)) for row in rows_of_file(path)] == [
        (f"{path}, row 1", {"q": "x\ny", "a": "1"}),
        (f"{path}, row 2", {"q": "z", "a": "NA"}),
    ]


@pytest.mark.parametrize("content", [b"", b"q,a\nx,1\ny,3,4,5\n", b'q,a\n"x,1\n', b"q,a\n\xff,1\n"])
def test_a_damaged_csv_file_is_one_line(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        rows_of_file(path)
    assert str(caught.value).startswith(f"{path}: cannot be read (")
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_and_files_that_are_none(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match="a.parquet: cannot be read"):
        rows_of_file(path)
    for name in ("b.parquet", "b.csv"):
        with pytest.raises(InputError, match=f"{name}: .*No such file or directory"):
            rows_of_file(tmp_path / name)
    with pytest.raises(InputError, match=r"a file of problems is one of .jsonl, .csv, .parquet"):
        rows_of_file(tmp_path / "b.tsv")
