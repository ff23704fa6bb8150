import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tests.artefacts.variants import on_disk, random_keeps
from tests.models.tiny_models import (
    ARCHITECTURES,
    VOCABULARY,
    folder_bytes,
    load_model,
    save_allocation,
    save_tiny_model,
    token_ids,
    write_manifest,
)
from workflow_scripts.artefacts.masks import VariantFiles, read_pruned, variant_files
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.errors import InputError
from workflow_scripts.masking import build_mask, export_checkpoint
from workflow_scripts.models.checkpoints import linears, load_tensor, model_digest, open_checkpoint
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor, save_tensors

MADE_FROM = {
    "model": "tiny",
    "variant": "half",
    "entry": {"method": "magnitude", "sparsity": 0.5},
    "device": "cpu",
    "sets": {},
}


def random_mask(place: Path, folder: Path, removed: tuple[int, ...] = ()) -> VariantFiles:
    """A mask of half of the weights, and the blocks that it removes."""
    return on_disk(place, folder, random_keeps(folder, 0.5), removed)


def export(folder: Path, files: VariantFiles, output: Path) -> Path:
    stage = ["--model", folder, "--mask", files.mask, "--weights", files.weights]
    stage += ["--record", files.record, "--output", output, "--made-from", json.dumps(MADE_FROM)]
    export_checkpoint.main([str(part) for part in stage])
    return output


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("removed", [(), (0, 2)])
def test_an_export_is_the_masked_model(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    sharded: bool,
    tied: bool,
    removed: tuple[int, ...],
) -> None:
    folder = tiny_model(architecture, sharded=sharded, tied=tied, dtype=torch.bfloat16)
    paths = random_mask(tmp_path, folder, removed)
    exported = export(folder, paths, tmp_path / "checkpoint")
    masked = load_model(folder, torch.bfloat16)
    apply_pruned(masked, read_pruned(paths), open_checkpoint(folder))
    opened = load_model(exported, "auto")
    assert opened.dtype == torch.bfloat16
    expected = dict(masked.named_parameters())
    for name, parameter in opened.named_parameters():
        assert torch.equal(parameter, expected.pop(name)), name
    assert expected == {}
    with torch.no_grad():
        input_ids = token_ids(2, 9).long()
        assert torch.equal(opened(input_ids).logits, masked(input_ids).logits)
    same = opened.lm_head.weight is opened.model.embed_tokens.weight
    assert same == tied == ("lm_head.weight" not in open_checkpoint(exported).files)
    for key in ("num_hidden_layers", "layer_types", "max_window_layers"):
        assert getattr(opened.config, key, None) == getattr(masked.config, key, None), key


