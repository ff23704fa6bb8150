"""Rows of text are the same rows in every kind of file, and a damaged file is one line."""

import gzip
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.inputs.text_files import numbered_rows

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


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.jsonl.gz", "a.txt.gz"])
def test_a_byte_order_mark_is_no_part_of_the_first_text(tmp_path, name):
    """Inside a file it is a character like others."""
    texts = ["first", "\ufeffsecond"]
    content = (
        lines([{"text": text} for text in texts]) if "json" in name else "\n".join(texts).encode()
    )
    content = b"\xef\xbb\xbf" + content
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert [row["text"] for _, row in rows(tmp_path / name)] == texts


def test_half_a_character_is_one_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "whole \\ud83d\\ude00"}\n{"text": "cut \\ud83d"}\n')
    half = "character 4 is \\ud83d, half of a character without the other"
    assert refused(path) == f"{path}:2: field 'text': {half}"
    with pytest.raises(InputError, match=r"a.jsonl:2: field 'text': character 4 is"):
        list(numbered_rows(path, pair={"prompt": "q", "completion": "{text}"}))


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


def test_a_json_file_may_be_one_list_of_rows(tmp_path):
    path = tmp_path / "a.json"
    for indent in (None, 2):
        path.write_text("\n" + json.dumps([{"text": text} for text in TEXTS], indent=indent))
        assert rows(path) == [(number, {"text": text}) for number, text in enumerate(TEXTS)]
    path.write_text('[{"text": "a"}, {"text": 3}]')
    assert refused(path) == f"{path}, row 1: field 'text' is 3, not a string"
    path.write_text('[{"text": "a"}')
    assert refused(path).startswith(f"{path}: not valid JSON (")
    path.write_text("[]")
    assert rows(path) == []
    # lines are rows of their own everywhere else, and a list is none
    path.with_suffix(".jsonl").write_text('["a"]\n')
    assert refused(path.with_suffix(".jsonl")).startswith(f"{path.with_suffix('.jsonl')}:1: a row")


CONVERSATIONS = [
    # as in Tulu 3: roles and contents, of which more may follow
    [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "a1"},
        {"role": "user", "content": "q2"},
        {"role": "assistant", "content": "a2"},
    ],
    # as in OpenThoughts, and as in other sets with the same keys
    [{"from": "user", "value": "q1"}, {"from": "assistant", "value": "a1"}],
    [{"from": "human", "value": "q1"}, {"from": "gpt", "value": "a1"}],
    # what is said before a question answers none
    [
        {"from": "gpt", "value": "hello"},
        {"from": "human", "value": "q1"},
        {"from": "gpt", "value": "a1"},
    ],
]


@pytest.mark.parametrize("turns", CONVERSATIONS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_of_a_conversation_the_first_exchange_is_taken(tmp_path, name, turns):
    path, records = tmp_path / name, [{"id": "x", "turns": turns}] * 2
    if path.suffix == ".parquet":
        pd.DataFrame(records).to_parquet(path)
    else:
        path.write_bytes(json.dumps(records).encode() if name == "a.json" else lines(records))
    found = [row for _, row in numbered_rows(path, turns="turns")]
    assert found == [{"prompt": "q1", "completion": "a1"}] * 2


@pytest.mark.parametrize(
    "turns", [[], "q1", [{"role": "user", "content": "q1"}], CONVERSATIONS[1][1:]]
)
def test_a_conversation_without_an_answered_question_is_one_line(tmp_path, turns):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines([{"turns": turns}]))
    with pytest.raises(InputError) as caught:
        list(numbered_rows(path, turns="turns"))
    assert str(caught.value) == f"{path}:1: field 'turns' has no question that is answered"


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


@pytest.mark.parametrize(
    ("attempt", "made"),
    [
        ("So it is 3.\n", "<t>why</t>Answer: So it is 3."),
        ("\n**Answer:** 3", "<t>why</t>**Answer:** 3"),
        (" Hence.\nAnswer: 3 ", "<t>why</t>Hence.\nAnswer: 3"),
    ],
)
def test_a_field_may_be_stripped_and_led_by_what_it_lacks(tmp_path, attempt, made):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines([{"q": " q ", "thinking": "\nwhy ", "attempt": attempt}]))
    pair = {"prompt": "{q}", "completion": "<t>{thinking|}</t>{attempt|Answer: }"}
    assert list(numbered_rows(path, pair=pair)) == [(1, {"prompt": " q ", "completion": made})]


def test_a_number_that_python_does_not_read_is_one_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": ' + "1" * 5000 + "}\n")
    assert refused(path).startswith(f"{path}:1: not valid JSON (")


def test_a_key_that_stands_twice(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two", "text": "three"}\n', encoding="utf-8")
    assert refused(path) == f"{path}:2: not valid JSON (the key 'text' stands twice)"


def test_of_a_large_group_of_rows_no_more_is_read_than_is_asked_for(tmp_path):
    texts = [os.urandom(512).hex() for _ in range(8000)]  # 8 MB that cannot be packed
    pd.DataFrame({"text": texts}).to_parquet(tmp_path / "a.parquet")
    first = numbered_rows(tmp_path / "a.parquet")
    before = bytes_read()
    assert next(first) == (0, {"text": texts[0]})
    assert bytes_read() - before < 3 * 2**20
    assert len(list(first)) == len(texts) - 1


def bytes_read() -> int:
    """By this process so far, as the kernel counts them."""
    return int(Path("/proc/self/io").read_text(encoding="utf-8").split()[1])
