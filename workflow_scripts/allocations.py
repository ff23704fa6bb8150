"""Allocations: a sparsity for every linear of a model, its whole weights, and its file."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from workflow_scripts.checkpoints import Linear
from workflow_scripts.errors import InputError
from workflow_scripts.files import read_json, write_json


def pruned_count(sparsity: float, weights: int) -> int:
    """How many of `weights` a sparsity prunes: the nearest whole number, halves to the even one.

    Truncating instead would fall below the target in nearly every row.
    """
    return round(sparsity * weights)


def mean_sparsity(sparsities: Mapping[str, float], linears: Sequence[Linear]) -> float:
    """The mean over linears of their sparsities, weighted by their numbers of weights."""
    total = sum(linear.weights for linear in linears)
    # exact arithmetic: the mean of equal sparsities is that sparsity to the last bit
    pruned = sum(Fraction(sparsities[linear.name]) * linear.weights for linear in linears)
    return float(pruned / total)


def write_allocation(
    path: Path,
    sparsities: Mapping[str, float],
    linears: Sequence[Linear],
    kind: str,
    options: Mapping[str, Any],
    target: float,
    model_digest: str,
) -> None:
    """Write the sparsity of every linear with the mean asked for and the mean in whole weights."""
    pruned = sum(pruned_count(sparsities[linear.name], linear.weights) for linear in linears)
    record = {
        "allocation": kind,
        "options": dict(options),
        "target": target,
        "requested_mean": mean_sparsity(sparsities, linears),
        "achieved_mean": pruned / sum(linear.weights for linear in linears),
        "linears": dict(sparsities),
        "model_digest": model_digest,
    }
    write_json(path, record)


def read_allocation(path: Path, linears: Sequence[Linear], model_digest: str) -> dict[str, float]:
    """Read the sparsity of each of a model's linears, in their order.

    Raises `InputError` where the allocation is of another model, lacks a linear, has one too many,
    or a sparsity is not in [0, 1].
    """
    record = read_json(path)
    sparsities = record.get("linears") if isinstance(record, dict) else None
    if not isinstance(sparsities, dict):
        raise InputError(f"{path}: not an allocation: it has no mapping 'linears'")
    if record.get("model_digest") != model_digest:
        raise InputError(
            f"{path}: allocation of another model (digest {record.get('model_digest')}, this "
            f"model's is {model_digest})"
        )
    for linear in linears:
        if linear.name not in sparsities:
            raise InputError(f"{path}: linear {linear.name} has no sparsity")
        check_sparsity(sparsities[linear.name], f"{path}: {linear.name}")
    extra = sorted(set(sparsities) - {linear.name for linear in linears})
    if extra:
        raise InputError(f"{path}: {extra[0]} is not a linear of the model")
    return {linear.name: sparsities[linear.name] for linear in linears}


def check_sparsity(value: Any, where: str) -> None:
    """Raise `InputError` that starts with `where` unless `value` is a number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{where}: sparsity {value!r} is not a number from 0 to 1")
