"""Dynamic variants whose routers are trained, from the first step to what is stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.artefacts.mask_references import run as prune
from tests.models.tiny_models import load_model, token_ids
from tests.recovery.recovering import FULL, LORA, SIZES
from tests.recovery.recovering import run as recovered
from workflow_scripts.artefacts.mask_records import DynamicRecord
from workflow_scripts.artefacts.masks import VariantFiles, read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.artefacts.recovery_records import RecoveryRecord, read_recovery_record
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint
from workflow_scripts.models.routed import FullPass
from workflow_scripts.models.routing import is_router_tensor
from workflow_scripts.recovery import recover

ASKED = token_ids(2, 9, seed=1).long()
BLOCKS = SIZES["blocks"]
MEASURED = {"steps": 6, "validation": 24, "evaluate_every": 3}
ROUTERS = {key: LORA[key] for key in ("length", "batch", "learning_rate")} | MEASURED
ROUTERS |= {"kind": "routers"}
ADAPTERS = LORA | MEASURED
METHODS = {
    "skipgpt": (
        {"method": "skipgpt", "skip": 0.3},
        ROUTERS | {"routers": {"weight": 8.0, "temperature": 5.0, "final_temperature": 1.0}},
    ),
    "d-llm": (
        {"method": "d-llm", "skip": 0.2, "width": 8},
        ADAPTERS | {"dropout": 0.05, "routers": {"weight": 5.0, "ramp": "sine", "budget": "token"}},
    ),
    "mod": (
        {"method": "mod", "skip": 0.3, "parts": "both"},
        ADAPTERS | {"routers": {"budget": "excess"}},
    ),
    "mod-lrm": (
        {"method": "mod", "skip": 0.3, "form": "lrm", "decode_densely": True},
        ADAPTERS | {"routers": {}},
    ),
}


@pytest.fixture(scope="module")
def model(tiny_model: Callable[..., Path]) -> Path:
    return tiny_model("qwen3", **SIZES)


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Callable[[str], VariantFiles]:
    made: dict[str, VariantFiles] = {}

    def of(name: str) -> VariantFiles:
        if name not in made:
            made[name] = prune(tmp_path_factory.mktemp("start"), model, METHODS[name][0])
        return made[name]

    return of


def opened(model: Path, files: VariantFiles) -> torch.nn.Module:
    loaded = load_model(model)
    apply_pruned(loaded, read_pruned(files, model_digest(model)), open_checkpoint(model))
    return loaded.eval()


@torch.no_grad()
def logits(model: torch.nn.Module) -> Tensor:
    return model.eval()(ASKED, use_cache=False).logits


@torch.no_grad()
def skipped_by(model: torch.nn.Module, rows: list[list[int]]) -> dict[str, float]:
    """Of each kind of sublayer, over all blocks: rows alone, one after the other."""
    pairs, tokens = {"attention": 0, "mlp": 0}, 0
    for ids in rows:
        whole = FullPass()
        model(torch.tensor([ids]), use_cache=False, routes=whole)
        tokens += len(ids)
        for parts in whole.run.values():
            for part, run in parts.items():
                pairs[part] += int((~run).sum())
    return {part: count / (BLOCKS * tokens) for part, count in pairs.items()}


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the model computed before training, in the end, and the rows that were measured."""
    seen: dict[str, Any] = {}
    training, settle = recover.train, recover.settle

    def train(trained: torch.nn.Module, *others: object) -> object:
        seen["before"] = logits(trained)
        return training(trained, *others)

    def note(trained: torch.nn.Module, dynamic: DynamicRecord, samples: list, *rest: Any) -> Any:
        found = settle(trained, dynamic, samples, *rest)
        seen["after"], seen["rows"] = logits(trained), [sample.ids for sample in samples]
        return found

    monkeypatch.setattr(recover, "train", train)
    monkeypatch.setattr(recover, "settle", note)
    return seen


def check_stored(
    model: Path, files: VariantFiles, record: RecoveryRecord, settled: dict[str, Any]
) -> None:
    """The stored variant computes what was trained, and skips what its records say."""
    loaded = opened(model, files)
    torch.testing.assert_close(logits(loaded), settled["after"], rtol=1e-5, atol=1e-5)
    by_part = skipped_by(loaded, settled["rows"])
    share = sum(by_part.values()) / 2
    dynamic = read_pruned(files).record.dynamic
    assert share == pytest.approx(dynamic.skipped, abs=1e-9)
    expected = sum(dynamic.spared[part] * by_part[part] for part in by_part)
    assert dynamic.unused == pytest.approx(expected, abs=1e-9)
    reached = record.reached
    assert (reached.skipped, reached.unused) == (dynamic.skipped, dynamic.unused)
    assert reached.asked == dynamic.routing.asked


