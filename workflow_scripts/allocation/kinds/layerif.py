"""LayerIF: sparsities from influence scores of blocks (arXiv 2505.23811).

arXiv 2604.25098 protects influential blocks and allocates attention and MLP apart
(`direction: protect`, `unit: split`); LayerIF prunes influential blocks more and gives all linears
of a block one sparsity (`direction: prune`, `unit: block`).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from workflow_scripts.allocation.means import scaled, scaled_to_unit
from workflow_scripts.allocation.request import Request
from workflow_scripts.config.allocations import LayerIF
from workflow_scripts.models.checkpoints import Linear


def divide(request: Request) -> dict[str, float]:
    """Sparsities from influence scores, block by block; attention and MLP apart or together."""
    return layerif_sparsities(request.options, request.linears, request.influence, request.target)


def layerif_sparsities(
    options: LayerIF,
    linears: Sequence[Linear],
    scores: Sequence[Mapping[str, float]],
    target: float,
) -> dict[str, float]:
    """The sparsity of every one of `linears` by name.

    `scores` holds the `attention` and `mlp` score of every block. Each pool (one for both parts, or
    one a part) has the mean `target`, weighted by numbers of weights.
    """
    pools = [("attention", "mlp")] if options.unit == "block" else [("attention",), ("mlp",)]
    sparsities: dict[str, float] = {}
    for parts in pools:
        members = [linear for linear in linears if linear.part in parts]
        if not members:
            continue
        values = np.array([sum(row[part] for part in parts) for row in scores])
        weights = np.zeros(len(scores))
        for linear in members:
            weights[linear.block] += linear.weights
        found = scaled(starting_sparsities(options, values), weights, target)
        sparsities |= {linear.name: float(found[linear.block]) for linear in members}
    return {linear.name: sparsities[linear.name] for linear in linears}


def starting_sparsities(options: LayerIF, scores: np.ndarray) -> np.ndarray:
    """What blocks with these scores, shape (blocks,), start from: from `low` to `high`."""
    smooth = smoothed(scores, options.window, options.order)
    rank = 1 - smooth if options.direction == "protect" else smooth
    return rank * (options.high - options.low) + options.low


def smoothed(scores: np.ndarray, window: int, order: int) -> np.ndarray:
    """|scores| in [0, 1], smoothed by Savitzky and Golay, and in [0, 1] again; shape (blocks,)."""
    from scipy.signal import savgol_filter  # a second to import, which no other kind should pay

    unit = scaled_to_unit(np.abs(scores))
    return scaled_to_unit(np.clip(savgol_filter(unit, window, order), 0, 1))
