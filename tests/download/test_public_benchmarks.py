"""The public benchmarks of config.yaml, on made-up rows in the layout of each data set."""

import csv
import io
import json

import pyarrow
import pytest
import yaml
from pyarrow import parquet

from workflow_scripts.artefacts.records import Problem, read_records
from workflow_scripts.config.entry import plain
from workflow_scripts.config.load import load_settings
from workflow_scripts.inputs.problems.problems import Layout, problems_from_rows
from workflow_scripts.inputs.problems.rows import Row
from workflow_scripts.paths import PROJECT

CONFIG = yaml.safe_load((PROJECT / "config/config.yaml").read_text(encoding="utf-8"))
ENTRIES = load_settings(CONFIG, PROJECT).benchmarks
HUB = {name: plain(entry) for name, entry in ENTRIES.items() if entry.source.kind == "hub"}


def as_parquet(rows: list[dict]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


def as_csv(rows: list[dict]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def as_jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def card(**files: str) -> bytes:
    configs = [
        {
            "config_name": name,
            "data_files": [{"split": path.split(" ")[0], "path": path.split(" ")[1]}],
        }
        for name, path in files.items()
    ]
    return f"---\n{yaml.safe_dump({'configs': configs})}---\n".encode()


MATH = {
    "problem": "What is $\\tfrac12 + \\tfrac12 + \\tfrac12$?",
    "solution": "It is $\\boxed{\\frac{3}{2}}$.",
    "answer": "\\frac{3}{2}",
    "subject": "Algebra",
    "level": 1,
    "unique_id": "test/algebra/1.json",
}
AIME = {"id": 60, "problem": "What is 2 + 2?", "solution": "4.", "answer": "004", "url": "u"}
GPQA = {
    "Pre-Revision Question": "an older text",
    "Pre-Revision Correct Answer": "an older answer",
    "Question": "Which is 2 + 2?",
    "Correct Answer": "4\n",
    "Incorrect Answer 1": "3",
    "Incorrect Answer 2": " 5 ",
    "Incorrect Answer 3": "None, of these",
    "Explanation": "It is 4.",
    "Extra Revised Question": "",
    "Record ID": "recMadeUp",
    "Canary String": "made up",
}
JEE = {
    "description": "a made-up paper",
    "index": 7,
    "subject": "math",
    "type": "MCQ(multiple)",
    "question": "Which are even?\n\n(A) 2\n\n(B) 3\n\n(C) 5\n\n(D) 8",
    "gold": "AD",
}
JEE_KINDS = [
    (JEE, Problem("jeebench-0", JEE["question"], "AD", "choices")),
    (
        JEE | {"type": "MCQ", "gold": "B", "question": "Which is odd? (A) 2 (B) 3 (C) 4 (D) 8"},
        Problem("jeebench-1", "Which is odd? (A) 2 (B) 3 (C) 4 (D) 8", "B", "choice"),
    ),
    (
        JEE | {"type": "Integer", "gold": "7", "question": "What is 3 + 4?"},
        Problem("jeebench-2", "What is 3 + 4?", "7", "integer", None, 0.01),
    ),
    (
        JEE | {"type": "Numeric", "gold": "-0.333", "question": "What is -1/3?"},
        Problem("jeebench-3", "What is -1/3?", "-0.333", "number", None, 0.01),
    ),
]

# what the hub would serve, and the problem that comes of the first row
LAYOUTS = {
    "math500": (
        {"test.jsonl": as_jsonl([MATH]), "train.jsonl": as_jsonl([MATH | {"answer": "7"}])},
        Problem("math500-0", MATH["problem"], "\\frac{3}{2}", "math"),
    ),
    "aime24": (
        {"data/train-00000-of-00001.parquet": as_parquet([AIME])},
        Problem("aime24-0", "What is 2 + 2?", "4", "integer"),
    ),
    "aime25": (
        {"test.jsonl": as_jsonl([{"problem": "What is 2 + 2?", "answer": "4", "id": "0"}])},
        Problem("aime25-0", "What is 2 + 2?", "4", "integer"),
    ),
    "amc23": (
        {
            "test-00000-of-00001.parquet": as_parquet(
                [{"id": 7, "answer": "27.0", "url": "u", "question": "What is 3 x 9?"}]
            )
        },
        Problem("7", "What is 3 x 9?", "27", "integer"),
    ),
    "gsm8k": (
        {
            "README.md": card(main="test main/test-*", socratic="test socratic/test-*"),
            "main/test-00000-of-00001.parquet": as_parquet(
                [
                    {
                        "question": "Ann has 540 pens. Bo too?",
                        "answer": "540+540=<<540+540=1080>>1080.\n#### 1,080",
                    }
                ]
            ),
            "socratic/test-00000-of-00001.parquet": as_parquet(
                [{"question": "another", "answer": "x\n#### 1"}]
            ),
        },
        Problem("gsm8k-0", "Ann has 540 pens. Bo too?", "1080", "integer"),
    ),
    "gpqa-diamond": (
        {
            "README.md": card(
                gpqa_main="train gpqa_main.csv", gpqa_diamond="train gpqa_diamond.csv"
            ),
            "gpqa_main.csv": as_csv([GPQA | {"Question": "another"}]),
            "gpqa_diamond.csv": as_csv([GPQA]),
        },
        Problem("recMadeUp", GPQA["Question"], "C", "choice", ["3", "None, of these", "4", "5"]),
    ),
    "jeebench": (
        {"test.jsonl": as_jsonl([JEE])},
        Problem("jeebench-0", JEE["question"], "AD", "choices"),
    ),
}


@pytest.mark.parametrize("name", HUB)
def test_a_public_benchmark_is_read_as_its_entry_says(hub, run_stage, tmp_path, name):
    files, expected = LAYOUTS[name]
    source = HUB[name]["source"]
    hub.files[f"datasets/{source['id']}"] = files
    hub.commit = source.get("revision", hub.commit)
    output = f"resources/benchmarks/{name}.jsonl"
    done = run_stage(
        "fetch_benchmark", "--options", json.dumps({"source": source, "problems": 1}),
        "--output", output,
        env={"HF_ENDPOINT": hub.address},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_records(tmp_path / output, Problem) == [expected]


def test_a_benchmark_of_several_kinds_says_the_kind_of_each_row(hub, run_stage, tmp_path):
    """Indices stand in the papers, so that several rows have the same one: ids count rows."""
    source = HUB["jeebench"]["source"]
    rows, expected = zip(*JEE_KINDS, strict=True)
    hub.files[f"datasets/{source['id']}"] = {"test.jsonl": as_jsonl(rows)}
    fetch = (
        "fetch_benchmark", "--options", json.dumps({"source": source}),
        "--output", "resources/benchmarks/jeebench.jsonl",
    )  # fmt: skip
    done = run_stage(*fetch, env={"HF_ENDPOINT": hub.address})
    assert done.returncode == 0, done.stderr
    assert read_records(tmp_path / fetch[-1], Problem) == [*expected]
    # and the file is one of problems itself
    again = {"source": {"kind": "local", "path": fetch[-1]}}
    done = run_stage(*fetch[:2], json.dumps(again), "--output", "again.jsonl")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / fetch[-1]).read_bytes()


def test_a_kind_that_the_config_does_not_know_is_one_line(hub, run_stage, tmp_path):
    source = HUB["jeebench"]["source"]
    hub.files[f"datasets/{source['id']}"] = {"test.jsonl": as_jsonl([JEE, JEE | {"type": "Essay"}])}
    done = run_stage(
        "fetch_benchmark", "--options", json.dumps({"source": source}),
        "--output", "jeebench.jsonl", env={"HF_ENDPOINT": hub.address},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.endswith(
        "(jeebench-1): kind is 'Essay', which answer_kind has not: "
        "MCQ, MCQ(multiple), Integer, Numeric\n"
    )
    assert done.stderr.count("\n") == 1 and not (tmp_path / "jeebench.jsonl").exists()


def test_another_number_of_problems_is_one_line(hub, run_stage, tmp_path):
    source = HUB["aime24"]["source"]
    hub.files[f"datasets/{source['id']}"] = LAYOUTS["aime24"][0]
    done = run_stage(
        "fetch_benchmark", "--options", json.dumps({"source": source, "problems": 30}),
        "--output", "aime24.jsonl", env={"HF_ENDPOINT": hub.address},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1,
        "error: benchmark 'aime24': has 1 problems, the config says 30 "
        "(benchmarks.aime24.problems)\n",
    )
    assert not (tmp_path / "aime24.jsonl").exists()


def test_the_numbers_of_problems_are_the_published_ones():
    assert {name: entry["problems"] for name, entry in HUB.items()} == {
        "math500": 500,
        "aime24": 30,
        "aime25": 30,
        "amc23": 40,
        "gsm8k": 1319,
        "gpqa-diamond": 198,
        "jeebench": 515,
    }


def quiz(choices: list[str], question: str = GPQA["Question"]) -> Problem:
    columns = {"question": "q", "answer": "right", "choices": ["right", "b", "c", "d"]}
    layout = Layout(columns, "choice", choice_order="shuffled")
    values = {"q": question} | dict(zip(columns["choices"], choices, strict=True))
    ((problem,), _) = problems_from_rows([Row("here", values)], "quiz", layout)
    return problem


def test_the_order_of_choices_is_the_question_s_own():
    """Whatever the order in the source; another question has another order."""
    first = quiz(["4", "3", "5", "None, of these"])
    # printf 'Which is 2 + 2?\\0%s' CHOICE | sha256sum: 5ddc..., a03d..., bddc..., e322...
    assert first.choices == ["3", "None, of these", "4", "5"]
    assert quiz(["4", "None, of these", "5", "3"]) == first
    right = quiz(["3", "4", "5", "None, of these"])
    assert (right.choices, right.answer) == (first.choices, "A")
    orders = {tuple(quiz(["4", "3", "5", "6"], f"Question {n}?").choices) for n in range(300)}
    assert len(orders) == 24


def test_the_right_answer_stands_in_every_place_about_equally_often():
    letters = [quiz(["4", "3", "5", "6"], f"Question {n}?").answer for n in range(2000)]
    for letter in "ABCD":
        assert 430 < letters.count(letter) < 570  # 500, and 3.6 standard deviations around it


@pytest.mark.parametrize(
    ("form", "cell", "letter"),
    [
        ("letter", "B", "B"),
        ("letter", " b ", "B"),
        ("index", 0, "A"),
        ("index", "2", "C"),
        ("cell", "five", "C"),
    ],
)
def test_a_choice_is_named_by_text_letter_or_number(form, cell, letter):
    columns = {"question": "q", "answer": "a", "choices": ["options"]}
    row = Row("here", {"q": "2+2=?", "a": cell, "options": ["three", "four", "five"]})
    ((problem,), _) = problems_from_rows([row], "quiz", Layout(columns, "choice", form))
    assert (problem.answer, problem.choices) == (letter, ["three", "four", "five"])
