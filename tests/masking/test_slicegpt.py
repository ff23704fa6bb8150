"""SliceGPT held against the dense model in float64 whose residual is projected at every place."""

import json
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.artefacts.mask_references import refused, run
from tests.models.tiny_models import (
    ARCHITECTURES,
    load_model,
    save_calibration_set,
    save_tiny_model,
    token_ids,
    write_manifest,
)
from workflow_scripts.artefacts.masks import Pruned, read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export
from workflow_scripts.errors import InputError
from workflow_scripts.masking.methods.slicegpt import principal_basis, sliced_tensors
from workflow_scripts.models import blocks
from workflow_scripts.models.checkpoints import HEAD, load_tensor, model_digest, open_checkpoint
from workflow_scripts.models.sliced import slice_model, sliced_shapes
from workflow_scripts.models.tensors import save_tensors

HIDDEN, BLOCKS = 18, 3
CALIBRATION, ASKED = token_ids(4, 16), token_ids(2, 9, seed=1).long()
SLICEGPT = {"method": "slicegpt", "calibration": "set", "slicing": 0.3, "round_to": 4}
WIDTH = 12  # of 18, without 0.3, in steps of 4
EMBEDDING = "model.embed_tokens.weight"


def in_float64(model: PreTrainedModel) -> PreTrainedModel:
    """The model with norms that stay in float64, as transformers' own do not."""
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = partial(rms_norm, module.weight, module.variance_epsilon)
    return model


def rms_norm(scale: Tensor | float, eps: float, x: Tensor) -> Tensor:
    return scale * x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


def logits_of(model: PreTrainedModel, ids: Tensor = ASKED) -> Tensor:
    with torch.no_grad():
        return model(ids, use_cache=False).logits


def reference(
    folder: Path, width: int, signal: str = "residual", subtract_mean: bool = False
) -> Tensor:
    """Logits of the dense model with a projection of the residual at every place but the last.

    Each projects on the directions of most variance of what the projections before it leave of the
    calibration set.
    """
    model = in_float64(load_model(folder, torch.float64))
    eps, projectors = model.config.rms_norm_eps, []

    def at(place: int, hidden: Tensor) -> Tensor:
        if place == len(projectors):  # in the calibration's pass
            x = hidden if signal == "residual" else rms_norm(1.0, eps, hidden)
            x = x.reshape(-1, HIDDEN).numpy()
            most = np.linalg.eigh(sum(np.outer(token, token) for token in x))[1][:, -width:]
            projectors.append(torch.from_numpy(most @ most.T))
        return hidden @ projectors[place]

    def forward(number: int, layer: torch.nn.Module, hidden: Tensor, **options: object) -> Tensor:
        hidden = at(2 * number, hidden)
        hidden = hidden + layer.self_attn(layer.input_layernorm(hidden), **options)[0]
        hidden = at(2 * number + 1, hidden)
        return hidden + layer.mlp(layer.post_attention_layernorm(hidden))

    for number, layer in enumerate(model.model.layers):
        layer.forward = partial(forward, number, layer)
    if subtract_mean:
        embedding = model.model.embed_tokens.weight.data.clone()
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.data.clone())
        model.model.embed_tokens.weight.data = embedding - embedding.mean(1, keepdim=True)
    logits_of(model, CALIBRATION.long())
    assert len(projectors) == 2 * BLOCKS
    return logits_of(model)


@pytest.fixture
def calibration(tmp_path: Path) -> Callable[[Path, Tensor], Path]:
    def saved(folder: Path, input_ids: Tensor = CALIBRATION) -> Path:
        place = tmp_path / "calibration"
        place.mkdir(exist_ok=True)
        return save_calibration_set(place / "set.safetensors", folder, input_ids)

    return saved


def sliced_model(folder: Path, pruned: Pruned) -> PreTrainedModel:
    model = load_model(folder, torch.float64)
    apply_pruned(model, pruned, open_checkpoint(folder))
    return in_float64(model)


