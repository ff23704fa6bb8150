"""An export without the heads and neurons that a mask takes out computes what the model does."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from tests.artefacts.variants import in_memory, random_keeps
from tests.models.test_supported import saved
from tests.models.tiny_models import load_model, save_tiny_model, token_ids, write_manifest
from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.narrow import Narrow, narrowed
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.units import KV_GROUP, NEURON, QUERY_HEAD, block_units

# 36 is a multiple of 6, 4 and 3 heads, and not of 5
SIZES = {"heads": 6, "kv_heads": 3, "hidden": 36, "head_dim": 8}
WINDOWS = ("use_sliding_window", "sliding_window", "max_window_layers", "layer_types")
IDS = token_ids(2, 20).long() % 24  # all models here have these

Units = Mapping[str, Sequence[int]]


@pytest.fixture
def wide(tmp_path: Path) -> Callable[..., Path]:
    """A model with several KV groups and full attention."""

    def made(architecture: str, **options: object) -> Path:
        folder = save_tiny_model(tmp_path / "model", architecture, **SIZES | options)
        config = json.loads((folder / "config.json").read_text())
        if architecture == "qwen2":
            config = {key: value for key, value in config.items() if key not in WINDOWS}
        (folder / "config.json").write_text(json.dumps(config))
        write_manifest(folder)
        return folder

    return made


def without(folder: Path, units_gone: Sequence[Units], **others: object) -> Pruned:
    """A variant of a model that lacks some units of each block."""
    keeps: dict[str, Tensor] = {}
    for units, gone in zip(block_units(open_checkpoint(folder)), units_gone, strict=True):
        keeps |= units.keep(gone) if gone else {}
    return in_memory(folder, keeps, **others)


def biases(folder: Path, roles: Sequence[str] = ("o", "down")) -> dict[str, Tensor]:
    """A bias for some linears of every block."""
    generator = torch.Generator().manual_seed(0)
    return {
        units.linears[role].name.replace("weight", "bias"): torch.randn(
            units.linears[role].shape[0], generator=generator
        )
        for units in block_units(open_checkpoint(folder))
        for role in roles
    }


def exported(folder: Path, pruned: Pruned) -> dict:
    """The config of the export, whose logits are those of the model under its mask.

    Both are computed in float64, but for norms and rotary embeddings: what is summed in another
    order differs in the last bits of those at most.
    """
    checkpoint, place = open_checkpoint(folder), folder.parent / "exported"
    export(checkpoint, pruned, place)
    masked = load_model(folder, torch.float64)
    apply_pruned(masked, pruned, checkpoint)
    narrow = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float64)
    with torch.no_grad():
        expected, found = masked(IDS).logits, narrow.eval()(IDS).logits
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    return json.loads((place / "config.json").read_text())


def sizes_of(config: Mapping[str, object]) -> list[object]:
    keys = ("model_type", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    return [config[key] for key in keys]


def parameters(folder: Path) -> int:
    return sum(map(math.prod, open_checkpoint(folder).shapes.values()))


EVEN = [
    {KV_GROUP: [0], NEURON: [1, 3, 24]},
    {KV_GROUP: [2], NEURON: [0, 1, 2]},
    {KV_GROUP: [1], NEURON: [7, 11, 12]},
]


@pytest.mark.parametrize(
    ("architecture", "options", "kind"),
    [
        ("llama", {}, "llama"),
        ("llama", {"tied": True, "sharded": True}, "llama"),
        ("mistral", {}, "mistral"),
        ("qwen2", {}, "llama"),
        ("qwen3", {}, "qwen3"),
        ("qwen3", {"tied": True}, "qwen3"),
    ],
)
def test_heads_and_neurons_are_left_out(
    wide: Callable[..., Path], architecture: str, options: dict, kind: str
) -> None:
    folder = wide(architecture, **options)
    config = exported(folder, without(folder, EVEN))
    assert (sizes_of(config), config["head_dim"]) == ([kind, 4, 2, 22], 8)
    small, block = folder.parent / "exported", block_units(open_checkpoint(folder))[0]
    lost = 3 * (block.unit_weights(KV_GROUP) + 3 * block.unit_weights(NEURON))
    if architecture == "qwen2":  # of q, k and v; a Llama has one for o as well
        lost += 3 * (4 * 8 - 36)
    assert parameters(folder) - parameters(small) == lost


def test_single_query_heads_are_left_out_where_every_group_loses_as_many(
    wide: Callable[..., Path],
) -> None:
    folder = wide("qwen3")
    removed = [{QUERY_HEAD: heads} for heads in ([0, 2, 4], [1, 3, 5], [0, 3, 4])]
    config = exported(folder, without(folder, removed))
    assert sizes_of(config) == ["qwen3", 3, 3, 25]


def test_keys_that_no_query_is_left_for_go_as_well(wide: Callable[..., Path]) -> None:
    folder = wide("llama")
    removed = [{QUERY_HEAD: heads} for heads in ([0, 1], [2, 3], [4, 5])]
    assert sizes_of(exported(folder, without(folder, removed))) == ["llama", 4, 2, 25]


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_blocks_that_differ_lose_what_the_fullest_loses(
    wide: Callable[..., Path], architecture: str
) -> None:
    folder = wide(architecture)
    removed = [
        {KV_GROUP: [0, 2], NEURON: [1, 3, 24]},
        {KV_GROUP: [2], NEURON: [0]},
        {KV_GROUP: [1], QUERY_HEAD: [5], NEURON: range(12)},
    ]
    pruned = without(folder, removed)
    assert sizes_of(exported(folder, pruned))[1:] == [4, 2, 24]
    found = narrowed(open_checkpoint(folder), pruned)
    assert found.units == {KV_GROUP: (2, 3), QUERY_HEAD: (4, 6), NEURON: (24, 25)}
    assert found.zeros == {QUERY_HEAD: 2 + 1, NEURON: 2 + 11}


def test_a_block_that_keeps_all_keeps_the_others_wide(wide: Callable[..., Path]) -> None:
    folder = wide("llama")
    pruned = without(folder, [{}, *EVEN[1:]])
    assert sizes_of(exported(folder, pruned)) == ["llama", 6, 3, 25]
    assert narrowed(open_checkpoint(folder), pruned) == Narrow(zeros={QUERY_HEAD: 4, NEURON: 6})
    # unless it goes itself
    pruned = without(folder, [{}, *EVEN[1:]], removed=(0,))
    assert sizes_of(exported(folder, pruned)) == ["llama", 4, 2, 22]


def test_one_head_and_one_neuron_are_left_at_least(wide: Callable[..., Path]) -> None:
    folder = wide("llama")
    everything = [{KV_GROUP: range(3), NEURON: range(25)}] * 3
    assert sizes_of(exported(folder, without(folder, everything))) == ["llama", 1, 1, 1]


@pytest.mark.parametrize(
    ("architecture", "biased", "kind"),
    [
        ("llama", (), "mistral"),
        ("llama", ("o", "down"), "seed_oss"),
        ("llama", ("gate",), "seed_oss"),
        ("qwen2", (), "seed_oss"),
        ("qwen2", ("down",), "seed_oss"),
        ("qwen3", (), "qwen3"),
    ],
)
def test_heads_that_a_llama_cannot_have(
    wide: Callable[..., Path], architecture: str, biased: tuple[str, ...], kind: str
) -> None:
    """5 heads do not divide 36: another class with the same blocks has them."""
    folder = wide(architecture, kv_heads=6)
    removed = [{KV_GROUP: [block]} for block in range(3)]
    config = exported(folder, without(folder, removed, changed=biases(folder, biased)))
    assert sizes_of(config) == [kind, 5, 5, 25]
    if kind == "mistral":  # its default is a window of 4096 tokens
        assert config["sliding_window"] is None and "sliding_window" in config


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("roles", [("o", "down"), ("q", "k", "v", "gate", "up", "down"), ("up",)])
def test_new_biases_are_cut_with_their_rows(
    wide: Callable[..., Path], architecture: str, roles: tuple[str, ...]
) -> None:
    folder = wide(architecture)
    config = exported(folder, without(folder, EVEN, changed=biases(folder, roles)))
    assert sizes_of(config) == ["llama", 4, 2, 22]


def test_a_window_that_matters_keeps_the_heads_of_a_qwen2(tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("qwen2", **SIZES)
    found = narrowed(open_checkpoint(folder), without(folder, EVEN))
    assert (found.config, found.zeros) == ({"intermediate_size": 22}, {QUERY_HEAD: 6})


def test_other_architectures_lose_neurons_alone(tmp_path: Path) -> None:
    for kind in ("phi3", "gemma2", "glm"):
        folder = saved(kind, tmp_path / kind / "model").folder
        removed = [{KV_GROUP: [0], NEURON: [block, 11]} for block in range(7)]
        config = exported(folder, without(folder, removed))
        assert sizes_of(config) == [kind, 4, 2, 10]


def test_masks_of_single_weights_leave_all_there(wide: Callable[..., Path], tmp_path: Path) -> None:
    folder = wide("llama")
    pruned = in_memory(folder, random_keeps(folder, 0.5))
    assert narrowed(open_checkpoint(folder), pruned) == Narrow()
    mixture = saved("qwen3_moe", tmp_path / "mixture")
    gone = {name: torch.zeros_like(x) for name, x in random_keeps(mixture.folder).items()}
    assert narrowed(mixture, in_memory(mixture.folder, gone)) == Narrow()
