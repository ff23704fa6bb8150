"""Training before weights go: they are made small, once a step, and go as they were chosen."""

from pathlib import Path

import pytest
import torch

from tests.models.tiny_models import save_tiny_model
from tests.recovery.recovering import FULL, LORA, SIZES, run, start
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.models.checkpoints import split_block
from workflow_scripts.recovery import recover


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "model", "llama", **SIZES)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """What trainings ended in, before what goes of it went."""
    seen, write = [], recover.write_recovered

    def note(files, before, mask, checkpoint, tensors, *rest):
        seen.append(tensors)
        write(files, before, mask, checkpoint, tensors, *rest)

    monkeypatch.setattr(recover, "write_recovered", note)
    return seen


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_what_goes_becomes_small_first_and_the_mask_is_as_it_was(tmp_path, model, trained, norm):
    before = start(tmp_path, model, "llm-pruner")
    records = []
    for weight in (1e-9, 1e4):
        options = FULL | {"penalty": {"norm": norm, "weight": weight}}
        files, record = run(tmp_path / f"after-{weight}", model, before, options)
        records.append(record)
        assert files.mask.read_bytes() == before.mask.read_bytes()
    pruned, found = read_pruned(before), read_pruned(files)
    gone = {name: ~pruned.kept(name) for name in pruned.record.linears}
    small, free = (
        sum(x[name][where].abs().sum() for name, where in gone.items()) for x in trained[::-1]
    )
    assert 0 < small < 0.99 * free
    for name, where in gone.items():
        assert not found.weights[name][where].any()
    # the record has the loss of tokens alone: that of the first step is of the same weights
    assert records[0].steps[0].loss == pytest.approx(records[1].steps[0].loss, rel=1e-6)
    assert records[0].steps[-1].loss != pytest.approx(records[1].steps[-1].loss, rel=1e-6)


def test_a_step_has_its_penalty_once_however_its_rows_are_parted(tmp_path, model, trained):
    before = start(tmp_path, model, "llm-pruner")
    for rows in (4, 1):
        options = FULL | {"penalty": {"norm": "l2", "weight": 1e3}, "micro_batch": rows}
        run(tmp_path / f"after-{rows}", model, before, options)
    for name, tensor in trained[0].items():
        torch.testing.assert_close(tensor, trained[1][name], rtol=1e-4, atol=1e-5)


def test_a_block_that_goes_is_trained_before_and_not_kept(tmp_path, model, trained):
    before = start(tmp_path, model, "blocks")
    options = LORA | {"penalty": {"norm": "l1", "weight": 10.0}}
    files, record = run(tmp_path / "after", model, before, options)
    found = read_pruned(files)
    assert found.record.removed_blocks == (1,)
    assert {split_block(name)[0] for name in found.record.weights} == {0, 2}
    of_all = 3 * sum(tensor.numel() for tensor in trained[0].values()) // 2
    assert record.trained == of_all
