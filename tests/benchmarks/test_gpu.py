"""The GPU check on the CPU: its parts on a tiny model, its time limits, its table."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.sparse._semi_structured_conversions import (
    sparse_semi_structured_from_dense_cutlass,
    sparse_semi_structured_to_dense_cutlass,
)
from transformers import AutoModelForCausalLM

from benchmarks.gpu import two_four
from benchmarks.gpu.checkpoint import QWEN3_8B, TINY, write_checkpoint
from benchmarks.gpu.parts import Report, Setting, run_part
from workflow_scripts.models import checkpoints
from workflow_scripts.paths import PROJECT
from workflow_scripts.pruning.kernels import keep_pattern


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path, "cpu", TINY, 4, 64, 1, 4, {})


def test_a_checkpoint_is_one_that_transformers_and_the_project_open(tmp_path):
    assert write_checkpoint(tmp_path / "model", TINY, "cpu", 60) == TINY.num_hidden_layers
    model, report = AutoModelForCausalLM.from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    linears = checkpoints.linears(checkpoints.open_checkpoint(tmp_path / "model"))
    assert sum(linear.weights for linear in linears) == 3 * TINY.block_weights
    weight = model.get_parameter(linears[0].name)
    assert float(weight.std()) == pytest.approx(0.02, rel=0.1)


def test_a_slow_disk_makes_a_checkpoint_of_fewer_blocks(tmp_path):
    assert write_checkpoint(tmp_path / "model", TINY, "cpu", 0) == 1
    AutoModelForCausalLM.from_pretrained(tmp_path / "model")


def test_floors_of_the_8b_model():
    weights = 36 * QWEN3_8B.block_weights
    assert weights == pytest.approx(6.95e9, rel=0.01)
    without_attention = 2 * weights * 128 * 2048
    assert 1 < QWEN3_8B.forward_flops(128, 2048, 36) / without_attention < 1.1
    # weights and head once, 147,456 bytes of keys and values for every token in a cache
    step = QWEN3_8B.step_bytes(1, 1, 36, 2)
    assert step == pytest.approx(15.14e9 + 147_456, rel=0.01)
    assert QWEN3_8B.step_bytes(1, 2, 36, 2) - step == 147_456


def test_what_is_2_4_goes_through_the_sparse_layout_and_nothing_else(tmp_path, monkeypatch):
    """There and back in torch's layout, which the CPU can pack and not multiply: equal logits."""
    write_checkpoint(tmp_path / "model", TINY, "cpu", 60)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.bfloat16)
    for name, module in model.named_modules():
        if name.endswith("_proj") and "mlp" in name:
            scores = module.weight.detach().float().abs()
            module.weight.data.masked_fill_(~keep_pattern(scores, 2, 4), 0)
    packed = []

    def there_and_back(weight: torch.Tensor) -> torch.Tensor:
        values, places = sparse_semi_structured_from_dense_cutlass(weight)
        packed.append((values.nbytes + places.nbytes) / weight.nbytes)
        return sparse_semi_structured_to_dense_cutlass(values, places)

    monkeypatch.setattr(two_four, "to_sparse_semi_structured", there_and_back)
    ids = torch.arange(24)[None]
    with torch.no_grad():
        dense = model(ids).logits
        assert two_four.make_sparse(model) == 3 * TINY.num_hidden_layers
        assert torch.equal(model(ids).logits, dense)
    assert packed == [9 / 16] * len(packed)


def test_a_part_that_fails_keeps_what_it_found(setting):
    def part(setting: Setting, report: Report) -> None:
        report.row("found", 1.0, "s")
        with report.attempt("one step"):
            raise ValueError("wrong\nsecond line")
        raise RuntimeError("no")

    rows = {row.what: row.text for row in run_part("x", part, setting, 60)}
    assert rows["found"] == "1 s"
    assert rows["one step"] == "failed: ValueError: wrong"
    assert rows["part"] == "failed: RuntimeError: no"


def test_a_part_that_dies_is_a_row(setting):
    rows = run_part("x", lambda setting, report: os._exit(9), setting, 60)
    assert "ended with 9" in rows[0].text


def test_a_part_that_takes_too_long_ends_with_what_it_started(setting):
    def part(setting: Setting, report: Report) -> None:
        child = subprocess.Popen(["sleep", "60"])
        report.row("child", float(child.pid))
        time.sleep(60)

    start = time.monotonic()
    found, stopped, _ = run_part("x", part, setting, 2)
    assert time.monotonic() - start < 20
    assert stopped.text.startswith("stopped after 2 s")
    status = Path(f"/proc/{int(found.value)}/stat")
    for _ in range(50):
        if not status.exists() or status.read_text(encoding="utf-8").split()[2] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("what the part started still runs")


def test_every_quick_part_runs_and_is_told_in_a_table(tmp_path):
    output = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--tiny", "--threads", "1"]
    command += ["--folder", str(tmp_path), "--output", str(output)]
    parts = ["masks", "statistics", "sequential Wanda", "SparseGPT", "gradients", "2:4"]
    parts += ["2:4 model", "tests"]
    finished = subprocess.run(
        [*command, "--parts", *parts], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    record = json.loads(output.read_text())
    rows = {(row["part"], row["what"]): row["value"] for row in record["rows"]}
    assert not [row for row in rows.items() if str(row[1]).startswith("failed")]
    assert {part for part, _ in rows} == {"card", "checkpoint", *parts}
    assert rows["statistics", "statistics pass"] > 0
    assert f"torch {torch.__version__}" in record["where"]
    table = finished.stdout.rpartition("\n\n")[2]
    assert len(table.splitlines()) == 2 + len(rows)
    assert list(tmp_path.iterdir()) == [output]
