from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.artefacts.mask_references import reference, refused, run, weights_of
from tests.models.tiny_models import ARCHITECTURES, save_allocation, write_manifest
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.files.atomic import read_json, write_json
from workflow_scripts.models.checkpoints import model_digest
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor, save_tensors

METHODS = "dense, magnitude, wanda, shortgpt, reverse-order, blocks"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("sparsity", [1e-9, 0.1, 0.37, 0.5, 1 - 1e-9])
def test_magnitude_is_the_reference(
    tmp_path: Path, tiny_model: Callable[..., Path], architecture: str, sparsity: float
) -> None:
    folder = tiny_model(architecture)
    allocation = save_allocation(tmp_path / "allocation.json", folder, sparsity)
    paths = run(tmp_path, folder, {"method": "magnitude"}, allocation=allocation)
    mask, weights = read_pruned(paths, model_digest(folder)), weights_of(folder)
    assert set(mask.keep) == set(weights)
    for name, weight in weights.items():
        expected = reference(np.abs(weight).reshape(-1), sparsity).reshape(weight.shape)
        np.testing.assert_array_equal(mask.kept(name), expected, name)
        achieved = read_json(paths.record)["linears"][name]["achieved"]
        assert achieved == round(sparsity * weight.size) / weight.size


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("sparsity", [1e-9, 0.1, 0.37, 0.5, 1 - 1e-9])
def test_wanda_is_the_reference(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    statistics_file: Callable[..., Path],
    architecture: str,
    sparsity: float,
) -> None:
    folder = tiny_model(architecture, sharded=True)
    found = statistics_file(folder)
    allocation = save_allocation(tmp_path / "allocation.json", folder, sparsity)
    files = {"allocation": allocation, "statistics": found}
    paths = run(tmp_path, folder, {"method": "wanda"}, **files)
    mask, tensors = read_pruned(paths, model_digest(folder)), open_tensors(found)
    for name, weight in weights_of(folder).items():
        squares = read_tensor(tensors, f"{name}.sum_squares").double().numpy()
        keep = mask.kept(name).numpy()
        for row, kept in zip(weight, keep, strict=True):
            expected = reference(np.abs(row) * np.sqrt(squares), sparsity)
            np.testing.assert_array_equal(kept, expected, name)
        achieved = read_json(paths.record)["linears"][name]["achieved"]
        assert achieved == round(sparsity * weight.shape[1]) / weight.shape[1]


def test_every_linear_gets_its_own_sparsity(
    tmp_path: Path, tiny_model: Callable[..., Path], statistics_file: Callable[..., Path]
) -> None:
    folder = tiny_model("qwen3")
    path = save_allocation(tmp_path / "allocation.json", folder, 0.5)
    record = read_json(path)
    for number, name in enumerate(record["linears"]):
        record["linears"][name] = number / 50
    write_json(path, record)
    files = {"allocation": path, "statistics": statistics_file(folder)}
    written = run(tmp_path, folder, {"method": "wanda"}, **files).record
    for name, found in read_json(written)["linears"].items():
        assert found["requested"] == record["linears"][name]
        assert abs(found["achieved"] - found["requested"]) <= 0.5 / found["shape"][1] + 1e-12


