"""Sliced models: how many parameters they have, and that they decode as they read."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.models.tiny_models import load_model
from workflow_scripts.models.checkpoints import Checkpoint, open_checkpoint
from workflow_scripts.models.sliced import (
    ScaleFreeNorm,
    folded_scales,
    slice_model,
    sliced_shapes,
    sliced_width,
)

# hidden, MLP, blocks, query heads, KV heads, head size, vocabulary, tied
SIZES = {
    "Llama-3.1-8B": (4096, 14336, 32, 32, 8, 128, 128256, False),
    "Qwen3-8B": (4096, 12288, 36, 32, 8, 128, 151936, False),
    "s1.1-7B": (3584, 18944, 28, 28, 4, 128, 152064, False),
    "Qwen3-0.6B": (1024, 3072, 28, 16, 8, 128, 151936, True),
}
SHARES = (0.2, 0.25, 0.3, 0.4)
# by slicing: width, percent of an inner block's and of all parameters that go; for the former the
# formula is 1 - ((1 - s) P + 2 (1 - s)² D²) / P with P parameters in a block
SAVED = {
    "Llama-3.1-8B": [
        (3272, 10.3, 10.1), (3072, 16.4, 15.6), (2864, 22.6, 21.3), (2456, 34.5, 32.3)
    ],
    "Qwen3-8B": [(3272, 9.0, 9.0), (3072, 15.2, 14.6), (2864, 21.6, 20.4), (2456, 33.8, 31.4)],
    "s1.1-7B": [(2864, 13.0, 12.4), (2688, 18.8, 17.6), (2504, 24.8, 23.1), (2144, 36.2, 33.5)],
    "Qwen3-0.6B": [(816, 11.9, -12.2), (768, 17.5, -6.8), (712, 24.0, -0.6), (608, 35.9, 10.8)],
}  # fmt: skip


def checkpoint_of(model: str) -> Checkpoint:
    """A checkpoint of a real model's shapes, which holds nothing."""
    hidden, mlp, blocks, heads, kv_heads, size, vocabulary, tied = SIZES[model]
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    if not tied:
        shapes["lm_head.weight"] = (vocabulary, hidden)
    for block in range(blocks):
        prefix = f"model.layers.{block}."
        for role, rows in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
            shapes[f"{prefix}self_attn.{role}_proj.weight"] = (rows * size, hidden)
            if model == "s1.1-7B":
                shapes[f"{prefix}self_attn.{role}_proj.bias"] = (rows * size,)
        shapes[f"{prefix}self_attn.o_proj.weight"] = (hidden, heads * size)
        shapes[f"{prefix}mlp.gate_proj.weight"] = (mlp, hidden)
        shapes[f"{prefix}mlp.up_proj.weight"] = (mlp, hidden)
        shapes[f"{prefix}mlp.down_proj.weight"] = (hidden, mlp)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{prefix}{norm}.weight"] = (hidden,)
    config = {"num_hidden_layers": blocks}
    dtypes = dict.fromkeys(shapes, "BF16")
    return Checkpoint(Path(model), config, dict.fromkeys(shapes, Path(model)), shapes, dtypes, {})


@pytest.mark.parametrize(
    ("model", "slicing", "saved"),
    [(m, s, saved) for m in SIZES for s, saved in zip(SHARES, SAVED[m], strict=True)],
)
def test_what_slicing_saves(model: str, slicing: float, saved: tuple[int, float, float]) -> None:
    checkpoint = checkpoint_of(model)
    width = sliced_width(SIZES[model][0], slicing, 8)
    assert width == saved[0]
    sliced = checkpoint.shapes | sliced_shapes(checkpoint, width)
    for name in folded_scales(checkpoint):
        del sliced[name]
    for prefix, percent in (("model.layers.0.", saved[1]), ("", saved[2])):
        before, after = (
            sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(prefix))
            for shapes in (checkpoint.shapes, sliced)
        )
        # rounded there, and without norms and biases
        assert 100 * (1 - after / before) == pytest.approx(percent, abs=0.06)


def test_widths_are_rounded_down() -> None:
    assert sliced_width(1280, 0.9, 128) == 128  # 0.1 * 1280 is 127.99...
    assert sliced_width(100, 0.25, 8) == 72
    assert sliced_width(100, 0.25, 1) == 75
    assert sliced_width(18, 0.7, 8) == 0


def test_a_norm_counts_what_was_cut_as_zero() -> None:
    x = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(ScaleFreeNorm(4, 0.0)(x), x / 2.5)
    torch.testing.assert_close(ScaleFreeNorm(4, 2.75)(x), x / 3)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_decoding_token_by_token_is_one_pass(
    tiny_model: Callable[..., Path], architecture: str
) -> None:
    folder = tiny_model(architecture, tied=architecture == "llama")
    checkpoint, model = open_checkpoint(folder), load_model(folder)
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(shape, generator=generator) * 0.3
        for name, shape in sliced_shapes(checkpoint, 12).items()
    }
    slice_model(model, tensors)
    assert model.get_input_embeddings().weight.shape == (64, 12)
    ids = torch.randint(64, (2, 9), generator=generator)
    with torch.no_grad():
        whole = model(ids, use_cache=False).logits
        cache, steps = None, []
        for token in ids.split(1, dim=1):
            out = model(token, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            steps.append(out.logits)
    torch.testing.assert_close(torch.cat(steps, 1), whole, rtol=1e-4, atol=1e-4)