def test_an_export_is_a_model_of_its_own(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    """Fetched again, it goes through the stages like any other model."""
    exported = export(tiny_model(), random_mask(tmp_path, tiny_model(), (1,)), tmp_path / "out")
    write_manifest(exported)
    assert len(linears(open_checkpoint(exported))) == 2 * 7
    assert model_digest(exported) != model_digest(tiny_model())
    allocation = save_allocation(tmp_path / "allocation.json", exported, 0.5)
    stage = ["--model", exported, "--options", '{"method": "magnitude", "sparsity": 0.5}']
    stage += ["--allocation", allocation]
    files = variant_files(tmp_path / "again")
    stage += ["--mask", files.mask, "--weights", files.weights, "--record", files.record]
    build_mask.main([str(part) for part in stage])
    assert read_pruned(files).record.blocks == 2


def test_a_dense_export_is_the_checkpoint(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = Path(shutil.copytree(tiny_model("qwen2", sharded=True), tmp_path / "model"))
    for name in (".converted.json", "training_args.bin", "modeling.py"):
        (folder / name).touch()  # what is no part of a model
    exported = export(folder, on_disk(tmp_path, folder, {}), tmp_path / "checkpoint")
    names, left = ({path.name for path in place.iterdir()} for place in (folder, exported))
    left.remove("README.md")
    ours = {"manifest.json", ".manifest.json.sha256"}
    assert names - left == {*ours, ".converted.json", "training_args.bin", "modeling.py"}
    assert left <= names
    for name in ("config.json", "model.safetensors.index.json"):
        ours, theirs = (json.loads((place / name).read_text()) for place in (exported, folder))
        assert ours.pop("metadata", {}).get("total_size") == (
            theirs.pop("metadata", {}).get("total_size")
        )
        assert ours == theirs
    before, after = dict(load_model(folder).named_parameters()), load_model(exported)
    assert all(torch.equal(before[name], weight) for name, weight in after.named_parameters())
    encoded = AutoTokenizer.from_pretrained(exported)("a+b=3<end>")["input_ids"]
    assert encoded == AutoTokenizer.from_pretrained(folder)("a+b=3<end>")["input_ids"]


def test_shards_that_lose_all_their_tensors_are_left_out(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model("llama", sharded=True)
    files = open_checkpoint(folder).files
    emptied = {
        path.name
        for path in files.values()
        if all(name.startswith("model.layers.1.") for name, at in files.items() if at == path)
    }
    assert emptied
    exported = export(folder, random_mask(tmp_path, folder, (1,)), tmp_path / "checkpoint")
    names = {path.name for path in exported.glob("*.safetensors")}
    assert names == {path.name for path in files.values()} - emptied
    index = json.loads((exported / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == names
    kept = open_checkpoint(exported)
    sizes = [load_tensor(kept, name).nbytes for name in kept.files]
    assert index["metadata"]["total_size"] == sum(sizes)


def test_lists_that_the_config_leaves_to_a_default_are_written_out(tmp_path: Path) -> None:
    """The window starts at block 2 of the dense model, at block 1 of what is left."""
    folder = save_tiny_model(tmp_path / "model", "qwen2", blocks=4)
    config = json.loads((folder / "config.json").read_text())
    del config["layer_types"]
    (folder / "config.json").write_text(json.dumps({**config, "max_window_layers": 2}))
    write_manifest(folder)
    exported = export(folder, random_mask(tmp_path, folder, (0,)), tmp_path / "checkpoint")
    opened = AutoConfig.from_pretrained(exported)
    assert opened.layer_types == ["full_attention", "sliding_attention", "sliding_attention"]
    assert (opened.num_hidden_layers, opened.max_window_layers) == (3, 1)


def test_lists_that_only_transformers_can_complete_are_written_out(tmp_path: Path) -> None:
    """SmolLM3 leaves out the rotary embedding of every fourth block, counted in the dense model."""
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 6}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    tokens = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = AutoConfig.for_model("smollm3", **sizes, **heads, **tokens)
    folder = tmp_path / "model"
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text())
    assert written.pop("no_rope_layers") == [1, 1, 1, 0, 1, 1]
    (folder / "config.json").write_text(json.dumps(written))
    write_manifest(folder)
    exported = export(folder, random_mask(tmp_path, folder, (0,)), tmp_path / "checkpoint")
    assert AutoConfig.from_pretrained(exported).no_rope_layers == [1, 1, 0, 1, 1]


def test_a_tensor_that_lies_in_two_shards_is_written_once(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder, name = Path(shutil.copytree(tiny_model(sharded=True), tmp_path / "m")), "extra.weight"
    first, second, *_ = sorted(folder.glob("*.safetensors"))
    for path, value in ((first, 1.0), (second, 2.0)):
        file = open_tensors(path)
        tensors = {key: read_tensor(file, key) for key in file.entries}
        save_tensors(path, {**tensors, name: torch.tensor([value])}, file.metadata)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"][name] = second.name
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    write_manifest(folder)
    exported = export(folder, random_mask(tmp_path, folder), tmp_path / "checkpoint")
    assert name not in open_tensors(exported / first.name).entries
    assert read_tensor(open_tensors(exported / second.name), name) == 2.0


def test_equal_masks_are_equal_bytes(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("qwen3", sharded=True)
    paths = random_mask(tmp_path, folder, (1,))
    first, second = (export(folder, paths, tmp_path / name) for name in "ab")
    assert folder_bytes(first) == folder_bytes(second)


def test_dense_weights_in_other_formats_do_not_go_along(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    for name in ("pytorch_model.bin", "model.gguf", "training_args.bin"):
        (folder / name).write_bytes(b"dense")
    (folder / "vocab.txt").write_text("a\n")
    exported = export(folder, random_mask(tmp_path, folder), tmp_path / "checkpoint")
    assert {path.name for path in exported.iterdir()} == {
        "README.md",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }


def test_links_become_files(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in tiny_model().iterdir():
        (folder / path.name).symlink_to(path)
    exported = export(folder, random_mask(tmp_path, folder), tmp_path / "checkpoint")
    assert not any(path.is_symlink() for path in exported.iterdir())


def test_a_failed_export_leaves_what_was_there(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    paths = random_mask(tmp_path, folder)
    exported = export(folder, paths, tmp_path / "place" / "checkpoint")
    before = folder_bytes(exported)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-4:] = b"\xff\xff\xff\xff"  # a NaN in the last weight
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="holds NaN or infinite values"):
        export(folder, paths, exported)
    assert folder_bytes(exported) == before
    assert [path.name for path in exported.parent.iterdir()] == ["checkpoint"]


def test_a_mask_of_another_model_is_refused(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder, other = tiny_model("llama"), tiny_model("llama", seed=1)
    paths = random_mask(tmp_path, other)
    with pytest.raises(InputError) as error:
        export(folder, paths, tmp_path / "checkpoint")
    assert str(error.value) == (
        f"{paths.record}: mask of another model (digest {model_digest(other)}, this model's is "
        f"{model_digest(folder)})"
    )
    assert not (tmp_path / "checkpoint").exists()
