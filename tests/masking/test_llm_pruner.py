"""LLM-Pruner held against gradients of a whole model in float64, head by head."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from tests.artefacts.mask_references import refused, run
from tests.models.tiny_models import save_calibration_set
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.masking.methods.llm_pruner import line_values
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint
from workflow_scripts.models.units import KV_GROUP, NEURON, QUERY_HEAD, block_units

HEADS, KV_HEADS, HEAD_DIM, HIDDEN, NEURONS = 6, 3, 8, 36, 25
IN_GROUP = HEADS // KV_HEADS
SIZES = {"heads": HEADS, "kv_heads": KV_HEADS, "hidden": HIDDEN, "head_dim": HEAD_DIM, "blocks": 4}
IDS = torch.randint(4, 64, (5, 8), generator=torch.Generator().manual_seed(3), dtype=torch.int32)
OPTIONS = {
    "method": "llm-pruner",
    "calibration": "set",
    "sparsity": 0.4,
    "keep_first": 1,
    "keep_last": 1,
}


@pytest.fixture(scope="session")
def wide_model(tiny_model: Callable[..., Path]) -> Callable[..., Path]:
    return lambda kind, tied=False: tiny_model(kind, tied=tied, **SIZES)


def sample_gradients(folder: Path) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """All weights, and each sample's gradients of its own mean loss, float64."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    weights = {n: p for n, p in model.named_parameters() if "_proj.weight" in n}
    found = []
    for sample in IDS.long():
        logits = model(sample[None], use_cache=False).logits[0, :-1]
        loss = nn.functional.cross_entropy(logits, sample[1:])
        found.append(
            dict(zip(weights, torch.autograd.grad(loss, [*weights.values()]), strict=True))
        )
    return {name: weight.detach() for name, weight in weights.items()}, found


def entries(taylor: str, weight: Tensor, gradients: list[Tensor]) -> Tensor:
    mean = torch.stack(gradients).mean(0)
    fisher = torch.stack([each**2 for each in gradients]).mean(0)
    return {
        "vectorize": weight * mean,
        "param_first": weight * mean,
        "param_second": weight**2 * fisher,
        "param_mix": weight * mean - weight**2 * fisher / 2,
    }[taylor]


def expected(folder: Path, block: int, heads: str, taylor: str, fold: str) -> dict[str, Tensor]:
    """What the units of a block are worth, by loops over its heads and neurons."""
    weights, found = sample_gradients(folder)

    def lines(role: str) -> Tensor:
        part = "mlp" if role in ("gate", "up", "down") else "self_attn"
        name = f"model.layers.{block}.{part}.{role}_proj.weight"
        values = entries(taylor, weights[name], [each[name] for each in found])
        values = values.T if role in ("o", "down") else values
        return values.sum(1).abs() if taylor == "vectorize" else values.abs().sum(1)

    q, k, v, o = map(lines, "qkvo")
    rows = [slice(head * HEAD_DIM, (head + 1) * HEAD_DIM) for head in range(HEADS)]
    query = torch.stack([q[some].sum() + o[some].sum() for some in rows])
    if heads == QUERY_HEAD:
        scores = query
    else:
        scores = torch.stack([k[some].sum() + v[some].sum() for some in rows[:KV_HEADS]])
        for head in range(HEADS):
            group = head // IN_GROUP if fold == "own" else head % KV_HEADS
            scores[group] += query[head]
    return {heads: scores, NEURON: lines("gate") + lines("up") + lines("down")}


def removed(place: Path, folder: Path, **options: object) -> dict[int, dict[str, set[int]]]:
    """Which units the mask takes out of every masked block."""
    options = {k: v for k, v in (OPTIONS | options).items() if v is not None}
    calibration = place / "calibration.safetensors"
    save_calibration_set(calibration, folder, IDS)
    pruned = read_pruned(run(place, folder, options, calibration=calibration))
    heads = options.get("heads", KV_GROUP)
    found = {}
    for units in block_units(open_checkpoint(folder)):
        masked = [linear.name in pruned.record.linears for linear in units.linears.values()]
        if not any(masked):
            continue
        gone = {}
        for kind in (heads, NEURON):
            read_by = units.lines(kind)[-1]
            kept = pruned.kept(read_by.linear.name)
            gone[kind] = {
                unit for unit in range(units.count(kind)) if not kept[:, read_by.of(unit)].any()
            }
        for name, keep in units.keep(gone).items():  # and nothing else
            assert torch.equal(pruned.kept(name), keep)
        found[units.block] = gone
    return found


def lowest(scores: Tensor, count: int) -> set[int]:
    return set(scores.argsort()[:count].tolist())


