"""The formulas, on gradients that are made up: no model, every reference written out."""

import weakref
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.calibration.influence import (
    HESSIANS,
    datainf_influence,
    dot,
    identity_influence,
    part_scores,
)
from workflow_scripts.models.checkpoints import Linear

SHAPES = {"a": (2, 3), "b": (1, 4), "c": (3, 3)}
Samples = list[dict[str, torch.Tensor]]


def draw(count: int, seed: int, scale: float = 1.0) -> Samples:
    """Gradients of `count` samples, fp32, some linears with much larger ones than others."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"a": scale, "b": 30 * scale, "c": 0.01 * scale}
    return [
        {
            name: torch.randn(shape, generator=generator) * sizes[name]
            for name, shape in SHAPES.items()
        }
        for _ in range(count)
    ]


def show(sample: dict[str, torch.Tensor], visit: Callable[[str, torch.Tensor], None]) -> None:
    for name, gradient in sample.items():
        visit(name, gradient.clone())


def vectors(samples: Samples, name: str) -> np.ndarray:
    """(samples, weights) in float64."""
    return np.stack([sample[name].double().numpy().reshape(-1) for sample in samples])


def by_dense_inverses(train: Samples, validation: Samples, name: str) -> np.ndarray:
    """DataInf as it is defined: every (lambda I + g g^T) inverted as a matrix."""
    gradients = vectors(train, name)
    v = vectors(validation, name).mean(0)
    damping = np.mean(gradients**2) / 10
    size = len(v)
    inverse = np.mean(
        [np.linalg.inv(damping * np.eye(size) + np.outer(g, g)) for g in gradients], axis=0
    )
    return np.array([v @ inverse @ g for g in gradients])


def close(found: torch.Tensor, expected: Sequence[float], relative: float = 1e-5) -> None:
    """Equal up to the rounding of fp32 averages, against the largest value: sums can cancel."""
    expected = np.asarray(expected)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, atol=relative * np.abs(expected).max())


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 999))
def test_identity_is_the_product_with_the_mean_gradient(n: int, m: int, seed: int) -> None:
    train, validation = draw(n, seed), draw(m, seed + 1000)
    found = identity_influence(train, validation, show, SHAPES)
    assert set(found) == set(SHAPES)
    for name in SHAPES:
        v = vectors(validation, name).mean(0)
        scale = np.linalg.norm(v) * np.linalg.norm(vectors(train, name), axis=1).max()
        np.testing.assert_allclose(
            found[name].numpy(), [g @ v for g in vectors(train, name)], atol=1e-6 * scale
        )


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 999))
def test_datainf_is_the_mean_of_dense_inverses(n: int, m: int, seed: int) -> None:
    train, validation = draw(n, seed), draw(m, seed + 1000)
    found = datainf_influence(train, validation, show, SHAPES)
    assert set(found) == set(SHAPES)
    for name in SHAPES:
        v, gradients = vectors(validation, name).mean(0), vectors(train, name)
        damping = np.mean(gradients**2) / 10
        scale = np.linalg.norm(v) * np.linalg.norm(gradients, axis=1).max() / damping
        expected = by_dense_inverses(train, validation, name)
        np.testing.assert_allclose(found[name].numpy(), expected, atol=5e-7 * scale)


def test_the_dense_inverse_of_two_weights_by_hand() -> None:
    """One train gradient (3, 4): lambda is 1.25, and (lambda I + g g^T)^-1 g = g / 26.25."""
    train = [{"w": torch.tensor([[3.0, 4.0]])}]
    validation = [{"w": torch.tensor([[1.0, 2.0]])}, {"w": torch.tensor([[3.0, -2.0]])}]
    found = datainf_influence(train, validation, show, {"w": (1, 2)})
    assert found["w"].tolist() == pytest.approx([2 * 3 / 26.25], rel=1e-6)
    found = identity_influence(train, validation, show, {"w": (1, 2)})
    assert found["w"].tolist() == [6.0]


def test_datainf_of_a_single_train_sample() -> None:
    """All but one part in a hundred thousand of v is undone here, and fp32 would not tell."""
    generator = torch.Generator().manual_seed(7)
    train = [{"wide": torch.randn(100, 100, generator=generator)}]
    validation = [{"wide": torch.randn(100, 100, generator=generator)} for _ in range(3)]
    found = datainf_influence(train, validation, show, {"wide": (100, 100)})
    g, v = vectors(train, "wide")[0], vectors(validation, "wide").mean(0)
    assert found["wide"].tolist() == pytest.approx([v @ g / (np.mean(g**2) / 10 + g @ g)], rel=1e-5)


@pytest.mark.parametrize("hessian", sorted(HESSIANS))
def test_the_order_of_the_samples_does_not_matter(hessian: str) -> None:
    train, validation = draw(7, 1), draw(5, 2)
    order = [3, 0, 6, 1, 5, 2, 4]
    found = HESSIANS[hessian](train, validation, show, SHAPES)
    turned = HESSIANS[hessian]([train[i] for i in order], validation[::-1], show, SHAPES)
    for name in SHAPES:
        close(turned[name], found[name][order].numpy())


@pytest.mark.parametrize("hessian", sorted(HESSIANS))
def test_a_train_set_that_stands_twice(hessian: str) -> None:
    """Each copy has the influence of the one before, so sums over the samples are doubled."""
    train, validation = draw(4, 3), draw(3, 4)
    found = HESSIANS[hessian](train, validation, show, SHAPES)
    doubled = HESSIANS[hessian](train + train, validation, show, SHAPES)
    for name in SHAPES:
        close(doubled[name], torch.cat([found[name], found[name]]).numpy())


def test_datainf_does_not_depend_on_the_scale_of_the_train_loss() -> None:
    """lambda follows the gradients, so influence falls as their length rises."""
    validation = draw(3, 9)
    small = datainf_influence(draw(5, 8), validation, show, SHAPES)
    large = datainf_influence(draw(5, 8, scale=64.0), validation, show, SHAPES)
    for name in SHAPES:
        close(large[name] * 64, small[name].numpy())


def test_a_linear_without_gradients_has_no_influence() -> None:
    train, validation = draw(3, 1), draw(2, 2)
    for sample in train:
        sample["b"].zero_()
    for hessian in HESSIANS.values():
        found = hessian(train, validation, show, SHAPES)
        assert found["b"].tolist() == [0, 0, 0]
        assert found["a"].abs().min() > 0


@pytest.mark.parametrize(("hessian", "passes"), [("identity", 1), ("datainf", 3)])
def test_a_gradient_is_let_go_before_the_next_one(hessian: str, passes: int) -> None:
    last: list[weakref.ref] = []
    shown = []

    def one_at_a_time(sample: dict, visit: Callable) -> None:
        shown.append(sample)
        for name, gradient in sample.items():
            assert all(gone() is None for gone in last)
            copy = gradient.clone()
            last[:] = [weakref.ref(copy)]
            visit(name, copy)
            del copy

    train, validation = draw(4, 1), draw(3, 2)
    HESSIANS[hessian](train, validation, one_at_a_time, SHAPES)
    assert len(shown) == 3 + passes * 4


def test_products_are_summed_in_float64() -> None:
    """Longer than one chunk, and with a sum that fp32 would lose."""
    one, other = torch.ones(500, 400), torch.ones(500, 400)
    one[0, 0], one[-1, -1] = 1e9, -1e9
    assert dot(one, other) == 500 * 400 - 2


def test_the_parts_of_a_block_are_scored_apart() -> None:
    """Influences are added up over the linears first; then only the positive ones count."""
    roles = [("q", "attention"), ("o", "attention"), ("up", "mlp")]
    linears = [Linear(f"{b}.{r}", b, part, r, (1, 1)) for b in range(2) for r, part in roles]
    influence = {
        "0.q": [1.0, -3.0, 2.0],
        "0.o": [-2.0, 4.0, 2.0],  # with q: -1, 1, 4
        "0.up": [-1.0, -1.0, -1.0],
        "1.q": [0.0, 0.0, 0.25],
        "1.o": [0.0, 0.5, 0.0],
        "1.up": [1.0, 2.0, -4.0],
    }
    tensors = {name: torch.tensor(row, dtype=torch.float64) for name, row in influence.items()}
    assert part_scores(tensors, linears) == [
        {"attention": 5.0, "mlp": 0.0},
        {"attention": 0.75, "mlp": 3.0},
    ]
