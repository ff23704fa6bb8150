"""A model that was pruned and trained is pruned further: what is gone is part of what goes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.artefacts.mask_references import reference, refused, run
from tests.masking.depth_references import loss, measured
from tests.models.tiny_models import (
    load_model,
    save_allocation,
    save_calibration_set,
    token_ids,
)
from workflow_scripts.artefacts.mask_records import LORA_A, LORA_B
from workflow_scripts.artefacts.masks import (
    Plan,
    Pruned,
    PrunedLinear,
    VariantFiles,
    read_pruned,
    variant_files,
    write_pruned,
)
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, pruned_tensors
from workflow_scripts.config.methods.width import WandaSp
from workflow_scripts.masking.width import counts_of
from workflow_scripts.models.checkpoints import linears, model_digest, open_checkpoint, split_block
from workflow_scripts.models.units import NEURON, block_units

IDS = token_ids(3, 12, seed=4)
RANK = 2
HEADS = {"hidden": 16, "heads": 4, "kv_heads": 4}
WITHOUT_DATA = ("magnitude", "magnitude-sp", "shortened-magnitude", "reverse-order")


def trained(place: Path, folder: Path, files: VariantFiles) -> VariantFiles:
    """What a recovery makes of a variant: the same mask, and a low-rank delta of every linear."""
    start, checkpoint = read_pruned(files), open_checkpoint(folder)
    removed = start.record.removed_blocks
    names = {x.name: x.shape for x in linears(checkpoint) if x.block not in removed}
    generator = torch.Generator().manual_seed(1)
    tensors = {
        name + suffix: 0.2 * torch.randn(shape, generator=generator)
        for name, (out, into) in names.items()
        for suffix, shape in ((LORA_A, (RANK, into)), (LORA_B, (out, RANK)))
    }
    plan = Plan(
        {name: linear.requested for name, linear in start.record.linears.items()},
        (PrunedLinear(name, start.kept(name)) for name in start.record.linears),
        removed,
        {name: (torch.float32, tensor.shape) for name, tensor in tensors.items()},
        dict.fromkeys(names, 0.5),
        start.record.scores,
        tensors.items(),
    )
    made = variant_files(place)
    place.mkdir()
    write_pruned(made, plan, checkpoint, model_digest(folder), "m", {})
    return made


def built(
    place: Path, folder: Path, options: dict, start: VariantFiles | None = None
) -> VariantFiles:
    place.mkdir()
    files = {}
    if "sparsity" in options and options["method"] in ("magnitude", "wanda"):
        path = place / "allocation.json"
        files["allocation"] = save_allocation(path, folder, options["sparsity"])
    if options["method"] not in WITHOUT_DATA:
        options = options | {"calibration": "set"}
        files["calibration"] = save_calibration_set(place / "set.safetensors", folder, IDS)
    if start:
        options = options | {"after": "before"}
        files |= {f"pruned-{kind}": path for kind, path in start._asdict().items()}
    return run(place, folder, options, **files)


ROUNDS = {
    "magnitude": ({"method": "magnitude"}, 0.25, 0.5),
    "wanda": ({"method": "wanda", "propagate": "pruned"}, 0.25, 0.5),
    "magnitude-sp": ({"method": "magnitude-sp"}, 0.25, 0.5),
    "wanda-sp": ({"method": "wanda-sp", "propagate": "pruned"}, 0.25, 0.5),
    "llm-pruner": ({"method": "llm-pruner", "keep_first": 1, "keep_last": 1}, 0.25, 0.5),
    "sleb": ({"method": "sleb"}, 1, 3),
    "shortened-ppl": ({"method": "shortened-ppl"}, 1, 3),
    "shortened-taylor": ({"method": "shortened-taylor", "plus": False}, 2, 3),
    "shortened-magnitude": ({"method": "shortened-magnitude", "plus": False}, 1, 3),
    "reverse-order": ({"method": "reverse-order"}, 1, 3),
}


def amount(options: dict, much: float) -> dict:
    return options | {"remove_blocks" if isinstance(much, int) else "sparsity": much}


@pytest.fixture(scope="module")
def rounds(tmp_path_factory, tiny_model) -> Callable[[str], tuple[Path, Pruned, Pruned]]:
    """A model, its first round as trained, and the second after that; each is made once."""
    found: dict[str, tuple[Path, Pruned, Pruned]] = {}

    def made(method: str) -> tuple[Path, Pruned, Pruned]:
        if method not in found:
            place, folder = tmp_path_factory.mktemp(method), tiny_model("llama", blocks=6, **HEADS)
            options, first, second = ROUNDS[method]
            one = built(place / "one", folder, amount(options, first))
            start = trained(place / "trained", folder, one)
            two = built(place / "two", folder, amount(options, second), start)
            assert {path.name for path in (place / "two").iterdir()} >= {*map(_name, two)}
            assert not [*(place / "two").glob(".*start*")]
            found[method] = folder, read_pruned(start), read_pruned(two)
        return found[method]

    return made


def _name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("method", ROUNDS)
def test_what_is_gone_stays_gone_and_the_amount_is_of_the_dense_model(rounds, method):
    folder, start, found = rounds(method)
    _, first, second = ROUNDS[method]
    assert found.record.options["after"] == start.digest
    if isinstance(second, int):
        assert len(start.record.removed_blocks) == first
        assert {*start.record.removed_blocks} < {*found.record.removed_blocks}
        assert len(found.record.removed_blocks) == second
        return
    for name in found.record.linears:
        assert not (found.kept(name) & ~start.kept(name)).any(), name
    blocks = {split_block(name)[0] for name in found.record.linears}
    weights = [x for x in linears(open_checkpoint(folder)) if x.block in blocks]
    left = sum(int(found.kept(x.name).sum()) for x in weights) / sum(x.weights for x in weights)
    assert left == pytest.approx(1 - second, abs=0.02 if ROUNDS[method][0] == "magnitude" else 0.04)


@pytest.mark.parametrize("method", ROUNDS)
def test_weights_are_those_that_were_trained_with_the_new_mask(rounds, method):
    """The model is the one before, tensor by tensor, without what goes now."""
    folder, start, found = rounds(method)
    checkpoint = open_checkpoint(folder)
    before = {_dense(name, start): x for name, x in pruned_tensors(checkpoint, start)}
    after = {_dense(name, found): x for name, x in pruned_tensors(checkpoint, found)}
    removed = {*found.record.removed_blocks}
    assert {*after} == {x for x in before if not (split_block(x) and split_block(x)[0] in removed)}
    for name, tensor in after.items():
        masked = name in found.record.linears
        wanted = before[name].masked_fill(~found.kept(name), 0) if masked else before[name]
        assert torch.equal(tensor, wanted), name
    # nothing of a block that is gone is brought along
    assert not removed & {split_block(name)[0] for name in found.record.weights}


def _dense(name: str, pruned: Pruned) -> str:
    place = split_block(name)
    if place is None:
        return name
    return f"model.layers.{pruned.record.kept_blocks[place[0]]}.{place[1]}"


def test_magnitude_is_that_of_the_weights_as_they_were_trained(rounds):
    folder, start, found = rounds("magnitude")
    for name, tensor in pruned_tensors(open_checkpoint(folder), start):
        if name in found.record.linears:
            expected = reference(np.abs(tensor.double().numpy()).reshape(-1), 0.5)
            np.testing.assert_array_equal(found.kept(name).reshape(-1).numpy(), expected, name)


def test_sleb_goes_on_as_it_does_with_the_model_that_is_left(rounds):
    """By brute force on the trained model; scores stand at the dense numbers of its blocks."""
    folder, start, found = rounds("sleb")
    model = load_model(folder, torch.float64)
    apply_pruned(model, start, open_checkpoint(folder))
    layers = list(zip(start.record.kept_blocks, model.model.layers, strict=True))
    gone, losses = [], []
    for _ in range(2):
        without = {}
        for number, _ in layers[1:-1]:
            kept = [layer for other, layer in layers if other != number]
            model.model.layers = torch.nn.ModuleList(kept)
            model.config.num_hidden_layers = len(kept)
            with torch.no_grad():
                without[number] = loss(model, IDS).item()
        gone.append(min(without, key=without.__getitem__))
        layers = [(number, layer) for number, layer in layers if number != gone[-1]]
        losses.append(without)
    assert {*found.record.removed_blocks} == {*start.record.removed_blocks, *gone}
    assert len(found.record.scores) == 3
    for scores, wanted in zip(found.record.scores[1:], losses, strict=True):
        assert measured(scores) == pytest.approx(wanted, rel=2e-5)


def test_fewer_heads_go_where_more_neurons_are_gone_already(tiny_model):
    """What neurons are worth that went before is not asked for again in heads."""
    units = block_units(open_checkpoint(tiny_model("llama", blocks=6, **HEADS)))[0]
    options = WandaSp(method="wanda-sp", sparsity=0.4, calibration="set", propagate="pruned")
    free = counts_of(units, options)
    head, neuron = units.unit_weights("kv-group"), units.unit_weights(NEURON)
    assert free["kv-group"] > 0
    gone = {"kv-group": 0, NEURON: free[NEURON] + 1}
    found = counts_of(units, options, gone)
    assert found["kv-group"] < free["kv-group"] and found[NEURON] >= gone[NEURON]
    lost = [sum(n * (head if k != NEURON else neuron) for k, n in x.items()) for x in (free, found)]
    assert lost[1] == pytest.approx(lost[0], abs=neuron)
    for much in (0.1, 0.2, 0.3, 0.4, 0.5):  # whatever was asked for before
        before = counts_of(units, options.model_copy(update={"sparsity": much * 0.8}))
        after = counts_of(units, options.model_copy(update={"sparsity": much}), before)
        assert all(after[kind] >= before[kind] for kind in before)


def test_what_it_goes_on_from_must_be_given_and_of_the_same_model(tmp_path, tiny_model):
    folder = tiny_model("llama", blocks=6)
    options = {"method": "reverse-order", "remove_blocks": 2}
    said = refused(tmp_path, folder, options | {"after": "before"})
    assert "--pruned-mask is missing" in said
    one = built(tmp_path / "one", folder, options | {"remove_blocks": 1})
    other = tiny_model("llama", blocks=6, seed=5)
    files = {f"pruned-{kind}": path for kind, path in one._asdict().items()}
    said = refused(tmp_path, other, options | {"after": "before"}, **files)
    assert "mask.json" in said and "another model" in said
