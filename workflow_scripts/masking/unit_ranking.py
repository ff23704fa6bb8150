"""Which units go where the heads and neurons of all blocks compete."""

from collections.abc import Sequence

import numpy as np

from workflow_scripts.config.methods.width import OfUnits
from workflow_scripts.errors import InputError
from workflow_scripts.masking.width import Removed, Scores, lowest_units, with_neurons
from workflow_scripts.models.unit_names import NEURON
from workflow_scripts.models.units import BlockUnits


def ranked_together(
    blocks: Sequence[BlockUnits], scores: Sequence[Scores], options: OfUnits
) -> list[Removed]:
    """What goes from each block where the heads and neurons of all of them compete.

    The best head and the best neuron of every block stay, unless `selection` is paper. With `even`
    the ranking says only how many heads go in all, and every block loses as many of them. `scores`
    has an entry for each of `blocks`. Raises `InputError` where what must stay is more than the
    sparsity leaves.
    """
    removed = _ranked(blocks, scores, options)
    return _made_even(blocks, scores, removed, options) if options.even else removed


def _ranked(
    blocks: Sequence[BlockUnits], scores: Sequence[Scores], options: OfUnits
) -> list[Removed]:
    kinds = (options.heads, NEURON)
    places = [(number, kind) for kind in kinds for number in range(len(blocks))]
    values, weights = [], []
    for number, kind in places:
        found, size = scores[number][kind].numpy().copy(), blocks[number].unit_weights(kind)
        if options.selection == "exact":
            found[len(found) - 1 - found[::-1].argmax()] = np.inf  # of equal ones the later stays
        else:  # in neurons, of which a head is a whole number
            size //= blocks[number].unit_weights(NEURON)
        values.append(found)
        weights.append(np.full(len(found), size))
    sizes = np.concatenate(weights)
    counted = sizes.sum()  # where heads are single, their keys and values are of no unit
    if options.selection == "exact":
        counted = sum(units.weights for units in blocks)
    left = sizes.sum() - options.sparsity * counted
    keep = kept_together(np.concatenate(values), sizes, left, options.selection)
    removed: list[dict[str, tuple[int, ...]]] = [{} for _ in blocks]
    for (number, kind), some, best in zip(
        places, np.split(keep, np.cumsum([len(x) for x in values])[:-1]), values, strict=True
    ):
        if not some[np.isinf(best)].all():
            most = sizes[np.isfinite(np.concatenate(values))].sum() / counted
            raise InputError(
                f"sparsity is {options.sparsity}: the pruned blocks can lose {most:.4f} of their "
                "weights at most, all but one head and one neuron of each"
            )
        removed[number][kind] = tuple(np.flatnonzero(~some).tolist())
    return removed


def _made_even(
    blocks: Sequence[BlockUnits],
    scores: Sequence[Scores],
    removed: Sequence[Removed],
    options: OfUnits,
) -> list[Removed]:
    """As many heads and neurons from every block, those of lowest score.

    So many heads as blocks have lost on average, and neurons for the rest. `scores` and `removed`
    have an entry for each of `blocks`, which are alike. Raises `InputError` as `with_neurons` does.
    """
    heads = sum(len(gone[options.heads]) for gone in removed) / len(blocks)
    counts = with_neurons(blocks[0], options, heads)
    return [
        lowest_units(units, found, counts, options)
        for units, found in zip(blocks, scores, strict=True)
    ]


def kept_together(
    scores: np.ndarray, weights: np.ndarray, left: float, selection: str
) -> np.ndarray:
    """Which units stay: those of the highest scores, so many that their weights together are
    nearest to `left`; of equal scores the earlier go first. Bool, (units,).

    The public code (`selection` paper) keeps what is above the score of the last one instead, and
    so loses that one, and all that are equal to it, as well.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    last = np.abs(np.cumsum(weights[order]) - left).argmin()
    if selection == "paper":
        return scores > scores[order[last]]
    keep = np.zeros(len(scores), dtype=bool)
    keep[order[: last + 1]] = True
    return keep
