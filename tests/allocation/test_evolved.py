"""The search of block sparsities, against whole models in float64 and every state tried."""

import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.artefacts.mask_references import run, wanda_masks, weights_of
from tests.models.test_supported import saved
from tests.models.tiny_models import (
    ARCHITECTURES,
    load_model,
    save_statistics,
    token_ids,
    write_manifest,
)
from tests.pruning.test_fitness import kl, logits
from workflow_scripts.allocation import allocate_sparsity
from workflow_scripts.allocation.kinds.evolved import Levels
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.files.atomic import read_json
from workflow_scripts.files.checksums import checksum_file
from workflow_scripts.models.checkpoints import linears, open_checkpoint

EVOLVED = {
    "kind": "evolved",
    "calibration": "set",
    "step": 0.2,
    "generations": 12,
    "offspring": 6,
    "survivors": [2, 1],
    "tokens": [1000, 1000],
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], dict[str, Path]]:
    """Token ids of a tiny model, and their statistics."""
    made: dict[Path, dict[str, Path]] = {}

    def files(folder: Path) -> dict[str, Path]:
        if folder not in made:
            place = tmp_path_factory.mktemp("sets")
            statistics = save_statistics(place / "statistics.safetensors", folder, token_ids(8, 16))
            made[folder] = {
                "calibration": place / "calibration.safetensors",
                "statistics": statistics,
            }
        return made[folder]

    return files


def stage(
    folder: Path,
    output: Path,
    files: dict[str, Path],
    method: str = "wanda",
    threads: int = 1,
    sparsity: float = 0.5,
    **changes: object,
) -> list[str]:
    share = {"sparsity": sparsity, "allocation": EVOLVED | changes}
    variant = {"method": method} | share
    if method == "wanda":
        variant["calibration"] = "set"
    arguments = ["--model", folder, "--options", json.dumps(share)]
    arguments += ["--variant", json.dumps(variant), "--threads", threads, "--output", output]
    for flag, path in files.items():
        if flag == "calibration" or method == "wanda":
            arguments += [f"--{flag}", path]
    return [str(part) for part in arguments]


@given(st.data(), st.floats(0.01, 0.99), st.floats(0.001, 0.5))
def test_no_mutation_moves_the_mean_or_leaves_the_bounds(
    data: st.DataObject, target: float, step: float
) -> None:
    sizes = data.draw(st.lists(st.integers(1, 10**9), min_size=2, max_size=9))
    levels, draw = Levels(sizes, target, step), random.Random(data.draw(st.integers(0, 10**6)))
    state = (0,) * len(sizes)
    for _ in range(40):
        after = levels.mutated(state, draw)
        moved = [abs(a - b) for a, b in zip(after, state, strict=True)]
        assert sum(moved) <= 6 and sum(after) == 0
        found, state = levels.sparsities(after), after
        assert all(0 <= sparsity <= 1 for sparsity in found)
        assert abs(np.average(found, weights=sizes) - target) < 1e-9


@pytest.mark.parametrize("method", ["magnitude", "wanda"])
def test_it_finds_the_best_of_all_states(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    sets: Callable[[Path], dict[str, Path]],
    method: str,
) -> None:
    folder = tiny_model("qwen3")
    files, path = sets(folder), tmp_path / "allocation.json"
    allocate_sparsity.main(stage(folder, path, files, method))
    input_ids, model = token_ids(8, 16), load_model(folder, torch.float64)
    expected, weights = logits(model, input_ids), weights_of(folder)
    names = [*weights]

    def masks_at(rate: float) -> dict[str, np.ndarray]:
        if method == "wanda":
            return wanda_masks(folder, input_ids, dict.fromkeys(names, rate))
        masks = {}
        for name, weight in weights.items():
            flat = np.abs(weight).reshape(-1)
            masks[name] = np.ones(flat.shape, dtype=bool)
            masks[name][np.argsort(flat, kind="stable")[: round(rate * flat.size)]] = 0
        return masks

    masks = {level: masks_at(0.5 + 0.2 * level) for level in range(-2, 3)}
    dense = {name: model.get_parameter(name).data.clone() for name in names}

    def score(state: tuple[int, ...]) -> float:
        for name, weight in dense.items():
            keep = masks[state[int(name.split(".")[2])]][name]
            kept = torch.from_numpy(keep).reshape(weight.shape)
            model.get_parameter(name).data.copy_(weight * kept)
        return kl(expected, logits(model, input_ids))

    states = [s for s in itertools.product(range(-2, 3), repeat=3) if sum(s) == 0]
    best = min(states, key=score)
    assert best != (0, 0, 0)
    found = read_json(path)
    assert found["requested_mean"] == pytest.approx(0.5, abs=1e-9)
    for name in names:
        wanted = 0.5 + 0.2 * best[int(name.split(".")[2])]
        assert found["linears"][name] == pytest.approx(wanted, abs=1e-9)


