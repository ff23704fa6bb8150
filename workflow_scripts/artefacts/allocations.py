"""Allocations: a sparsity for every linear of a model, its whole weights, and its file."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from workflow_scripts.artefacts.json_files import STRICT, read_model_file
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.models.checkpoints import Linear

Sparsity = Annotated[float, Field(ge=0, le=1)]


class Allocation(BaseModel):
    """An allocation by its kind, and the sparsity of every linear by its weight's name.

    `target` and both means are over the linears in `scope`; the others have sparsity 0.
    `achieved_mean` counts whole weights.
    """

    model_config = STRICT
    allocation: str
    options: Mapping[str, Any]
    scope: Literal["all", "attention", "mlp"]
    target: Sparsity
    requested_mean: Sparsity
    achieved_mean: Sparsity
    linears: Mapping[str, Sparsity]
    model_digest: str

    @property
    def kind(self) -> str:
        return self.allocation

    @property
    def sparsities(self) -> Mapping[str, float]:
        return self.linears


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
    """Write the sparsity of every linear of a model; `sparsities` covers those in `scope`."""
    inside = in_scope(linears, scope)
    pruned = sum(pruned_count(sparsities[linear.name], linear.weights) for linear in inside)
    allocation = Allocation(
        allocation=kind,
        options=dict(options),
        scope=scope,
        target=target,
        requested_mean=mean_sparsity(sparsities, inside),
        achieved_mean=pruned / sum(linear.weights for linear in inside),
        linears={linear.name: sparsities.get(linear.name, 0.0) for linear in linears},
        model_digest=model_digest,
    )
    write_json(path, allocation.model_dump(mode="json"))


def read_allocation(path: Path, linears: Sequence[Linear], model_digest: str) -> Allocation:
    """Read an allocation of a model; `linears` has those in its scope, in the model's order.

    Raises `InputError` where it is of another model, lacks a linear, has one too many, or a
    sparsity is not in [0, 1].
    """
    found = read_model_file(path, Allocation, "allocation", model_digest)
    names = {linear.name for linear in linears}
    for name in sorted(names ^ set(found.linears)):
        wrong = "has no sparsity" if name in names else "is not a linear of the model"
        raise InputError(f"{path}: {name} {wrong}")
    inside = {linear.name: found.linears[linear.name] for linear in in_scope(linears, found.scope)}
    return found.model_copy(update={"linears": inside})
