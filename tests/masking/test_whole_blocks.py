from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.artefacts.mask_references import refused, run
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.artefacts.statistics import read_statistics, write_statistics
from workflow_scripts.files.atomic import read_json
from workflow_scripts.masking.whole_blocks import lowest_blocks
from workflow_scripts.models.checkpoints import linears, model_digest, open_checkpoint


def with_influence(source: Path, target: Path, folder: Path, influence: list[float]) -> Path:
    digest = model_digest(folder)
    statistics = read_statistics(source, linears(open_checkpoint(folder)), digest)
    changed = replace(statistics, block_influence=torch.tensor(influence))
    write_statistics(target, changed, digest, "calibration")
    return target


@pytest.mark.parametrize(
    ("influence", "count", "removed"),
    [
        ([0.5, 0.1, 0.3, 0.2], 1, (1,)),
        ([0.5, 0.1, 0.3, 0.2], 2, (1, 3)),
        ([0.5, 0.1, 0.3, 0.2], 3, (1, 2, 3)),
        ([0.5, 0.4, 0.3, 0.2], 1, (3,)),  # the last block is scored too
        ([0.5, 0.2, 0.3, 0.2], 1, (1,)),  # of equal ones the earlier
        ([-0.1, 0.2, 0.0, 0.2], 2, (0, 2)),
    ],
)
def test_shortgpt_removes_the_blocks_of_lowest_influence(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    statistics_file: Callable[..., Path],
    influence: list[float],
    count: int,
    removed: tuple[int, ...],
) -> None:
    folder = tiny_model("qwen3", blocks=4)
    path = tmp_path / "s.safetensors"
    statistics = with_influence(statistics_file(folder), path, folder, influence)
    options = {"method": "shortgpt", "remove_blocks": count}
    paths = run(tmp_path, folder, options, statistics=statistics)
    assert read_pruned(paths).record.removed_blocks == removed
    record = read_json(paths.record)
    assert record["options"] == {"remove_blocks": count}
    assert record["removed_fraction"] == record["requested"] == count / 4


def test_of_many_blocks_of_equal_influence_the_first_go() -> None:
    assert lowest_blocks([0.5] * 36, 3) == (0, 1, 2)


@pytest.mark.parametrize("count", [3, 4])
def test_all_blocks_cannot_be_removed(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    statistics_file: Callable[..., Path],
    count: int,
) -> None:
    folder = tiny_model("llama")
    options = {"method": "shortgpt", "remove_blocks": count}
    line = refused(tmp_path, folder, options, statistics=statistics_file(folder))
    assert line == f"remove_blocks: {count} is not allowed: of 3 blocks, 1 to 2 can be removed"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_reverse_order_removes_the_last_blocks(
    tmp_path: Path, tiny_model: Callable[..., Path], count: int
) -> None:
    folder = tiny_model("llama", blocks=4)
    paths = run(tmp_path, folder, {"method": "reverse-order", "remove_blocks": count})
    mask, record = read_pruned(paths), read_json(paths.record)
    assert mask.record.removed_blocks == tuple(range(4 - count, 4))
    assert len(mask.keep) == 0
    assert (record["method"], record["options"]) == ("reverse-order", {"remove_blocks": count})
    assert record["removed_fraction"] == record["requested"] == count / 4


@pytest.mark.parametrize("count", [4, 5])
def test_reverse_order_leaves_a_block(
    tmp_path: Path, tiny_model: Callable[..., Path], count: int
) -> None:
    options = {"method": "reverse-order", "remove_blocks": count}
    line = refused(tmp_path, tiny_model("llama", blocks=4), options)
    assert line == f"remove_blocks: {count} is not allowed: of 4 blocks, 1 to 3 can be removed"


@pytest.mark.parametrize("listed", [[0], [3], [2, 1], [0, 1, 3]])
def test_the_blocks_on_the_list_are_removed(
    tmp_path: Path, tiny_model: Callable[..., Path], listed: list[int]
) -> None:
    folder = tiny_model("llama", blocks=4)
    paths = run(tmp_path, folder, {"method": "blocks", "blocks": listed})
    assert read_pruned(paths).record.removed_blocks == tuple(sorted(listed))
    record = read_json(paths.record)
    assert record["removed_fraction"] == record["requested"] == len(listed) / 4


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ([4], "blocks: there is no block 4; the model has 0 to 3"),
        ([0, 1, 2, 3], "blocks: all 4 blocks of the model are listed; one must stay"),
    ],
)
def test_lists_that_a_model_cannot_lose(
    tmp_path: Path, tiny_model: Callable[..., Path], listed: list[int], message: str
) -> None:
    options = {"method": "blocks", "blocks": listed}
    assert refused(tmp_path, tiny_model("llama", blocks=4), options) == message
