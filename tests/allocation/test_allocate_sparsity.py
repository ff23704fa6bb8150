import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models.tiny_models import ARCHITECTURES
from workflow_scripts.allocation import allocate_sparsity
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import linears, model_digest, open_checkpoint

OWL = {"kind": "owl", "calibration": "chains"}
LAYERIF = {"kind": "layerif", "influence": "chains"}


def run(
    folder: Path, output: Path, allocation: dict, sparsity: float, *flags: str, scope: str = "all"
) -> dict:
    options = {"allocation": allocation, "sparsity": sparsity, "scope": scope}
    stage = ["--model", str(folder), "--options", json.dumps(options), "--output", str(output)]
    allocate_sparsity.main([*stage, *flags])
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.mark.parametrize("scope", ["attention", "mlp"])
def test_a_scope_is_pruned_alone(
    tmp_path: Path, tiny_model: Callable[..., Path], scope: str
) -> None:
    folder = tiny_model("qwen3")
    uniform = {"kind": "uniform"}
    record = run(folder, tmp_path / "allocation.json", uniform, 0.3, scope=scope)
    found = linears(open_checkpoint(folder))
    assert record["linears"] == {x.name: 0.3 if x.part == scope else 0.0 for x in found}
    assert (record["scope"], record["target"], record["requested_mean"]) == (scope, 0.3, 0.3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("sparsity", [0.01, 0.2, 0.55, 0.99])
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
        "scope": "all",
        "target": sparsity,
        "requested_mean": sparsity,
        "model_digest": model_digest(folder),
    }


@pytest.mark.parametrize(
    ("allocation", "sparsity", "flags", "said"),
    [
        ({"kind": "even"}, 0.2, "", "allocation"),
        ({"kind": "uniform"}, 1.2, "", "sparsity"),
        (OWL | {"threshold": -1}, 0.2, "--statistics x", "allocation.owl.threshold"),
        (LAYERIF | {"window": 4}, 0.2, "--influence x", "window: 4 is not allowed"),
        (OWL, 0.2, "", "--statistics"),
        (LAYERIF, 0.2, "", "--influence"),
        (LAYERIF | {"window": 3}, 0.2, "--influence x", "x: no such file"),
        (LAYERIF | {"window": 5}, 0.2, "--influence x", "window: 5 is longer than the model"),
    ],
)
def test_wrong_requests(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    allocation: dict,
    sparsity: float,
    flags: str,
    said: str,
) -> None:
    with pytest.raises(InputError) as error:
        run(tiny_model(), tmp_path / "allocation.json", allocation, sparsity, *flags.split())
    assert said in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
