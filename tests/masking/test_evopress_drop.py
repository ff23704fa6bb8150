"""EvoPress in drop mode, against whole models in float64 and every choice tried."""

import itertools
from collections.abc import Callable
from math import exp
from pathlib import Path

import pytest
import torch

from tests.artefacts.mask_references import refused, run
from tests.models.test_supported import saved
from tests.models.tiny_models import (
    ARCHITECTURES,
    load_model,
    save_calibration_set,
    token_ids,
    write_manifest,
)
from tests.pruning.test_fitness import kl, logits
from workflow_scripts.artefacts.masks import Pruned, read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.config.methods.depth import EvoPressDrop
from workflow_scripts.models.checkpoints import open_checkpoint

DROP = {
    "method": "evopress-drop",
    "remove_parts": 1,
    "calibration": "set",
    "initial": 2,
    "generations": 12,
    "offspring": 6,
    "tokens": [1000, 1000],
}
IDS = token_ids(8, 16)


def dropped(place: Path, folder: Path, vocabulary: int = 64, **changes: object) -> Pruned:
    calibration = save_calibration_set(place / "calibration.safetensors", folder, IDS % vocabulary)
    return read_pruned(run(place, folder, DROP | changes, calibration=calibration))


def parts_gone(pruned: Pruned) -> tuple[set[int], set[int]]:
    """The blocks whose attention, and whose MLP, is gone; whole or not at all."""
    gone: dict[str, set[int]] = {"self_attn": set(), "mlp": set()}
    for name, linear in pruned.record.linears.items():
        assert (linear.requested, linear.achieved) == (1.0, 1.0)
        gone[name.split(".")[3]].add(int(name.split(".")[2]))
    assert not any(blocks & {*pruned.record.removed_blocks} for blocks in gone.values())
    return tuple(blocks | {*pruned.record.removed_blocks} for blocks in gone.values())


@pytest.mark.parametrize(
    ("architecture", "count", "parts", "fitness"),
    [
        ("llama", 1, "both", "perplexity"),
        ("qwen2", 1, "both", "kl"),
        ("qwen3", 2, "both", "kl"),
        ("qwen3", 2, "mlp", "perplexity"),
    ],
)
def test_it_finds_the_best_of_all_choices(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    count: int,
    parts: str,
    fitness: str,
) -> None:
    folder = tiny_model(architecture, blocks=4)
    pruned = dropped(tmp_path, folder, remove_parts=count, parts=parts, fitness=fitness)
    model = load_model(folder, torch.float64)
    expected, dense = logits(model, IDS), {k: v.clone() for k, v in model.state_dict().items()}

    def score(choice: tuple[tuple[int, ...], tuple[int, ...]]) -> float:
        model.load_state_dict(dense)
        for block in choice[0]:
            model.model.layers[block].self_attn.o_proj.weight.data.zero_()
        for block in choice[1]:
            model.model.layers[block].mlp.down_proj.weight.data.zero_()
        found = logits(model, IDS)
        if fitness == "kl":
            return kl(expected, found)
        predicted = found[:, :-1].flatten(0, 1)
        return exp(torch.nn.functional.cross_entropy(predicted, IDS[:, 1:].flatten().long()))

    some = [*itertools.combinations(range(4), count)]
    choices = itertools.product([()] if parts == "mlp" else some, some)
    best = min(choices, key=score)
    assert parts_gone(pruned) == ({*best[0]}, {*best[1]})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_block_without_both_is_removed_and_what_was_measured_is_what_the_mask_does(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    capsys: pytest.CaptureFixture,
    architecture: str,
) -> None:
    folder = tiny_model(architecture)
    pruned = dropped(tmp_path, folder, remove_parts=2, tokens=[64, 1000])
    said = [line for line in capsys.readouterr().err.splitlines() if "generation" in line]
    assert said[0] == (
        "search: 110 evaluations of pruned models: 2 on 64 tokens, then 12 generations of 6 on 64 "
        "tokens + 3 on 128 tokens"
    )
    assert pruned.record.removed_blocks  # 2 and 2 of 3 blocks have one in common
    assert pruned.record.removed_fraction == pytest.approx(2 / 3)
    dense, model = load_model(folder), load_model(folder)
    apply_pruned(model, pruned, open_checkpoint(folder))
    divergence = kl(*(logits(one, IDS) for one in (dense, model)))
    assert float(said[-1].rpartition(" ")[2]) == pytest.approx(divergence, rel=1e-4)


@pytest.mark.parametrize("kind", ["qwen3_moe", "diffllama"])
def test_experts_go_together_and_blocks_stay_where_they_must(tmp_path: Path, kind: str) -> None:
    folder = saved(kind, tmp_path / "model").folder
    write_manifest(folder)
    blocks = open_checkpoint(folder).blocks
    pruned = dropped(tmp_path, folder, 24, remove_parts=blocks - 1, generations=2)
    attentions, mlps = parts_gone(pruned)
    assert len(attentions) == len(mlps) == blocks - 1
    assert bool(pruned.record.removed_blocks) == (kind != "diffllama")


def test_the_seed_decides_and_threads_do_not(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model("qwen3", blocks=6)
    calibration = save_calibration_set(tmp_path / "c.safetensors", folder, IDS)
    found = []
    for number, seed in enumerate((0, 0, 1)):
        options = DROP | {"remove_parts": 3, "generations": 1, "seed": seed, "tokens": [16, 64]}
        place = tmp_path / str(number)
        place.mkdir()
        files = run(place, folder, options, calibration=calibration, threads=number % 2 + 1)
        found.append(b"".join(file.read_bytes() for file in files[:2]))
    assert found[0] == found[1]
    assert len({*found}) > 1


def test_parts_that_a_model_has_not(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model()
    calibration = save_calibration_set(tmp_path / "c.safetensors", folder, IDS)
    line = refused(tmp_path, folder, DROP | {"remove_parts": 3}, calibration=calibration)
    assert line == "remove_parts: 3 is not allowed: of 3 blocks, 1 to 2 can lose a part"


@pytest.mark.parametrize(
    ("removed", "blocks", "generations"), [(8, 32, 128), (1, 6, 3), (1, 2, 1), (2, 6, 5)]
)
def test_generations_follow_from_the_number_of_swaps(
    removed: int, blocks: int, generations: int
) -> None:
    keys = {"method": "evopress-drop", "calibration": "set"}
    method = EvoPressDrop(**keys, remove_parts=removed)
    assert method.generations_of(blocks) == generations
    assert method.model_copy(update={"generations": 7}).generations_of(blocks) == 7