@pytest.mark.parametrize("name", METHODS)
def test_what_is_stored_is_what_was_trained_and_skips_what_was_asked(
    tmp_path: Path,
    model: Path,
    starts: Callable[[str], VariantFiles],
    settled: dict[str, Any],
    name: str,
) -> None:
    before, options = starts(name), METHODS[name][1]
    after, record = recovered(tmp_path / "after", model, before, options)
    assert (settled["after"] - settled["before"]).abs().max() > 0.01
    check_stored(model, after, record, settled)
    old, new = read_pruned(before), read_pruned(after)
    assert new.digest != old.digest and new.record.engines == ("transformers",)
    routers = {n: t for n, t in new.weights.items() if is_router_tensor(n)}
    assert routers.keys() == {n for n in old.weights if is_router_tensor(n)}
    assert not all(torch.equal(old.weights[n], tensor) for n, tensor in routers.items())
    assert (len(new.weights) > len(routers)) == (options["kind"] == "lora")
    assert record.trained == sum(tensor.numel() for tensor in new.weights.values())
    assert record.kept_step == options["steps"]
    # all run at first: what is drawn, or what is the least of a row, skips nevertheless
    assert record.validation[0].skipped == 0 or name == "mod-lrm"
    assert all(0 < one.skipped < 1 for one in record.steps[2:])
    assert all(0 <= one.skipped < 1 for one in record.validation)
    if name == "mod-lrm":
        assert record.reached.shift == 0  # its share is fixed
    else:
        assert record.reached.skipped == pytest.approx(record.reached.asked, abs=0.01)


def test_without_an_exact_share_routers_stay_as_trained_and_the_log_says_how_far(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    model: Path,
    starts: Callable[[str], VariantFiles],
    settled: dict[str, Any],
) -> None:
    options = ROUTERS | {"steps": 1, "evaluate_every": 1, "routers": {"exact_share": False}}
    after, record = recovered(tmp_path / "after", model, starts("skipgpt"), options)
    check_stored(model, after, record, settled)
    last = record.validation[-1]
    assert record.reached.shift == 0
    assert (record.reached.skipped, record.reached.loss) == (last.skipped, last.loss)
    assert abs(last.skipped - 0.3) > 0.01
    said = f"of the measured rows {last.skipped:.1%} is skipped; 30.0% was asked"
    assert said in capfd.readouterr().err


def test_the_last_routers_are_kept_however_small_the_loss_was_before(
    tmp_path: Path, model: Path, starts: Callable[[str], VariantFiles]
) -> None:
    """With a budget that counts for all, each step skips more and the loss grows."""
    routers = {"weight": 1e4, "exact_share": False}
    options = ROUTERS | {"learning_rate": 0.3, "evaluate_every": 1, "routers": routers}
    options |= {"schedule": "constant"}
    _, record = recovered(tmp_path / "after", model, starts("skipgpt"), options)
    losses = [one.loss for one in record.validation]
    assert losses.index(min(losses)) < len(losses) - 1
    assert record.kept_step == 6 and record.reached.loss == losses[-1]


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_the_rest_is_trained_with_routers_as_they_are(
    tmp_path: Path,
    model: Path,
    starts: Callable[[str], VariantFiles],
    settled: dict[str, Any],
    kind: str,
) -> None:
    first, _ = recovered(tmp_path / "first", model, starts("skipgpt"), METHODS["skipgpt"][1])
    options = (LORA if kind == "lora" else FULL) | MEASURED
    after, record = recovered(tmp_path / "after", model, first, options)
    check_stored(model, after, record, settled)
    old, new = read_pruned(first), read_pruned(after)
    for name, tensor in old.weights.items():
        assert is_router_tensor(name) and torch.equal(new.weights[name], tensor)
    assert len(new.weights) > len(old.weights)
    losses = [one.loss for one in record.validation]
    assert losses[-1] < losses[0]
    assert record.kept_step == record.validation[losses.index(min(losses))].step
    # what enters routers is another, and nothing shifts them
    assert record.reached.shift == 0
    assert {one.skipped for one in record.validation} != {record.validation[0].skipped}


def test_rows_at_once_only_round_where_each_token_has_its_own_budget(
    tmp_path: Path, model: Path, starts: Callable[[str], VariantFiles]
) -> None:
    """Routes that are drawn and dropout follow from a row's place; `batch` is of rows at once."""
    options = METHODS["d-llm"][1] | {"steps": 4, "evaluate_every": 4}
    found = []
    for at_once in (4, 1):
        place = tmp_path / str(at_once)
        _, record = recovered(place, model, starts("d-llm"), options | {"micro_batch": at_once})
        found.append(record)
    whole, single = found
    for one, other in zip(whole.steps, single.steps, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.skipped == one.skipped
    assert single.validation[-1].loss == pytest.approx(whole.validation[-1].loss, rel=1e-4)
    assert single.reached.skipped == pytest.approx(whole.reached.skipped, abs=1e-6)


def test_a_budget_moves_the_share(
    tmp_path: Path, model: Path, starts: Callable[[str], VariantFiles]
) -> None:
    """Nothing but the weight differs: without it nothing asks tokens to skip."""
    shares = []
    for weight in (0.0, 50.0):
        routers = {"weight": weight, "exact_share": False}
        options = ROUTERS | {"steps": 30, "evaluate_every": 30, "learning_rate": 0.1}
        place = tmp_path / str(weight)
        _, record = recovered(place, model, starts("skipgpt"), options | {"routers": routers})
        shares.append(record.steps[-1].skipped)
    assert abs(shares[1] - 0.3) < 0.05 < abs(shares[0] - 0.3)


def test_records_of_other_variants_have_no_word_of_it(tmp_path: Path, model: Path) -> None:
    (place := tmp_path / "start").mkdir()
    before = prune(place, model, {"method": "dense"})
    recovered(tmp_path / "after", model, before, ADAPTERS)
    path = tmp_path / "after/recovery.json"
    assert "skipped" not in path.read_text() and "reached" not in read_json(path)
    assert read_recovery_record(path).steps[0].skipped is None