@pytest.mark.parametrize("taylor", ["vectorize", "param_first", "param_second", "param_mix"])
@pytest.mark.parametrize(("kind", "tied"), [("llama", False), ("qwen2", False), ("qwen3", True)])
def test_the_least_important_units_of_every_block_go(
    tmp_path: Path, wide_model: Callable[..., Path], kind: str, tied: bool, taylor: str
) -> None:
    folder = wide_model(kind, tied)
    found = removed(tmp_path, folder, taylor=taylor)
    assert [*found] == [1, 2]
    for block, gone in found.items():
        scores = expected(folder, block, KV_GROUP, taylor, "own")
        assert len(gone[KV_GROUP]) == 1  # 1.2 of 3 groups, and neurons for the rest
        # 0.4 of 3 * 6 * 8 * 36 + 25 * 3 * 36 weights, less one group's 6 * 8 * 36
        assert len(gone[NEURON]) == round((0.4 * 7884 - 1728) / 108)
        for name, units in gone.items():
            assert units == lowest(scores[name], len(units))


def test_single_query_heads_and_the_public_fold(
    tmp_path: Path, wide_model: Callable[..., Path]
) -> None:
    folder = wide_model("qwen2")
    single = removed(tmp_path, folder, heads=QUERY_HEAD)
    folded = removed(tmp_path, folder, fold="public", selection="paper", sparsity=0.5)
    for block in (1, 2):
        scores = expected(folder, block, QUERY_HEAD, "param_first", "own")
        assert single[block][QUERY_HEAD] == lowest(scores[QUERY_HEAD], 2)
        scores = expected(folder, block, KV_GROUP, "param_first", "public")
        # 24 rows less int(12.0) are one head and a half, 25 neurons less int(12.5)
        assert folded[block] == {
            KV_GROUP: lowest(scores[KV_GROUP], 1),
            NEURON: lowest(scores[NEURON], 13),
        }


def test_in_a_global_ranking_blocks_lose_as_the_scores_say(
    tmp_path: Path, wide_model: Callable[..., Path]
) -> None:
    folder = wide_model("llama")
    found = removed(tmp_path, folder, ranking="global")
    lost, stays = [], []
    for block, gone in found.items():
        scores = expected(folder, block, KV_GROUP, "param_first", "own")
        for kind, values in scores.items():
            lost += [float(values[unit]) for unit in gone[kind]]
            best = int(values.argmax())  # stays whatever it is worth
            kept = [u for u in range(len(values)) if u not in gone[kind] and u != best]
            stays += [float(values[unit]) for unit in kept]
    assert max(lost) < min(stays)
    weights = sum(len(g[KV_GROUP]) * 1728 + len(g[NEURON]) * 108 for g in found.values())
    assert abs(weights / (2 * 7884) - 0.4) < 1728 / (2 * 7884)


def test_blocks_that_lose_the_same(tmp_path: Path, wide_model: Callable[..., Path]) -> None:
    options = {"ranking": "global", "even": True, "keep_first": 0, "keep_last": 0}
    found = removed(tmp_path, wide_model("llama"), **options)
    assert len({tuple(len(units) for units in gone.values()) for gone in found.values()}) == 1
    assert [*found] == [0, 1, 2, 3]


def test_no_curvature_no_second_term() -> None:
    """With F = 0, param_mix is param_first."""
    weight, gradient = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0))
    for dimension in (0, 1):
        mix = line_values("param_mix", weight, gradient, torch.zeros(7, 5), dimension)
        assert torch.equal(mix, line_values("param_first", weight, gradient, None, dimension))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"keep_first": None, "keep_last": None},
            "keep_first: 4 and keep_last 2 leave none of 4 blocks; together they must be at most 3",
        ),
        (
            {"selection": "paper", "ranking": "global"},
            "--options: llm-pruner: ranking: 'global' is not allowed with selection: paper; "
            "must be local",
        ),
        (
            {"fold": "public", "heads": "query-head"},
            "--options: llm-pruner: fold: 'public' is not allowed with heads: query-head, which "
            "are not folded; must be own",
        ),
    ],
)
def test_refusals(
    tmp_path: Path, wide_model: Callable[..., Path], options: dict, said: str
) -> None:
    folder, calibration = wide_model("llama"), tmp_path / "calibration.safetensors"
    save_calibration_set(calibration, folder, IDS)
    asked = {k: v for k, v in (OPTIONS | options).items() if v is not None}
    assert refused(tmp_path, folder, asked, calibration=calibration) == said


def test_two_runs_have_the_same_bytes(tmp_path: Path, wide_model: Callable[..., Path]) -> None:
    folder = wide_model("qwen3")
    calibration = tmp_path / "calibration.safetensors"
    save_calibration_set(calibration, folder, IDS)
    digests = set()
    for number in range(2):
        place = tmp_path / str(number)
        place.mkdir()
        files = run(place, folder, OPTIONS | {"taylor": "param_mix"}, calibration=calibration)
        digests.add(read_pruned(files, model_digest(folder)).digest)
    assert len(digests) == 1
