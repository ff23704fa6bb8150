"""The card of an export: what the hub reads, and what a person must know of the model."""

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard

from tests.artefacts.mask_references import run
from tests.artefacts.variants import on_disk, random_keeps
from tests.models.tiny_models import load_model, write_manifest
from workflow_scripts.artefacts.masks import VariantFiles, read_pruned
from workflow_scripts.artefacts.narrow import narrowed
from workflow_scripts.artefacts.pruned_checkpoints import export
from workflow_scripts.config.entry import parser_of
from workflow_scripts.files.atomic import read_json, write_json
from workflow_scripts.masking.model_card import MadeFrom, model_card
from workflow_scripts.models.checkpoints import linears, open_checkpoint
from workflow_scripts.models.units import KV_GROUP, NEURON, QUERY_HEAD, block_units
from workflow_scripts.paths import PROJECT

HUB = {"kind": "hub", "id": "someone/tiny"}
WANDA = {"method": "wanda", "sparsity": 0.5, "calibration": "texts", "pattern": "2:4"}
TEXTS = {"source": {"kind": "local", "path": "/home/me/texts.txt"}, "samples": 4, "seed": 7}


def card(
    folder: Path, files: VariantFiles, more: dict[str, Any] | None = None, **entry: Any
) -> str:
    sets = {"calibration_sets": {"texts": TEXTS}, **(more or {})}
    about = {"model": "tiny", "variant": "v", "entry": entry, "device": "cpu", "sets": sets}
    made_from = parser_of(MadeFrom)(json.dumps(about))
    checkpoint, pruned = open_checkpoint(folder), read_pruned(files)
    return model_card(checkpoint, pruned, made_from, narrowed(checkpoint, pruned))


@pytest.fixture
def model(tmp_path: Path, tiny_model: Callable[..., Path]) -> Path:
    return Path(shutil.copytree(tiny_model(), tmp_path / "model"))


def fetched_from(folder: Path, source: dict[str, Any]) -> None:
    manifest = read_json(folder / "manifest.json")
    write_json(folder / "manifest.json", manifest | {"source": source, "revision": "c0ffee"})


def test_the_hub_reads_where_a_model_is_from_and_how_it_was_pruned(model, tmp_path):
    fetched_from(model, HUB)
    text = card(model, on_disk(tmp_path, model, random_keeps(model)), **WANDA)
    data = ModelCard(text).data
    assert data.base_model == "someone/tiny" and data.library_name == "transformers"
    assert data.tags == ["prunethink", "pruning", "wanda"]
    assert "(https://huggingface.co/someone/tiny) at revision c0ffee" in text
    # its license is not known here: a person is told so, and nothing is made up
    assert data.license is None and "license was not known" in text


def test_a_card_tells_what_was_done_from_what_and_how_to_share_it(model, tmp_path):
    files = on_disk(tmp_path, model, random_keeps(model, 0.5), (1,))
    text, record = card(model, files, **WANDA), read_pruned(files).record
    for said in (
        "method: Wanda", "pattern: `2:4`", "calibration: `texts`", "propagate: `dense`",
        "samples `4`", "seed `7`", f"{100 * record.removed_fraction:.2f} % of the weights",
        f"blocks, {100 * record.removed_of_all:.2f} % of all its parameters",
        "blocks removed, counted from 0: 1 of 3", record.digest, record.model_digest,
        "neither smaller nor faster", "the pattern is 2:4", "1 of 3 here", "arXiv:2306.11695",
        'from_pretrained("results/tiny/v/checkpoint"',
        "\n    hf upload OWNER/tiny-v results/tiny/v/checkpoint\n",
    ):  # fmt: skip
        assert said in text, said
    # nobody else is to know where files were on this machine
    assert "texts.txt" in text and "/home/me" not in text


def test_a_card_tells_how_a_variant_was_trained_after_pruning_and_on_what(model, tmp_path):
    files = on_disk(tmp_path, model, random_keeps(model, 0.5))
    lora = {"kind": "lora", "rank": 8, "alpha": 16.0, "steps": 100, "texts": "dialogues"}
    sets = {
        "recoveries": {"mine": lora},
        "texts": {"dialogues": {"source": {"kind": "local", "path": "/home/me/said.jsonl"}}},
    }
    text = card(model, files, sets, **WANDA, recovery="mine")
    for said in (
        "recovery: `mine`", "## How it was trained after pruning", "- rank: `8`",
        "By low-rank adapters, on the texts dialogues. What was removed stays removed.",
        '- texts dialogues: source `{"kind": "local", "path": "said.jsonl"}`', "arXiv:2106.09685",
    ):  # fmt: skip
        assert said in text, said
    assert "/home/me" not in text and "trained after" not in card(model, files, **WANDA)


def test_the_code_of_a_card_runs_sparse_what_is_2_4_and_nothing_else(
    tiny_model, tmp_path, monkeypatch
):
    """On the CPU, which has no such kernels: the linears that are handed to them are counted."""
    folder = tiny_model(hidden=24, intermediate=32, dtype=torch.bfloat16)
    mlp = [x for x in linears(open_checkpoint(folder)) if x.part == "mlp"]
    keeps = {x.name: torch.arange(x.shape[1]).expand(x.shape) % 4 < 2 for x in mlp}
    files = on_disk(tmp_path / "files", folder, keeps)
    text = card(folder, files, **WANDA, scope="mlp")
    code = re.search(r"```python\n(import torch\n.*?)```", text, re.DOTALL)[1]
    assert code in (PROJECT / "docs/methods.md").read_text(encoding="utf-8")
    export(open_checkpoint(folder), read_pruned(files), tmp_path / "export")
    model, given = load_model(tmp_path / "export", torch.bfloat16), []

    def noted(weight: torch.Tensor) -> torch.Tensor:
        given.append(weight)
        return weight

    monkeypatch.setattr(torch.sparse, "to_sparse_semi_structured", noted)
    exec(code.replace('"cuda"', '"cpu"'), {"model": model})
    assert len(given) == len(mlp)
    assert all(not weight[:, 2::4].any() and weight[:, ::4].all() for weight in given)
    assert "sparse kernels" not in card(folder, files, method="magnitude", sparsity=0.5)


