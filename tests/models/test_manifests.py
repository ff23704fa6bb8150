import json
import shutil
from pathlib import Path

import pytest

from workflow_scripts.artefacts.masks import nothing_pruned
from workflow_scripts.artefacts.pruned_checkpoints import export
from workflow_scripts.errors import InputError
from workflow_scripts.files import bundled
from workflow_scripts.files.bundled import BUNDLED, SUMS, check_bundled
from workflow_scripts.files.digests import file_digest
from workflow_scripts.models.blocks import load_block, open_decoder
from workflow_scripts.models.checkpoints import check_weights, model_digest, open_checkpoint
from workflow_scripts.models.manifests import check_fetched

WEIGHTS = "model.safetensors"


@pytest.fixture
def model(tiny_model, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_model("llama"), tmp_path / "m"))


def flip(path: Path) -> None:
    """Change a byte in the middle; of weights the header stays whole and the numbers finite."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 - 2] ^= 1
    path.write_bytes(content)


def refusal(check, *arguments) -> str:
    with pytest.raises(InputError) as error:
        check(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_weights_are_checked_by_whoever_reads_them(model, tmp_path):
    flip(model / WEIGHTS)
    checkpoint = open_checkpoint(model)
    digest = model_digest(model)  # headers and small files are whole
    found, wanted = file_digest(model / WEIGHTS), json.loads((model / "manifest.json").read_text())
    line = refusal(check_weights, model)
    assert line == (
        f"{model / WEIGHTS}: has changed since it was fetched: its sha256 is {found}, "
        f"manifest.json says {wanted['files'][WEIGHTS]}; delete it and {model / 'manifest.json'} "
        "and start again, it is fetched again"
    )
    assert refusal(load_block, open_decoder(checkpoint), 0) == line
    mask = nothing_pruned(digest, checkpoint.blocks)
    assert refusal(export, checkpoint, mask, tmp_path / "exported") == line
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
def test_small_files_are_checked_wherever_the_model_is_named(model, name):
    flip(model / name)
    assert refusal(model_digest, model).startswith(
        f"{model / name}: has changed since it was fetched"
    )


def test_a_file_that_is_gone(model):
    (model / "tokenizer.json").unlink()
    assert refusal(model_digest, model) == (
        f"{model / 'tokenizer.json'}: is missing; delete {model / 'manifest.json'} and start again"
    )


def test_a_folder_that_was_not_fetched_is_taken_as_it_is(model):
    flip(model / WEIGHTS)
    (model / "manifest.json").unlink()
    check_weights(model)
    check_fetched(model / WEIGHTS)


def test_what_is_bundled_is_as_its_list_says():
    listed = [line.split("  ")[1] for line in (BUNDLED / SUMS).read_text().splitlines()]
    there = [path for path in BUNDLED.rglob("*") if path.is_file() and path.name != SUMS]
    assert sorted(listed) == sorted(str(path.relative_to(BUNDLED)) for path in there)
    for path in there:
        assert check_bundled(path) == path


def test_a_bundled_file_that_changed_or_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path / "bundled")
    shutil.copytree(BUNDLED, tmp_path / "bundled")
    weights = tmp_path / "bundled/models/reasoner" / WEIGHTS
    flip(weights)
    line = refusal(check_bundled, weights.parent)
    assert line.startswith(
        f"bundled/models/reasoner/{WEIGHTS}: has sha256 {file_digest(weights)}, "
    )
    assert line.endswith(f"restore the file: git checkout -- bundled/models/reasoner/{WEIGHTS}")
    weights.unlink()
    assert ": is missing, bundled/SHA256SUMS says " in refusal(check_bundled, weights.parent)
    chains = tmp_path / "bundled/calibration/chains.jsonl"
    assert check_bundled(chains) == chains  # each is looked at by itself
    flip(chains)
    assert "bundled/calibration/chains.jsonl: has sha256 " in refusal(check_bundled, chains)
