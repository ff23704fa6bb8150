import hashlib
import itertools
import json
import os
from pathlib import Path

import pytest

from tests.download.fetching import fetch_benchmark
from tests.files.by_hand import without_checksum
from workflow_scripts.artefacts.records import Problem, read_records
from workflow_scripts.download import sources
from workflow_scripts.download.fetch_benchmark import main
from workflow_scripts.download.hub.rows import rows_of_dataset
from workflow_scripts.errors import InputError

ROWS = [
    {"id": "one", "question": "1+1=?", "answer": "2", "kind": "integer"},
    {"question": "0-12=?", "answer": -12, "kind": "integer", "choices": ["−12", "12"]},
]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "resources" / "benchmarks" / "sums.jsonl"


def local(path: Path, **more) -> dict:
    return {"kind": "local", "path": str(path), **more}


def test_a_local_file_becomes_problem_records(mine, output):
    main(["--options", json.dumps({"source": local(mine)}), "--output", str(output)])
    assert read_records(output, Problem) == [
        Problem("one", "1+1=?", "2", "integer"),
        Problem("sums-1", "0-12=?", "-12", "integer", ["−12", "12"]),
    ]


def test_what_was_normalised_once_stays_as_it_is(mine, output):
    fetch_benchmark(local(mine), output)
    again = output.with_name("again.jsonl")
    fetch_benchmark(local(output), again)
    assert again.read_bytes() == output.read_bytes()


def test_the_expected_digest_lets_the_same_content_through(mine, output):
    fetch_benchmark(local(mine), output)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    fetch_benchmark(local(mine), output, sha256=digest, problems=2)


def test_another_digest_is_an_error_that_says_how_to_accept_it(mine, output):
    fetch_benchmark(local(mine), output)
    found = hashlib.sha256(output.read_bytes()).hexdigest()
    without_checksum(output).unlink()
    with pytest.raises(InputError) as caught:
        fetch_benchmark(local(mine), output, sha256="0" * 64)
    assert str(caught.value) == (
        f"benchmark 'sums': its content has changed: sha256 is {found}, the config says "
        f"{'0' * 64}; to accept the new content set benchmarks.sums.sha256 to {found}"
    )
    assert list(output.parent.iterdir()) == []


def ids_of(output, **said):
    fetch_benchmark({"kind": "bundled", "name": "chains"}, output, **said)
    return [problem.id for problem in read_records(output, Problem)]


