"""AlphaPruning, against its formulas written out value by value in float64."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import svdvals

from tests.artefacts.mask_references import weights_of
from tests.models.tiny_models import ARCHITECTURES, save_allocation, save_tiny_model, write_manifest
from workflow_scripts.allocation.kinds.alphapruning import (
    alphapruning_sparsities,
    eigenvalues,
    power_law_exponent,
)
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models.checkpoints import linears, open_checkpoint


def exponent(weight: np.ndarray, tail: str = "peak") -> float:
    """The paper's fit: every candidate for the tail's beginning tried, by loops."""
    values = sorted(float(value) ** 2 for value in svdvals(weight.astype(np.float64)))
    logs = [np.log10(value) for value in values]
    width = (logs[-1] - logs[0]) / 100
    counts = [0] * 100
    for log in logs:
        counts[min(99, int((log - logs[0]) / width))] += 1
    peak = 10 ** (logs[0] + counts.index(max(counts)) * width)
    low = np.log10(0.95 * peak) if tail == "public" else 0.95 * peak
    best = (np.inf, None)
    for begin, first in enumerate(values[:-1]):
        if not low <= first <= 1.5 * peak:
            continue
        above = values[begin:]
        alpha = 1 + len(above) / sum(np.log(value / first) for value in above)
        distance = max(
            abs(1 - (value / first) ** (1 - alpha) - rank / len(above))
            for rank, value in enumerate(above)
        )
        best = min(best, (distance, alpha))
    return best[1]


def matrix(spectrum: np.ndarray, outputs: int, inputs: int, seed: int = 0) -> np.ndarray:
    """A matrix of that shape with those eigenvalues of W W^T and random singular vectors."""
    draw = np.random.default_rng(seed)
    left, _ = np.linalg.qr(draw.normal(size=(outputs, len(spectrum))))
    right, _ = np.linalg.qr(draw.normal(size=(inputs, len(spectrum))))
    return left * np.sqrt(spectrum) @ right.T


def pareto(alpha: float, count: int) -> np.ndarray:
    """Values spaced as a power law of that exponent has them, from 1 on."""
    return (1 - (np.arange(count) + 0.5) / count) ** (-1 / (alpha - 1))


@pytest.mark.parametrize("alpha", [1.8, 2.5, 4.0])
@pytest.mark.parametrize("shape", [(250, 400), (400, 250)])
def test_a_known_tail_is_found(alpha: float, shape: tuple[int, int]) -> None:
    weight = torch.from_numpy(matrix(pareto(alpha, 250), *shape))
    found = power_law_exponent(eigenvalues(weight))
    assert found == pytest.approx(alpha, rel=0.02)


@pytest.mark.parametrize("tail", ["peak", "public"])
@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (75, 75)])
def test_it_is_the_formula(shape: tuple[int, int], tail: str) -> None:
    draw = np.random.default_rng(sum(shape))
    for scale in (0.01, 1.0, 5.0):
        bulk = scale * draw.normal(size=shape) * draw.pareto(3.0, size=shape[1])
        weight = torch.from_numpy(bulk).float()
        found = power_law_exponent(eigenvalues(weight), tail)
        assert found == pytest.approx(exponent(weight.numpy(), tail), rel=1e-6)


def test_the_slip_of_the_public_code_moves_numbers() -> None:
    # a clean power law from 1 on, and a bump at 30 that is the peak of its histogram
    spectrum = np.concatenate([pareto(2.0, 100), np.linspace(29, 31, 20)])
    weight = torch.from_numpy(matrix(spectrum, 120, 150))
    found = [power_law_exponent(eigenvalues(weight), tail) for tail in ("peak", "public")]
    assert found == pytest.approx([exponent(weight.numpy(), t) for t in ("peak", "public")])
    assert found[0] > 1.1 * found[1]


def test_a_spectrum_without_its_zeros_is_the_same_spectrum() -> None:
    weight = torch.from_numpy(matrix(pareto(2.5, 40), 60, 90)).float()
    values = eigenvalues(weight.double())
    assert len(values) >= 40
    exact = eigenvalues(torch.from_numpy(matrix(pareto(2.5, 40), 60, 90)))
    np.testing.assert_allclose(exact, pareto(2.5, 40), rtol=1e-9)


def test_values_without_a_tail_have_no_exponent() -> None:
    for values in ([2.0], [], [3.0, 3.0, 3.0]):
        assert power_law_exponent(np.array(values)) is None


@given(st.data(), st.floats(0.01, 0.99), st.floats(0, 0.95))
def test_higher_exponents_are_pruned_more_and_the_mean_is_right(
    data: st.DataObject, target: float, spread: float
) -> None:
    blocks = data.draw(st.lists(st.tuples(st.floats(1, 20), st.integers(1, 10**9)), min_size=1))
    alphas, sizes = map(list, zip(*blocks, strict=True))
    found = np.array(alphapruning_sparsities(alphas, sizes, target, spread))
    assert ((found >= 0) & (found <= 1)).all()
    assert abs(np.average(found, weights=sizes) - target) < 1e-6
    order = np.argsort(alphas)
    assert (np.diff(found[order]) >= -1e-12).all()
    if found.max() < 1 and np.ptp(alphas) > 1e-6:  # linear from the least to the largest
        share = (np.array(alphas) - min(alphas)) / np.ptp(alphas)
        factor = found.max() / (1 + spread)
        np.testing.assert_allclose(found, factor * (1 - spread + 2 * spread * share), atol=1e-9)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("scope", ["all", "mlp"])
def test_a_block_has_the_mean_exponent_of_its_linears_in_scope(
    tmp_path: Path, tiny_model: Callable[..., Path], architecture: str, scope: str
) -> None:
    folder = tiny_model(architecture, blocks=4)
    path = tmp_path / "allocation.json"
    save_allocation(path, folder, 0.4, {"kind": "alphapruning"}, scope)
    weights = weights_of(folder)
    inside = [x for x in linears(open_checkpoint(folder)) if scope in ("all", x.part)]
    alphas = [
        np.mean([exponent(weights[x.name]) for x in inside if x.block == block])
        for block in range(4)
    ]
    share = (np.array(alphas) - min(alphas)) / np.ptp(alphas)
    start = 0.7 + 0.6 * share  # blocks are of equal size
    expected = start * 0.4 / start.mean()
    found = read_json(path)
    assert found["requested_mean"] == pytest.approx(0.4, abs=1e-9)
    for linear in inside:
        assert found["linears"][linear.name] == pytest.approx(expected[linear.block], rel=1e-6)


def test_threads_do_not_matter_to_the_bytes(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model("qwen3", hidden=96, intermediate=130)
    paths = [tmp_path / f"{threads}.json" for threads in (1, 2, 3)]
    for threads, path in enumerate(paths, 1):
        save_allocation(path, folder, 0.6, {"kind": "alphapruning"}, threads=threads)
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_matrix_without_a_tail_is_told_by_name(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_tiny_model(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    weights[name] = torch.ones_like(weights[name])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    write_manifest(folder)
    with pytest.raises(InputError) as error:
        save_allocation(tmp_path / "a.json", folder, 0.4, {"kind": "alphapruning"})
    assert str(error.value) == (
        f"{name}: its singular values have no tail to fit a power law to; alphapruning cannot "
        "rank such a model"
    )
