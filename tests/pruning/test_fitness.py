"""Models pruned in memory, against whole models of transformers in float64."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.models.tiny_models import ARCHITECTURES, load_model, token_ids
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.pruning.fitness import (
    divergence,
    drawn,
    embedded,
    hold,
    mean_loss,
    outputs,
)

MODELS = [*((name, False) for name in ARCHITECTURES), ("qwen3", True)]


def logits(model: PreTrainedModel, input_ids: Tensor) -> Tensor:
    with torch.no_grad():
        return model(input_ids=input_ids.long(), use_cache=False).logits


def kl(dense: Tensor, other: Tensor) -> float:
    p, q = dense.softmax(-1), other.softmax(-1)
    return (p * (p / q).log()).sum(-1).mean().item()


@pytest.mark.parametrize(("architecture", "tied"), MODELS)
def test_divergence_and_loss_are_those_of_a_whole_model(
    tiny_model: Callable[..., Path], architecture: str, tied: bool
) -> None:
    folder, input_ids = tiny_model(architecture, tied=tied), token_ids(40, 16)  # chunks of 512
    held = hold(open_checkpoint(folder))
    ready = embedded(held, input_ids)
    zeros = {"self_attn.o_proj": torch.zeros_like(held.blocks[1].self_attn.o_proj.weight)}
    found = outputs(held, ready, lambda block: zeros if block == 1 else {})
    dense = outputs(held, ready)  # the weights are back

    model = load_model(folder, torch.float64)
    expected = logits(model, input_ids)
    model.model.layers[1].self_attn.o_proj.weight.data.zero_()
    changed = logits(model, input_ids)
    loss = torch.nn.functional.cross_entropy(
        changed[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten().long()
    )
    assert divergence(held.head, dense, dense) == 0
    assert divergence(held.head, dense, found) == pytest.approx(kl(expected, changed), rel=1e-5)
    assert mean_loss(held.head, found, input_ids) == pytest.approx(loss.item(), rel=1e-5)


def test_a_block_that_is_not_there_hands_on_what_it_was_given(
    tiny_model: Callable[..., Path],
) -> None:
    folder, input_ids = tiny_model("qwen3"), token_ids(3, 16)
    held = hold(open_checkpoint(folder))
    ready = embedded(held, input_ids)
    found = outputs(held, ready, lambda block: None if block == 1 else {})
    model = load_model(folder, torch.float64)
    del model.model.layers[1]
    torch.testing.assert_close(
        held.head.logits(found).double(), logits(model, input_ids), atol=1e-4, rtol=1e-5
    )


def test_tokens_are_drawn_by_whole_samples() -> None:
    input_ids = token_ids(9, 16)
    some = drawn(input_ids, 50, random.Random(0))
    assert some.shape == (3, 16)
    assert {tuple(row) for row in some.tolist()} <= {tuple(row) for row in input_ids.tolist()}
    assert not torch.equal(some, drawn(input_ids, 50, random.Random(1)))
    assert torch.equal(drawn(input_ids, 10**6, random.Random(0)), input_ids)
    (short,) = drawn(input_ids, 5, random.Random(0)).tolist()
    assert short in input_ids[:, :5].tolist()
