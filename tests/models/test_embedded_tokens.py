"""Tokens that a tokenizer has and the model has not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.generation.test_job_options import OPTIONS
from tests.models.tiny_models import CHAT_TEMPLATE, VOCABULARY, write_manifest
from workflow_scripts.artefacts.masks import nothing_pruned
from workflow_scripts.artefacts.records import Problem, write_records
from workflow_scripts.calibration import build_calibration_set, score_influence
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.generation import GenerationJob
from workflow_scripts.errors import InputError
from workflow_scripts.generation.job import describe_job
from workflow_scripts.models.tokenizers import load_tokenizer

LINE = (
    f"'<19>' is token {VOCABULARY + 1} of the tokenizer, and the model's embedding has "
    f"{VOCABULARY} rows: it was added to the tokenizer alone; take it out there, or out of the "
    "chat template or text"
)


@pytest.fixture
def model(tmp_path: Path, tiny_model: Callable[..., Path]) -> Path:
    """Its tokenizer has two tokens more than its embedding has rows, and writes none of them."""
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens([f"<{number}>" for number in range(20)])
    assert len(tokenizer) == VOCABULARY + 2
    tokenizer.save_pretrained(folder)
    write_manifest(folder)
    return folder


def described(model: Path, question: str = "a", **markers: str) -> None:
    path = model.with_name("b.jsonl")
    write_records(path, [Problem("p", question, "1", "integer")])
    thinking = {"open": "-", "stop": "=", "after_stop": "=", "after_cap": "="} | markers
    options = OPTIONS | {"thinking": thinking, "answer_tokens": 1, "budgets": [4]}
    job = parser_of(GenerationJob)(json.dumps(options))
    describe_job(model, nothing_pruned("", 3), {"b": path}, job)


def refused(call: Callable[..., None], *arguments: object, **options: str) -> str:
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    return str(error.value)


def test_a_token_that_the_embedding_has_not_may_be_in_the_tokenizer(model: Path) -> None:
    described(model)


def test_a_question_a_marker_and_a_template_that_use_it(model: Path) -> None:
    assert refused(described, model, "a<19>") == f"benchmark b, problem p: {LINE}"
    assert (
        refused(described, model, after_cap="<19>") == f"thinking_formats.think.after_cap: {LINE}"
    )
    (model / "chat_template.jinja").write_text(CHAT_TEMPLATE.replace("<model>", "<model><19>"))
    write_manifest(model)
    assert refused(described, model) == f"benchmark b, problem p: {LINE}"


def test_texts_of_calibration_that_use_it(model: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "ab<19>cd"}\n' * 4)
    source = {"source": {"kind": "local", "path": str(rows)}, "samples": 2, "length": 5}
    stage = ["--model", model, "--options", json.dumps(source), "--output", tmp_path / "set"]
    stage = [str(part) for part in stage]
    assert refused(build_calibration_set.main, stage) == f"{rows}: {LINE}"
    rows.write_text('{"prompt": "a", "completion": "b<19>"}\n{"prompt": "b", "completion": "a"}\n')
    wanted = {"source": source["source"], "train_samples": 1, "validation_samples": 1, "length": 9}
    stage[3] = json.dumps(wanted)
    assert refused(score_influence.main, stage).endswith(f": {LINE}")
    assert not (tmp_path / "set").exists()