def test_what_was_measured_is_what_the_mask_does(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    sets: Callable[[Path], dict[str, Path]],
    capsys: pytest.CaptureFixture,
) -> None:
    folder = tiny_model("qwen2")
    files, path = sets(folder), tmp_path / "allocation.json"
    allocate_sparsity.main(stage(folder, path, files, "wanda", tokens=[64, 1000]))
    said = [line for line in capsys.readouterr().err.splitlines() if "generation" in line]
    assert said[0] == (
        "search: 109 evaluations of pruned models: 1 on 64 tokens, then 12 generations of 6 on 64 "
        "tokens + 3 on 128 tokens"
    )
    given = {"allocation": path, "statistics": files["statistics"]}
    pruned = read_pruned(run(tmp_path, folder, {"method": "wanda"}, **given))
    dense, model = load_model(folder), load_model(folder)
    apply_pruned(model, pruned, open_checkpoint(folder))
    divergence = kl(*(logits(one, token_ids(8, 16)) for one in (dense, model)))
    assert float(said[-1].rpartition(" ")[2]) == pytest.approx(divergence, rel=1e-4)


@pytest.mark.parametrize("kind", ["mixtral", "qwen3_moe"])
def test_experts_are_pruned_with_their_block(tmp_path: Path, kind: str) -> None:
    folder = saved(kind, tmp_path / "model").folder
    write_manifest(folder)
    place = tmp_path / "statistics.safetensors"
    files = {
        "statistics": save_statistics(place, folder, token_ids(4, 16) % 24),
        "calibration": tmp_path / "calibration.safetensors",
    }
    path = tmp_path / "allocation.json"
    allocate_sparsity.main(stage(folder, path, files, generations=2))
    found = read_json(path)
    assert found["requested_mean"] == pytest.approx(0.5, abs=1e-9)
    by_block: dict[int, set[float]] = {}
    for linear in linears(open_checkpoint(folder)):
        by_block.setdefault(linear.block, set()).add(found["linears"][linear.name])
    assert all(len(sparsities) == 1 for sparsities in by_block.values())


KILLED = """
import os, signal, sys
import torch
from workflow_scripts.allocation import allocate_sparsity
from workflow_scripts.artefacts import rows_done
from workflow_scripts.pruning import fitness

torch.set_num_threads(1)
rows_done.TIMES = 0  # generations of a tiny model take less time than writing
outputs = fitness.outputs
for models in map(int, sys.argv[1].split(",")):
    if os.fork():
        assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGKILL
        continue

    def some(*about):
        global models
        if models == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        models -= 1
        return outputs(*about)

    fitness.outputs = some
    allocate_sparsity.main(sys.argv[2:])
"""


def test_a_search_that_was_killed_goes_on_with_the_same_bytes(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    sets: Callable[[Path], dict[str, Path]],
    capsys: pytest.CaptureFixture,
) -> None:
    folder = tiny_model("qwen3")
    files, whole, killed = sets(folder), tmp_path / "whole.json", tmp_path / "killed.json"
    allocate_sparsity.main(stage(folder, whole, files, threads=2, generations=4))
    # 11 models a generation, dense ones included
    command = [sys.executable, "-c", KILLED, "5,18"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    some = stage(folder, killed, files, generations=4)
    subprocess.run([*command, *some], check=True, env=environment)
    assert not killed.exists() and {*tmp_path.glob(".killed*")}
    capsys.readouterr()
    allocate_sparsity.main(some)
    assert "search: 2 of 5 rows were done before" in capsys.readouterr().out
    assert killed.read_bytes() == whole.read_bytes()  # and with another number of threads
    assert {*tmp_path.iterdir()} == {
        *(f(p) for p in (whole, killed) for f in (Path, checksum_file))
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_scope_alone_is_pruned(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    sets: Callable[[Path], dict[str, Path]],
    architecture: str,
) -> None:
    folder, path = tiny_model(architecture), tmp_path / "allocation.json"
    arguments = stage(folder, path, sets(folder), generations=2)
    arguments[3] = json.dumps(json.loads(arguments[3]) | {"scope": "mlp"})
    allocate_sparsity.main(arguments)
    found = read_json(path)
    assert found["requested_mean"] == pytest.approx(0.5, abs=1e-9)
    for linear in linears(open_checkpoint(folder)):
        assert (found["linears"][linear.name] > 0) == (linear.part == "mlp")
