"""What cannot be trained is one line, and nothing is written."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.artefacts.variants import on_disk, random_keeps
from tests.models.test_supported import saved
from tests.models.tiny_models import tiny_tokenizer, write_manifest
from tests.recovery.recovering import FULL, LORA, refused, run
from workflow_scripts.artefacts.masks import VariantFiles, read_pruned
from workflow_scripts.files.atomic import read_json, write_json


@pytest.fixture(scope="module")
def model(tiny_model: Callable[..., Path]) -> Path:
    return tiny_model("llama", blocks=2)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, model: Path) -> VariantFiles:
    return on_disk(tmp_path_factory.mktemp("start"), model, random_keeps(model))


def test_no_completion_left(tmp_path: Path, model: Path, before: VariantFiles) -> None:
    rows = [{"prompt": "a" * 30, "completion": "b"}]
    line = refused(tmp_path / "after", model, before, LORA, rows)
    assert line == (
        f"{tmp_path}/texts.jsonl: no row has a token of its completion within length 20; set a "
        "larger one, or take other texts"
    )


def test_a_rate_that_diverges(tmp_path: Path, model: Path, before: VariantFiles) -> None:
    """The step, what was before it, the state that is left, and what to change."""
    options = LORA | {"learning_rate": 1e25, "warm_up": 3, "save_every": 1}
    line = refused(tmp_path / "after", model, before, options)
    # the first step has the rate zero
    assert re.fullmatch(
        r"recovery: the (loss|gradient) of step 3 is not finite; the loss of step 2 was "
        r"\d\.\d+; its last saved state is that after step 2: set a lower learning_rate or a "
        r"longer warm_up",
        line,
    )


def test_a_rate_that_diverges_in_the_last_step(
    tmp_path: Path, model: Path, before: VariantFiles
) -> None:
    options = LORA | {"learning_rate": 1e38, "steps": 1}
    line = refused(tmp_path / "after", model, before, options)
    assert line.startswith("recovery: the loss after step 1 is not finite; the loss of step 1 was ")


def test_targets_that_the_model_has_not(tmp_path: Path, model: Path, before: VariantFiles) -> None:
    line = refused(tmp_path / "after", model, before, LORA | {"targets": ["q_proj", "qkv_proj"]})
    assert line == (
        f"recovery of {model}: targets has 'qkv_proj', which no linear of the model is called; "
        "there: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
    )


def test_rows_longer_than_the_model_takes(
    tmp_path: Path, model: Path, before: VariantFiles
) -> None:
    line = refused(tmp_path / "after", model, before, LORA | {"length": 33})
    assert line == "recovery length 33: the model takes 32 tokens at most"


def test_texts_of_a_model_without_a_chat_template(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model("llama", blocks=2), model)
    (model / "chat_template.jinja").unlink()
    write_manifest(model)
    before = on_disk(tmp_path / "start", model, {})
    line = refused(tmp_path / "after", model, before, LORA)
    assert line == f"{tmp_path}/texts.jsonl: has prompts, the tokenizer has no chat template"


def test_a_mask_of_another_model(
    tmp_path: Path, tiny_model: Callable[..., Path], before: VariantFiles
) -> None:
    line = refused(tmp_path / "after", tiny_model("llama", seed=1), before, LORA)
    assert line.startswith(f"{before.record}: mask of another model")


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_experts(tmp_path: Path, kind: str) -> None:
    """They are refused, and linears beside them are trained."""
    model = saved("qwen3_moe", tmp_path / "model").folder
    tiny_tokenizer().save_pretrained(model)
    write_manifest(model)
    before = on_disk(tmp_path / "start", model, random_keeps(model))
    line = refused(tmp_path / "after", model, before, LORA if kind == "lora" else FULL)
    assert line == (
        f"recovery of {model}: experts (down_proj, gate_proj, up_proj) cannot be trained; set "
        "kind: lora with targets among q_proj, k_proj, v_proj, o_proj"
    )
    if kind == "lora":
        rows, targets = [{"text": "abcdefghij"[n:]} for n in range(8)], ["q_proj", "o_proj"]
        after, _ = run(tmp_path / "b", model, before, LORA | {"targets": targets, "steps": 2}, rows)
        assert {name.split(".")[-3] for name in read_pruned(after).record.weights} == {
            "q_proj",
            "o_proj",
        }


def test_a_record_that_was_changed(tmp_path: Path, model: Path) -> None:
    before = on_disk(tmp_path / "start", model, random_keeps(model))
    write_json(before.record, read_json(before.record) | {"digest": "0"})
    line = refused(tmp_path / "after", model, before, LORA)
    assert line.startswith(f"{before.mask}: damaged: its digest is not the one in")
