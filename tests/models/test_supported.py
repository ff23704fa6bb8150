"""Every architecture that is said to be supported: walked, masked, with and without some blocks."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tests.models.tiny_models import load_model
from workflow_scripts.artefacts.masks import (
    Plan,
    PrunedLinear,
    nothing_pruned,
    read_pruned,
    variant_files,
    write_pruned,
)
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export
from workflow_scripts.errors import InputError
from workflow_scripts.models import blocks, reference
from workflow_scripts.models.architectures import empty_model
from workflow_scripts.models.block_removal import REMOVABLE
from workflow_scripts.models.checkpoints import Checkpoint, linears, open_checkpoint
from workflow_scripts.models.experts import as_stored
from workflow_scripts.models.head import open_head
from workflow_scripts.models.linear_names import EXPERTS, place_of
from workflow_scripts.models.supported import BLOCKS_STAY, REFUSED, SUPPORTED

BLOCKS = 7  # more than any pattern of sliding and full attention is long
REMOVED = (0, 4, 6)
SIZES = {
    "vocab_size": 24, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 2,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
# where an architecture knows them: blocks that differ, and show it within a few tokens; experts
OTHERS = {
    "sliding_window": 3, "use_sliding_window": True, "max_window_layers": 3,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "moe_num_experts": 4,
    "moe_intermediate_size": 8, "shared_expert_intermediate_size": 8, "mlp_only_layers": [2],
    "num_experts_per_tok": 2, "moe_topk": 2, "moe_k": 2, "n_group": 1, "topk_group": 1,
}  # fmt: skip
# what older files leave to a default that depends on the number of blocks
BY_BLOCK = ("layer_types", "no_rope_layers")
# with blocks like ours, whose checkpoints have other names, or another model beside the blocks
LOOK_ALIKE = ("aria_text", "exaone_moe", "hy_v3", "mimo_v2_flash", "phi4_multimodal")
IDS = torch.arange(2, 22)[None]


def tiny(kind: str):
    known = AutoConfig.for_model(kind).to_dict()
    others = {key: value for key, value in OTHERS.items() if known.get(key) is not None}
    return AutoConfig.for_model(kind, **SIZES, **others)


def stored_shapes(kind: str) -> dict[str, tuple[int, ...]]:
    """What a checkpoint of the architecture holds, with experts apart wherever they can be."""
    with torch.device("meta"):
        state = AutoModelForCausalLM.from_config(tiny(kind)).state_dict()
    named = {}
    for place in EXPERTS if any(".mlp.experts." in name for name in state) else [None]:
        try:
            named = {name: tuple(tensor.shape) for name, tensor in as_stored(state, place).items()}
            linears(shaped(named))
        except Exception:  # not called so
            continue
        break
    return named


def has_our_blocks(kind: str) -> bool:
    """Whether the architecture's tensors are those that `linears` looks for."""
    try:
        linears(shaped(stored_shapes(kind)))
    except Exception:  # another architecture, in any way
        return False
    return True


def shaped(shapes: dict[str, tuple[int, ...]]) -> Checkpoint:
    config = {"num_hidden_layers": BLOCKS}
    return Checkpoint(Path(), config, {}, shapes, dict.fromkeys(shapes, "F32"), {})


