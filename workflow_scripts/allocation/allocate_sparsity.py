"""Give every linear of a model its sparsity.

    python -m workflow_scripts.allocation.allocate_sparsity --model resources/models/reasoner \\
        --allocation '{"kind": "uniform"}' --sparsity 0.2 \\
        --output results/reasoner/wanda-20/allocation.json
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts import checkpoints
from workflow_scripts.allocations import check_sparsity, write_allocation
from workflow_scripts.checkpoints import Linear
from workflow_scripts.errors import InputError, run_stage


@dataclass(frozen=True)
class Request:
    """What an allocation may look at. `target` is the sparsity of the model as a whole."""

    linears: Sequence[Linear]
    target: float
    options: Mapping[str, Any]


def uniform(request: Request) -> dict[str, float]:
    """The same sparsity for every linear."""
    check_options(request.options, ())
    return {linear.name: request.target for linear in request.linears}


ALLOCATIONS: dict[str, Callable[[Request], dict[str, float]]] = {"uniform": uniform}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--allocation", required=True, type=json.loads, help="JSON: kind, options")
    parser.add_argument("--sparsity", required=True, type=float, help="of the model as a whole")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args(argv)
    options = dict(arguments.allocation)
    kind = options.pop("kind", None)
    if kind not in ALLOCATIONS:
        raise InputError(f"allocation {kind!r} is unknown; known: {', '.join(ALLOCATIONS)}")
    check_sparsity(arguments.sparsity, "--sparsity")
    digest = checkpoints.model_digest(arguments.model)
    linears = checkpoints.linears(checkpoints.open_checkpoint(arguments.model))
    sparsities = ALLOCATIONS[kind](Request(linears, arguments.sparsity, options))
    write_allocation(
        arguments.output, sparsities, linears, kind, options, arguments.sparsity, digest
    )


def check_options(options: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Raise `InputError` for an option that the allocation does not have."""
    for name in options:
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise InputError(f"unknown allocation option {name!r}; allowed: {known}")


if __name__ == "__main__":
    run_stage(main)