def test_half_precision_weights_are_compared_as_they_are(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    """bf16 has many equal magnitudes: the count is exact, the first of equal ones goes first."""
    folder = tiny_model("llama", dtype=torch.bfloat16)
    allocation = save_allocation(tmp_path / "allocation.json", folder, 0.5)
    mask = read_pruned(run(tmp_path, folder, {"method": "magnitude"}, allocation=allocation))
    tied = 0
    for name, weight in weights_of(folder).items():
        scores = np.abs(weight).reshape(-1)
        expected = reference(scores, 0.5)
        np.testing.assert_array_equal(mask.kept(name).reshape(-1), expected, name)
        tied += scores[~expected].max() == scores[expected].min()
    assert tied > 0


def test_dense_removes_nothing(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    mask = read_pruned(run(tmp_path, tiny_model(), {"method": "dense"}))
    assert (len(mask.keep), mask.record.removed_blocks) == (0, ())


def test_equal_inputs_are_equal_bytes(
    tmp_path: Path, tiny_model: Callable[..., Path], statistics_file: Callable[..., Path]
) -> None:
    folder = tiny_model("qwen2")
    files = {
        "allocation": save_allocation(tmp_path / "allocation.json", folder, 0.4),
        "statistics": statistics_file(folder),
    }
    first, second = (run(tmp_path / n, folder, {"method": "wanda"}, **files) for n in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


@pytest.mark.parametrize(
    ("options", "given", "said"),
    [
        ({"method": "wanda", "comparison": "column"}, "", "comparison"),
        ({"method": "wanda", "level": 1}, "", "level"),
        ({"method": "magnitude"}, "", "--allocation"),
        ({"method": "wanda"}, "allocation", "--statistics"),
        ({"method": "wanda", "propagate": "pruned"}, "allocation", "--calibration"),
        ({"method": "shortgpt", "remove_blocks": 1}, "", "--statistics"),
    ],
)
def test_wrong_options(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    options: dict,
    given: str,
    said: str,
) -> None:
    files = {name: tmp_path / name for name in given.split()}
    assert said in refused(tmp_path, tiny_model(), options, **files)


def test_inputs_of_another_model(
    tmp_path: Path, tiny_model: Callable[..., Path], statistics_file: Callable[..., Path]
) -> None:
    folder, other = tiny_model("llama"), tiny_model("llama", seed=1)
    digests = f"(digest {model_digest(other)}, this model's is {model_digest(folder)})"
    allocation = save_allocation(tmp_path / "allocation.json", other, 0.5)
    line = refused(tmp_path, folder, {"method": "magnitude"}, allocation=allocation)
    assert line == f"{allocation}: allocation of another model {digests}"
    allocation = save_allocation(tmp_path / "allocation.json", folder, 0.5)
    statistics = statistics_file(other)
    files = {"allocation": allocation, "statistics": statistics}
    line = refused(tmp_path, folder, {"method": "wanda"}, **files)
    assert line == f"{statistics}: statistics of another model {digests}"


def test_a_linear_without_a_sparsity_or_statistics(
    tmp_path: Path, tiny_model: Callable[..., Path], statistics_file: Callable[..., Path]
) -> None:
    folder, name = tiny_model("llama"), "model.layers.1.mlp.up_proj.weight"
    file = open_tensors(statistics_file(folder))
    tensors = {key: read_tensor(file, key) for key in file.entries if key != f"{name}.sum_squares"}
    statistics = tmp_path / "s.safetensors"
    save_tensors(statistics, tensors, file.metadata)
    allocation = save_allocation(tmp_path / "allocation.json", folder, 0.5)
    files = {"allocation": allocation, "statistics": statistics}
    line = refused(tmp_path, folder, {"method": "wanda"}, **files)
    assert line == f"{statistics}: has no tensor {name}.sum_squares"
    record = read_json(allocation)
    del record["linears"][name]
    write_json(allocation, record)
    line = refused(tmp_path, folder, {"method": "magnitude"}, allocation=allocation)
    assert line == f"{allocation}: {name} has no sparsity"


def test_weights_that_are_not_finite_leave_no_mask(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    source, folder = tiny_model("llama"), tmp_path / "model"
    name = "model.layers.2.mlp.down_proj.weight"
    file = open_tensors(source / "model.safetensors")
    tensors = {key: read_tensor(file, key) for key in file.entries}
    tensors[name][0, 0] = float("nan")
    save_tensors(folder / "model.safetensors", tensors, file.metadata)
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    write_manifest(folder)
    allocation = save_allocation(tmp_path / "allocation.json", folder, 0.5)
    line = refused(tmp_path, folder, {"method": "magnitude"}, allocation=allocation)
    assert line == f"{folder / 'model.safetensors'}: {name} holds NaN or infinite values"
