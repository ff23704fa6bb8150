import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models.tiny_models import ARCHITECTURES, save_statistics, token_ids
from workflow_scripts.allocation import allocate_sparsity
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.models.checkpoints import linears, model_digest, open_checkpoint

OWL = {"kind": "owl", "threshold": 5.0, "spread": 0.08}
LAYERIF = {
    "kind": "layerif",
    "direction": "protect",
    "unit": "split",
    "low": 0.05,
    "high": 0.4,
    "window": 5,
    "order": 2,
}


def run(folder: Path, output: Path, allocation: dict, sparsity: float, *flags: str) -> dict:
    stage = ["--model", str(folder), "--allocation", json.dumps(allocation)]
    allocate_sparsity.main([*stage, "--sparsity", str(sparsity), "--output", str(output), *flags])
    return json.loads(output.read_text())


@pytest.mark.parametrize("scope", ["attention", "mlp"])
def test_a_scope_is_pruned_alone(
    tmp_path: Path, tiny_model: Callable[..., Path], scope: str
) -> None:
    folder = tiny_model("qwen3")
    uniform = {"kind": "uniform"}
    record = run(folder, tmp_path / "allocation.json", uniform, 0.3, "--scope", scope)
    found = linears(open_checkpoint(folder))
    assert record["linears"] == {x.name: 0.3 if x.part == scope else 0.0 for x in found}
    assert (record["scope"], record["target"], record["requested_mean"]) == (scope, 0.3, 0.3)


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
        "scope": "all",
        "target": sparsity,
        "requested_mean": sparsity,
        "model_digest": model_digest(folder),
    }


@pytest.mark.parametrize(
    ("allocation", "sparsity", "flags", "message"),
    [
        ({"kind": "even"}, 0.2, "", "allocation 'even' is unknown; known: uniform, owl, layerif"),
        ({}, 0.2, "", "allocation None is unknown; known: uniform, owl, layerif"),
        (
            {"kind": "uniform", "m": 5},
            0.2,
            "",
            "allocation uniform has no option 'm'; allowed: none",
        ),
        ({"kind": "uniform"}, 1.2, "", "--sparsity: sparsity 1.2 is not a number from 0 to 1"),
        (
            {"kind": "uniform"},
            0.2,
            "--scope norms",
            "--scope: 'norms' is none of all, attention, mlp",
        ),
        (
            {"kind": "uniform"},
            0.2,
            "--influence x",
            "allocation uniform has no use for --influence",
        ),
        (OWL, 0.2, "", "allocation owl needs --statistics"),
        (
            OWL,
            0.2,
            "--statistics x --influence x",
            "allocation owl has no use for --influence",
        ),
        (
            OWL | {"m": 5},
            0.2,
            "--statistics x",
            "allocation owl has no option 'm'; allowed: threshold, spread, calibration, floor",
        ),
        (
            {"kind": "owl", "threshold": 5.0},
            0.2,
            "--statistics x",
            "allocation owl needs the option 'spread'",
        ),
        (LAYERIF, 0.2, "", "allocation layerif needs --influence"),
        (LAYERIF, 0.2, "--influence x", "x: no such file"),
    ],
)
def test_wrong_requests(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    allocation: dict,
    sparsity: float,
    flags: str,
    message: str,
) -> None:
    with pytest.raises(InputError) as error:
        run(tiny_model(), tmp_path / "allocation.json", allocation, sparsity, *flags.split())
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": -1}, "threshold is -1, not a number of at least 0"),
        ({"threshold": "5"}, "threshold is '5', not a number of at least 0"),
        ({"spread": 1.5}, "spread is 1.5, not a number from 0 to 1"),
        ({"spread": True}, "spread is True, not a number from 0 to 1"),
        ({"floor": -0.1}, "floor is -0.1, not a number from 0 to 1"),
    ],
)
def test_wrong_options_of_owl(
    tmp_path: Path, tiny_model: Callable[..., Path], change: dict, message: str
) -> None:
    folder = tiny_model("llama")
    statistics = save_statistics(tmp_path / "s.safetensors", folder, token_ids(2, 8))
    with pytest.raises(InputError) as error:
        run(folder, tmp_path / "a.json", OWL | change, 0.2, "--statistics", str(statistics))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"direction": "up"}, "direction is 'up'; it can be protect or prune"),
        ({"unit": "linear"}, "unit is 'linear'; it can be split or block"),
        ({"low": 0.4}, "low 0.4 and high 0.4: 0 < low < high is needed"),
        ({"low": 0}, "low 0.0 and high 0.4: 0 < low < high is needed"),
        ({"high": 1.1}, "high is 1.1, not a number from 0 to 1"),
        ({"window": 4}, "window 4 and order 2: the window is odd and greater than the order"),
        ({"order": 5}, "window 5 and order 5: the window is odd and greater than the order"),
        ({"window": 5.0}, "window is 5.0, not a whole number of at least 0"),
    ],
)
def test_wrong_options_of_layerif(
    tmp_path: Path, tiny_model: Callable[..., Path], change: dict, message: str
) -> None:
    folder, influence = tiny_model("llama"), tmp_path / "influence.json"
    blocks = [{"attention": 1.0, "mlp": 2.0}] * 3
    write_json(influence, {"format": 1, "model_digest": model_digest(folder), "blocks": blocks})
    with pytest.raises(InputError) as error:
        run(folder, tmp_path / "a.json", LAYERIF | change, 0.2, "--influence", str(influence))
    assert str(error.value) == message