def weights_in_blocks(model: PreTrainedModel) -> int:
    """Of the linears, among which adapters are, by what is in memory."""
    linears = [m for m in model.model.layers.modules() if isinstance(m, torch.nn.Linear)]
    return sum(linear.weight.numel() for linear in linears)


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_a_cut_the_model_is_the_dense_one(
    tiny_model: Callable[..., Path], architecture: str, tied: bool
) -> None:
    folder = tiny_model(architecture, tied=tied, dtype=torch.float64)
    checkpoint, model = open_checkpoint(folder), load_model(folder, torch.float64)
    tensors = dict(sliced_tensors(checkpoint, CALIBRATION, HIDDEN))
    dense = logits_of(in_float64(load_model(folder, torch.float64)))
    slice_model(model, tensors)
    torch.testing.assert_close(logits_of(in_float64(model)), dense, rtol=0, atol=1e-6)
    assert (HEAD in tensors) == tied
    query = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.allclose(tensors[query], load_tensor(checkpoint, query))  # it is rotated


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "options",
    [{}, {"signal": "normalised"}, {"subtract_mean": True}],
    ids=["residual", "normalised", "without-mean"],
)
def test_a_sliced_model_is_the_projected_one(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    calibration: Callable[..., Path],
    architecture: str,
    options: dict,
) -> None:
    folder = tiny_model(architecture, tied=architecture == "qwen3", dtype=torch.float64)
    files = run(tmp_path, folder, SLICEGPT | options, calibration=calibration(folder))
    pruned = read_pruned(files, model_digest(folder))
    found, expected = logits_of(sliced_model(folder, pruned)), reference(folder, WIDTH, **options)
    # the stage walks in float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    dense = logits_of(load_model(folder, torch.float64))
    assert (dense - expected).abs().mean() > 0.1
    if options:
        assert (reference(folder, WIDTH) - expected).abs().mean() > 0.1


def test_biases_of_what_writes_hidden_states_are_sliced(tmp_path: Path) -> None:
    """Those of o and down, which a Llama may have."""
    folder = save_tiny_model(tmp_path / "model", "llama", dtype=torch.float64)
    config = json.loads((folder / "config.json").read_text())
    config |= {"attention_bias": True, "mlp_bias": True}
    (folder / "config.json").write_text(json.dumps(config))
    checkpoint = open_checkpoint(folder)
    tensors = {name: load_tensor(checkpoint, name) for name in checkpoint.files}
    generator = torch.Generator().manual_seed(3)
    for name in [*tensors]:
        if name.endswith("_proj.weight"):
            bias = torch.randn(len(tensors[name]), generator=generator, dtype=torch.float64)
            tensors[name.replace("weight", "bias")] = bias
    save_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    write_manifest(folder)
    model = load_model(folder, torch.float64)
    slice_model(model, dict(sliced_tensors(open_checkpoint(folder), CALIBRATION, WIDTH)))
    found = logits_of(in_float64(model))
    torch.testing.assert_close(found, reference(folder, WIDTH), rtol=0, atol=1e-4)


def test_a_principal_basis_makes_moments_diagonal() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 7, generator=generator, dtype=torch.float64) * torch.arange(1, 8)
    moments = x.T @ x
    basis = principal_basis(moments)
    torch.testing.assert_close(basis.T @ basis, torch.eye(7, dtype=torch.float64))
    rotated = basis.T @ moments @ basis
    diagonal = rotated.diagonal()
    torch.testing.assert_close(rotated, diagonal.diag(), rtol=0, atol=1e-9 * float(diagonal[0]))
    assert (diagonal.diff() < 0).all()


def test_the_signs_of_a_principal_basis_are_fixed() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 7, generator=generator, dtype=torch.float64)
    basis = principal_basis(x.T @ x)
    largest = basis.gather(0, basis.abs().argmax(0, keepdim=True))
    assert (largest > 0).all()
    flipped = torch.tensor([1, -1, 1, 1, -1, 1, -1], dtype=torch.float64)
    other = principal_basis((x * flipped).T @ (x * flipped))
    torch.testing.assert_close(other.abs(), basis.abs())
    assert (other.gather(0, other.abs().argmax(0, keepdim=True)) > 0).all()


def test_hidden_states_of_the_calibration_set_are_uncorrelated_in_their_basis(
    tiny_model: Callable[..., Path],
) -> None:
    checkpoint = open_checkpoint(tiny_model("llama", dtype=torch.float64))
    tensors = dict(sliced_tensors(checkpoint, CALIBRATION, WIDTH))
    x = tensors[EMBEDDING][CALIBRATION.long()].reshape(-1, WIDTH)
    moments = x.T @ x
    diagonal = moments.diagonal()
    torch.testing.assert_close(moments, diagonal.diag(), rtol=0, atol=1e-5 * float(diagonal[0]))
    assert (diagonal.diff() < 0).all()


def test_an_embedding_of_low_rank_is_sliced_without_loss(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model", dtype=torch.float64)
    checkpoint = open_checkpoint(folder)
    tensors = {name: load_tensor(checkpoint, name) for name in checkpoint.files}
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((64, WIDTH), (WIDTH, HIDDEN))
    )
    tensors[EMBEDDING] = dense = left @ right
    save_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    write_manifest(folder)
    every_token = torch.arange(64, dtype=torch.int32).reshape(4, 16)
    for width, is_lossless in ((WIDTH, True), (WIDTH - 1, False)):
        sliced = dict(sliced_tensors(open_checkpoint(folder), every_token, width))[EMBEDDING]
        lost = (sliced @ sliced.T - dense @ dense.T).abs().max()
        assert (lost < 1e-4) == is_lossless


