"""How far positions reach, and that each row of a batch has the frequencies it has alone."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import Checkpoint
from workflow_scripts.models.rope import context_length, rotate_rows_apart, switches_after

ORIGINAL = "original_max_position_embeddings"


def checkpoint(**config):
    return Checkpoint(Path("models/mine"), {"max_position_embeddings": 64} | config, {}, {}, {}, {})


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({}, 64),
        ({"rope_scaling": None}, 64),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}, 64),
        # Qwen2.5's recipe, in the new words and in the old
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0, ORIGINAL: 64}}, 256),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, ORIGINAL: 64}}, 256),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, 256),
        # Qwen3's, with room beyond what it was trained on; DeepSeek's, where the context is raised
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, ORIGINAL: 50}}, 200),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, ORIGINAL: 16}}, 64),
        ({"rope_scaling": {"type": "yarn", "factor": None, ORIGINAL: 16}}, 64),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, 128),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.5}}, 160),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, ORIGINAL: 8}}, 64),
        ({"rope_scaling": {"type": "longrope", "factor": 4.0, ORIGINAL: 16}}, 64),
    ],
)
def test_the_context_is_what_positions_are_scaled_to(config, context):
    assert context_length(checkpoint(**config)) == context


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"max_position_embeddings": None}, "max_position_embeddings is 'None'"),
        ({"max_position_embeddings": "64"}, "max_position_embeddings is '64'"),
        ({"rope_scaling": {"type": "yarn", "factor": 0.5}}, "factor is '0.5'"),
    ],
)
def test_what_is_no_number_is_one_line(config, said):
    with pytest.raises(InputError) as caught:
        context_length(checkpoint(**config))
    expected = f"models/mine/config.json: {said}; must be a number of at least 1"
    assert str(caught.value) == expected


def test_only_longrope_switches():
    inside = {"rope_type": "longrope", ORIGINAL: 16}
    assert switches_after(checkpoint(rope_scaling=inside)) == 16
    assert switches_after(checkpoint(rope_scaling=inside, **{ORIGINAL: 32})) == 32  # as in Phi 3
    yarn = {"rope_type": "yarn", "factor": 2.0, ORIGINAL: 16}
    assert switches_after(checkpoint(rope_scaling=yarn)) is None


LONGROPE = {"factor": 8.0, "short_factor": [1.0] * 4, "long_factor": [2.0, 3.0, 4.0, 5.0]}


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "dynamic", "factor": 2.0},
        {"rope_type": "longrope", ORIGINAL: 16} | LONGROPE,
        {"rope_type": "yarn", "factor": 2.0, ORIGINAL: 16},
    ],
    ids=lambda rope: rope["rope_type"],
)
def test_a_row_is_rotated_as_it_is_alone(rope):
    length = 128 if rope["rope_type"] == "longrope" else 16
    config = LlamaConfig(
        hidden_size=16, num_attention_heads=2, max_position_embeddings=length,
        rope_parameters=rope | {"rope_theta": 1e4},
    )  # fmt: skip

    def rotary():
        return LlamaRotaryEmbedding(config)

    together = rotary()
    rotate_rows_apart(together)
    x = torch.zeros(1)
    # the largest first: what it needed is not kept for those after it
    rows = torch.tensor([[40], [30], [3], [40], [15], [16], [0]])
    alone = [rotary()(x, row[None]) for row in rows]
    for found, *expected in zip(together(x, rows), *alone, strict=True):
        assert torch.equal(found, torch.cat(expected))
