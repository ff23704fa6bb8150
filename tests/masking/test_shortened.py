"""Shortened LLaMA's criteria against whole models in float64."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.artefacts.mask_references import refused
from tests.masking.depth_references import loss, record, silenced, without
from tests.models.tiny_models import load_model, save_calibration_set, token_ids
from workflow_scripts.masking.methods import shortened_ppl

IDS = token_ids(3, 12, seed=4)
KINDS = [("llama", False), ("qwen2", False), ("qwen3", True), ("qwen3", False)]
DATA = ("shortened-ppl", "shortened-taylor")


@pytest.mark.parametrize(("kind", "tied"), KINDS)
def test_perplexity_is_that_of_the_exported_checkpoint_without_the_block(
    tmp_path: Path, tiny_model: Callable[..., Path], kind: str, tied: bool
) -> None:
    folder = tiny_model(kind, tied=tied)
    found = record(tmp_path / "ppl", folder, IDS, method="shortened-ppl", remove_blocks=2)
    (scores,) = found.scores
    assert scores.measure == "perplexity without the block"
    for block, perplexity in enumerate(scores.values):
        with torch.no_grad():
            wanted = loss(without(tmp_path / str(block), folder, [block]), IDS).exp().item()
        assert perplexity == pytest.approx(wanted, rel=1e-4)
    kept = max(range(3), key=scores.values.__getitem__)
    assert found.removed_blocks == tuple(block for block in range(3) if block != kept)


def reference(folder: Path, input_ids: torch.Tensor, taylor: bool) -> list[float]:
    """By autograd on the whole model; biases, embedding, head and final norm left out."""
    model = load_model(folder, torch.float64)
    loss(model, input_ids).backward()
    sums = [0.0] * model.config.num_hidden_layers
    for block, layer in enumerate(model.model.layers):
        for name, weight in layer.named_parameters():
            if name.endswith("bias"):
                continue
            product = weight * weight.grad if taylor else weight
            sums[block] += product.abs().sum().item()
    return sums


@pytest.mark.parametrize("method", ["shortened-taylor", "shortened-magnitude"])
@pytest.mark.parametrize(("kind", "tied"), KINDS)
def test_sums_over_all_matrices_and_norms_and_no_bias(
    tmp_path: Path, tiny_model: Callable[..., Path], kind: str, tied: bool, method: str
) -> None:
    folder, taylor = tiny_model(kind, tied=tied, blocks=4), method.endswith("taylor")
    ids = IDS if taylor else None
    found = record(tmp_path, folder, ids, method=method, remove_blocks=2, plus=False)
    (scores,) = found.scores
    wanted = reference(folder, IDS, taylor)
    assert scores.values == pytest.approx(wanted, rel=1e-4 if taylor else 1e-6)
    lowest = sorted(range(4), key=wanted.__getitem__)[:2]
    assert found.removed_blocks == tuple(sorted(lowest))


def test_samples_are_summed_before_the_absolute_value(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    """One gradient of the mean loss: that of each sample alone gives other sums."""
    folder = tiny_model("llama")
    together = reference(folder, IDS, True)
    each = [reference(folder, one[None], True) for one in IDS]
    assert all(sum(one[block] for one in each) / 3 > 1.05 * together[block] for block in range(3))
    options = {"method": "shortened-taylor", "plus": False, "remove_blocks": 1}
    assert record(tmp_path, folder, IDS, **options).scores[0].values == pytest.approx(
        together, rel=1e-4
    )


def test_a_block_that_does_nothing_scores_nothing_and_leaves_the_perplexity(
    tmp_path: Path,
) -> None:
    folder = silenced(tmp_path / "model", (1,), blocks=3, architecture="qwen3")
    taylor = record(tmp_path / "t", folder, IDS, **TAYLOR)
    assert taylor.scores[0].values[1] == 0.0 and taylor.removed_blocks == (1,)
    assert all(taylor.scores[0].values[block] > 0 for block in (0, 2))
    ppl = record(tmp_path / "p", folder, IDS, method="shortened-ppl", remove_blocks=1)
    with torch.no_grad():
        dense = loss(load_model(folder, torch.float64), IDS).exp().item()
    assert ppl.scores[0].values[1] == pytest.approx(dense, rel=1e-5)


TAYLOR = {"method": "shortened-taylor", "plus": False, "remove_blocks": 1}


@pytest.mark.parametrize("method", ["shortened-ppl", "shortened-taylor", "shortened-magnitude"])
def test_the_plus_rule_keeps_the_first_four_and_the_last_two(
    tmp_path: Path, tiny_model: Callable[..., Path], method: str
) -> None:
    folder = tiny_model("llama", blocks=8)
    ids = IDS if method in DATA else None
    options = {"method": method, "remove_blocks": 2}
    plus = record(tmp_path / "plus", folder, ids, plus=True, **options)
    assert plus.removed_blocks == (4, 5)
    free = record(tmp_path / "free", folder, ids, plus=False, **options)
    values = free.scores[0].values
    assert free.removed_blocks == tuple(sorted(sorted(range(8), key=values.__getitem__)[:2]))
    default = record(tmp_path / "default", folder, ids, **options)
    as_default = free if method == "shortened-ppl" else plus
    assert (default.removed_blocks, default.scores) == (
        as_default.removed_blocks, as_default.scores,
    )  # fmt: skip
    if method == "shortened-ppl":  # what cannot go is not measured
        assert plus.scores[0].values[:4] == (None,) * 4 and plus.scores[0].values[6:] == (None,) * 2
        assert plus.scores[0].values[4:6] == pytest.approx(values[4:6], rel=1e-5)
    else:
        assert plus.scores == free.scores


@pytest.mark.parametrize("method", ["shortened-ppl", "shortened-taylor", "shortened-magnitude"])
@pytest.mark.parametrize(
    ("layers", "count", "plus", "line"),
    [
        (8, 3, True, "of 8 blocks, 1 to 2 can be removed: the first 4 and the last 2 always "
                     "stay, unless plus is false"),
        (7, 2, True, "of 7 blocks, 1 can be removed: the first 4 and the last 2 always "
                     "stay, unless plus is false"),
        (4, 1, True, "of 4 blocks, none can be removed: the first 4 and the last 2 always "
                     "stay, unless plus is false"),
        (4, 4, False, "of 4 blocks, 1 to 3 can be removed"),
    ],
)  # fmt: skip
def test_more_than_can_go(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    method: str,
    layers: int,
    count: int,
    plus: bool,
    line: str,
) -> None:
    folder = tiny_model("llama", blocks=layers)
    options = {"method": method, "remove_blocks": count, "plus": plus}
    files = {}
    if method in DATA:
        options["calibration"] = "set"
        files["calibration"] = save_calibration_set(tmp_path / "set.safetensors", folder, IDS)
    said = refused(tmp_path, folder, options, **files)
    assert said == f"remove_blocks: {count} is not allowed: {line}"


@pytest.mark.parametrize("method", [*DATA, "sleb"])
def test_samples_of_one_token_have_no_loss(
    tmp_path: Path, tiny_model: Callable[..., Path], method: str
) -> None:
    folder = tiny_model("llama", blocks=8)
    calibration = save_calibration_set(tmp_path / "set.safetensors", folder, IDS[:, :1])
    options = {"method": method, "remove_blocks": 1, "calibration": "short"}
    assert refused(tmp_path, folder, options, calibration=calibration) == (
        "calibration_sets.short: length is 1; a loss needs samples of 2 tokens or more"
    )


def test_perplexities_without_a_number(
    tmp_path: Path, tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model("llama")
    given = {0: math.nan, 1: 3.0, 2: 800.0}
    monkeypatch.setattr(shortened_ppl, "losses_without", lambda *arguments: given)
    found = record(tmp_path / "two", folder, IDS, method="shortened-ppl", remove_blocks=2)
    assert found.removed_blocks == (1, 2)
    assert found.scores[0].values == (None, pytest.approx(math.exp(3)), None)
    given[1] = math.inf
    calibration = save_calibration_set(tmp_path / "set.safetensors", folder, IDS)
    options = {"method": "shortened-ppl", "remove_blocks": 2, "calibration": "set"}
    assert refused(tmp_path, folder, options, calibration=calibration) == (
        "the loss is NaN or infinite without block 0 or 1: 1 blocks can be chosen, 2 must go"
    )