def saved(kind: str, folder: Path) -> Checkpoint:
    """A random model of the architecture."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny(kind))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm" in name else 0.0, 0.4)
    model.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in config.items() if k not in BY_BLOCK}))
    return open_checkpoint(folder)


def masked(checkpoint: Checkpoint, place: Path, removed_blocks: tuple[int, ...]):
    """A variant that removes half the weights of every linear at random, and some blocks."""
    generator = torch.Generator().manual_seed(0)
    found = linears(checkpoint)
    plan = Plan(
        dict.fromkeys((linear.name for linear in found), 0.5),
        (PrunedLinear(x.name, torch.rand(x.shape, generator=generator) < 0.5) for x in found),
        removed_blocks,
    )
    files = variant_files(place)
    write_pruned(files, plan, checkpoint, "", "magnitude", {})
    return read_pruned(files)


@torch.no_grad()
def logits_of_both(checkpoint: Checkpoint, pruned, place: Path) -> tuple[torch.Tensor, ...]:
    """Logits of the whole model, of the loaded model as pruned and of its export."""
    export(checkpoint, pruned, place / "export")
    loaded = load_model(checkpoint.folder)
    whole = loaded(IDS, use_cache=False).logits
    apply_pruned(loaded, pruned, checkpoint)
    opened = load_model(place / "export")
    return whole, loaded(IDS, use_cache=False).logits, opened(IDS, use_cache=False).logits


@torch.no_grad()
def check_walk(checkpoint: Checkpoint) -> None:
    """Blocks one by one, with experts apart, are those of transformers, but for rounding."""
    states: list[torch.Tensor] = []
    model = load_model(checkpoint.folder)
    for layer in model.model.layers:
        layer.register_forward_hook(lambda layer, inputs, output: states.append(output))
    logits = model(IDS, use_cache=False).logits
    decoder = blocks.open_decoder(checkpoint)
    hidden, calls = blocks.embed(decoder, IDS)
    for index, call in enumerate(calls):
        block = blocks.load_block(decoder, index)
        assert all(block.get_submodule(x.module) for x in linears(checkpoint) if x.block == index)
        hidden = blocks.run_block(block, hidden, call)
        torch.testing.assert_close(hidden, states[index], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(open_head(decoder).logits(hidden), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", SUPPORTED)
def test_a_supported_architecture_is_walked_and_pruned_alike_in_memory_and_on_disk(
    tmp_path: Path, kind: str
) -> None:
    checkpoint = saved(kind, tmp_path / "dense")
    empty_model(checkpoint)
    roles = ", ".join(dict.fromkeys(x.role for x in linears(checkpoint)))
    assert all(place_of(x.name) == (x.block, x.part) for x in linears(checkpoint))
    assert SUPPORTED[kind].replace(";", ",").startswith(roles)
    check_walk(checkpoint)
    removed = REMOVED if kind in REMOVABLE else ()
    pruned = masked(checkpoint, tmp_path, removed)
    whole, loaded, opened = logits_of_both(checkpoint, pruned, tmp_path)
    assert torch.equal(loaded, opened)
    assert not torch.allclose(loaded, whole, atol=0.01)
    if removed:  # with half the weights gone, blocks may matter little
        without = nothing_pruned("", BLOCKS, REMOVED)
        _, loaded, opened = logits_of_both(checkpoint, without, tmp_path)
        assert torch.equal(loaded, opened)
        assert not torch.allclose(loaded, whole, atol=0.01)


@pytest.mark.parametrize("kind", BLOCKS_STAY)
def test_blocks_that_know_their_number_are_not_removed(tmp_path: Path, kind: str) -> None:
    checkpoint, files = saved(kind, tmp_path / "dense"), variant_files(tmp_path)
    try:
        pruned = nothing_pruned("", BLOCKS, REMOVED)
        _, loaded, opened = logits_of_both(checkpoint, pruned, tmp_path)
        assert not torch.allclose(loaded, opened, atol=0.01)  # or there is nothing to refuse
    except ValueError as error:
        assert "layer" in str(error)  # transformers does not open the export
    with pytest.raises(InputError) as error:
        write_pruned(files, Plan(removed_blocks=(1,)), checkpoint, "", "blocks", {})
    line = f"{checkpoint.folder / 'config.json'}: no block can be removed from a model of type "
    assert str(error.value).startswith(f"{line}{kind!r}: {BLOCKS_STAY[kind]}; ")
    assert not files.mask.exists()


def test_the_page_of_models_is_that_of_the_table() -> None:
    """`python -m workflow_scripts.models.reference` makes it."""
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page()


def test_every_other_architecture_is_refused_with_a_reason() -> None:
    """A new version of transformers may bring some, or these may get other blocks."""
    known = {*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}
    assert {*SUPPORTED, *REFUSED} == known
    assert not {*SUPPORTED} & {*REFUSED}
    assert {kind for kind in known if has_our_blocks(kind)} == {*SUPPORTED, *LOOK_ALIKE}
