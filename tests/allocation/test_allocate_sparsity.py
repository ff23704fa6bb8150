import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_models import ARCHITECTURES
from workflow_scripts.allocation import allocate_sparsity
from workflow_scripts.checkpoints import linears, model_digest, open_checkpoint
from workflow_scripts.errors import InputError


def run(folder: Path, output: Path, allocation: dict, sparsity: float) -> dict:
    stage = ["--model", str(folder), "--allocation", json.dumps(allocation)]
    allocate_sparsity.main([*stage, "--sparsity", str(sparsity), "--output", str(output)])
    return json.loads(output.read_text())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.55, 1.0])
def test_uniform_gives_every_linear_the_target(
    tmp_path: Path, tiny_model: Callable[..., Path], architecture: str, sparsity: float
) -> None:
    folder = tiny_model(architecture)
    record = run(folder, tmp_path / "allocation.json", {"kind": "uniform"}, sparsity)
    found = linears(open_checkpoint(folder))
    assert record.pop("linears") == {linear.name: sparsity for linear in found}
    total = sum(linear.weights for linear in found)
    assert record.pop("achieved_mean") == sum(round(sparsity * x.weights) for x in found) / total
    assert record == {
        "allocation": "uniform",
        "options": {},
        "target": sparsity,
        "requested_mean": sparsity,
        "model_digest": model_digest(folder),
    }


@pytest.mark.parametrize(
    ("allocation", "sparsity", "message"),
    [
        ({"kind": "even"}, 0.2, "allocation 'even' is unknown; known: uniform"),
        ({}, 0.2, "allocation None is unknown; known: uniform"),
        ({"kind": "uniform", "m": 5}, 0.2, "unknown allocation option 'm'; allowed: none"),
        ({"kind": "uniform"}, 1.2, "--sparsity: sparsity 1.2 is not a number from 0 to 1"),
    ],
)
def test_wrong_requests(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    allocation: dict,
    sparsity: float,
    message: str,
) -> None:
    with pytest.raises(InputError) as error:
        run(tiny_model(), tmp_path / "allocation.json", allocation, sparsity)
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []
