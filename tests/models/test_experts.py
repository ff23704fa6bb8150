"""Experts: statistics over the tokens routed to each, from hidden states and router by hand."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from tests.models.test_supported import IDS, saved
from tests.models.tiny_models import load_model
from workflow_scripts.artefacts.masks import (
    Plan,
    PrunedLinear,
    read_pruned,
    variant_files,
    write_pruned,
)
from workflow_scripts.artefacts.pruned_checkpoints import export
from workflow_scripts.calibration.collect_statistics import collect
from workflow_scripts.config.methods.unstructured import SparseGPT, Stade
from workflow_scripts.errors import InputError
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.methods import sparsegpt, stade
from workflow_scripts.masking.propagation import keep_in_sequence
from workflow_scripts.models import block_gradients
from workflow_scripts.models.blocks import open_decoder
from workflow_scripts.models.checkpoints import Checkpoint, linears, load_tensor, open_checkpoint
from workflow_scripts.models.experts import experts_place
from workflow_scripts.models.linear_names import EXPERTS
from workflow_scripts.models.sample_gradients import Sample, SampleGradients, completion_loss
from workflow_scripts.pruning.kernels import wanda_scores

KINDS = ["qwen3_moe", "mixtral"]
TOP_K, EXPERTS_EACH = 2, 4


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory) -> Checkpoint:
    return saved(request.param, tmp_path_factory.mktemp("experts"))


def routed_inputs(checkpoint: Checkpoint, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """What enters every expert's linears, float64 (tokens, features), by hand."""
    model, inputs = load_model(checkpoint.folder, torch.float64), {}
    model.set_experts_implementation("eager")  # the others have no float64
    place = experts_place(checkpoint)
    names = EXPERTS[place]

    def note(block: int, hidden: torch.Tensor) -> None:
        hidden = hidden.reshape(-1, hidden.shape[-1])
        inside = f"model.layers.{block}.{place}"
        router = inside.removesuffix(".experts") + ".gate.weight"
        if router not in checkpoint.files:  # an MLP in the place of experts
            return
        scores = (hidden @ load_tensor(checkpoint, router).double().T).softmax(-1)
        ranked = scores.argsort(dim=-1, descending=True)[:, :TOP_K]
        for expert in range(EXPERTS_EACH):
            seen = hidden[(ranked == expert).any(-1)]
            gate, up = (
                seen @ load_tensor(checkpoint, f"{inside}.{expert}.{name}.weight").double().T
                for name in names[:2]
            )
            for name in names[:2]:
                inputs[f"{inside}.{expert}.{name}.weight"] = seen
            inputs[f"{inside}.{expert}.{names[2]}.weight"] = functional.silu(gate) * up

    for block, layer in enumerate(model.model.layers):
        layer.mlp.register_forward_pre_hook(lambda _, given, block=block: note(block, given[0]))
    with torch.no_grad():
        model(ids, use_cache=False)
    return inputs


def test_statistics_of_an_expert_are_those_of_the_tokens_routed_to_it(
    checkpoint: Checkpoint,
) -> None:
    found = collect(open_decoder(checkpoint), IDS.int(), 1)
    wanted = routed_inputs(checkpoint, IDS)
    assert {x.name for x in linears(checkpoint) if x.of_expert} == wanted.keys()
    assert found.tokens.keys() == {linear.name for linear in linears(checkpoint)}
    for name, inputs in wanted.items():
        assert found.tokens[name] == len(inputs)
        for got, sums in ((found.sums, inputs), (found.sum_squares, inputs**2)):
            torch.testing.assert_close(got[name].double(), sums.sum(0), rtol=1e-4, atol=1e-4)


