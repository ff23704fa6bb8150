"""What is wrong in local files is said while jobs are planned, and no more of them is read."""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pytest

from tests.config.config_door import changed
from tests.models.tiny_models import tiny_tokenizer
from workflow_scripts.config.load import load_settings
from workflow_scripts.inputs import local_files
from workflow_scripts.inputs.local_files import local_mistakes, unfit_variants
from workflow_scripts.paths import PROJECT


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def mistakes(
    *changes: tuple[tuple, object], is_made: Callable[[str], bool] = lambda path: False
) -> list[str]:
    settings = load_settings(changed(*changes))
    return [str(problem) for problem in local_mistakes(settings, is_made)]


def source(catalogue: str, path: str, name: str = "chains", **said: object) -> tuple:
    return (catalogue, name, "source"), {"kind": "local", "path": path, **said}


def write(path: str, rows: Iterable[object], good: int = 0, row: object = None) -> None:
    lines = [json.dumps(row)] * good + [json.dumps(one) for one in rows]
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


PROBLEM = {"q": "1+1=?", "a": "2"}
COLUMNS = {"columns": {"question": "q", "answer": "a"}, "answer_kind": "integer"}
PAIR = {"prompt": "1+1=?", "completion": "2"}


def test_the_first_mistake_of_each_file_is_one_line():
    write("p.jsonl", [{"q": "1+2=?", "a": "three"}, {"q": "?"}], good=4, row=PROBLEM)
    write("t.jsonl", [{"txt": "one"}, {"text": "two"}])
    write("i.jsonl", [PAIR, {"text": "one"}])
    assert mistakes(
        source("benchmarks", "p.jsonl", **COLUMNS),
        source("calibration_sets", "t.jsonl", text="text"),
        source("influence_sets", "i.jsonl"),
    ) == [
        "config: benchmarks.chains.source: p.jsonl:5 (chains-4): answer is 'three', which is not "
        "of kind integer",
        "config: calibration_sets.chains.source: t.jsonl:1: has no field 'text'; there: txt",
        "config: influence_sets.chains.source: i.jsonl:2: influence needs a prompt and a "
        "completion, not a text",
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_column_that_is_not_there_in_every_kind_of_file(kind):
    frame = pd.DataFrame([PROBLEM] * 3)
    if kind == "csv":
        frame.to_csv("p.csv", index=False)
    elif kind == "parquet":
        frame.to_parquet("p.parquet")
    else:
        write("p.jsonl", [], 3, PROBLEM)
    assert mistakes(source("benchmarks", f"p.{kind}", **COLUMNS)) == []
    wrong = COLUMNS | {"columns": {"question": "q", "answer": "gold"}}
    (line,) = mistakes(source("benchmarks", f"p.{kind}", **wrong))
    assert line.endswith("has no answer: no column 'gold' for answer; there are: q, a")


def test_as_many_problems_as_the_entry_says():
    write("p.jsonl", [], 3, PROBLEM)
    benchmark = source("benchmarks", "p.jsonl", **COLUMNS)
    (line,) = mistakes(benchmark, (("benchmarks", "chains", "problems"), 4))
    assert line.endswith("has 3 problems, the config says 4 (benchmarks.chains.problems)")
    own = (("benchmarks", "chains", "problems"), 3)
    assert mistakes(benchmark, own, (("benchmarks", "chains", "limit"), 3)) == []


def test_of_a_large_file_only_the_beginning_is_read(monkeypatch):
    write("p.jsonl", ["no problem"], local_files.FIRST_ROWS + 1, PROBLEM)
    rows = "".join(json.dumps({"text": "a" * 500}) + "\n" for _ in range(local_files.FIRST_ROWS))
    # what follows is no gzip any more
    Path("t.jsonl.gz").write_bytes(gzip.compress(rows.encode()) + gzip.compress(b"x" * 99)[:-9])
    files = (
        source("benchmarks", "p.jsonl", **COLUMNS),
        source("calibration_sets", "t.jsonl.gz", text="text"),
    )
    assert mistakes(*files) == []
    monkeypatch.setattr(local_files, "FIRST_ROWS", local_files.FIRST_ROWS + 1)
    assert len(mistakes(*files)) == 2
    monkeypatch.setattr(local_files, "FIRST_CHARACTERS", 10_000)  # texts can be books
    assert len(mistakes(*files)) == 1


def test_what_is_not_run_or_still_to_be_made_is_left_alone():
    write("p.jsonl", ["no problem"])
    unused = (("benchmarks", "mine"), {"source": source("benchmarks", "p.jsonl")[1]})
    assert mistakes(unused) == []
    wrong = source("benchmarks", "p.jsonl")
    assert len(mistakes(wrong)) == 1
    assert mistakes(wrong, is_made=lambda path: path == "p.jsonl") == []


def test_the_chat_template_of_a_local_model():
    shutil.copytree(PROJECT / "bundled/models/reasoner", "mine")
    template = Path("mine/chat_template.jinja")
    model = source("models", "mine", "reasoner")
    told = (("models", "reasoner", "chat_template_args"), {"enable_thinking": True})
    where = "config: models.reasoner.source: mine: "
    assert mistakes(model) == []
    assert mistakes(model, told) == [
        f"{where}its chat template has no use for 'enable_thinking'; correct chat_template_args "
        "of the model"
    ]
    template.write_text("{% for m in messages %}\n{{ m.content }\n{% endfor %}", encoding="utf-8")
    assert mistakes(model) == [
        f"{where}its chat template is not Jinja: line 2: unexpected '}}'; correct "
        "chat_template.jinja"
    ]
    template.unlink()
    assert mistakes(model) == [
        f"{where}the tokenizer has no chat template; add chat_template.jinja"
    ]
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained("mine")
    assert mistakes(model) == []


PLANNING = """
import sys
import workflow_scripts.config.load, workflow_scripts.estimates.resources
import workflow_scripts.inputs.local_files, workflow_scripts.tables.catalogue
import workflow_scripts.allocation.allocate_sparsity, workflow_scripts.download.fetch_benchmark
import workflow_scripts.grading.grade_answers
import workflow_scripts.tables.report, workflow_scripts.tables.collect_samples
from workflow_scripts.tables.content import accuracy, parallel, published
heavy = {"torch", "transformers", "datasets", "huggingface_hub", "statsmodels", "scipy.stats"}
print(*sorted(heavy & sys.modules.keys()))
"""


def test_planning_and_light_jobs_import_nothing_that_takes_seconds():
    command = [sys.executable, "-c", PLANNING]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_what_a_model_has_too_few_blocks_for_is_said_while_jobs_are_planned():
    wrong = {
        "a": {"method": "sleb", "remove_blocks": 5, "calibration": "chains"},
        "b": {"method": "llm-pruner", "sparsity": 0.2, "calibration": "chains"},
        "c": {"method": "evopress-drop", "remove_parts": 6, "calibration": "chains"},
        "d": {"method": "blocks", "blocks": [6]},
        "e": {
            "method": "wanda",
            "sparsity": 0.5,
            "calibration": "chains",
            "allocation": {"kind": "layerif", "influence": "chains", "window": 7},
        },
    }
    entries = [(("variants", name), entry) for name, entry in wrong.items()]
    fits = ("variants", "f"), {"method": "sleb", "remove_blocks": 4, "calibration": "chains"}
    settings = load_settings(changed(*entries, fits, (("run", "variants"), [*wrong, "f"])))
    assert [str(problem) for problem in unfit_variants(settings)] == [
        "config: variants.a.remove_blocks: 5 is not allowed: of 6 blocks, 1 to 4 can be removed: "
        "the first 1 and the last 1 always stay (model reasoner)",
        "config: variants.b.keep_first: 4 and keep_last 2 leave none of 6 blocks; together they "
        "must be at most 5 (model reasoner)",
        "config: variants.c.remove_parts: 6 is not allowed: of 6 blocks, 1 to 5 can lose a part "
        "(model reasoner)",
        "config: variants.d.blocks: there is no block 6; the model has 0 to 5 (model reasoner)",
        "config: variants.e.allocation.window: 7 is longer than the model, which has 6 blocks; "
        "must be an odd number up to that (1, with order 0, does not smooth) (model reasoner)",
    ]
