"""Give every linear of a model its sparsity.

    python -m workflow_scripts.allocation.allocate_sparsity --model resources/models/reasoner \\
        --allocation '{"kind": "owl", "threshold": 5.0, "spread": 0.08}' --sparsity 0.2 \\
        --statistics results/reasoner/statistics/chains.safetensors \\
        --output results/reasoner/wanda-owl-20/allocation.json

The sparsity is the mean over the linears in scope, weighted by their numbers of weights. Linears
outside the scope have no part in it and keep every weight.
"""

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from workflow_scripts.allocation.layerif import (
    DIRECTIONS,
    UNITS,
    LayerIF,
    layerif_sparsities,
)
from workflow_scripts.allocation.owl import outlier_percentages, owl_sparsities
from workflow_scripts.artefacts.allocations import (
    SCOPES,
    check_scope,
    check_sparsity,
    in_scope,
    write_allocation,
)
from workflow_scripts.artefacts.influence_scores import read_influence
from workflow_scripts.artefacts.statistics import Statistics, read_statistics
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Checkpoint, Linear

FILES = ("statistics", "influence")


@dataclass(frozen=True)
class Request:
    """What an allocation may look at; `target` is the mean sparsity of `linears`, those in scope.

    Files that the allocation has no use for are None. `influence` has the scores of every block.
    """

    checkpoint: Checkpoint
    linears: Sequence[Linear]
    target: float
    options: Mapping[str, Any]
    statistics: Statistics | None
    influence: Sequence[Mapping[str, float]] | None


@dataclass(frozen=True)
class Kind:
    """A kind of allocation: how it divides the sparsity, the files it needs, and its options.

    `calibration` and `influence` only name what the file was made from, for the record.
    """

    divide: Callable[[Request], dict[str, float]]
    needs: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


def uniform(request: Request) -> dict[str, float]:
    """The same sparsity for every linear."""
    return {linear.name: request.target for linear in request.linears}


def owl(request: Request) -> dict[str, float]:
    """One sparsity for all linears of a block, the lower the more outlier weights they have."""
    threshold = _number(request.options, "threshold", 0, None)
    spread = _number(request.options, "spread", 0, 1)
    floor = _number(request.options, "floor", 0, 1) if "floor" in request.options else None
    blocks = sorted({linear.block for linear in request.linears})
    weights = dict.fromkeys(blocks, 0)
    for linear in request.linears:
        weights[linear.block] += linear.weights
    squares = request.statistics.sum_squares
    outliers = outlier_percentages(request.checkpoint, request.linears, squares, threshold)
    found = owl_sparsities(outliers, list(weights.values()), request.target, spread, floor)
    by_block = dict(zip(blocks, found, strict=True))
    return {linear.name: by_block[linear.block] for linear in request.linears}


def layerif(request: Request) -> dict[str, float]:
    """Sparsities from influence scores, block by block; attention and MLP apart or together."""
    given = request.options
    options = LayerIF(
        direction=_word(given, "direction", DIRECTIONS),
        unit=_word(given, "unit", UNITS),
        low=_number(given, "low", 0, 1),
        high=_number(given, "high", 0, 1),
        window=_whole(given, "window"),
        order=_whole(given, "order"),
    )
    if not 0 < options.low < options.high:
        raise InputError(f"low {options.low} and high {options.high}: 0 < low < high is needed")
    if options.window % 2 == 0 or options.order >= options.window:
        raise InputError(
            f"window {options.window} and order {options.order}: the window is odd and greater "
            "than the order"
        )
    return layerif_sparsities(options, request.linears, request.influence, request.target)


KINDS = {
    "uniform": Kind(uniform),
    "owl": Kind(owl, ("statistics",), ("threshold", "spread"), ("calibration", "floor")),
    "layerif": Kind(
        layerif,
        ("influence",),
        ("direction", "unit", "low", "high", "window", "order"),
        ("influence",),
    ),
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--allocation", required=True, type=json.loads, help="JSON: kind, options")
    parser.add_argument("--sparsity", required=True, type=float, help="of the linears in scope")
    parser.add_argument("--scope", default="all", help=", ".join(SCOPES))
    parser.add_argument("--statistics", type=Path)
    parser.add_argument("--influence", type=Path, help="scores of the blocks")
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    options = dict(arguments.allocation)
    name = options.pop("kind", None)
    given = {file: path for file in FILES if (path := getattr(arguments, file))}
    kind = find_kind(name, options, given)
    check_sparsity(arguments.sparsity, "--sparsity")
    check_scope(arguments.scope, "--scope")
    digest = checkpoints.model_digest(arguments.model)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    linears = checkpoints.linears(checkpoint)
    statistics = influence = None
    if "statistics" in given:
        statistics = read_statistics(given["statistics"], linears, digest)
    if "influence" in given:
        influence = read_influence(given["influence"], checkpoint.blocks, digest)
    inside = in_scope(linears, arguments.scope)
    request = Request(checkpoint, inside, arguments.sparsity, options, statistics, influence)
    write_allocation(
        arguments.output,
        kind.divide(request),
        linears,
        name,
        options,
        arguments.sparsity,
        digest,
        arguments.scope,
    )


def find_kind(name: Any, options: Mapping[str, Any], given: Mapping[str, Path]) -> Kind:
    """The kind of allocation of that name.

    Raises `InputError` for an unknown kind or option, and for an option or file that is missing or
    that the kind has no use for.
    """
    if not isinstance(name, str) or name not in KINDS:
        raise InputError(f"allocation {name!r} is unknown; known: {', '.join(KINDS)}")
    kind = KINDS[name]
    for option in options:
        if option not in kind.required + kind.optional:
            known = ", ".join(kind.required + kind.optional) or "none"
            raise InputError(f"allocation {name} has no option {option!r}; allowed: {known}")
    for option in kind.required:
        if option not in options:
            raise InputError(f"allocation {name} needs the option {option!r}")
    for file in sorted(set(given).symmetric_difference(kind.needs)):
        wanted = "needs" if file in kind.needs else "has no use for"
        raise InputError(f"allocation {name} {wanted} --{file}")
    return kind


def _number(options: Mapping[str, Any], name: str, least: float, most: float | None) -> float:
    value = options[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= (math.inf if most is None else most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"{name} is {value!r}, not a number {bounds}")
    return float(value)


def _whole(options: Mapping[str, Any], name: str) -> int:
    if type(options[name]) is not int or options[name] < 0:
        raise InputError(f"{name} is {options[name]!r}, not a whole number of at least 0")
    return options[name]


def _word(options: Mapping[str, Any], name: str, words: Sequence[str]) -> str:
    if options[name] not in words:
        raise InputError(f"{name} is {options[name]!r}; it can be {' or '.join(words)}")
    return options[name]


if __name__ == "__main__":
    run_stage(main)
