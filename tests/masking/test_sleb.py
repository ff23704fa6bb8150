import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.artefacts.mask_references import refused
from tests.masking.depth_references import loss, measured, record, silenced, without
from tests.models.tiny_models import (
    load_model,
    save_calibration_set,
    token_ids,
)
from workflow_scripts.config.methods.depth import SLEB
from workflow_scripts.jobs import progress
from workflow_scripts.masking import block_losses
from workflow_scripts.masking.methods import sleb
from workflow_scripts.models import blocks
from workflow_scripts.models.checkpoints import open_checkpoint

IDS = token_ids(3, 12, seed=4)
KINDS = [("llama", False), ("qwen2", False), ("qwen3", True), ("qwen3", False)]


def greedy(folder: Path, input_ids: torch.Tensor, count: int) -> tuple[list[int], list[dict]]:
    """By brute force: a whole float64 model loses one layer after another."""
    model = load_model(folder, torch.float64)
    layers = list(enumerate(model.model.layers))
    gone, rounds = [], []
    with torch.no_grad():
        for _ in range(count):
            found = {}
            for number, _ in layers[1:-1]:
                kept = [layer for other, layer in layers if other != number]
                model.model.layers = torch.nn.ModuleList(kept)
                model.config.num_hidden_layers = len(kept)
                found[number] = loss(model, input_ids).item()
            best = min(found, key=found.__getitem__)
            layers = [(number, layer) for number, layer in layers if number != best]
            gone.append(best)
            rounds.append(found)
    return gone, rounds


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_sleb_is_the_greedy_search(
    tmp_path: Path, tiny_model: Callable[..., Path], kind: str, seed: int
) -> None:
    folder = tiny_model(kind, blocks=5, seed=seed)
    ids = token_ids(3, 12, seed)
    gone, rounds = greedy(folder, ids, 2)
    found = record(tmp_path, folder, ids, method="sleb", remove_blocks=2)
    assert found.removed_blocks == tuple(sorted(gone))
    assert len(found.scores) == 2
    for scores, wanted in zip(found.scores, rounds, strict=True):
        assert scores.measure == "loss without the block, nats a token"
        assert measured(scores) == pytest.approx(wanted, rel=2e-5)


@pytest.mark.parametrize(("kind", "tied"), KINDS)
def test_losses_are_those_of_exported_checkpoints(
    tmp_path: Path, tiny_model: Callable[..., Path], kind: str, tied: bool
) -> None:
    """Also of those whose attention is of another kind in some blocks, as Qwen2's is here."""
    folder = tiny_model(kind, blocks=5, tied=tied)
    found = record(tmp_path / "sleb", folder, IDS, method="sleb", remove_blocks=2)
    least = min(measured(found.scores[1]).values())
    model = without(tmp_path / "exported", folder, found.removed_blocks)
    with torch.no_grad():
        assert least == pytest.approx(loss(model, IDS).item(), rel=2e-5)


@pytest.mark.parametrize("seed", range(3))
def test_one_block_by_sleb_is_the_first_by_perplexity_with_the_ends_kept(
    tmp_path: Path, tiny_model: Callable[..., Path], seed: int
) -> None:
    folder = tiny_model("qwen3", blocks=6, seed=seed)
    one = record(tmp_path / "sleb", folder, IDS, method="sleb", remove_blocks=1)
    ppl = record(tmp_path / "ppl", folder, IDS, method="shortened-ppl", remove_blocks=1)
    inner = ppl.scores[0].values[1:-1]
    assert one.removed_blocks == (1 + inner.index(min(inner)),)
    losses = one.scores[0].values
    assert losses[0] is None and losses[-1] is None
    assert [math.exp(x) for x in losses[1:-1]] == pytest.approx(inner, rel=1e-6)


def test_of_equal_losses_the_lower_block_goes_and_the_ends_stay(tmp_path: Path) -> None:
    folder = silenced(tmp_path / "model", (0, 2, 3, 4), blocks=5)
    found = record(tmp_path / "sleb", folder, IDS, method="sleb", remove_blocks=2)
    first, second = (scores.values for scores in found.scores)
    assert first[2] == first[3] and second[3] < second[1]
    assert found.removed_blocks == (2, 3)


