"""What a user gets wrong about tasks is one line, and nothing is left half-written."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.artefacts.variants import on_disk
from tests.tasks.made_up_hub import write_mirror
from workflow_scripts.download import fetch_task
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.paths import PROJECT
from workflow_scripts.tasks import run_tasks

TASK = """\
task: mine
dataset_path: json
dataset_kwargs: {data_files: {test: mine.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: [a, b]
doc_to_target: right
metric_list: [{metric: acc}]
"""
ROW = '{"question": "a or b", "right": 0}\n'


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mirror(tmp_path_factory.mktemp("hub"))


@pytest.fixture
def hub(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror that a test may change, named by PRUNETHINK_HUB, and an empty folder to work in."""
    shutil.copytree(mirror, tmp_path / "hub")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PRUNETHINK_HUB", str(tmp_path / "hub"))
    return tmp_path / "hub"


def fetching(name: str, **entry: object) -> list[str]:
    output = f"resources/tasks/{name}/manifest.json"
    return [
        *("--name", name, "--options", json.dumps(entry)),
        *("--lock", "hub.lock", "--output", output),
    ]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """The one line that a stage ends with, which writes none of its files."""

    def run(stage: object, arguments: list[str]) -> str:
        monkeypatch.setattr(sys, "argv", ["stage", *arguments])
        # a library's log goes where stderr was when it was imported
        monkeypatch.setattr(logging, "raiseExceptions", False)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_stage(stage.main)
        assert ended.value.code == 1
        output = Path(arguments[arguments.index("--output") + 1])
        assert not [*output.parent.glob(f"{output.name}*")] + [*output.glob("*")]
        lines = [line for line in capsys.readouterr().err.splitlines() if "it/s]" not in line]
        assert lines[-1].startswith("error: ")
        assert "Traceback" not in "\n".join(lines)
        return lines[-1].removeprefix("error: ")

    return run


def test_data_that_are_not_there(hub: Path, said: Callable) -> None:
    shutil.rmtree(hub / "datasets/baber")
    assert said(fetch_task, fetching("piqa")) == (
        f"hub dataset 'baber/piqa': PRUNETHINK_HUB is set, and there is no folder "
        f"{hub}/datasets/baber/piqa/main"
    )


def test_offline_without_a_mirror_as_a_command(tmp_path: Path) -> None:
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("PRUNETHINK")}
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(
        [sys.executable, "-m", "workflow_scripts.download.fetch_task", *fetching("piqa")],
        cwd=tmp_path,
        env=environment | offline,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: hub dataset 'baber/piqa': ")


def test_data_that_the_lock_file_does_not_have(hub: Path, said: Callable) -> None:
    first = fetching("aime24")
    fetch_task.main(first)
    shutil.rmtree("resources")
    file = hub / "datasets/Maxwell-Jia/AIME_2024/main/aime_2024_problems.parquet"
    shutil.copy(hub / "datasets/baber/piqa/main/data/train-00000-of-00001.parquet", file)
    line = said(fetch_task, first)
    assert line.startswith("hub dataset Maxwell-Jia/AIME_2024@main: its content has changed: ")
    assert "--forget 'dataset Maxwell-Jia/AIME_2024@main'" in line


def test_columns_that_the_task_does_not_know(hub: Path, said: Callable) -> None:
    other = hub / "datasets/aps/super_glue/main/boolq/train-00000-of-00001.parquet"
    for file in (hub / "datasets/baber/piqa/main/data").iterdir():
        shutil.copy(other, file)
    assert said(fetch_task, fetching("piqa")) == (
        "tasks.piqa: the harness cannot load it (UndefinedError: 'goal' is undefined)"
    )


def test_a_name_that_the_harness_does_not_have(hub: Path, said: Callable) -> None:
    assert said(fetch_task, fetching("arc-easy", task="arc_eazy")).startswith(
        "tasks.arc-easy: the harness has no task 'arc_eazy'; close to it: arc_easy, "
    )


@pytest.mark.parametrize(
    ("text", "rows", "line"),
    [
        (TASK.replace('"{{question}}"', '"{{question'), ROW, "while scanning a quoted scalar"),
        (TASK.replace("multiple_choice", "choices"), ROW, "choices"),
        (TASK.replace('"{{question}}"', "!function mine.text"), ROW, "mine"),
        (TASK.replace("test_split: test", "test_split: dev"), ROW, "dev"),
        (TASK.replace("mine.jsonl", "other.jsonl"), ROW, "other.jsonl: no such file"),
        (TASK.replace("mine.jsonl", "https://x.org/a.jsonl"), ROW, "an address"),
        (TASK.replace("metric: acc", "metric: accuracy"), ROW, "'accuracy' is none of"),
        (TASK, '{"right": 0}\n', "'question' is undefined"),
        (TASK, '{"question": \n', "mine"),
        (TASK, "", "mine"),
        ("- a list\n", ROW, "mine.yaml"),
        ("", ROW, "mine.yaml"),
    ],
)
def test_a_task_file_with_a_mistake(
    text: str, rows: str, line: str, hub: Path, said: Callable
) -> None:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    Path("mine.jsonl").write_text(rows, encoding="utf-8")
    found = said(fetch_task, fetching("mine", file="mine.yaml"))
    assert line in found


def running(model: Path, **task: object) -> list[str]:
    entry = task if "task" in task else {"file": "mine.yaml", **task}
    job = {
        "tasks": {"mine": entry}, "engine": "transformers",
        "device": "cpu", "dtype": "float32", "threads": 1, "tensor_parallel": 1,
        "batch_invariant": False, "engine_options": {}, "batch_size": 16,
        "run_code": "sandboxed", "date": "auto", "thinking_end": "</think>",
    }  # fmt: skip
    variant = on_disk(Path("variant"), model, {})
    return [
        *("--model", str(model), "--variant", *map(str, variant), "--options", json.dumps(job)),
        *("--store", "store", "--output", "tasks"),
    ]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"metric": "acc_norm"},
            "tasks.mine.metric: 'acc_norm' is not computed; there are: acc,none",
        ),
        (
            {"metric": "acc,strict"},
            "tasks.mine.metric: 'acc,strict' is not computed; there are: acc,none",
        ),
    ],
)
def test_a_metric_that_the_task_does_not_have(
    change: dict, line: str, hub: Path, said: Callable, tiny_model: Callable
) -> None:
    Path("mine.yaml").write_text(TASK, encoding="utf-8")
    Path("mine.jsonl").write_text(ROW, encoding="utf-8")
    fetch_task.main(fetching("mine", file="mine.yaml"))
    assert said(run_tasks, running(tiny_model("llama"), **change)) == line
    assert not list(Path("store").rglob("*.sqlite-journal"))


def test_a_response_longer_than_the_model_s_context(
    hub: Path, said: Callable, tiny_model: Callable
) -> None:
    text = TASK.replace("multiple_choice", "generate_until").replace("acc", "exact_match")
    Path("mine.yaml").write_text(text, encoding="utf-8")
    Path("mine.jsonl").write_text(ROW, encoding="utf-8")
    fetch_task.main(fetching("mine", file="mine.yaml"))
    found = said(run_tasks, running(tiny_model("llama"), generation={"max_gen_toks": 100000}))
    assert found.startswith(
        "task mine: a response of up to 100000 tokens leaves no room for a prompt in a context of "
    )


def test_data_that_changed_since_they_were_fetched(
    hub: Path, said: Callable, tiny_model: Callable
) -> None:
    fetch_task.main(fetching("mine", task="piqa"))
    file = hub / "datasets/baber/piqa/main/data/validation-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes() + b"\n")
    found = said(run_tasks, running(tiny_model("llama"), task="piqa"))
    assert re.fullmatch("resources/tasks/mine/data/baber/piqa/data/validation.*", found)
