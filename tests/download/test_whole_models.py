"""What fetching a model refuses: parts that are there and are not what a model needs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.download.fetching import fetch_model
from workflow_scripts.errors import InputError


@pytest.fixture
def refused(model_folder: Path, tmp_path: Path) -> Callable[[], str]:
    """The line with which the model folder is refused, from its name on; nothing is left."""

    def line() -> str:
        manifest = tmp_path / "resources" / "m" / "manifest.json"
        with pytest.raises(InputError) as error:
            fetch_model({"kind": "local", "path": str(model_folder)}, manifest)
        assert "\n" not in str(error.value)
        assert not manifest.parent.exists()
        return str(error.value).removeprefix(str(model_folder)).lstrip("/")

    return line


def rewrite(folder: Path, name: str, **entries: object) -> None:
    path = folder / name
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | entries))


def test_a_value_that_is_not_finite_names_tensor_and_file(model_folder, refused):
    weights = load_file(model_folder / "model.safetensors")
    weights["lm_head.weight"][5, 3] = torch.nan
    save_file(weights, model_folder / "model.safetensors")
    assert refused() == "model.safetensors: lm_head.weight holds NaN or infinite values"


def test_a_classifier(model_folder, refused):
    rewrite(model_folder, "config.json", architectures=["Qwen3ForSequenceClassification"])
    assert refused() == (
        "config.json: 'architectures' is ['Qwen3ForSequenceClassification']: not a model that "
        "writes text, whose class ends in ForCausalLM or LMHeadModel"
    )


def test_a_tensor_that_is_in_two_shards_or_that_the_index_forgot(sharded_folder, refused):
    shard = sharded_folder / "model-00001-of-00002.safetensors"
    weights = load_file(shard)
    save_file(weights | {"model.norm.weight": torch.zeros(18)}, shard)
    assert refused() == (
        "model.safetensors.index.json: places model.norm.weight in "
        "model-00002-of-00002.safetensors, and model-00001-of-00002.safetensors has it"
    )
    save_file(weights | {"score.weight": torch.zeros(18)}, shard)
    assert refused() == (
        "model.safetensors.index.json: places score.weight nowhere, and "
        "model-00001-of-00002.safetensors has it"
    )


@pytest.mark.parametrize("text", ["{}", "[]", '"x"', '{"model": {"type": "BPE"}}'])
def test_a_tokenizer_that_is_none(model_folder, refused, text):
    (model_folder / "tokenizer.json").write_text(text)
    assert refused().startswith(": its tokenizer cannot be opened: ")


@pytest.mark.parametrize("settings", ["[]", '{"model_max_length": "long"}', '{"eos_token": 3}'])
def test_tokenizer_settings_that_are_none(model_folder, refused, settings):
    (model_folder / "tokenizer_config.json").write_text(settings)
    assert refused().startswith(": its tokenizer cannot be opened: ")


@pytest.mark.parametrize("content", ["[]", '{"cache_implementation": 3}'])
def test_generation_settings_that_are_none(model_folder, refused, content):
    (model_folder / "generation_config.json").write_text(content)
    assert refused().startswith("generation_config.json: ")


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
@pytest.mark.parametrize(("ids", "wrong"), [(64, 64), (-1, -1), ([1, 64], 64)])
def test_a_turn_that_would_end_with_a_token_that_there_is_not(
    model_folder, refused, name, ids, wrong
):
    rewrite(model_folder, name, eos_token_id=ids)
    assert refused() == (
        f": token {wrong} is to end a turn, and the model's embedding has 64 rows; correct "
        "eos_token_id in generation_config.json, config.json or tokenizer_config.json"
    )


@pytest.mark.parametrize("ids", ["<end>", 1.0, True, {}])
def test_the_end_of_a_turn_is_an_id(model_folder, refused, ids):
    rewrite(model_folder, "generation_config.json", eos_token_id=ids)
    assert refused().startswith("generation_config.json: eos_token_id is ")
