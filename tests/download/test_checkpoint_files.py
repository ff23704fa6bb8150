import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from workflow_scripts.download.checkpoint_files import checkpoint_files
from workflow_scripts.errors import InputError


def refused(folder) -> str:
    with pytest.raises(InputError) as caught:
        checkpoint_files(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-4],
        lambda whole: whole + b"\0",
        lambda whole: whole[:20],
        lambda whole: b"\1\2",
    ],
)
def test_weights_that_are_cut_or_go_on_are_named(model_folder, damage):
    weights = model_folder / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    assert refused(model_folder).startswith(f"{weights}: damaged, truncated or ")


def test_a_file_of_another_format(model_folder):
    weights = model_folder / "model.safetensors"
    for body in (b"[1, 2]", b"{]", b'{"a": 1}', b'{"a": {"data_offsets": [0]}}'):
        weights.write_bytes(struct.pack("<Q", len(body)) + body)
        assert refused(model_folder).startswith(f"{weights}: damaged, truncated or ")


def test_a_shape_that_does_not_fit_its_bytes(model_folder):
    weights = model_folder / "model.safetensors"
    body = json.dumps({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}).encode()
    weights.write_bytes(struct.pack("<Q", len(body)) + body + b"\0" * 8)
    assert refused(model_folder).startswith(f"{weights}: damaged, truncated or ")


def test_shards_are_chosen_by_the_index(sharded_folder):
    (sharded_folder / "consolidated.safetensors").write_bytes(b"other weights")
    names = checkpoint_files(sharded_folder)
    assert [name for name in names if "safetensors" in name] == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]


def test_a_single_file_wins_over_an_index_as_in_transformers(sharded_folder):
    shard = sharded_folder / "model-00001-of-00002.safetensors"
    (sharded_folder / "model.safetensors").write_bytes(shard.read_bytes())
    names = checkpoint_files(sharded_folder)
    assert [name for name in names if "safetensors" in name] == ["model.safetensors"]


def test_an_index_that_names_a_missing_shard(sharded_folder):
    (sharded_folder / "model-00002-of-00002.safetensors").unlink()
    assert refused(sharded_folder) == (
        f"{sharded_folder / 'model.safetensors.index.json'}: names "
        "'model-00002-of-00002.safetensors', which is not a safetensors file beside it"
    )


@pytest.mark.parametrize("shard", ["../outside.safetensors", "config.json", ["x"], None, 3])
def test_an_index_that_names_anything_else(sharded_folder, shard):
    (sharded_folder.parent / "outside.safetensors").write_bytes(save({"a": np.ones(2)}))
    index = sharded_folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}))
    assert refused(sharded_folder) == (
        f"{index}: names {shard!r}, which is not a safetensors file beside it"
    )


def test_an_index_that_places_a_tensor_where_it_is_not(sharded_folder):
    index = sharded_folder / "model.safetensors.index.json"
    placed = json.loads(index.read_text())
    placed["weight_map"]["c"] = "model-00001-of-00002.safetensors"
    index.write_text(json.dumps(placed))
    assert refused(sharded_folder) == (
        f"{index}: places c in model-00001-of-00002.safetensors, which has no such tensor"
    )


@pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_index_without_a_map(sharded_folder, content):
    index = sharded_folder / "model.safetensors.index.json"
    index.write_text(content)
    assert refused(sharded_folder) == (
        f"{index}: no weight_map that says which tensor is in which file"
    )


def test_weights_in_formats_that_can_hold_code_are_no_weights(model_folder):
    (model_folder / "model.safetensors").rename(model_folder / "pytorch_model.bin")
    (model_folder / "pytorch_model.bin.index.json").write_text("{")
    assert refused(model_folder) == (
        f"{model_folder}: no safetensors weights: neither model.safetensors nor "
        "model.safetensors.index.json; found only pytorch_model.bin"
    )
    (model_folder / "pytorch_model.bin").unlink()
    assert refused(model_folder).endswith("index.json; found no weights")


def test_a_git_lfs_pointer_is_called_by_its_name(model_folder):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        whole = (model_folder / name).read_bytes()
        (model_folder / name).write_bytes(pointer)
        assert refused(model_folder) == (
            f"{model_folder / name}: a Git LFS pointer and not the file itself; run git lfs pull"
        )
        (model_folder / name).write_bytes(whole)


def test_a_model_without_a_tokenizer(model_folder):
    (model_folder / "tokenizer.json").unlink()
    wanted = (
        f"{model_folder}: no tokenizer; one of these would be right: tokenizer.json, "
        "tokenizer.model, spiece.model, sentencepiece.bpe.model, vocab.json with merges.txt, "
        "vocab.txt"
    )
    assert refused(model_folder) == wanted
    (model_folder / "vocab.json").write_text("{}")
    assert refused(model_folder) == wanted
    (model_folder / "merges.txt").write_text("a b")
    assert "merges.txt" in checkpoint_files(model_folder)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not valid JSON ("),
        ("[]", "expected a JSON object, found list"),
        ('{"architectures": ["A"]}', "'model_type' is None; it must be a text"),
        ('{"model_type": 3}', "'model_type' is 3; it must be a text"),
        ('{"model_type": "qwen3"}', "'architectures' is None; it must be a list of class names"),
    ],
)
def test_a_config_that_says_too_little(model_folder, content, problem):
    (model_folder / "config.json").write_text(content)
    assert refused(model_folder).startswith(f"{model_folder / 'config.json'}: {problem}")


def test_a_folder_that_is_not_one(model_folder):
    (model_folder / "config.json").unlink()
    assert refused(model_folder) == (
        f"{model_folder / 'config.json'}: no such file; a model folder needs it"
    )
    file = model_folder / "tokenizer.json"
    assert refused(file) == (
        f"{file}: not a folder; a model is a folder with config.json and weights"
    )


def test_a_broken_link_and_a_folder_in_a_files_place(model_folder):
    (model_folder / "vocab.txt").symlink_to("nowhere")
    assert refused(model_folder) == f"{model_folder / 'vocab.txt'}: a broken link"
    (model_folder / "vocab.txt").unlink()
    (model_folder / "vocab.txt").mkdir()
    assert refused(model_folder) == f"{model_folder / 'vocab.txt'}: not a regular file"


def test_any_json_file_is_read_before_a_model_counts_as_whole(model_folder):
    path = model_folder / "generation_config.json"
    path.write_text('{"eos_token_id": ')
    assert refused(model_folder).startswith(f"{path}: not valid JSON (")


def test_code_of_the_repository_is_noted_and_left_alone(model_folder, capsys):
    config = json.loads((model_folder / "config.json").read_text())
    checkpoint_files(model_folder)
    assert capsys.readouterr().err == ""
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Mine"}
    (model_folder / "config.json").write_text(json.dumps(config))
    (model_folder / "modeling.py").write_text("raise SystemExit")
    assert "modeling.py" not in checkpoint_files(model_folder)
    assert capsys.readouterr().err == (
        f"note: {model_folder / 'config.json'}: auto_map names code of the repository; it is "
        "never run, the model is opened as 'qwen3'\n"
    )


def test_a_manifest_of_an_earlier_fetch_is_not_part_of_a_model(model_folder):
    (model_folder / "manifest.json").write_text("{}")
    assert "manifest.json" not in checkpoint_files(model_folder)
