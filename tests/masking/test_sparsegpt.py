"""SparseGPT held against a slow reference: column by column, with the inverse of H, in float64."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.artefacts.mask_references import refused, run
from tests.models.tiny_models import (
    ARCHITECTURES,
    load_model,
    save_allocation,
    save_calibration_set,
    save_statistics,
    token_ids,
)
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export
from workflow_scripts.config.methods.unstructured import SparseGPT
from workflow_scripts.files.atomic import read_json
from workflow_scripts.masking import propagation
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.methods import sparsegpt
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import linears, model_digest, open_checkpoint
from workflow_scripts.pruning import reconstruction
from workflow_scripts.pruning.kernels import keep_pattern
from workflow_scripts.pruning.reconstruction import InputProducts, factored, reconstruct

SAMPLES = token_ids(6, 20, seed=3)
OWL = {"kind": "owl", "calibration": "set", "threshold": 3.0, "spread": 0.1}


def reference(
    weight: np.ndarray,
    products: np.ndarray,
    sparsity: float,
    *,
    block_size: int = 128,
    damping: float = 0.01,
    pattern: tuple[int, int] | None = None,
    selection: str = "exact",
) -> tuple[np.ndarray, np.ndarray]:
    """(keep, weight) of one linear, by the factor of H⁻¹ that the paper takes."""
    weight, hessian = weight.copy(), products.copy()
    rows, columns = weight.shape
    hessian += damping * np.mean(np.diag(hessian)) * np.eye(columns)
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    keep = np.ones(weight.shape, dtype=bool)

    def prune_lowest(span: slice, count: int) -> None:
        scores = weight[:, span] ** 2 / np.diag(upper)[span] ** 2
        chosen = np.ones(scores.size, dtype=bool)
        chosen[np.argsort(scores.reshape(-1), kind="stable")[:count]] = False
        keep[:, span] = chosen.reshape(scores.shape)

    for start in range(0, columns, block_size):
        end = min(start + block_size, columns)
        if selection == "paper":
            prune_lowest(slice(start, end), int(rows * (end - start) * sparsity) + 1)
        elif not pattern:
            count = round(sparsity * rows * end) - round(sparsity * rows * start)
            prune_lowest(slice(start, end), count)
        for column in range(start, end):
            if pattern and column % pattern[1] == 0:
                group = slice(column, column + pattern[1])
                scores = weight[:, group] ** 2 / np.diag(upper)[group] ** 2
                order = np.argsort(scores, axis=1, kind="stable")[:, : pattern[0]]
                np.put_along_axis(keep[:, group], order, False, axis=1)
            lost = weight[:, column] * ~keep[:, column]
            after = upper[column, column + 1 :] / upper[column, column]
            weight[:, column + 1 :] -= np.outer(lost, after)
            weight[:, column] -= lost
    return keep, weight


def error(weight: np.ndarray, other: np.ndarray, products: np.ndarray) -> float:
    """The sum of squares of what the outputs differ by, over the tokens of the products."""
    difference = other - weight
    return float(((difference @ products) * difference).sum())


def chosen_by(
    sparsity: float, pattern: tuple[int, int] | None = None, selection: str = "exact"
) -> Callable[[torch.Tensor, int], torch.Tensor]:
    def choose(scores: torch.Tensor, first: int) -> torch.Tensor:
        if pattern:
            return keep_pattern(scores, *pattern)
        return sparsegpt.keep_columns(scores, first, sparsity, selection)

    return choose


def of_inputs(tokens: torch.Tensor, damping: float = 0.01) -> reconstruction.Factors:
    products = InputProducts(tokens.shape[1])
    products.add_inputs(tokens)
    return products.factors(damping)


@given(
    st.integers(1, 9),
    st.integers(1, 30),
    st.integers(1, 12),
    st.floats(0, 1),
    st.sampled_from(["exact", "paper"]),
    st.sampled_from([None, (2, 4), (1, 2), (3, 4)]),
    st.integers(0, 1000),
)
def test_a_linear_is_that_of_the_reference(
    rows, columns, block_size, sparsity, selection, nm, seed
):
    """Whatever the widths; in float64 here too, so that no two scores are ordered by rounding."""
    if nm:
        columns, block_size = nm[1] * columns, nm[1] * block_size
        selection = "exact"
    draw = np.random.default_rng(seed)
    weight = draw.standard_normal((rows, columns))
    mixed = draw.standard_normal((columns, columns))
    tokens = draw.standard_normal((columns + 5, columns)) @ mixed
    products = tokens.T @ tokens
    if selection == "paper":
        sparsity = min(sparsity, 0.9)  # the reference has no last threshold
    options = {"block_size": block_size, "pattern": nm, "selection": selection}
    keep, updated = reference(weight, products, sparsity, **options)
    found, changed = reconstruct(
        torch.from_numpy(weight),
        factored(torch.from_numpy(products[::-1, ::-1].copy()), 0.01),
        chosen_by(sparsity, nm, selection),
        block_size,
        nm and nm[1],
    )
    np.testing.assert_array_equal(found.numpy(), keep)
    np.testing.assert_allclose(changed.numpy(), updated, rtol=1e-6, atol=1e-8)
    assert not changed[~found].any()
    if selection == "exact" and not nm:
        assert (~keep).sum() == round(sparsity * weight.size)


@pytest.mark.parametrize("nm", [None, (2, 4)])
def test_in_fp32_the_outputs_are_as_near(nm):
    """Correlated inputs, one of them thirty times the others, as in real models."""
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(48, 200, generator=draw)
    tokens = torch.randn(900, 200, generator=draw) @ torch.randn(200, 200, generator=draw)
    tokens[:, 7] *= 30
    products = (tokens.double().T @ tokens.double()).numpy()
    group = nm and nm[1]
    keep, changed = reconstruct(weight, of_inputs(tokens), chosen_by(0.5, nm), 128, group)
    expected, updated = reference(weight.double().numpy(), products, 0.5, pattern=nm)
    assert (keep.numpy() != expected).mean() < 1e-3
    dense = weight.double().numpy()
    ours, theirs = (error(dense, w, products) for w in (changed.double().numpy(), updated))
    assert ours == pytest.approx(theirs, rel=1e-3)
    for other in (dense * keep.numpy(), dense * expected):  # the same masks, nothing updated
        assert ours < error(dense, other, products)


def test_inputs_without_correlation_leave_magnitude_and_every_weight_as_it_was():
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(30, 300, generator=draw)
    keep, changed = reconstruct(weight, of_inputs(torch.eye(300)), chosen_by(0.3), 128)
    for start in range(0, 300, 128):
        span = slice(start, start + 128)
        assert weight[:, span][keep[:, span]].abs().min() >= (
            weight[:, span][~keep[:, span]].abs().max()
        )
        assert (~keep[:, span]).sum() == 0.3 * keep[:, span].numel()
    assert torch.equal(changed, weight * keep)
    nothing = reconstruction.no_factors(300)  # what an expert without tokens is pruned by
    same = reconstruct(weight, nothing, chosen_by(0.3), 128)
    assert torch.equal(same[0], keep) and torch.equal(same[1], changed)


def test_what_rounding_loses_is_made_up_for():
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(40, 120, generator=draw)
    tokens = torch.randn(500, 4, generator=draw) @ torch.randn(4, 120, generator=draw)
    tokens += 0.01 * torch.randn(500, 120, generator=draw)
    products = (tokens.double().T @ tokens.double()).numpy()
    found = []
    for dtype in (None, torch.bfloat16):
        keep, changed = reconstruct(weight, of_inputs(tokens), chosen_by(0.5), 128, None, dtype)
        found.append(changed)
    assert found[1].dtype is torch.bfloat16 and not found[1][~keep].any()
    dense = weight.double().numpy()
    exact, after, within = (
        error(dense, w.double().numpy(), products)
        for w in (found[0], found[0].bfloat16(), found[1])
    )
    assert within - exact < 0.5 * (after - exact)


def test_weights_whose_input_is_always_zero_go_first_and_the_others_know_nothing_of_it():
    draw = torch.Generator().manual_seed(0)
    weight, tokens = torch.randn(5, 12, generator=draw), torch.randn(40, 12, generator=draw)
    idle = [3, 4, 9]
    tokens[:, idle] = 0
    live = [column for column in range(12) if column not in idle]
    keep, changed = reconstruct(weight, of_inputs(tokens), chosen_by(0.5), 12)
    assert not keep[:, idle].any()
    few, _ = reconstruct(weight, of_inputs(tokens), chosen_by(0.1), 12)
    assert few[:, live].all()
    assert torch.equal(changed[:, idle], torch.zeros(5, 3))
    kept, alone = reconstruct(
        weight[:, live], of_inputs(tokens[:, live]), chosen_by(15 / 45), len(live)
    )
    assert torch.equal(kept, keep[:, live])
    torch.testing.assert_close(alone, changed[:, live])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_those_of_all_tokens(monkeypatch, dtype):
    monkeypatch.setattr(reconstruction, "PANEL", 3)
    tokens = torch.randn(2, 9, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = InputProducts(7)
    for part in tokens:
        found.add_inputs(part[None])
    wide = tokens.double().reshape(-1, 7)
    assert found.tokens == 18
    factors = found.factors(1e-9)
    assert found.factors(1e-9) is factors  # q, k and v share them
    lower = factors.lower.double() * factors.scales.double()
    torch.testing.assert_close((lower @ lower.T).flip(0, 1), wide.T @ wide, rtol=1e-5, atol=1e-5)


# whole models


def sparse_model(folder: Path, sparsities: dict[str, float], **options):
    """(keep, weight) of every linear: a whole float64 model, pruned in place block by block."""
    model, found = load_model(folder, torch.float64), {}
    for block in range(model.config.num_hidden_layers):
        names = [name for name in sparsities if name.startswith(f"model.layers.{block}.")]
        products = dict.fromkeys(names, 0.0)

        def hook(name: str, products: dict = products) -> Callable:
            def add(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
                tokens = arguments[0].reshape(-1, arguments[0].shape[-1]).numpy()
                products[name] = products[name] + tokens.T @ tokens

            return add

        modules = {name: model.get_submodule(name.removesuffix(".weight")) for name in names}
        handles = [m.register_forward_pre_hook(hook(name)) for name, m in modules.items()]
        with torch.no_grad():
            for sample in SAMPLES:
                model(input_ids=sample[None].long(), use_cache=False)
            for handle in handles:
                handle.remove()
            for name in names:
                parameter = model.get_parameter(name)
                weight = parameter.detach().numpy()
                found[name] = reference(weight, products[name], sparsities[name], **options)
                parameter.copy_(torch.from_numpy(found[name][1]))
    return found


def files_for(place: Path, folder: Path, sparsity: float = 0.5, **request: object) -> dict:
    files = {}
    if request.get("allocation"):
        files["statistics"] = save_statistics(place / "statistics.safetensors", folder, SAMPLES)
    allocation = save_allocation(place / "allocation.json", folder, sparsity, **request, **files)
    calibration = save_calibration_set(place / "set.safetensors", folder, SAMPLES)
    return {"allocation": allocation, "calibration": calibration}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("options", "request_"),
    [
        ({"block_size": 8}, {}),
        ({}, {"allocation": OWL, "scope": "attention"}),
        ({"block_size": 10, "damping": 0.1, "selection": "paper"}, {"scope": "mlp"}),
        ({"pattern": "2:4", "block_size": 8}, {}),
    ],
    ids=["uniform", "owl", "paper", "2:4"],
)
def test_a_model_is_that_of_the_reference(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    options: dict,
    request_: dict,
) -> None:
    sizes = {"hidden": 24, "intermediate": 36} if "pattern" in options else {}
    folder = tiny_model(architecture, **sizes)
    files = files_for(tmp_path, folder, **request_)
    pruned = read_pruned(
        run(tmp_path, folder, {"method": "sparsegpt", **options}, **files), model_digest(folder)
    )
    allocated = read_json(files["allocation"])["linears"]
    scope = request_.get("scope", "all")
    inside = [x for x in linears(open_checkpoint(folder)) if scope in ("all", x.part)]
    if "pattern" in options:
        options = options | {"pattern": (2, 4)}
    expected = sparse_model(folder, {x.name: allocated[x.name] for x in inside}, **options)
    assert set(pruned.record.linears) == set(pruned.record.weights) == set(expected)
    for name, (keep, weight) in expected.items():
        np.testing.assert_array_equal(pruned.kept(name).numpy(), keep, name)
        changed = pruned.weights[name].double().numpy()
        assert not changed[~keep].any()
        scale = np.abs(weight).max()
        np.testing.assert_allclose(changed, weight, rtol=1e-3, atol=1e-4 * scale, err_msg=name)
    assert pruned.record.engines is None  # a plain checkpoint
    defaults = {"block_size": 128, "damping": 0.01, "selection": "exact"}
    given = options | ({"pattern": "2:4"} if "pattern" in options else {})
    assert pruned.record.options == defaults | given


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_in_an_engine_it_is_the_export_to_the_byte(
    tmp_path: Path, tiny_model: Callable[..., Path], architecture: str
) -> None:
    folder = tiny_model(architecture, dtype=torch.bfloat16, sharded=True)
    checkpoint = open_checkpoint(folder)
    files = run(tmp_path, folder, {"method": "sparsegpt"}, **files_for(tmp_path, folder))
    pruned = read_pruned(files, model_digest(folder))
    export(checkpoint, pruned, tmp_path / "export")
    model, exported = (
        load_model(folder, torch.bfloat16),
        load_model(tmp_path / "export", torch.bfloat16),
    )
    apply_pruned(model, pruned, checkpoint)
    stored = open_checkpoint(tmp_path / "export")
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, exported.get_parameter(name)), name
        if name in stored.files:
            assert torch.equal(parameter, checkpoints.load_tensor(stored, name)), name
    names = [linear.name for linear in linears(checkpoint)]
    for name in names:
        weight, dense = exported.get_parameter(name), checkpoints.load_tensor(checkpoint, name)
        assert int((weight == 0).sum()) == round(weight.numel() / 2)
        assert (weight != dense)[pruned.kept(name)].any()
    with torch.no_grad():
        logits = [m(input_ids=SAMPLES.long(), use_cache=False).logits for m in (model, exported)]
    assert torch.equal(*logits)


def plan_of(folder: Path, ids: torch.Tensor = SAMPLES, **options: object):
    checkpoint = open_checkpoint(folder)
    members = linears(checkpoint)
    method = SparseGPT(method="sparsegpt", sparsity=0.5, calibration="set", **options)
    allocation = SimpleNamespace(sparsities=dict.fromkeys((x.name for x in members), 0.5))
    return sparsegpt.plan(Inputs(checkpoint, members, method, allocation, None, ids))


def test_the_batch_matters_to_nothing_but_rounding(
    tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = tiny_model("qwen3"), []
    for batch in (1, 4, 6):
        monkeypatch.setattr(propagation.blocks, "samples_per_batch", lambda *_, batch=batch: batch)
        found.append(list(plan_of(folder).linears))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert one.name == two.name
            assert torch.equal(one.keep, two.keep)
            torch.testing.assert_close(
                one.changed[one.name], two.changed[two.name], rtol=1e-3, atol=1e-4
            )


def test_the_hessians_of_a_block_are_shared_and_leave_memory_with_it(
    tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[InputProducts] = []
    init = InputProducts.__init__

    def noted(self: InputProducts, *arguments: object) -> None:
        init(self, *arguments)
        made.append(self)

    monkeypatch.setattr(InputProducts, "__init__", noted)
    steps = iter(plan_of(tiny_model("llama")).linears)
    for _ in range(7):
        next(steps)
    assert [products.features for products in made] == [18, 18, 18, 25]
    assert all(products._sums is None for products in made)


# what goes wrong


def test_few_tokens_are_said(
    tiny_model: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plan_of(tiny_model("llama"), SAMPLES[:1])
    assert capsys.readouterr().err == (
        "the calibration set has 20 tokens, fewer than the 25 inputs of model.layers.0.mlp."
        "down_proj.weight: its Hessian is invertible by damping alone; more samples would help\n"
    )
    plan_of(tiny_model("llama"), SAMPLES[:2])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("factor", "reason"),
    [
        (0.0, "its inputs on the calibration set are all 0"),
        (float("inf"), "its inputs on the calibration set are not finite"),
    ],
)
def test_inputs_without_a_hessian(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    factor: float,
    reason: str,
) -> None:
    folder = tiny_model("llama")
    add = InputProducts.add_inputs
    monkeypatch.setattr(
        InputProducts,
        "add_inputs",
        lambda self, inputs: add(self, factor * torch.ones_like(inputs)),
    )
    line = refused(tmp_path, folder, {"method": "sparsegpt"}, **files_for(tmp_path, folder))
    assert line == f"model.layers.0.self_attn.q_proj.weight has no Hessian: {reason}"


def test_too_little_damping(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("llama")
    files = files_for(tmp_path, folder)
    files["calibration"] = save_calibration_set(tmp_path / "one", folder, SAMPLES[:1, :4])
    options = {"method": "sparsegpt", "damping": 1e-30}
    assert refused(tmp_path, folder, options, **files) == (
        "model.layers.0.self_attn.q_proj.weight has no Hessian: damping 1e-30 is too little for "
        "it, set a larger one"
    )


def test_rows_that_a_pattern_does_not_divide(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model("llama")
    options = {"method": "sparsegpt", "pattern": "2:4"}
    line = refused(tmp_path, folder, options, **files_for(tmp_path, folder))
    assert line.startswith("pattern 2:4 does not fit model.layers.0.self_attn.q_proj.weight: ")


def test_blocks_of_columns_hold_whole_groups(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    options = {"method": "sparsegpt", "pattern": "2:4", "block_size": 6}
    line = refused(tmp_path, tiny_model("llama"), options)
    assert "block_size: 6 is not allowed with pattern 2:4; must be a multiple of 4" in line
