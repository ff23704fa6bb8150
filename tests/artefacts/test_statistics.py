import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from workflow_scripts.artefacts.statistics import Statistics, read_statistics, write_statistics
from workflow_scripts.errors import InputError
from workflow_scripts.models.activations import AllSeen, InputSums, token_influence, watched
from workflow_scripts.models.checkpoints import Linear

LINEARS = (Linear("a", 0, "mlp", "up", (3, 2)), Linear("b", 1, "mlp", "up", (2, 4)))
SAMPLE = Statistics(
    sum_squares={"a": torch.tensor([1.5, 0.0]), "b": torch.arange(4.0)},
    sums={"a": torch.tensor([-1.0, 0.0]), "b": -torch.arange(4.0)},
    tokens={"a": 12, "b": 12},
    block_influence=torch.tensor([0.25, 0.5]),
)


@given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 200))
def test_sums_are_those_of_numpy_however_they_come(tokens: int, features: int, cut: int) -> None:
    inputs = torch.randn(tokens, features, generator=torch.Generator().manual_seed(tokens))
    sums = InputSums(features)
    for part in (inputs[:cut], inputs[cut:]):
        sums.add_inputs(part.reshape(1, -1, features))
    wide = inputs.numpy().astype(np.float64)
    np.testing.assert_allclose(sums.sum, wide.sum(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(sums.sum_squares, (wide**2).sum(0), rtol=1e-12)
    assert sums.tokens == tokens


@given(st.integers(1, 300), st.integers(1, 5), st.integers(1, 300))
def test_narrow_activations_are_summed_in_fp32(tokens: int, features: int, cut: int) -> None:
    """In bf16 itself, 8 bits wide, the sum of 300 tokens would be off by percents."""
    inputs = torch.randn(tokens, features, generator=torch.Generator().manual_seed(tokens))
    inputs = (3 + inputs).bfloat16()
    sums = InputSums(features)
    for part in (inputs[:cut], inputs[cut:]):
        sums.add_inputs(part.reshape(1, -1, features))
    wide = inputs.double().numpy()
    np.testing.assert_allclose(sums.sum, wide.sum(0), rtol=1e-6)
    np.testing.assert_allclose(sums.sum_squares, (wide**2).sum(0), rtol=2e-6)
    assert sums.tokens == tokens


class Block(nn.Module):
    """Two linears on the same tensor, one on another, and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(3, 3) for _ in range(3))
        self.idle = nn.Linear(3, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.third(self.first(inputs) + self.second(inputs))


@torch.no_grad()
def test_every_linear_is_watched_and_no_hook_stays() -> None:
    block, batches = Block(), [torch.randn(2, 5, 3), torch.randn(1, 5, 3)]
    with watched(block, ("first", "second", "third")) as sums:
        for batch in batches:
            block(batch)
    inputs = torch.cat([batch.reshape(-1, 3) for batch in batches]).double()
    between = (block.first(inputs.float()) + block.second(inputs.float())).double()
    for name, expected in (("first", inputs), ("second", inputs), ("third", between)):
        assert sums[name].tokens == 15
        torch.testing.assert_close(sums[name].sum, expected.sum(0), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(sums[name].sum_squares, expected.square().sum(0))
    assert not any(module._forward_pre_hooks for module in block.modules())


def test_a_batch_that_comes_twice_counts_twice() -> None:
    block, batch = Block(), torch.randn(4, 3)
    with watched(block, ("first", "second", "third")) as sums:
        block(batch)
        block(batch)
    assert {name: found.tokens for name, found in sums.items()} == {
        "first": 8,
        "second": 8,
        "third": 8,
    }


@torch.no_grad()
def test_a_pass_that_stops_has_the_same_sums_and_leaves_out_the_last_product() -> None:
    block, products = Block(), []
    for name in ("first", "second", "third"):
        linear = block.get_submodule(name)
        linear.register_forward_hook(lambda *_, name=name: products.append(name))
    batches = [torch.randn(4, 3), torch.randn(2, 3)]
    for modules in (("first", "second", "third"), ("first", "second")):
        with watched(block, modules) as whole:
            for batch in batches:
                block(batch)
        products.clear()
        with watched(block, modules, stop=True) as sums:
            for batch in batches:
                with pytest.raises(AllSeen):
                    block(batch)
        assert products == [*modules[:-1]] * 2
        for name in modules:
            assert sums[name].tokens == 6
            assert torch.equal(sums[name].sum_squares, whole[name].sum_squares)
            assert torch.equal(sums[name].sum, whole[name].sum)


def test_hooks_are_removed_when_the_block_fails() -> None:
    block = Block()
    with pytest.raises(RuntimeError), watched(block, ("first",)):
        block(torch.randn(4, 5))
    assert not any(module._forward_pre_hooks for module in block.modules())


def test_a_linear_that_never_ran_is_an_error() -> None:
    block = Block()
    with pytest.raises(ValueError, match="idle never ran"), watched(block, ("first", "idle")):
        block(torch.randn(4, 3))


def test_token_influence_is_one_minus_the_cosine() -> None:
    before = torch.tensor([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0], [1e15, 0.0], [0.0, 0.0]])
    after = torch.tensor([[0.0, 3.0], [2.0, 2.0], [-1.0, 0.0], [1e15, 1e15], [1.0, 0.0]])
    found = token_influence(before, after)
    expected = torch.tensor([1.0, 0.0, 2.0, 1 - math.sqrt(0.5)])
    torch.testing.assert_close(found[:4], expected)
    assert found[4].isnan()


def test_statistics_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    write_statistics(path, SAMPLE, "model", "calibration")
    read = read_statistics(path, LINEARS, "model")
    for name in ("a", "b"):
        assert torch.equal(read.sum_squares[name], SAMPLE.sum_squares[name])
        assert torch.equal(read.sums[name], SAMPLE.sums[name])
    assert read.tokens == SAMPLE.tokens
    assert torch.equal(read.block_influence, SAMPLE.block_influence)


def test_a_single_token_is_counted_and_read_as_one(tmp_path: Path) -> None:
    block, path = Block(), tmp_path / "s.safetensors"
    with watched(block, ("first",)) as found:
        block(torch.tensor([[[3.0, -2.0, 0.0]]]))
    sums = found["first"]
    write_statistics(
        path,
        Statistics(
            {"a": sums.sum_squares.float()},
            {"a": sums.sum.float()},
            {"a": sums.tokens},
            torch.ones(1),
        ),
        "model",
        "calibration",
    )
    read = read_statistics(path, (Linear("a", 0, "mlp", "up", (3, 3)),), "model")
    assert read.tokens == {"a": 1}
    assert read.sums["a"].tolist() == [3, -2, 0] and read.sum_squares["a"].tolist() == [9, 4, 0]


def changed(**changes: dict) -> Statistics:
    fields = {name: dict(getattr(SAMPLE, name)) for name in ("sum_squares", "sums", "tokens")}
    for name, change in changes.items():
        if name in fields:
            fields[name] |= change
    return Statistics(
        **fields, block_influence=changes.get("block_influence", SAMPLE.block_influence)
    )


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        (
            changed(sum_squares={"b": torch.tensor([1.0, math.nan, 1.0, 1.0])}),
            "b.sum_squares holds NaN or infinite values",
        ),
        (
            changed(sums={"a": torch.tensor([math.inf, 1.0])}),
            "a.sum holds NaN or infinite values",
        ),
        (
            changed(block_influence=torch.tensor([math.nan, 1.0])),
            "block_influence holds NaN or infinite values",
        ),
        (changed(block_influence=torch.ones(3)), "block_influence has shape (3,), not (2,)"),
        (changed(sum_squares={"a": torch.ones(3)}), "a.sum_squares has shape (3,), not (2,)"),
    ],
)
def test_statistics_that_are_refused(tmp_path: Path, statistics: Statistics, message: str) -> None:
    path = tmp_path / "s.safetensors"
    write_statistics(path, statistics, "model", "calibration")
    with pytest.raises(InputError) as error:
        read_statistics(path, LINEARS, "model")
    assert str(error.value) == f"{path}: {message}"


def test_statistics_of_another_model_or_without_a_linear(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    write_statistics(path, SAMPLE, "model", "calibration")
    with pytest.raises(InputError) as error:
        read_statistics(path, LINEARS, "other")
    assert str(error.value) == (
        f"{path}: statistics of another model (digest model, this model's is other)"
    )
    more = (*LINEARS, Linear("c", 1, "mlp", "down", (1, 1)))
    with pytest.raises(InputError, match="s.safetensors: has no tensor c.sum_squares$"):
        read_statistics(path, more, "model")
