"""Problems in files of the user: JSONL, CSV and parquet hold the same; what is damaged is named."""

import json

import pyarrow
import pytest
from pyarrow import parquet

from tests.download.fetching import fetch_benchmark
from workflow_scripts.artefacts.records import Problem, read_records
from workflow_scripts.download.hub.rows import rows_of_dataset
from workflow_scripts.errors import InputError
from workflow_scripts.inputs.problems.rows import rows_of_file

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
        list(rows_of_file(path))
    assert str(caught.value).startswith(f"{path}: cannot be read (")
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_and_files_that_are_none(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match="a.parquet: not a parquet file or damaged"):
        list(rows_of_file(path))
    for name in ("b.parquet", "b.csv"):
        with pytest.raises(InputError, match=f"{name}: .*No such file or directory"):
            list(rows_of_file(tmp_path / name))
    with pytest.raises(InputError, match=r"a file of problems is one of .jsonl, .csv, .parquet"):
        list(rows_of_file(tmp_path / "b.tsv"))


def test_a_parquet_file_that_unpacks_to_more_than_any_memory_is_one_line(tmp_path, monkeypatch):
    """As one of 3 kB can, with the same text in each of many rows."""
    monkeypatch.setattr("workflow_scripts.files.user_rows.MAX_BYTES", 10**6)
    path = tmp_path / "test.parquet"
    once = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 1100, "int32"), ["Ä" * 1000])
    table = pyarrow.table({"q": once})
    parquet.write_table(table, path, compression="zstd", write_statistics=False)
    assert path.stat().st_size < 1000
    with pytest.raises(InputError) as caught:
        list(rows_of_file(path))
    assert str(caught.value) == f"{path}: unpacks to more than 1,000,000 bytes"
    with pytest.raises(InputError) as caught:
        rows_of_dataset(tmp_path, "a/b", None, "test")
    found = "data set 'a/b', split 'test': unpacks to more than 1,000,000 bytes"
    assert str(caught.value) == found
    # a file of that size itself is somebody's data
    monkeypatch.setattr("workflow_scripts.files.user_rows.MAX_RATIO", 10_000)
    assert len(list(rows_of_file(path))) == 1100


def test_a_text_that_is_not_utf_8_is_one_line(tmp_path):
    offsets = pyarrow.array([0, 3], "int32").buffers()[1]
    half = pyarrow.Array.from_buffers(
        pyarrow.string(), 1, [None, offsets, pyarrow.py_buffer(b"\xed\xa0\xbd")]
    )
    parquet.write_table(pyarrow.table({"q": half}), tmp_path / "test.parquet")
    with pytest.raises(InputError, match=r"test.parquet: a text in it is not UTF-8 \(invalid"):
        list(rows_of_file(tmp_path / "test.parquet"))
    with pytest.raises(
        InputError, match=r"^data set 'a/b', split 'test': a text in it is not UTF-8"
    ):
        rows_of_dataset(tmp_path, "a/b", None, "test")


SET = [  # a right answer as data sets hold it, its kind, and what it is
    (r"\boxed{42}", "math", "42"), (r"$\boxed{\frac{1}{2}}$", "math", r"\frac{1}{2}"),
    (r"We add, so $1+1=\boxed{2}$.", "math", "2"), (r"\fbox{7}", "math", "7"),
    ("3 + 4 makes\n#### 7", "math", "7"), ("$42$", "math", "42"), (r"\(x^2\)", "math", "x^2"),
    (r"\[(1,2)\]", "math", "(1,2)"), (r"\boxed{-1} and \boxed{1}", "math", "-1, 1"),
    (r"So \boxed{1,080}.", "integer", "1080"), ("$7$", "integer", "7"),
]  # fmt: skip
AS_IT_IS = [r"\$18.90", "$18.90", "$1$ and $2$", r"\text{even}", r"\left( 3, \frac{\pi}{2} \right)"]
NO_ANSWER = [r"\boxed{\frac{1}{2}", "a}b", "$$", "5\\", "We add.\n####"]


def fetched(tmp_path, cells):
    rows = [{"question": "?", "answer": answer, "kind": kind} for answer, kind in cells]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fetch_benchmark({"kind": "local", "path": str(tmp_path / "a.jsonl")}, tmp_path / "b.jsonl")
    return [problem.answer for problem in read_records(tmp_path / "b.jsonl", Problem)]


def test_right_answers_are_taken_out_of_what_stands_around_them(tmp_path, capsys):
    cells = [(cell, kind) for cell, kind, _ in SET] + [(cell, "math") for cell in AS_IT_IS]
    assert fetched(tmp_path, cells) == [answer for *_, answer in SET] + AS_IT_IS
    assert "benchmark 'b': 11 of 16 answers were taken out of boxes" in capsys.readouterr().err
    assert fetched(tmp_path, [("42", "math")]) == ["42"] and not capsys.readouterr().err


@pytest.mark.parametrize("answer", NO_ANSWER)
def test_a_right_answer_that_no_answer_can_equal_is_refused_by_its_row(tmp_path, answer):
    with pytest.raises(InputError, match=r"a\.jsonl:2 \(b-1\): answer is .* not of kind math"):
        fetched(tmp_path, [("1", "math"), (answer, "math")])


def test_a_choice_may_be_named_in_a_box(tmp_path):
    columns = {"question": "q", "answer": "a", "choices": ["x", "y", "z"]}
    cells = [r"\boxed{B}", "(b)", r"So it is $\boxed{\textbf{(B)}}$.", "#### B", "B."]
    rows = [{"q": "?", "a": cell, "x": "1", "y": "2", "z": "3"} for cell in cells]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    form = {"columns": columns, "answer_kind": "choice", "answer_form": "letter"}
    fetch_benchmark(
        {"kind": "local", "path": str(tmp_path / "a.jsonl"), **form}, tmp_path / "b.jsonl"
    )
    assert {problem.answer for problem in read_records(tmp_path / "b.jsonl", Problem)} == {"B"}


def test_a_data_set_that_cannot_be_opened_says_what_is_wrong_with_it(tmp_path):
    (tmp_path / "test.jsonl").write_text('{"q": "cut \\ud83d"}\n')
    with pytest.raises(
        InputError, match=r"cannot be opened \(JSON parse error: The surrogate pair"
    ):
        rows_of_dataset(tmp_path, "a/b", None, "test")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.jsonl",
            '{"answer": "1"}\n{"answer": "2", "answer": "3"}\n',
            ":2: not valid JSON (the key 'answer' stands twice)",
        ),
        (
            "a.csv",
            'answer,"question",answer\n1,?,2\n',
            ": cannot be read (the column 'answer' stands twice)",
        ),
    ],
)
def test_a_key_or_column_that_stands_twice(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        list(rows_of_file(path))
    assert str(caught.value) == f"{path}{said}"
