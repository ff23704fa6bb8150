"""What training after pruning leaves as it was, what it stores, and that it is what was trained."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.artefacts.variants import in_memory, on_disk, random_keeps
from tests.models.tiny_models import load_model, save_tiny_model, token_ids
from tests.recovery.recovering import FULL, LORA, SIZES, start
from tests.recovery.recovering import run as recovered
from workflow_scripts.artefacts.masks import VariantFiles, read_pruned, variant_files
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export, pruned_tensors
from workflow_scripts.artefacts.recovery_records import RecoveryRecord
from workflow_scripts.config.recoveries import Lora
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models.checkpoints import (
    linears,
    load_tensor,
    model_digest,
    open_checkpoint,
)
from workflow_scripts.recovery import recover
from workflow_scripts.recovery.adapters import prepare, set_places, targets_of

ASKED = token_ids(2, 9, seed=1).long()
METHODS = ("dense", "wanda", "sparsegpt", "blocks", "flap", "llm-pruner", "slicegpt")
UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def model(tiny_model: Callable[..., Path]) -> Path:
    return tiny_model("llama", **SIZES)


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Callable[[str], VariantFiles]:
    made: dict[str, VariantFiles] = {}

    def of(method: str) -> VariantFiles:
        if method not in made:
            made[method] = start(tmp_path_factory.mktemp("start"), model, method)
        return made[method]

    return of


def logits(model: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        return model.eval()(ASKED, use_cache=False).logits


@pytest.mark.parametrize(
    ("method", "kind"),
    [*product(METHODS, ["lora"]), *product(("wanda", "sparsegpt", "blocks", "slicegpt"), ["full"])],
)
def test_what_is_stored_is_what_was_trained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: Path,
    starts: Callable[[str], VariantFiles],
    method: str,
    kind: str,
) -> None:
    """The model that was trained, with its adapters beside its weights, the stored one in memory
    and the exported one compute the same; and what was removed stays away.
    """
    seen: dict[str, Tensor] = {}

    def train(trained_model: torch.nn.Module, *others: object) -> object:
        seen["before"] = logits(trained_model)
        found = training(trained_model, *others)
        seen["after"] = logits(trained_model)
        return found

    training = recover.train
    monkeypatch.setattr(recover, "train", train)
    before, options = starts(method), LORA if kind == "lora" else FULL
    options = options | {"samples": 4, "schedule": "constant"}  # the same rows in every step
    after, record = recovered(tmp_path / "after", model, before, options)
    losses = [step.loss for step in record.steps]
    assert losses == sorted(losses, reverse=True) and len({*losses}) == 4
    assert after.mask.read_bytes() == before.mask.read_bytes()
    checkpoint, digest = open_checkpoint(model), model_digest(model)
    old, new = read_pruned(before, digest), read_pruned(after, digest)
    assert new.digest != old.digest
    assert new.record.engines == old.record.engines
    assert new.record.recovery["kind"] == kind
    assert new.record.recovery["source"]["kind"] == "local"

    loaded = {}
    for name, pruned in (("before", old), ("after", new)):
        loaded[name] = load_model(model)
        apply_pruned(loaded[name], pruned, checkpoint)
        torch.testing.assert_close(logits(loaded[name]), seen[name], rtol=1e-5, atol=1e-5)
    assert (seen["after"] - seen["before"]).abs().max() > 0.01
    if method == "slicegpt":
        return
    assert new.record.export == old.record.export is not None
    export(checkpoint, new, tmp_path / "checkpoint")
    exported = load_model(tmp_path / "checkpoint")
    torch.testing.assert_close(logits(exported), seen["after"], rtol=1e-5, atol=1e-5)
    numbers = {block: number for number, block in enumerate(new.record.kept_blocks)}
    stored, was = dict(pruned_tensors(checkpoint, new)), dict(pruned_tensors(checkpoint, old))
    trained = {
        linear.name.replace(f".{linear.block}.", f".{numbers[linear.block]}.", 1): linear.name
        for linear in linears(checkpoint)
        if linear.block in numbers
    }
    for name, tensor in stored.items():
        same = torch.equal(tensor, was[name])
        if trained.get(name) in new.record.linears:
            keep = new.kept(trained[name])
            assert not tensor[~keep].any()
            assert same == (not keep.any())
        else:
            assert same == (name not in trained)


def test_a_delta_of_before_stays_and_is_trained_beside(tmp_path: Path, model: Path) -> None:
    """What starts from a model that was trained adds to its adapters."""
    keeps = random_keeps(model)
    first = on_disk(tmp_path / "start", model, keeps)
    second, _ = recovered(tmp_path / "second", model, first, LORA)
    other = LORA | {"rank": 2, "alpha": 1, "seed": 3}
    third, _ = recovered(tmp_path / "third", model, second, other)
    digest, checkpoint = model_digest(model), open_checkpoint(model)
    two, three = read_pruned(second, digest), read_pruned(third, digest)
    assert three.weights[f"{UP}.lora_A"].shape == (5, 24)
    assert three.record.scales[UP] == 0.5
    new = {side: three.weights[f"{UP}.lora_{side}"] for side in "AB"}
    added = 0.5 * new["B"][:, 3:].double() @ new["A"][3:].double()
    was = dict(pruned_tensors(checkpoint, two))[UP].double()
    expected = (was + added) * keeps[UP]
    found = dict(pruned_tensors(checkpoint, three))[UP].double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert added.abs().max() > 1e-3


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "phi3"])
def test_targets_alone_are_trained(tmp_path: Path, architecture: str) -> None:
    """In bf16 checkpoints of several architectures, with fused linears as well."""
    model = save_tiny_model(tmp_path / "model", architecture, dtype=torch.bfloat16, blocks=2)
    before = on_disk(tmp_path / "start", model, random_keeps(model))
    fused = architecture == "phi3"
    targets = ["qkv_proj", "down_proj"] if fused else ["q_proj", "v_proj", "down_proj"]
    after, record = recovered(tmp_path / "after", model, before, LORA | {"targets": targets})
    pruned = read_pruned(after, model_digest(model))
    parts = {name.split(".")[-3] for name in pruned.record.weights}
    assert parts == {*targets}
    assert record.trained == sum(tensor.numel() for tensor in pruned.weights.values())
    export(open_checkpoint(model), pruned, tmp_path / "checkpoint")
    dtypes = {tensor.dtype for tensor in load_model(tmp_path / "checkpoint", None).parameters()}
    assert dtypes == {torch.bfloat16}


def test_two_runs_are_the_same_bytes_and_another_seed_is_not(tmp_path: Path, model: Path) -> None:
    before = on_disk(tmp_path / "start", model, random_keeps(model))
    options = LORA | {"dropout": 0.2, "validation": 4, "evaluate_every": 2}
    for name, keys in (("a", {}), ("b", {}), ("c", {"seed": 1})):
        recovered(tmp_path / name, model, before, options | keys)
    places = [tmp_path / name for name in "abc"]
    a, b, c = (
        [path.read_bytes() for path in (*variant_files(place), place / "recovery.json")]
        for place in places
    )
    assert a == b
    assert a[0] == c[0] and a[1] != c[1]
    assert read_json(tmp_path / "a/recovery.json")["validation"][0]["step"] == 0


def test_rows_at_once_only_round_otherwise(tmp_path: Path, model: Path) -> None:
    """Dropout too does not depend on them; rows have completions of different lengths."""
    before = on_disk(tmp_path / "start", model, random_keeps(model))
    options = LORA | {"dropout": 0.3, "validation": 5, "evaluate_every": 4}
    found: list[RecoveryRecord] = []
    tensors = []
    for at_once in (4, 1):
        place = tmp_path / str(at_once)
        after, record = recovered(place, model, before, options | {"micro_batch": at_once})
        found.append(record)
        tensors.append(read_pruned(after).weights)
    whole, single = found
    assert whole.tokens == single.tokens
    for one, other in zip(whole.steps, single.steps, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
    for one, other in zip(whole.validation, single.validation, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
    for name, tensor in tensors[0].items():
        # AdamW moves a weight by its rate whatever its gradient, also where that is but rounding
        far = (tensors[1][name] - tensor).abs() > 1e-4
        assert far.float().mean() < 0.01, name


def test_early_stopping_keeps_the_best(tmp_path: Path, model: Path) -> None:
    before = on_disk(tmp_path / "start", model, random_keeps(model))
    options = LORA | {"learning_rate": 0.3, "schedule": "constant", "steps": 40, "samples": 8}
    options |= {"validation": 4, "evaluate_every": 1}
    stopped, record = recovered(tmp_path / "a", model, before, options | {"patience": 3})
    losses = [one.loss for one in record.validation]
    best = losses.index(min(losses))
    assert record.stopped_early
    assert 0 < best == record.kept_step == len(record.steps) - 3
    until, _ = recovered(tmp_path / "b", model, before, options | {"steps": best})
    assert stopped.weights.read_bytes() == until.weights.read_bytes()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_adapters_are_wider_than_a_model_in_bf16(
    tmp_path: Path, tiny_model: Callable[..., Path], dropout: float
) -> None:
    """As on a GPU: what is trained and its gradients are in fp32, and a masked linear computes
    what it says up to the rounding of bf16.
    """
    folder = tiny_model("llama", blocks=2)
    keeps = random_keeps(folder)
    pruned, checkpoint = in_memory(folder, keeps), open_checkpoint(folder)
    wanted = Lora.model_validate_json(json.dumps(LORA | {"dropout": dropout}))
    model = load_model(folder, torch.bfloat16)
    apply_pruned(model, pruned, checkpoint)
    trained = prepare(model, pruned, targets_of(checkpoint, wanted), wanted)
    with torch.no_grad():
        for parameter in trained.parameters.values():
            parameter.normal_(0, 0.5)
    set_places(model.train(), [4, 9])
    x = torch.randn(2, 7, 18).bfloat16()
    linear = model.get_submodule(UP.removesuffix(".weight"))
    seen = x.double()
    if dropout:
        kept = linear.lora_dropout["default"](torch.ones_like(x)) != 0
        assert 0.5 < kept.float().mean() < 0.9 and not torch.equal(kept[0], kept[1])
        seen = seen * kept / (1 - dropout)
    a, b = (trained.parameters[f"{UP}.lora_{side}"].detach().double() for side in "AB")
    weight = load_tensor(checkpoint, UP).bfloat16().double() * keeps[UP]
    expected = x.double() @ weight.T + seen @ (2.0 * keeps[UP] * (b @ a)).T
    found = linear(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), expected, rtol=0.05, atol=0.05 * expected.std())
    model(ASKED, use_cache=False).logits.float().logsumexp(-1).sum().backward()
    for name, parameter in trained.parameters.items():
        assert parameter.dtype == parameter.grad.dtype == torch.float32
        assert parameter.grad.any(), name
    assert not any(p.requires_grad for p in model.parameters() if p.dtype == torch.bfloat16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_gpu_trains_as_the_cpu_does_and_twice_the_same(
    tmp_path: Path, model: Path, kind: str
) -> None:
    before = on_disk(tmp_path / "start", model, random_keeps(model))
    options = (LORA | {"dropout": 0.2} if kind == "lora" else FULL) | {
        "samples": 4,
        "micro_batch": 2,
    }
    flags = ["--device", "cuda"]
    _, on_cpu = recovered(tmp_path / "cpu", model, before, options)
    (one, record), (two, _) = (
        recovered(tmp_path / name, model, before, options, flags=flags) for name in "ab"
    )
    assert one.weights.read_bytes() == two.weights.read_bytes()
    losses = [step.loss for step in record.steps]
    assert losses[0] == pytest.approx(on_cpu.steps[0].loss, rel=0.05)
    assert losses[-1] < losses[0]
    pruned = read_pruned(one, model_digest(model))
    for name, tensor in pruned_tensors(open_checkpoint(model), pruned):
        assert name not in pruned.record.linears or not tensor[~pruned.kept(name)].any()
