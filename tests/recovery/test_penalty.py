"""The penalty on weights that will go, against float64 sums of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model

from tests.masking.depth_references import built
from tests.models.tiny_models import load_model
from workflow_scripts.artefacts.masks import Pruned, read_pruned
from workflow_scripts.config.recoveries import Penalty
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import Linear, linears, open_checkpoint
from workflow_scripts.recovery.penalty import Penalised, left, uncut

WEIGHT = 3.0


@pytest.fixture(scope="module")
def folder(tiny_model: Callable[..., Path]) -> Path:
    return tiny_model("llama", hidden=16, heads=4, kv_heads=4)


@pytest.fixture(scope="module", params=["width", "depth"])
def start(request, folder, tmp_path_factory) -> Pruned:
    """Heads and neurons will go of all blocks, or block 1 as a whole."""
    options = {
        "width": {"method": "magnitude-sp", "sparsity": 0.3},
        "depth": {"method": "blocks", "blocks": [1]},
    }[request.param]
    return read_pruned(built(tmp_path_factory.mktemp("mask"), folder, **options))


def will_go(start: Pruned, linear: Linear) -> torch.Tensor:
    if linear.block in start.record.removed_blocks:
        return torch.ones(linear.shape, dtype=torch.bool)
    kept = linear.name not in start.record.linears or start.kept(linear.name)
    return torch.zeros(linear.shape, dtype=torch.bool) if kept is True else ~kept


def by_hand(norm: str, weights: list[torch.Tensor], gone: list[torch.Tensor]) -> float:
    values = torch.cat([w.detach().double()[g] for w, g in zip(weights, gone, strict=True)])
    return WEIGHT * (values.abs() if norm == "l1" else values.square()).mean().item()


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_whole_weights_that_will_go_are_penalised_and_no_others(folder, start, norm):
    model, targets = load_model(folder), linears(open_checkpoint(folder))
    penalised = Penalised(model, start, targets, Penalty(norm=norm, weight=WEIGHT))
    weights = [model.get_parameter(linear.name) for linear in targets]
    gone = [will_go(start, linear) for linear in targets]
    assert penalised.count == sum(int(g.sum()) for g in gone) > 0
    value = penalised.value()
    assert value.item() == pytest.approx(by_hand(norm, weights, gone), rel=1e-6)
    value.backward()
    for weight, here in zip(weights, gone, strict=True):
        slope = weight.sign() if norm == "l1" else 2 * weight
        wanted = torch.where(here, WEIGHT / penalised.count * slope, 0)
        found = torch.zeros_like(weight) if weight.grad is None else weight.grad
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_adapters_are_a_part_of_what_is_penalised_and_make_it_small(folder, start, norm):
    targets = [x for x in linears(open_checkpoint(folder)) if x.role in ("q", "o", "down")]
    model = load_model(folder).requires_grad_(False)
    modules = [linear.name.removesuffix(".weight") for linear in targets]
    before = [model.get_parameter(linear.name).clone() for linear in targets]
    config = LoraConfig(r=4, lora_alpha=8, target_modules=modules, init_lora_weights=False)
    inject_adapter_in_model(config, model, "default")
    penalised = Penalised(model, start, targets, Penalty(norm=norm, weight=WEIGHT))
    layers = [model.get_submodule(name) for name in modules]
    gone = [will_go(start, linear) for linear in targets]

    def whole() -> list[torch.Tensor]:
        pairs = [(x.lora_B["default"].weight, x.lora_A["default"].weight) for x in layers]
        return [w + 2 * b @ a for w, (b, a) in zip(before, pairs, strict=True)]

    first = penalised.value()
    assert first.item() == pytest.approx(by_hand(norm, whole(), gone), rel=1e-5)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        penalised.value().backward()
        optimizer.step()
    assert by_hand(norm, whole(), gone) < 0.7 * first.item()
    for layer, weight in zip(layers, before, strict=True):
        assert torch.equal(layer.base_layer.weight, weight)


def test_before_the_cut_nothing_is_gone_and_after_it_blocks_are(folder, start):
    assert uncut(start).is_dense and not start.is_dense
    names = [linear.name for linear in linears(open_checkpoint(folder))]
    tensors = {f"{name}.lora_A": torch.ones(1) for name in names}
    blocks = {int(name.split(".")[2]) for name in left(tensors, start)}
    assert blocks == {0, 1, 2} - {*start.record.removed_blocks}


def test_nothing_to_penalise_is_said(folder, tmp_path):
    start = read_pruned(built(tmp_path / "mask", folder, method="blocks", blocks=[1]))
    targets = [x for x in linears(open_checkpoint(folder)) if x.block == 0]
    with pytest.raises(InputError, match="nothing that is trained will go"):
        Penalised(load_model(folder), start, targets, Penalty(norm="l1", weight=1.0))
