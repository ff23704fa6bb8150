"""Every architecture of transformers that has our blocks, with and without some of them."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tests.models.tiny_models import load_model
from workflow_scripts.artefacts.masks import Plan, nothing_pruned, variant_files, write_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export
from workflow_scripts.errors import InputError
from workflow_scripts.models.block_removal import REFUSED, REMOVABLE
from workflow_scripts.models.checkpoints import Checkpoint, linears, open_checkpoint

BLOCKS = 7  # more than any pattern of sliding and full attention is long
REMOVED = (1, 4, 6)
SIZES = {
    "vocab_size": 24, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 2,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
# where an architecture knows them: blocks that differ, and show it within a few tokens
UNEQUAL = {"sliding_window": 3, "use_sliding_window": True, "max_window_layers": 3}
# what older files leave to a default that depends on the number of blocks
BY_BLOCK = ("layer_types", "no_rope_layers")


def tiny(kind: str):
    known = AutoConfig.for_model(kind).to_dict()
    unequal = {key: value for key, value in UNEQUAL.items() if key in known}
    return AutoConfig.for_model(kind, **SIZES, **unequal)


def has_our_blocks(kind: str) -> bool:
    """Whether the architecture's tensors are those that `linears` looks for."""
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(tiny(kind))
        state = model.state_dict()
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        config = {"num_hidden_layers": BLOCKS}
        linears(Checkpoint(Path(), config, {}, shapes, dict.fromkeys(state, "F32"), {}))
    except Exception:  # another architecture, in any way
        return False
    return True


def without_blocks(kind: str, place: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of the whole model, of the loaded model without blocks and of its export."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny(kind))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm" in name else 0.0, 0.4)
    model.save_pretrained(place / "dense")
    path = place / "dense" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in config.items() if k not in BY_BLOCK}))
    checkpoint, pruned = open_checkpoint(place / "dense"), nothing_pruned("", BLOCKS, REMOVED)
    export(checkpoint, pruned, place / "export")
    ids = torch.arange(2, 22)[None]
    with torch.no_grad():
        loaded = load_model(place / "dense")
        whole = loaded(ids, use_cache=False).logits
        apply_pruned(loaded, pruned, checkpoint)
        opened = load_model(place / "export")
        return whole, loaded(ids, use_cache=False).logits, opened(ids, use_cache=False).logits


@pytest.mark.parametrize("kind", REMOVABLE)
def test_an_export_without_blocks_is_the_loaded_model_without_them(
    tmp_path: Path, kind: str
) -> None:
    whole, loaded, opened = without_blocks(kind, tmp_path)
    assert torch.equal(loaded, opened)
    assert not torch.allclose(loaded, whole, atol=0.01)


@pytest.mark.parametrize("kind", REFUSED)
def test_blocks_that_know_their_number_are_not_removed(tmp_path: Path, kind: str) -> None:
    try:
        _, loaded, opened = without_blocks(kind, tmp_path)
        assert not torch.allclose(loaded, opened, atol=0.01)  # or there is nothing to refuse
    except ValueError as error:
        assert "layer" in str(error)  # transformers does not open the export
    checkpoint, files = open_checkpoint(tmp_path / "dense"), variant_files(tmp_path)
    with pytest.raises(InputError) as error:
        write_pruned(files, Plan(removed_blocks=(1,)), checkpoint, "", "blocks", {})
    line = f"{checkpoint.folder / 'config.json'}: no block can be removed from a model of type "
    assert str(error.value).startswith(f"{line}{kind!r}: {REFUSED[kind]}; ")
    assert not files.mask.exists()


def test_no_other_architecture_has_our_blocks() -> None:
    """A new version of transformers may bring some, or these may get others."""
    known = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert {kind for kind in known if has_our_blocks(kind)} == {*REMOVABLE, *REFUSED}