def test_the_record_says_what_there_is(
    tmp_path: Path, tiny_model: Callable[..., Path], calibration: Callable[..., Path]
) -> None:
    folder = tiny_model("qwen3", tied=True, dtype=torch.bfloat16)
    files = run(tmp_path, folder, SLICEGPT, calibration=calibration(folder))
    pruned = read_pruned(files, model_digest(folder))
    record = pruned.record
    assert (record.sliced_width, record.engines, record.linears) == (12, ("transformers",), {})
    assert {name: w.shape for name, w in record.weights.items()} == sliced_shapes(
        open_checkpoint(folder), WIDTH
    )
    assert {w.dtype for w in record.weights.values()} == {"BF16"}
    sliced = sliced_model(folder, pruned)
    before, after = map(weights_in_blocks, (load_model(folder), sliced))
    assert record.removed_fraction == (before - after) / before
    assert 0 < record.removed_fraction < 1 / 3
    of_all, left = (sum(p.numel() for p in m.parameters()) for m in (load_model(folder), sliced))
    assert record.removed_of_all == (of_all - left) / of_all
    assert (record.requested, record.export) == (0.3, None)
    assert record.options == {
        "slicing": 0.3,
        "round_to": 4,
        "signal": "residual",
        "subtract_mean": False,
    }


def test_equal_bytes_from_equal_inputs(
    tmp_path: Path, tiny_model: Callable[..., Path], calibration: Callable[..., Path]
) -> None:
    folder = tiny_model("qwen2")
    for name in "ab":
        (tmp_path / name).mkdir()
    made = [run(tmp_path / n, folder, SLICEGPT, calibration=calibration(folder)) for n in "ab"]
    for one, other in zip(*made, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_every_block_is_loaded_once_and_one_is_in_memory(
    tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[weakref.ref] = []
    load = blocks.load_block

    def noted(decoder: blocks.Decoder, index: int) -> torch.nn.Module:
        assert not any(block() for block in before), "the block before is still in memory"
        block = load(decoder, index)
        before.append(weakref.ref(block))
        return block

    monkeypatch.setattr(blocks, "load_block", noted)
    for _ in sliced_tensors(open_checkpoint(tiny_model("llama")), CALIBRATION, WIDTH):
        pass
    assert len(before) == BLOCKS


def test_a_sliced_model_is_not_exported(
    tmp_path: Path, tiny_model: Callable[..., Path], calibration: Callable[..., Path]
) -> None:
    folder = tiny_model("llama")
    pruned = read_pruned(run(tmp_path, folder, SLICEGPT, calibration=calibration(folder)))
    with pytest.raises(InputError) as error:
        export(open_checkpoint(folder), pruned, tmp_path / "checkpoint")
    assert str(error.value) == (
        f"{folder}: no plain checkpoint has a place for what method slicegpt adds to a model: its "
        "variants cannot be exported; generation.engine: transformers runs them"
    )
    assert not (tmp_path / "checkpoint").exists()


def test_a_sliced_variant_of_another_model_is_refused(
    tmp_path: Path, tiny_model: Callable[..., Path], calibration: Callable[..., Path]
) -> None:
    folder = tiny_model("llama")
    pruned = read_pruned(run(tmp_path, folder, SLICEGPT, calibration=calibration(folder)))
    other = tiny_model("llama", intermediate=20)
    model = load_model(other)
    before = logits_of(model)
    with pytest.raises(InputError, match=r"of shape \(12, 25\), the model \(12, 20\)"):
        apply_pruned(model, pruned, open_checkpoint(other))
    assert torch.equal(logits_of(model), before)


def test_what_cannot_be_sliced(
    tmp_path: Path, tiny_model: Callable[..., Path], calibration: Callable[..., Path]
) -> None:
    folder = tiny_model("llama")
    ids = calibration(folder)
    place = tmp_path / "variant"
    place.mkdir()
    assert refused(place, folder, SLICEGPT | {"slicing": 0.9}, calibration=ids) == (
        "slicing: 0.9 of a width of 18 leaves nothing in steps of 4; lower it, or round_to"
    )
    few = calibration(folder, token_ids(1, 17))
    assert refused(place, folder, SLICEGPT, calibration=few) == (
        "calibration: 17 tokens do not tell the 18 directions of a hidden state apart; take 18 or "
        "more, by samples or length"
    )
    other = save_tiny_model(tmp_path / "mistral")
    config = json.loads((other / "config.json").read_text()) | {"model_type": "mistral"}
    (other / "config.json").write_text(json.dumps(config))
    write_manifest(other)
    assert refused(place, other, SLICEGPT, calibration=calibration(other)) == (
        f"{other}/config.json: slicegpt cannot slice the hidden states of a model of type "
        "'mistral'; must be one of llama, qwen2, qwen3"
    )