def test_an_expert_without_tokens_is_pruned_by_magnitude_and_said(
    checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    found = collect(open_decoder(checkpoint), IDS[:, :1].int(), 1)
    unseen = [name for name, count in found.tokens.items() if count == 0]
    count = len(unseen) // 3
    said = capsys.readouterr().err
    assert said.startswith(f"no token of the calibration set was routed to {count} experts (model.")
    assert said.endswith("weights are compared by magnitude; more samples would reach them\n")
    weight = load_tensor(checkpoint, unseen[0])
    assert torch.equal(wanda_scores(weight, found.sum_squares[unseen[0]]), weight.abs())


def test_sparsegpt_updates_experts_by_their_own_tokens_and_those_without_stay(
    checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = IDS[:, :1].int()
    members = [linear for linear in linears(checkpoint) if linear.block == 0]
    tokens = collect(open_decoder(checkpoint), ids, 1).tokens
    allocation = SimpleNamespace(sparsities=dict.fromkeys((x.name for x in members), 0.5))
    options = SparseGPT(method="sparsegpt", sparsity=0.5, calibration="chains")
    capsys.readouterr()
    plan = sparsegpt.plan(Inputs(checkpoint, members, options, allocation, None, ids))
    found = {step.name: step for step in plan.linears}
    assert "weights are compared by magnitude" in capsys.readouterr().err
    assert any(x.of_expert and not tokens[x.name] for x in members)
    for linear in members:
        weight, step = load_tensor(checkpoint, linear.name), found[linear.name]
        as_it_was = torch.equal(step.changed[linear.name], weight * step.keep)
        assert as_it_was == (tokens[linear.name] == 0)
        if as_it_was:  # narrower than a block of columns
            assert weight[step.keep].abs().min() >= weight[~step.keep].abs().max()


def test_biases_that_experts_have_no_place_for(checkpoint: Checkpoint) -> None:
    found = linears(checkpoint)
    allocation = SimpleNamespace(sparsities=dict.fromkeys((x.name for x in found), 0.5))
    statistics = collect(open_decoder(checkpoint), IDS.int(), 1)
    options = Stade(method="stade", sparsity=0.5, calibration="chains", compensate=True)
    inputs = Inputs(checkpoint, found, options, allocation, statistics, None)
    with pytest.raises(InputError, match=r"^compensate: model\.layers\.0\..* have no place for a "):
        stade.plan(inputs)


def test_in_sequence_experts_see_what_pruned_blocks_route_to_them(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    found, squares = linears(checkpoint), {}
    last = found[-1].block

    def keep(linear, weight: torch.Tensor, sum_squares: torch.Tensor) -> torch.Tensor:
        squares[linear.name] = sum_squares
        return weight.abs() > weight.abs().median()

    masks = list(keep_in_sequence(checkpoint, found, IDS.int(), keep))
    earlier = [x.name for x in found if x.block < last]
    plan = Plan(dict.fromkeys(earlier, 0.5), (PrunedLinear(*m) for m in masks if m.name in earlier))
    files = variant_files(tmp_path)
    write_pruned(files, plan, checkpoint, "", "wanda", {})
    export(checkpoint, read_pruned(files), tmp_path / "export")
    pruned = collect(open_decoder(open_checkpoint(tmp_path / "export")), IDS.int(), 1)
    for linear in found:
        if linear.block == last:
            torch.testing.assert_close(
                squares[linear.name], pruned.sum_squares[linear.name], rtol=1e-4, atol=1e-4
            )


def test_gradients_of_experts_are_named_as_in_the_checkpoint(checkpoint: Checkpoint) -> None:
    sample = Sample("row", tuple(IDS[0].tolist()), 5)
    place, found, shown = experts_place(checkpoint), linears(checkpoint), {}
    gradients = SampleGradients(load_model(checkpoint.folder), found, place)
    gradients(sample, lambda name, gradient: shown.__setitem__(name, gradient.clone()))
    assert shown.keys() == {linear.name for linear in found}
    whole = load_model(checkpoint.folder)
    completion_loss(whole, sample).backward()
    fused = whole.model.layers[0].mlp.experts
    gate, up, down = EXPERTS[place]
    inner = fused.down_proj.shape[-1]
    for expert in range(EXPERTS_EACH):
        inside = f"model.layers.0.{place}.{expert}"
        both = torch.cat([shown[f"{inside}.{name}.weight"] for name in (gate, up)])
        assert len(both) == 2 * inner
        torch.testing.assert_close(both, fused.gate_up_proj.grad[expert])
        torch.testing.assert_close(shown[f"{inside}.{down}.weight"], fused.down_proj.grad[expert])


def test_blocks_with_experts_may_stay_for_their_gradients(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    stayed = list(block_gradients.block_gradients(checkpoint, IDS))
    monkeypatch.setitem(block_gradients.STAYING, "cpu", 0)
    for each, again in zip(stayed, block_gradients.block_gradients(checkpoint, IDS), strict=True):
        assert each.gradients.keys() == again.gradients.keys()
        assert all(torch.equal(again.gradients[name], own) for name, own in each.gradients.items())
