import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workflow_scripts.pruning.kernels import (
    FEW_ROWS,
    keep_above_quantile,
    keep_largest,
    keep_pattern,
    magnitude_scores,
    wanda_scores,
)


def reference(scores: np.ndarray, pruned: int) -> np.ndarray:
    """By a stable sort of each row: the first of equal scores goes first."""
    keep = np.ones(scores.shape, dtype=bool)
    for row, kept in zip(scores, keep, strict=True):
        for entry in np.argsort(row, kind="stable")[:pruned]:
            kept[entry] = False
    return keep


# few values, so that nearly every row has ties at the border, and many, so that few have
SCORES = st.one_of(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 40)), elements=elements)
    for elements in (st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 2.0**100, width=32))
)


@given(SCORES, st.floats(0, 1))
def test_exactly_the_lowest_go_and_of_equal_ones_the_first(scores: np.ndarray, part: float) -> None:
    pruned = round(part * scores.shape[1])
    keep = keep_largest(torch.from_numpy(scores), pruned).numpy()
    assert ((~keep).sum(1) == pruned).all()
    np.testing.assert_array_equal(keep, reference(scores, pruned))


class OnAGpu(torch.Tensor):
    """A tensor in the machine's memory that says it is on a GPU."""

    is_cuda = True


@pytest.mark.parametrize("rows", [3, FEW_ROWS, 70])
def test_on_a_gpu_the_same_go(rows: int) -> None:
    scores = torch.randint(0, 9, (rows, 40), generator=torch.Generator().manual_seed(rows)).float()
    for pruned in (1, 17, 39, 40):
        keep = keep_largest(scores.as_subclass(OnAGpu), pruned)
        np.testing.assert_array_equal(keep.numpy(), reference(scores.numpy(), pruned))


@given(st.data(), st.integers(2, 12), st.sampled_from([[0.0, 0.5, 1.0], list(range(50))]))
def test_a_pattern_prunes_the_lowest_of_every_group(
    data: st.DataObject, group: int, values: list[float]
) -> None:
    pruned = data.draw(st.integers(1, group - 1))
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4).map(lambda n: n * group)))
    elements = st.sampled_from([float(value) for value in values])
    scores = data.draw(arrays.arrays(np.float32, shape, elements=elements))
    keep = keep_pattern(torch.from_numpy(scores), pruned, group).numpy()
    assert keep.shape == scores.shape
    expected = reference(scores.reshape(-1, group), pruned)
    np.testing.assert_array_equal(keep.reshape(-1, group), expected)


@given(SCORES, st.floats(0, 1, exclude_max=True))
def test_the_quantile_goes_too_and_all_that_equal_it(scores: np.ndarray, part: float) -> None:
    index = int(part * scores.size)
    keep = keep_above_quantile(torch.from_numpy(scores), index).numpy()
    limit = sorted(scores.reshape(-1).tolist())[index]
    np.testing.assert_array_equal(keep, scores > limit)
    assert (~keep).sum() > index


def test_ties_are_broken_by_the_lower_index() -> None:
    scores = torch.tensor([[2.0, 1.0, 1.0, 0.0, 1.0, 3.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    kept = keep_largest(scores, 3).int().tolist()
    assert kept == [[1, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]]


def test_ties_across_a_whole_matrix_of_few_values() -> None:
    weight = (torch.randn(64, 96, generator=torch.Generator().manual_seed(0)) * 4).round()
    scores = weight.abs().reshape(1, -1)
    for pruned in (1, 500, 3000, 6143, 6144):
        keep = keep_largest(scores, pruned).numpy()
        np.testing.assert_array_equal(keep, reference(scores.numpy(), pruned))


@pytest.mark.parametrize("pruned", [-1, 4])
def test_more_than_there_are_cannot_go(pruned: int) -> None:
    with pytest.raises(ValueError, match=f"cannot prune {pruned} of 3"):
        keep_largest(torch.ones(2, 3), pruned)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_scores_are_fp32_whatever_the_checkpoint(dtype: torch.dtype) -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    squares = torch.rand(7, generator=torch.Generator().manual_seed(1)) * 1e12
    magnitude, wanda = magnitude_scores(weight), wanda_scores(weight, squares)
    assert magnitude.dtype == wanda.dtype == torch.float32
    wide = np.abs(weight.double().numpy())
    np.testing.assert_array_equal(magnitude.numpy(), wide)
    for row in range(5):
        for column in range(7):
            expected = wide[row, column] * np.sqrt(squares.double().numpy()[column])
            np.testing.assert_allclose(wanda[row, column], expected, rtol=2e-7)
