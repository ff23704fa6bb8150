"""Structured methods held against slow references in float64, head by head and neuron by neuron."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.artefacts.mask_references import refused, run, sums_of_squares, weights_of
from tests.models.tiny_models import (
    ARCHITECTURES,
    load_model,
    save_calibration_set,
    save_statistics,
    token_ids,
)
from workflow_scripts.artefacts.masks import Pruned, read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.masking.unit_ranking import kept_together
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint
from workflow_scripts.models.units import KV_GROUP, NEURON, QUERY_HEAD, block_units

HEADS, KV_HEADS, HEAD_DIM, HIDDEN, NEURONS, BLOCKS = 6, 3, 8, 36, 25, 3
SIZES = {"heads": HEADS, "kv_heads": KV_HEADS, "hidden": HIDDEN, "head_dim": HEAD_DIM}
COUNT = {KV_GROUP: KV_HEADS, QUERY_HEAD: HEADS}
SIZE = {KV_GROUP: 6 * HEAD_DIM * HIDDEN, QUERY_HEAD: 2 * HEAD_DIM * HIDDEN, NEURON: 3 * HIDDEN}
BLOCK = KV_HEADS * SIZE[KV_GROUP] + NEURONS * SIZE[NEURON]

Columns = dict[str, np.ndarray]  # by the name of o's and down's weight


@pytest.fixture(scope="session")
def wide_model(tiny_model: Callable[..., Path]) -> Callable[..., Path]:
    """A model with several KV groups, whose heads together are wider than its hidden states."""
    return lambda architecture="llama": tiny_model(architecture, **SIZES)


def read_by_name(block: int) -> tuple[str, str]:
    prefix = f"model.layers.{block}."
    return f"{prefix}self_attn.o_proj.weight", f"{prefix}mlp.down_proj.weight"


def counts(kind: str, sparsity: float, selection: str) -> tuple[int, int]:
    """Heads and neurons that go from a block: tried out, neuron by neuron."""
    if selection == "paper":
        return int(sparsity * COUNT[kind]), int(sparsity * NEURONS)
    heads = min(round(sparsity * COUNT[kind]), COUNT[kind] - 1)
    while heads * SIZE[kind] > sparsity * BLOCK:
        heads -= 1
    missed = [
        abs(heads * SIZE[kind] + neurons * SIZE[NEURON] - sparsity * BLOCK)
        for neurons in range(NEURONS)
    ]
    return heads, missed.index(min(missed))


def of_heads(columns: np.ndarray, kind: str) -> np.ndarray:
    """Sums over the columns of each head or group."""
    size = len(columns) // COUNT[kind]
    return np.array([columns[head * size : (head + 1) * size].sum() for head in range(COUNT[kind])])


def lowest_of(scores: np.ndarray, count: int) -> list[int]:
    return sorted(np.argsort(scores, kind="stable")[:count].tolist())


def assert_gone(pruned: Pruned, folder: Path, removed: dict[int, dict[str, list[int]]]) -> None:
    """The mask takes out these units of every block, and nothing else."""
    masked = {units.block: units for units in block_units(open_checkpoint(folder))}
    assert {name.split(".")[2] for name in pruned.record.linears} == {str(b) for b in removed}
    for block, gone in removed.items():
        for name, keep in masked[block].keep(gone).items():
            assert torch.equal(pruned.kept(name), keep), (name, gone)


def made(place: Path, folder: Path, options: dict, **files: Path) -> Pruned:
    return read_pruned(run(place, folder, options, **files), model_digest(folder))


EVERY_WAY = [
    *itertools.product(("llama",), (KV_GROUP, QUERY_HEAD), ("exact", "paper"), (0.2, 0.6)),
    *itertools.product(("qwen2", "qwen3"), (KV_GROUP, QUERY_HEAD), ("exact",), (0.6,)),
]


@pytest.mark.parametrize("method", ["magnitude-sp", "wanda-sp"])
@pytest.mark.parametrize(("architecture", "heads", "selection", "sparsity"), EVERY_WAY)
def test_columns_are_the_reference(
    tmp_path: Path,
    wide_model: Callable[..., Path],
    statistics_file: Callable[..., Path],
    inputs_of: Callable[[Path], Columns],
    method: str,
    architecture: str,
    heads: str,
    selection: str,
    sparsity: float,
) -> None:
    folder = wide_model(architecture)
    options = {"method": method, "heads": heads, "selection": selection, "sparsity": sparsity}
    files = {}
    if method == "wanda-sp":
        options |= {"calibration": "set"}
        files["statistics"] = statistics_file(folder)
    pruned, weights, inputs = made(tmp_path, folder, options, **files), weights_of(folder), {}
    if method == "wanda-sp":
        inputs = inputs_of(folder)
    heads_gone, neurons_gone = counts(heads, sparsity, selection)
    removed = {}
    for block in range(BLOCKS):
        columns = []
        for name in read_by_name(block):
            weight = weights[name]
            if method == "wanda-sp":
                columns.append((np.abs(weight) * np.sqrt((inputs[name] ** 2).sum(0))).mean(0))
            else:
                columns.append(np.sqrt((weight**2).sum(0)))
        removed[block] = {
            heads: lowest_of(of_heads(columns[0], heads), heads_gone),
            NEURON: lowest_of(columns[1], neurons_gone),
        }
    assert_gone(pruned, folder, removed)
    if selection == "exact":  # as near as a neuron allows
        assert abs(pruned.record.removed_fraction - sparsity) <= SIZE[NEURON] / BLOCK / 2 + 1e-12
    assert all(x.requested == sparsity for x in pruned.record.linears.values())
    assert pruned.record.options["sparsity"] == sparsity


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("heads", [KV_GROUP, QUERY_HEAD])
def test_wanda_sp_in_sequence_is_the_reference(
    tmp_path: Path, wide_model: Callable[..., Path], architecture: str, heads: str
) -> None:
    folder, samples = wide_model(architecture), token_ids(5, 12, seed=3)
    files = {"calibration": save_calibration_set(tmp_path / "set.safetensors", folder, samples)}
    options = {"method": "wanda-sp", "sparsity": 0.4, "calibration": "set", "heads": heads}
    options |= {"propagate": "pruned", "keep_first": 1}
    pruned = made(tmp_path, folder, options, **files)
    model, removed = load_model(folder, torch.float64), {}
    units = block_units(open_checkpoint(folder))
    heads_gone, neurons_gone = counts(heads, 0.4, "exact")
    for block in (1, 2):
        sums = sums_of_squares(model, samples, list(read_by_name(block)))
        columns = [
            (model.get_parameter(name).detach().abs().numpy() * np.sqrt(sums[name])).mean(0)
            for name in read_by_name(block)
        ]
        removed[block] = {
            heads: lowest_of(of_heads(columns[0], heads), heads_gone),
            NEURON: lowest_of(columns[1], neurons_gone),
        }
        with torch.no_grad():
            for name, keep in units[block].keep(removed[block]).items():
                model.get_parameter(name).mul_(keep)
    assert_gone(pruned, folder, removed)


def flap_columns(
    weights: Columns, inputs: Columns, name: str, metric: str, squared: bool
) -> np.ndarray:
    """What the columns of o or down are worth, one after another."""
    weight, x = weights[name], inputs[name]
    found = []
    for j in range(weight.shape[1]):
        spread = ((x[:, j] - x[:, j].mean()) ** 2).sum() / (len(x) - 1)
        if metric == "IFV":
            found.append(spread)
        elif metric == "WIFV":
            found.append(spread * (weight[:, j] ** 2).sum())
        else:
            found.append(np.abs(weight[:, j]).mean() * np.sqrt((x[:, j] ** 2).sum()))
    return np.array(found) ** 2 if squared else np.array(found)


def ranked(
    scores: dict[int, dict[str, np.ndarray]], heads: str, sparsity: float, selection: str
) -> dict[int, dict[str, list[int]]]:
    """What goes where all units of all blocks compete: every threshold tried."""
    units = [
        (scores[block][kind][unit], SIZE[kind], block, kind, unit)
        for kind in (heads, NEURON)
        for block in scores
        for unit in range(len(scores[block][kind]))
    ]
    if selection == "paper":
        units = [(score, size // SIZE[NEURON], *rest) for score, size, *rest in units]
    else:
        best = {
            (block, kind): int(found.argmax())
            for block, of_block in scores.items()
            for kind, found in of_block.items()
        }
        units = [
            (np.inf if best[block, kind] == unit else score, size, block, kind, unit)
            for score, size, block, kind, unit in units
        ]
    total = sum(size for _, size, *_ in units)
    of_all = total if selection == "paper" else BLOCK * BLOCKS
    thresholds = sorted((score for score, *_ in units), reverse=True)
    left = [sum(size for score, size, *_ in units if score >= limit) for limit in thresholds]
    missed = [abs(some - (total - sparsity * of_all)) for some in left]
    limit = thresholds[missed.index(min(missed))]
    removed = {block: {kind: [] for kind in (heads, NEURON)} for block in scores}
    for score, _, block, kind, unit in units:
        if score < limit or (selection == "paper" and score == limit):
            removed[block][kind].append(unit)
    return removed


@pytest.mark.parametrize(
    ("architecture", "heads", "metric", "structure", "head_scores", "selection"),
    [
        *itertools.product(
            ("llama",), (KV_GROUP,), ("WIFV", "IFV", "WIFN"), ("AL-AM", "UL-UM"),
            ("plain", "squared"), ("exact", "paper"),
        ),
        *itertools.product(
            ("qwen2", "qwen3"), (KV_GROUP, QUERY_HEAD), ("WIFV",), ("AL-AM", "UL-UM"), ("plain",),
            ("exact",),
        ),
        ("llama", QUERY_HEAD, "WIFV", "AL-AM", "plain", "paper"),
    ],
)  # fmt: skip
def test_flap_is_the_reference(
    tmp_path: Path,
    wide_model: Callable[..., Path],
    statistics_file: Callable[..., Path],
    inputs_of: Callable[[Path], Columns],
    architecture: str,
    heads: str,
    metric: str,
    structure: str,
    head_scores: str,
    selection: str,
) -> None:
    folder, sparsity = wide_model(architecture), 0.3
    options = {
        "method": "flap", "calibration": "set", "sparsity": sparsity, "heads": heads,
        "metric": metric, "structure": structure, "head_scores": head_scores,
        "selection": selection,
    }  # fmt: skip
    pruned = made(tmp_path, folder, options, statistics=statistics_file(folder))
    weights, inputs = weights_of(folder), inputs_of(folder)
    heads_gone, neurons_gone = counts(heads, sparsity, selection)
    scores, removed = {}, {}
    for block in range(BLOCKS):
        o, down = (
            flap_columns(weights, inputs, name, metric, squared)
            for name, squared in zip(
                read_by_name(block), (head_scores == "squared", False), strict=True
            )
        )
        if structure == "AL-AM":
            o, down = ((x - x.mean()) / x.std(ddof=1) for x in (o, down))
            means = of_heads(o, heads) / (HEADS * HEAD_DIM // COUNT[heads])
            scores[block] = {heads: means, NEURON: down}
        removed[block] = {
            heads: lowest_of(of_heads(o, heads), heads_gone),
            NEURON: lowest_of(down, neurons_gone),
        }
    if structure == "AL-AM":
        removed = ranked(scores, heads, sparsity, selection)
    assert_gone(pruned, folder, removed)
    if selection == "exact":  # as near as the unit at the threshold allows
        share = SIZE[heads] / (BLOCK * BLOCKS) if structure == "AL-AM" else SIZE[NEURON] / BLOCK
        assert abs(pruned.record.removed_fraction - sparsity) <= share / 2 + 1e-12


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([1, 5, 12])), min_size=1, max_size=12),
    st.floats(0.01, 0.99),
)
def test_units_that_compete_leave_the_nearest_share(
    units: list[tuple[int, int]], sparsity: float
) -> None:
    scores, weights = (np.array(x) for x in zip(*units, strict=True))
    wanted = (1 - sparsity) * weights.sum()
    keep = kept_together(scores.astype(float), weights, wanted, "exact")
    order = sorted(range(len(units)), key=lambda unit: (scores[unit], unit))
    gone = int((~keep).sum())
    assert sorted(order[:gone]) == np.flatnonzero(~keep).tolist()  # of equal ones the earlier go
    others = [abs(weights[order[count:]].sum() - wanted) for count in range(len(units))]
    assert abs(weights[keep].sum() - wanted) <= min(others) + 1e-9
    # the public code: strictly above the score at that place, fewer
    above = kept_together(scores.astype(float), weights, wanted, "paper")
    assert above.tolist() == (scores > scores[order[gone]]).tolist()


@pytest.mark.parametrize("heads", [KV_GROUP, QUERY_HEAD])
@pytest.mark.parametrize("method", ["flap", "wanda-sp", "magnitude-sp"])
def test_even_blocks_lose_the_same(
    tmp_path: Path,
    wide_model: Callable[..., Path],
    statistics_file: Callable[..., Path],
    heads: str,
    method: str,
) -> None:
    folder = wide_model("qwen3")
    options = {"method": method, "sparsity": 0.4, "heads": heads, "even": True}
    files = {}
    if method != "magnitude-sp":
        options |= {"calibration": "set"}
        files["statistics"] = statistics_file(folder)
    pruned = made(tmp_path, folder, options, **files)
    numbers = set()
    for units in block_units(open_checkpoint(folder)):
        q, o = units.lines(QUERY_HEAD)
        gone = ~pruned.kept(o.linear.name).any(0)
        by_group = gone.reshape(KV_HEADS, -1).sum(1).tolist()
        down = pruned.kept(units.linears["down"].name)
        numbers.add((*(by_group if heads == QUERY_HEAD else [sum(by_group)]), int(down[0].sum())))
        assert not pruned.kept(q.linear.name)[gone].any()
    assert len(numbers) == 1, numbers
    if heads == QUERY_HEAD:  # the same number in every group
        assert len(set(min(numbers)[:-1])) == 1
    assert abs(pruned.record.removed_fraction - 0.4) <= SIZE[NEURON] / BLOCK / 2 + 1e-12


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_a_constant_is_given_back_whole(
    tmp_path: Path, wide_model: Callable[..., Path], architecture: str
) -> None:
    """One token again and again: every input is constant, and biases replace what goes."""
    folder, same = wide_model(architecture), torch.full((2, 12), 7, dtype=torch.int32)
    statistics = save_statistics(tmp_path / "statistics.safetensors", folder, same)
    options = {"method": "flap", "calibration": "set", "sparsity": 0.4, "structure": "UL-UM"}
    logits = {}
    for compensate in (False, True):
        pruned = made(
            tmp_path / str(compensate), folder, options | {"compensate": compensate},
            statistics=statistics,
        )  # fmt: skip
        model = load_model(folder)
        apply_pruned(model, pruned, open_checkpoint(folder))
        with torch.no_grad():
            logits[compensate] = model(same.long()).logits
    with torch.no_grad():
        dense = load_model(folder)(same.long()).logits
    assert (logits[False] - dense).abs().max() > 0.1
    torch.testing.assert_close(logits[True], dense, rtol=1e-4, atol=1e-4)


def test_biases_are_what_the_columns_gave_on_average(
    tmp_path: Path,
    wide_model: Callable[..., Path],
    statistics_file: Callable[..., Path],
    inputs_of: Callable[[Path], Columns],
) -> None:
    folder = wide_model("llama")
    options = {"method": "flap", "calibration": "set", "sparsity": 0.3, "compensate": True}
    pruned = made(tmp_path, folder, options, statistics=statistics_file(folder))
    weights, inputs, expected = weights_of(folder), inputs_of(folder), {}
    for name in itertools.chain.from_iterable(map(read_by_name, range(BLOCKS))):
        gone = ~pruned.kept(name).numpy()
        if gone.any():
            lost = (weights[name] * gone) @ inputs[name].mean(0)
            expected[name.replace("weight", "bias")] = lost
    assert set(pruned.record.weights) == set(expected)
    for name, bias in expected.items():
        np.testing.assert_allclose(pruned.weights[name].double(), bias, rtol=1e-4, atol=1e-5)
    assert pruned.record.engines is None


MAGNITUDE = {"method": "magnitude-sp"}
FLAP = {"method": "flap", "calibration": "set"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {**MAGNITUDE, "sparsity": 0.95},
            "sparsity is 0.95: block 0 can lose 0.7671 of its weights at most, 2 of 3 heads and "
            "all neurons but one",
        ),
        (
            {**MAGNITUDE, "sparsity": 0.5, "keep_first": 1, "keep_last": 2},
            "keep_first: 1 and keep_last 2 leave none of 3 blocks; together they must be at most 2",
        ),
        (
            {**FLAP, "sparsity": 0.99},
            "sparsity is 0.99: the pruned blocks can lose 0.7671 of their weights at most, all but "
            "one head and one neuron of each",
        ),
        (
            {**FLAP, "sparsity": 0.95, "selection": "paper"},
            "sparsity is 0.95: it leaves block 0 no head",
        ),
        (
            {**FLAP, "sparsity": 0.5, "even": True, "keep_last": 1},
            "--options: flap: keep_last: 1 is not allowed with even: true, where all blocks lose "
            "the same; must be 0",
        ),
        (
            {**MAGNITUDE, "sparsity": 0.5, "even": True, "selection": "paper"},
            "--options: magnitude-sp: selection: 'paper' is not allowed with even: true; must be "
            "exact",
        ),
    ],
)
def test_what_cannot_be_removed(
    tmp_path: Path,
    wide_model: Callable[..., Path],
    statistics_file: Callable[..., Path],
    options: dict,
    said: str,
) -> None:
    folder = wide_model("llama")
    files = {"statistics": statistics_file(folder)} if options["method"] == "flap" else {}
    assert refused(tmp_path, folder, options, **files) == said


def test_spared_blocks_have_no_mask(tmp_path: Path, wide_model: Callable[..., Path]) -> None:
    options = {**MAGNITUDE, "sparsity": 0.5, "keep_first": 1, "keep_last": 1}
    pruned = made(tmp_path, wide_model("llama"), options)
    assert {name.split(".")[2] for name in pruned.record.linears} == {"1"}
    assert abs(pruned.record.removed_fraction - 0.5 / BLOCKS) <= SIZE[NEURON] / BLOCK / BLOCKS / 2
