"""Losses and gradients of the streamed walk against a whole model in float64."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, PreTrainedModel

from workflow_scripts.errors import InputError
from workflow_scripts.models import block_gradients, blocks
from workflow_scripts.models.block_gradients import BlockGradients
from workflow_scripts.models.checkpoints import Checkpoint, open_checkpoint
from workflow_scripts.models.head import open_head, token_losses

IDS = torch.randint(4, 64, (3, 9), generator=torch.Generator().manual_seed(5), dtype=torch.int32)
KINDS = [("llama", False), ("qwen2", False), ("qwen3", True), ("qwen3", False)]


def whole(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()


def losses(model: PreTrainedModel, input_ids: Tensor) -> Tensor:
    logits = model(input_ids.long(), use_cache=False).logits[:, :-1]
    wanted = input_ids[:, 1:].long()
    found = nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
    return found.reshape(wanted.shape)


def walked(checkpoint: Checkpoint) -> Tensor:
    decoder = blocks.open_decoder(checkpoint)
    with torch.no_grad():
        hidden, calls = blocks.embed(decoder, IDS)
        for index, call in enumerate(calls):
            hidden = blocks.run_block(blocks.load_block(decoder, index), hidden, call)
    return token_losses(open_head(decoder), hidden, IDS)


@pytest.mark.parametrize(("kind", "tied"), KINDS)
def test_losses_of_tokens(tiny_model: Callable[..., Path], kind: str, tied: bool) -> None:
    folder = tiny_model(kind, tied=tied)
    with torch.no_grad():
        wanted = losses(whole(folder), IDS)
    torch.testing.assert_close(walked(open_checkpoint(folder)).double(), wanted, rtol=2e-5, atol=0)


STAYING = [2**30, 60_000, 0]  # bytes: of the tiny models all blocks, some and none


@pytest.mark.parametrize("staying", STAYING)
@pytest.mark.parametrize(("kind", "tied"), KINDS)
def test_gradients_of_every_parameter(
    tiny_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    tied: bool,
    staying: int,
) -> None:
    folder = tiny_model(kind, tied=tied)
    monkeypatch.setitem(block_gradients.STAYING, "cpu", staying)
    found = list(block_gradients.block_gradients(open_checkpoint(folder), IDS, squares=True))
    assert [each.block for each in found] == [2, 1, 0]
    model = whole(folder)
    inside = {n: p for n, p in model.named_parameters() if ".layers." in n}
    each = [
        torch.autograd.grad(losses(model, IDS[i : i + 1]).mean(), [*inside.values()])
        for i in range(len(IDS))
    ]
    mean, squares, weights = merged(found)
    assert mean.keys() == squares.keys() == weights.keys() == inside.keys()
    for number, (name, weight) in enumerate(inside.items()):
        own = torch.stack([sample[number] for sample in each])
        close(mean[name], own.mean(0))
        close(squares[name], own.square().mean(0))
        assert torch.equal(weights[name].double(), weight)


def merged(found: list[BlockGradients]) -> tuple[dict[str, Tensor], ...]:
    parts = ("gradients", "squares", "weights")
    return tuple({k: v for each in found for k, v in getattr(each, p).items()} for p in parts)


def close(found: Tensor, wanted: Tensor) -> None:
    """To fp32's rounding of the largest entry: small ones are differences of larger terms."""
    torch.testing.assert_close(
        found.double(), wanted, rtol=0, atol=2e-5 * float(wanted.abs().max())
    )


class Products(TorchDispatchMode):
    """Counts the matrix products that are computed."""

    count = 0

    def __torch_dispatch__(
        self,
        function: Callable[..., object],
        types: object,
        arguments: tuple[object, ...] = (),
        options: Mapping[str, object] | None = None,
    ) -> object:
        self.count += function in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)
        return function(*arguments, **(options or {}))


def test_what_stays_spares_products_and_changes_no_bit(
    tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = open_checkpoint(tiny_model("qwen2"))
    monkeypatch.setitem(blocks.BATCH_TOKENS, "cpu", 18)  # all three samples in two parts
    found, products = [], []
    for staying in STAYING:
        monkeypatch.setitem(block_gradients.STAYING, "cpu", staying)
        with Products() as counted:
            found.append(gradients(checkpoint))
        products.append(counted.count)
    for other in found[1:]:
        assert all(torch.equal(other[name], own) for name, own in found[0].items())
    blocks_run_twice = [(count - products[0]) / (2 * 7) for count in products]
    assert blocks_run_twice == [0, 1, 3]  # in two parts, with seven linears each


def gradients(checkpoint: Checkpoint, wanted: range | None = None) -> dict[str, Tensor]:
    found = list(block_gradients.block_gradients(checkpoint, IDS, wanted=wanted))
    assert all(each.squares is None for each in found)
    return {name: gradient for each in found for name, gradient in each.gradients.items()}


@pytest.mark.parametrize("staying", STAYING)
def test_gradients_of_some_blocks_are_those_of_all(
    tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, staying: int
) -> None:
    checkpoint = open_checkpoint(tiny_model("qwen2"))
    every = gradients(checkpoint)
    monkeypatch.setitem(block_gradients.STAYING, "cpu", staying)
    some = gradients(checkpoint, range(1, 2))
    assert {name.split(".")[2] for name in some} == {"1"}
    assert all(torch.equal(every[name], own) for name, own in some.items())


def test_a_loss_that_is_not_finite_is_one_line(
    tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = open_checkpoint(tiny_model("llama"))
    real = blocks.run_block
    monkeypatch.setattr(blocks, "run_block", lambda *a: real(*a) * float("nan"))
    with pytest.raises(InputError) as refused:
        list(block_gradients.block_gradients(checkpoint, IDS))
    assert str(refused.value) == "sample 0: the model's loss on it is nan"
