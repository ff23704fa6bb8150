"""Allocations: a sparsity for every linear of a model, its whole weights, and its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json
from workflow_scripts.models.checkpoints import Linear

SCOPES = ("all", "attention", "mlp")


@dataclass(frozen=True)
class Allocation:
    """An allocation as read: its kind, and the sparsity of every linear in scope by name."""

    kind: str
    sparsities: Mapping[str, float]


def pruned_count(sparsity: float, weights: int) -> int:
    """How many of `weights` a sparsity prunes: the nearest whole number, halves to the even one.

    Truncating instead would fall below the target in nearly every row.
    """
    return round(sparsity * weights)


def in_scope(linears: Sequence[Linear], scope: str) -> tuple[Linear, ...]:
    """The linears that a scope (`all`, or the part that is pruned) leaves to pruning."""
    return tuple(linear for linear in linears if scope in ("all", linear.part))


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
    scope: str = "all",
) -> None:
    """Write the sparsity of every linear with the mean asked for and the mean in whole weights.

    `sparsities` covers the linears in `scope`, and so do the target and both means; the others of
    `linears` are written with 0.
    """
    inside = in_scope(linears, scope)
    pruned = sum(pruned_count(sparsities[linear.name], linear.weights) for linear in inside)
    record = {
        "allocation": kind,
        "options": dict(options),
        "scope": scope,
        "target": target,
        "requested_mean": mean_sparsity(sparsities, inside),
        "achieved_mean": pruned / sum(linear.weights for linear in inside),
        "linears": {linear.name: sparsities.get(linear.name, 0.0) for linear in linears},
        "model_digest": model_digest,
    }
    write_json(path, record)


def read_allocation(path: Path, linears: Sequence[Linear], model_digest: str) -> Allocation:
    """Read an allocation of a model; its sparsities come in the order of the model's linears.

    Raises `InputError` where the allocation is of another model, lacks a linear, has one too many,
    a sparsity is not in [0, 1], or one outside the scope is not 0.
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
    kind, scope = record.get("allocation"), record.get("scope")
    if not isinstance(kind, str):
        raise InputError(f"{path}: allocation is {kind!r}, not the name of one")
    check_scope(scope, f"{path}: scope")
    for linear in linears:
        if linear.name not in sparsities:
            raise InputError(f"{path}: linear {linear.name} has no sparsity")
        check_sparsity(sparsities[linear.name], f"{path}: {linear.name}")
    extra = sorted(set(sparsities) - {linear.name for linear in linears})
    if extra:
        raise InputError(f"{path}: {extra[0]} is not a linear of the model")
    inside = {linear.name: sparsities[linear.name] for linear in in_scope(linears, scope)}
    for name, sparsity in sparsities.items():
        if name not in inside and sparsity:
            raise InputError(f"{path}: {name} has sparsity {sparsity}, outside the scope {scope}")
    return Allocation(kind, inside)


def check_scope(value: Any, where: str) -> None:
    """Raise `InputError` that starts with `where` unless `value` is a scope."""
    if value not in SCOPES:
        raise InputError(f"{where}: {value!r} is none of {', '.join(SCOPES)}")


def check_sparsity(value: Any, where: str) -> None:
    """Raise `InputError` that starts with `where` unless `value` is a number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{where}: sparsity {value!r} is not a number from 0 to 1")