def test_parameters_and_zeros_are_those_of_the_exported_weights(model, tmp_path):
    files = on_disk(tmp_path, model, random_keeps(model, 0.5), (0,))
    dense, pruned = open_checkpoint(model), read_pruned(files)
    found = re.search(r"parameters: (\S+), of which the mask set (\S+) to zero", card(
        model, files, method="magnitude", sparsity=0.5
    ))  # fmt: skip
    numbers = [int(number.replace(",", "")) for number in found.groups()]
    in_first = [n for n in dense.shapes if n.startswith("model.layers.0.")]
    size = {name: read.numel() for name, read in _weights(dense).items()}
    gone = {n: int((~pruned.kept(n)).sum()) for n in pruned.record.linears if n not in in_first}
    assert numbers == [sum(size.values()) - sum(size[n] for n in in_first), sum(gone.values())]


def test_a_card_says_what_is_left_out_and_what_stays_as_zeros(tmp_path, tiny_model):
    folder = tiny_model("qwen3", heads=6, kv_heads=3, hidden=36, head_dim=8)
    checkpoint = open_checkpoint(folder)
    removed = [{KV_GROUP: [1], NEURON: range(5)}, {KV_GROUP: [0], NEURON: range(5)}]
    removed.append({KV_GROUP: [2], QUERY_HEAD: [0], NEURON: range(7)})
    keeps, sizes = {}, []
    for units, gone in zip(block_units(checkpoint), removed, strict=True):
        keeps |= units.keep(gone)
        sizes += [units.unit_weights(KV_GROUP) + 5 * units.unit_weights(NEURON)]
    left = units.unit_weights(QUERY_HEAD) + 2 * units.unit_weights(NEURON)
    text = card(folder, on_disk(tmp_path, folder, keeps), method="magnitude-sp", sparsity=0.3)
    dense = sum(math.prod(shape) for shape in checkpoint.shapes.values())
    for said in (
        "without 1 of 3 key-value heads, 2 of 6 query heads, 5 of 25 MLP neurons in each block, "
        f"with {left:,} weights set to zero",
        f"parameters: {dense - sum(sizes):,}, of which the mask set {left:,} to zero",
        "1 query head and 2 MLP neurons, counted over all blocks, were removed and are still here",
        "method: structured magnitude pruning",
    ):
        assert said in text, said


def _weights(checkpoint):
    from workflow_scripts.models.checkpoints import load_tensor

    return {name: load_tensor(checkpoint, name) for name in checkpoint.files}


def test_a_dense_export_says_that_it_is_unchanged(model, tmp_path):
    text = card(model, on_disk(tmp_path, model, {}), method="dense")
    assert "unchanged." in text and "method: none" in text and "0.00 %" in text


@pytest.mark.parametrize(
    "front_matter, found",
    [
        ("license: mit\n", {"license": "mit"}),
        (
            "license: other\nlicense_name: mine\nlicense_link: LICENSE\n",
            {"license": "other", "license_name": "mine", "license_link": "LICENSE"},
        ),
        ("license_name: mine\n", {}),
        ("license: [\n", {}),
    ],
)
def test_the_license_is_that_of_the_card_beside_the_dense_model(
    tmp_path, tiny_model, front_matter, found
):
    mine = Path(shutil.copytree(tiny_model(), tmp_path / "mine"))
    (mine / "README.md").write_text(f"---\n{front_matter}---\n# Mine\n")
    folder = tmp_path / "model"
    folder.mkdir()
    for path in mine.iterdir():
        if path.name != "README.md":
            (folder / path.name).symlink_to(path)
    (folder / "manifest.json").unlink()
    write_manifest(folder)
    files = on_disk(tmp_path, folder, random_keeps(folder))
    data = ModelCard(card(folder, files, method="magnitude", sparsity=0.5)).data.to_dict()
    assert {k: v for k, v in data.items() if k.startswith("license")} == found


def test_a_card_tells_how_it_was_trained_and_what_it_went_on_from(model, tmp_path):
    files = run(tmp_path, model, {"method": "reverse-order", "remove_blocks": 1})
    penalty = {"norm": "l1", "weight": 2.0}
    lora = {"kind": "lora", "rank": 8, "penalty": penalty, "texts": "dialogues"}
    before = {"method": "reverse-order", "remove_blocks": 1}
    more = {"recoveries": {"mine": lora}, "variants": {"before": before}}
    entry = {"method": "reverse-order", "remove_blocks": 2, "recovery": "mine", "after": "before"}
    text = card(model, files, more, **entry)
    assert '- penalty: `{"norm": "l1", "weight": 2.0}`' in text
    assert "- variant before: method `reverse-order`, remove_blocks `1`" in text
    assert "- recovery: `mine`" in text and "- after: `before`" in text
    assert "- calibration set texts: " in text