def test_a_limit_takes_the_first_or_a_sample_and_more_hold_the_fewer(output):
    every = ids_of(output)
    assert ids_of(output, limit=7) == every[:7]
    drawn = {n: ids_of(output, limit={"problems": n, "seed": 4}) for n in (3, 20, 200, len(every))}
    assert [len(ids) for ids in drawn.values()] == [*drawn]
    assert drawn[len(every)] == every
    for fewer, more in itertools.pairwise(drawn.values()):
        assert fewer == [problem for problem in more if problem in fewer]
    assert ids_of(output, limit={"problems": 20, "seed": 5}) != drawn[20] != every[:20]
    # over the whole of the benchmark, and not where it begins
    assert len({every.index(problem) // 24 for problem in drawn[20]}) > 5


def test_size_and_digest_are_of_all_problems_where_there_is_a_limit(output):
    digest = hashlib.sha256((sources.BUNDLED / "benchmarks/chains.jsonl").read_bytes()).hexdigest()
    assert len(ids_of(output, sha256=digest, problems=240, limit=5)) == 5
    with pytest.raises(InputError, match="its content has changed"):
        ids_of(output, sha256="0" * 64, limit=5)


def test_a_limit_beyond_the_problems_is_one_line(output):
    with pytest.raises(InputError) as caught:
        ids_of(output, limit={"problems": 241})
    assert str(caught.value) == (
        "benchmark 'sums': has 240 problems, and the limit is 241; lower benchmarks.sums.limit or "
        "leave it out"
    )


def test_the_bundled_benchmark_is_in_normal_form(output):
    fetch_benchmark({"kind": "bundled", "name": "chains"}, output)
    bundled = sources.BUNDLED / "benchmarks" / "chains.jsonl"
    assert output.read_bytes() == bundled.read_bytes()


def test_an_unknown_bundled_name_lists_those_there_are(output, tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "sums.jsonl").touch()
    monkeypatch.setattr(sources, "BUNDLED", tmp_path)
    with pytest.raises(InputError) as caught:
        fetch_benchmark({"kind": "bundled", "name": "sum"}, output)
    assert str(caught.value) == "source of kind bundled: no benchmark 'sum'; there are: sums"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": "b", "question": "2+2=?", "kind": "integer"}', "2 (b): has no answer"),
        ('{"id": "b", "question": "2+2=?", "answer": null, "kind": "integer"}',
         "2 (b): has no answer"),
        ('{"id": "b", "question": "2+2=?", "answer": " ", "kind": "integer"}',
         "2 (b): has no answer"),
        ('{"id": "b", "question": "", "answer": "4", "kind": "integer"}', "2 (b): has no question"),
        ('{"id": "b", "question": 4, "answer": "4", "kind": "integer"}',
         "2 (b): question is 4, not a text"),
        ('{"id": "a", "question": "2+2=?", "answer": "4", "kind": "integer"}',
         "2: id 'a' was used at {path}:1 already"),
        ('{"id": "b", "question": "q"', "2: not valid JSON (Expecting ',' delimiter: line 1 column "
                                        "28 (char 27))"),
        ("", "2: not valid JSON (Expecting value: line 1 column 1 (char 0))"),
        ("[1]", "2: expected a JSON object, found list"),
        ('{"id": "b", "question": "q", "answer": "4", "kind": "letter"}',
         "2 (b): kind is 'letter'; allowed: integer, math, number, choice, choices"),
        ('{"id": "b", "question": "q", "answer": "4"}',
         "2 (b): kind is None; allowed: integer, math, number, choice, choices"),
        ('{"id": "b", "question": "q", "answer": "4", "kind": ["integer"]}',
         "2 (b): kind is ['integer']; allowed: integer, math, number, choice, choices"),
        ('{"id": "b", "question": "q", "answer": "1/2", "kind": "integer"}',
         "2 (b): answer is '1/2', which is not of kind integer"),
        ('{"id": "b", "question": "q", "answer": 0.5, "kind": "integer"}',
         "2 (b): answer is 0.5, which is not of kind integer"),
        ('{"id": "b", "question": "q", "answer": true, "kind": "integer"}',
         "2 (b): answer is True, which is not of kind integer"),
        ('{"id": "b", "question": "q", "answer": ["4"], "kind": "integer"}',
         "2 (b): answer is ['4'], which is not of kind integer"),
        ('{"id": "b", "question": "q", "answer": NaN, "kind": "integer"}',
         "2 (b): answer is nan, which is not of kind integer"),
        ('{"id": 1.5, "question": "q", "answer": "4", "kind": "integer"}',
         "2: id is 1.5, not a text or a whole number"),
        ('{"id": "", "question": "q", "answer": "4", "kind": "integer"}',
         "2: id is '', not a text or a whole number"),
        ('{"id": "b", "question": "q", "answer": "4", "kind": "integer", "choices": "xy"}',
         "2 (b): choices is 'xy', not a list of texts"),
        ('{"id": "b", "question": "q", "answer": "A", "kind": "choice"}',
         "2 (b): has no choices, which an answer of kind choice is one of, and no A, B, C, D in "
         "its question"),
        ('{"id": "b", "question": "A, B, C or D?", "answer": "E", "kind": "choice"}',
         "2 (b): answer is 'E', which is not of kind choice and form letter"),
        ('{"id": "b", "question": "A, B, C or D?", "answer": "AE", "kind": "choices"}',
         "2 (b): answer is 'AE', which is not of kind choices and form letter"),
        ('{"id": "b", "question": "q", "answer": ["A", "Z"], "kind": "choices",'
         ' "choices": ["x", "y"]}',
         "2 (b): answer is ['A', 'Z'], which is not of kind choices and form letter"),
        ('{"id": "b", "question": "q", "answer": "pi", "kind": "number"}',
         "2 (b): answer is 'pi', which is not of kind number"),
        ('{"id": "b", "question": "q", "answer": "2 m", "kind": "number"}',
         "2 (b): answer is '2 m', which is not of kind number"),
        ('{"id": "b", "question": "q", "answer": 2, "kind": "number", "tolerance": -0.1}',
         "2 (b): tolerance is -0.1, not a number of at least 0"),
        ('{"id": "b", "question": "q", "answer": 2, "kind": "number", "tolerance": "small"}',
         "2 (b): tolerance is 'small', not a number of at least 0"),
        ('{"id": "b", "question": "q", "answer": 2, "kind": "math", "tolerance": 0.1}',
         "2 (b): has a tolerance, which an answer of kind math has not"),
        ('{"id": "b", "question": "q", "answer": 2, "kind": "math", "marks": "exact"}',
         "2 (b): has marks, which an answer of kind math has not"),
        ('{"id": "b", "question": "A, B, C or D?", "answer": "A", "kind": "choices", "marks": 1}',
         "2 (b): marks is 1; allowed: partial, exact"),
        ('{"id": "b", "question": "q", "answer": "A", "kind": "choice", "choices": ["x"]}',
         "2 (b): has a list of 1 choices; must be 2 to 26"),
        ('{"id": "b", "question": "q", "answer": "A", "kind": "choice", "choices": ["x", " "]}',
         "2 (b): choices is ['x', ' '], not a list of texts"),
        ('{"id": "b", "question": "q", "answer": "C", "kind": "choice", "choices": ["x", "y"]}',
         "2 (b): answer is 'C', which is not of kind choice and form letter"),
        ('{"id": "b", "question": "q", "answer": "A", "kind": "choice", "choices": ["x", "x"]}',
         "2 (b): answer is 'x', which is not of kind choice"),
        ('{"id": "b", "question": "q", "answer": ["x"], "kind": "math"}',
         "2 (b): answer is ['x'], which is not of kind math"),
        ('{"id": "b", "question": "q", "answer": Infinity, "kind": "math"}',
         "2 (b): answer is inf, which is not of kind math"),
        ('{"id": "b", "problem": "q", "answer": "4", "kind": "integer"}',
         "2: unknown field 'problem'; allowed: id, question, answer, kind, choices, tolerance, "
         "marks; for other names map them in `columns`"),
        ('{"id": "b", "question": "cut \\ud83d", "answer": "4", "kind": "integer"}',
         "2 (b): question: character 4 is \\ud83d, half of a character without the other"),
        ('{"id": "b\\ude00", "question": "q", "answer": "4", "kind": "integer"}',
         "2: id: character 1 is \\ude00, half of a character without the other"),
        ('{"id": "b", "question": "q", "answer": "A", "kind": "choice", '
         '"choices": ["x", "\\ud83d"]}',
         "2 (b): choices: character 0 is \\ud83d, half of a character without the other"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_one_line_with_file_line_and_id(tmp_path, output, line, problem):
    path = tmp_path / "mine.jsonl"
    good = '{"id": "%s", "question": "1+1=?", "answer": "2", "kind": "integer"}'
    path.write_text(f"{good % 'a'}\n{line}\n{good % 'c'}\n")
    with pytest.raises(InputError) as caught:
        fetch_benchmark(local(path), output)
    assert str(caught.value) == f"{path}:{problem.replace('{path}', str(path))}"
    assert not output.parent.exists() or list(output.parent.iterdir()) == []


def test_the_command_reports_a_row_without_an_answer(tmp_path, run_stage):
    (tmp_path / "mine.jsonl").write_text('{"id": "a", "question": "1+1=?", "kind": "integer"}\n')
    options = json.dumps({"source": {"kind": "local", "path": "mine.jsonl"}})
    done = run_stage("fetch_benchmark", "--options", options, "--output", "out/b.jsonl")
    assert (done.returncode, done.stderr) == (1, "error: mine.jsonl:1 (a): has no answer\n")
    assert not (tmp_path / "out").exists()


def test_an_empty_file_and_a_missing_one(tmp_path, output):
    path = tmp_path / "mine.jsonl"
    with pytest.raises(InputError) as caught:
        fetch_benchmark(local(path), output)
    assert str(caught.value) == f"{path}: No such file or directory"
    path.write_text("\n\n")
    with pytest.raises(InputError) as caught:
        fetch_benchmark(local(path), output)
    assert str(caught.value) == "benchmark 'sums': its source has no rows"


def test_a_byte_order_mark_and_windows_line_ends_are_no_trouble(tmp_path, output):
    path = tmp_path / "mine.jsonl"
    row = json.dumps({"id": "ä", "question": "1+1=?", "answer": "2", "kind": "integer"})
    path.write_bytes(b"\xef\xbb\xbf" + row.encode() + b"\r\n\r\n")
    fetch_benchmark(local(path), output)
    assert [problem.id for problem in read_records(output, Problem)] == ["ä"]


# Rows as public benchmarks lay them out, with made-up problems.
LAYOUTS = {
    "numbered, answer is a text": (
        {
            "id": 60,
            "problem": "What is 1+1?",
            "solution": "It is 2.",
            "answer": "002",
            "year": 2024,
        },
        {"id": "id", "question": "problem", "answer": "answer"},
        Problem("60", "What is 1+1?", "2", "integer"),
    ),
    "unique ids with slashes": (
        {"problem": "What is 1+1?", "answer": "2", "level": 1, "unique_id": "test/algebra/1.json"},
        {"id": "unique_id", "question": "problem", "answer": "answer"},
        Problem("test/algebra/1.json", "What is 1+1?", "2", "integer"),
    ),
    "answer is a number with a decimal point, no ids": (
        {"question": "What is 1+1?", "answer": 2.0, "url": None},
        {"question": "question", "answer": "answer"},
        Problem("b-0", "What is 1+1?", "2", "integer"),
    ),
    "choices": (
        {"Question": "Which is 1+1?", "Correct": 2, "Options": ["2", "3"]},
        {"question": "Question", "answer": "Correct", "choices": ["Options"]},
        Problem("b-0", "Which is 1+1?", "2", "integer", ["2", "3"]),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_are_mapped_from_a_file_of_any_layout(tmp_path, layout):
    row, columns, expected = LAYOUTS[layout]
    path = tmp_path / "theirs.jsonl"
    path.write_text(json.dumps(row) + "\n")
    output = tmp_path / "b.jsonl"
    fetch_benchmark(local(path, columns=columns, answer_kind="integer"), output)
    assert read_records(output, Problem) == [expected]


def test_default_ids_are_numbered_from_zero_to_equal_width(tmp_path):
    path = tmp_path / "theirs.jsonl"
    path.write_text("".join(f'{{"q": "{n}+0=?", "a": {n}}}\n' for n in range(101)))
    output = tmp_path / "b.jsonl"
    columns = {"question": "q", "answer": "a"}
    fetch_benchmark(local(path, columns=columns, answer_kind="integer"), output)
    ids = [problem.id for problem in read_records(output, Problem)]
    assert (ids[0], ids[7], ids[100]) == ("b-000", "b-007", "b-100")


@pytest.mark.parametrize(
    ("columns", "kind", "message"),
    [
        ({"question": "q", "answer": "a", "choices": ["a", "b"]}, "integer",
         "{path}:1: no column 'b' for choices; there are: q, a"),
        ({"question": "text", "answer": "a"}, "integer",
         "{path}:1: no column 'text' for question; there are: q, a"),
        ({"question": "q", "answer": "gold"}, "integer",
         "{path}:1: has no answer: no column 'gold' for answer; there are: q, a"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_one_line(tmp_path, output, columns, kind, message):
    path = tmp_path / "theirs.jsonl"
    path.write_text('{"q": "1+1=?", "a": 2}\n')
    source = local(path, columns=columns, answer_kind=kind, choice_order="shuffled")
    with pytest.raises(InputError) as caught:
        fetch_benchmark(source, output)
    assert str(caught.value) == message.replace("{path}", str(path))


def test_a_split_with_a_slice_is_counted_from_the_slices_start(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "test.csv").write_text("q,a\n1+0=?,1\n1+1=?,2\n1+2=?,3\n")
    rows = rows_of_dataset(folder, "owner/set", None, "test[1:]")
    assert [dict(row.values) for row in rows] == [{"q": "1+1=?", "a": 2}, {"q": "1+2=?", "a": 3}]
    assert rows[1].where == "data set 'owner/set', split 'test[1:]', row 1"


def test_rows_are_those_of_the_file_and_not_of_a_cache(tmp_path, monkeypatch):
    """Also where name, size and time are those of an earlier file."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    for answer in ("2", "3"):
        (folder / "test.csv").write_text(f"q,a\n1+1=?,{answer}\n")
        os.utime(folder / "test.csv", (0, 0))
        (row,) = rows_of_dataset(folder, "owner/set", None, "test")
        assert row.values["a"] == int(answer)
