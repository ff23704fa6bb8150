"""Units are what can be cut out of a block: a masked model computes what a narrower one does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from tests.models.test_supported import saved
from tests.models.tiny_models import load_model, token_ids
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import linears, open_checkpoint
from workflow_scripts.models.supported import SUPPORTED
from workflow_scripts.models.units import (
    COLUMNS,
    KV_GROUP,
    NEURON,
    QUERY_HEAD,
    ROWS,
    block_units,
)

HEADS, KV_HEADS, HEAD_DIM, HIDDEN, NEURONS = 6, 3, 8, 36, 25
IN_GROUP = HEADS // KV_HEADS
# hidden states are narrower than all heads together, and 36 is a multiple of 6, 4 and 3 heads
SIZES = {"heads": HEADS, "kv_heads": KV_HEADS, "hidden": HIDDEN, "head_dim": HEAD_DIM}
KINDS = ("llama", "qwen2", "qwen3", "phi3")


@pytest.fixture
def wide_model(tiny_model: Callable[..., Path]) -> Callable[[str], Path]:
    """A model with several KV groups, with biases of q, k and v (qwen2), q/k norms or one matrix
    for q, k and v and one for gate and up.
    """
    return lambda architecture: tiny_model(architecture, **SIZES)


def without(rows: Tensor, sizes: tuple[int, ...], axis: int, gone: list[int]) -> Tensor:
    """Rows reshaped to `sizes` without some entries along an axis, and joined again."""
    cut = np.delete(rows.reshape(*sizes, *rows.shape[1:]).numpy(), gone, axis)
    return torch.from_numpy(cut).reshape(-1, *rows.shape[1:])


def narrowed(name: str, tensor: Tensor, kind: str, gone: list[int]) -> Tensor:
    """A tensor of the model without units: by reshaping, head by head."""
    per_group, per_head = (KV_HEADS, IN_GROUP * HEAD_DIM), (HEADS, HEAD_DIM)
    queries = per_group if kind == KV_GROUP else per_head
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        return tensor
    if kind == NEURON:
        if "gate_up_proj" in name:
            return without(tensor, (2, NEURONS), 1, gone)
        if "gate_proj" in name or "up_proj" in name:
            return without(tensor, (NEURONS,), 0, gone)
        return without(tensor.T, (NEURONS,), 0, gone).T if "down_proj.weight" in name else tensor
    if "qkv_proj" in name:
        q, k, v = tensor.split([n * HEAD_DIM for n in (HEADS, KV_HEADS, KV_HEADS)])
        keys = [k, v]
        if kind == KV_GROUP:
            keys = [without(one, (KV_HEADS, HEAD_DIM), 0, gone) for one in keys]
        return torch.cat([without(q, queries, 0, gone), *keys])
    if "q_proj" in name:
        return without(tensor, queries, 0, gone)
    if ("k_proj" in name or "v_proj" in name) and kind == KV_GROUP:
        return without(tensor, (KV_HEADS, HEAD_DIM), 0, gone)
    return without(tensor.T, queries, 0, gone).T if "o_proj.weight" in name else tensor


@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize(
    ("kind", "gone"),
    [(KV_GROUP, [1]), (KV_GROUP, [0, 2]), (QUERY_HEAD, [0, 3, 4]), (NEURON, [0, 7, 8, 24])],
)
def test_a_masked_model_is_a_narrower_one(
    wide_model: Callable[[str], Path], architecture: str, kind: str, gone: list[int]
) -> None:
    folder = wide_model(architecture)
    masked, config = load_model(folder, torch.float64), AutoConfig.from_pretrained(folder)
    dense = {name: tensor.clone() for name, tensor in masked.state_dict().items()}
    with torch.no_grad():
        for units in block_units(open_checkpoint(folder)):
            for name, keep in units.keep({kind: gone}).items():
                masked.get_parameter(name).masked_fill_(~keep, 0)
    config.head_dim = HEAD_DIM
    if kind == KV_GROUP:
        config.num_key_value_heads -= len(gone)
        config.num_attention_heads -= len(gone) * IN_GROUP
    elif kind == QUERY_HEAD:  # one of every group
        config.num_attention_heads -= len(gone)
    else:
        config.intermediate_size -= len(gone)
    narrow = AutoModelForCausalLM.from_config(config, dtype=torch.float64).eval()
    narrow.load_state_dict({name: narrowed(name, x, kind, gone) for name, x in dense.items()})
    ids = token_ids(2, 12).long()
    with torch.no_grad():
        expected, found = narrow(ids).logits, masked(ids).logits
        assert (load_model(folder, torch.float64)(ids).logits - found).abs().max() > 0.01
    # rotary embeddings and norms are in fp32 in both
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("architecture", KINDS)
def test_what_a_unit_has(wide_model: Callable[[str], Path], architecture: str) -> None:
    checkpoint = open_checkpoint(wide_model(architecture))
    here = [linear for linear in linears(checkpoint) if linear.block == 1]
    units = block_units(checkpoint)[1]
    assert list(units.linears.values()) == here
    assert units.weights == sum(linear.weights for linear in here)
    assert [units.count(kind) for kind in (KV_GROUP, QUERY_HEAD, NEURON)] == [
        KV_HEADS,
        HEADS,
        NEURONS,
    ]
    sizes = {
        KV_GROUP: (2 * IN_GROUP + 2) * HEAD_DIM * HIDDEN,
        QUERY_HEAD: 2 * HEAD_DIM * HIDDEN,
        NEURON: 3 * HIDDEN,
    }
    for kind, weights in sizes.items():
        assert units.unit_weights(kind) == weights
        for unit in range(units.count(kind)):
            keep = units.keep({kind: [unit]})
            assert sum(int((~mask).sum()) for mask in keep.values()) == weights
            for lines in units.lines(kind):
                cut = ~keep[lines.linear.name].all(1 - lines.dimension)
                assert torch.equal(lines.of(unit), cut.nonzero().squeeze(1))
    everything = {KV_GROUP: range(KV_HEADS), NEURON: range(NEURONS)}
    assert not any(mask.any() for mask in units.keep(everything).values())
    assert all(mask.all() for mask in units.keep({}).values())


def test_sums_of_lines(wide_model: Callable[[str], Path]) -> None:
    units = block_units(open_checkpoint(wide_model("llama")))[0]
    q, o = units.lines(QUERY_HEAD)
    values = torch.arange(HEADS * HEAD_DIM)
    for lines in (q, o):
        assert torch.equal(
            lines.sums(values, HEADS), values.reshape(HEADS, HEAD_DIM).sum(1).double()
        )
    qkv = block_units(open_checkpoint(wide_model("phi3")))[0].lines(QUERY_HEAD)[0]
    values = torch.ones(len(qkv.owner))
    assert qkv.sums(values, HEADS).tolist() == [HEAD_DIM] * HEADS


DEPENDENT = {"bitnet", "diffllama", "granite_swa", "olmo2", "olmo3"}


@pytest.mark.parametrize("kind", sorted(SUPPORTED))
def test_heads_and_neurons_of_every_architecture_do_not_depend_on_others(
    kind: str, tmp_path: Path
) -> None:
    """Without the columns that read it a unit is gone; its rows make no difference then."""
    checkpoint = saved(kind, tmp_path)
    if kind in DEPENDENT or any(linear.of_expert for linear in linears(checkpoint)):
        with pytest.raises(InputError, match="width pruning needs"):
            block_units(checkpoint)
        return
    logits = []
    for dimensions in ((ROWS, COLUMNS), (COLUMNS,)):
        model = load_model(tmp_path)
        with torch.no_grad():
            for units in block_units(checkpoint):
                for unit_kind, gone in ((KV_GROUP, [0]), (NEURON, [1, 5])):
                    for lines in units.lines(unit_kind):
                        weight = model.get_parameter(lines.linear.name)
                        if lines.dimension in dimensions:
                            out = torch.isin(lines.owner, torch.tensor(gone))
                            (weight if lines.dimension == ROWS else weight.T)[out] = 0
            logits.append(model(token_ids(1, 20).long() % 24, use_cache=False).logits)
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=0)


def test_models_without_such_units(tmp_path: Path) -> None:
    instead = "methods that remove single weights or whole blocks can prune it"
    mixture = saved("qwen3_moe", tmp_path / "mixture")
    with pytest.raises(InputError) as error:
        block_units(mixture)
    assert str(error.value) == (
        f"{mixture.folder}: its blocks have no MLP neurons that every token passes, as width "
        "pruning needs: model.layers.0.mlp.experts.0.gate_proj.weight is an expert's; " + instead
    )
    tied = saved("olmo2", tmp_path / "tied")
    with pytest.raises(InputError) as error:
        block_units(tied)
    assert str(error.value) == (
        f"{tied.folder}: width pruning needs heads and neurons that do not depend on one another, "
        f"and model.layers.0.self_attn.k_norm.weight is of all of them together; {instead}"
    )
    config = {**tied.config, "num_attention_heads": 3}
    with pytest.raises(InputError) as error:
        block_units(replace(tied, config=config))
    assert str(error.value) == (
        f"{tied.folder / 'config.json'}: num_attention_heads is 3, and "
        "model.layers.0.self_attn.o_proj.weight reads 8 numbers from all heads together"
    )