def test_a_loss_that_is_no_number_never_wins(
    tmp_path: Path, tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model("llama", blocks=5)
    given = iter([{1: math.nan, 2: 3.0, 3: 2.0}, {1: math.nan, 2: math.inf}])
    monkeypatch.setattr(sleb, "losses_without", lambda *arguments: next(given))
    found = record(tmp_path / "one", folder, IDS, method="sleb", remove_blocks=1)
    assert found.removed_blocks == (3,)
    assert found.scores[0].values == (None, None, 3.0, 2.0, None)
    given = iter([{1: math.nan, 2: 3.0, 3: 2.0}, {1: math.nan, 2: math.inf}])
    (tmp_path / "two").mkdir()
    calibration = save_calibration_set(tmp_path / "set.safetensors", folder, IDS)
    options = {"method": "sleb", "remove_blocks": 2, "calibration": "set"}
    line = refused(tmp_path / "two", folder, options, calibration=calibration)
    assert line == (
        "the loss is NaN or infinite without block 1 or 2: 0 blocks can be chosen, 1 must go"
    )


def test_blocks_run_as_often_as_is_said_and_half_as_often_as_in_forward_passes(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tiny_model("llama", blocks=24, hidden=6, intermediate=5)
    real, samples = blocks.run_block, 0

    def counted(block, hidden, call):
        nonlocal samples
        samples += len(hidden)
        return real(block, hidden, call)

    monkeypatch.setattr(blocks, "run_block", counted)
    ids = token_ids(3, 4)
    monkeypatch.setitem(blocks.BATCH_TOKENS, "cpu", 8)  # two samples, then one
    record(tmp_path, folder, ids, method="sleb", remove_blocks=2)
    entry = SLEB(method="sleb", remove_blocks=2, calibration="set")
    naive = (24 - 1) * 22 + (24 - 2) * 21  # one pass through what is left for each
    assert samples == len(ids) * entry.passes(24) * 24
    assert samples / len(ids) == 22 + 253 + 21 + 231 <= 0.55 * naive
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sleb")]
    assert said[0] == (
        "sleb: 43 losses in 2 rounds over 12 tokens; blocks run as often as in 22.0 forward "
        "passes, the head as in 43"
    )
    assert len(said) == 3 and said[1].startswith("sleb: block ")


def test_batches_and_how_many_wait_do_not_matter(
    tmp_path: Path, tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model("qwen2", blocks=5)
    at_once = record(tmp_path / "1", folder, IDS, method="sleb", remove_blocks=3)
    monkeypatch.setitem(blocks.BATCH_TOKENS, "cpu", 24)  # two samples, then one
    alone = record(tmp_path / "2", folder, IDS, method="sleb", remove_blocks=3)
    monkeypatch.setattr(block_losses, "_batches", lambda device, size: 2)
    waiting = record(tmp_path / "3", folder, IDS, method="sleb", remove_blocks=3)
    assert waiting.scores == alone.scores
    for one, other in zip(at_once.scores, alone.scores, strict=True):
        assert measured(one) == pytest.approx(measured(other), rel=1e-5)


def test_what_is_left_is_told_every_ten_seconds(tiny_model: Callable[..., Path]) -> None:
    said, times = [], iter([0, 4, 12, 15, 30])
    tell = progress.Progress(40, said.append, lambda: next(times))
    for work in (4, 6, 10, 10):
        tell(work)
    assert said == ["25% done, about 0:00:36 left", "75% done, about 0:00:10 left"]


def test_all_of_the_work_is_told_of(tiny_model: Callable[..., Path]) -> None:
    checkpoint = open_checkpoint(tiny_model("llama", blocks=5))
    decoder = blocks.open_decoder(checkpoint)
    given = block_losses.Measured(decoder, block_losses.open_head(decoder), IDS)
    done = []
    block_losses.losses_without(given, (0, 1, 3, 4), (1, 2), done.append)
    assert sum(done) == pytest.approx(given.work(4, (1, 2)))


@pytest.mark.parametrize(
    ("count", "layers", "some"),
    [(3, 4, "1 to 2 can be removed"), (2, 3, "1 can be removed"), (1, 2, "none can be removed")],
)
def test_the_ends_cannot_go(
    tmp_path: Path, tiny_model: Callable[..., Path], count: int, layers: int, some: str
) -> None:
    folder = tiny_model("llama", blocks=layers)
    calibration = save_calibration_set(tmp_path / "set.safetensors", folder, IDS)
    options = {"method": "sleb", "remove_blocks": count, "calibration": "set"}
    line = refused(tmp_path, folder, options, calibration=calibration)
    assert line == (
        f"remove_blocks: {count} is not allowed: of {layers} blocks, {some}: the first 1 and the "
        "last 1 always stay"
    )
