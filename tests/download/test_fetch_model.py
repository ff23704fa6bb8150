import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.download.fetching import fetch_model
from workflow_scripts.download import sources
from workflow_scripts.download.fetch_model import main
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import files_digest


def local(folder: Path) -> dict[str, str]:
    return {"kind": "local", "path": str(folder)}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "resources" / "models" / "m" / "manifest.json"


def test_a_local_folder_becomes_links_and_a_manifest_with_every_digest(model_folder, manifest):
    for stranger in ("pytorch_model.bin", "modeling.py", "optimizer.pt", "README.md"):
        (model_folder / stranger).write_text("x")
    (model_folder / "onnx").mkdir()
    main(["--options", json.dumps(local(model_folder)), "--output", str(manifest)])
    expected = {
        "chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    made = {path.name for path in manifest.parent.iterdir()}
    assert made == expected | {"manifest.json", ".manifest.json.sha256"}
    record = json.loads(manifest.read_text())
    digests = {n: hashlib.sha256((model_folder / n).read_bytes()).hexdigest() for n in expected}
    assert record == {
        "source": local(model_folder),
        "revision": None,
        "files": digests,
        "digest": files_digest(digests),
    }
    assert list(record["files"]) == sorted(expected)
    for name in expected:
        assert os.readlink(manifest.parent / name) == str(model_folder / name)


def test_a_relative_local_path_is_read_from_the_working_directory(
    model_folder, manifest, monkeypatch
):
    monkeypatch.chdir(model_folder.parent)
    fetch_model({"kind": "local", "path": "model"}, manifest)
    monkeypatch.chdir("/")
    assert json.loads((manifest.parent / "config.json").read_text())["model_type"] == "qwen3"
    assert json.loads(manifest.read_text())["source"]["path"] == "model"


def test_bundled_links_are_relative_and_survive_moving_the_clone(
    model_folder, tmp_path, monkeypatch
):
    clone = tmp_path / "clone"
    (clone / "bundled" / "models").mkdir(parents=True)
    model_folder.rename(clone / "bundled" / "models" / "tiny")
    monkeypatch.setattr(sources, "BUNDLED", clone / "bundled")
    target = clone / "resources" / "models" / "m" / "manifest.json"
    fetch_model({"kind": "bundled", "name": "tiny"}, target)
    clone.rename(tmp_path / "moved")
    moved = tmp_path / "moved" / "resources" / "models" / "m"
    assert json.loads((moved / "config.json").read_text())["model_type"] == "qwen3"
    assert str(tmp_path) not in (moved / "manifest.json").read_text()


def test_bundled_links_hold_where_resources_is_itself_a_link(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "BUNDLED", tmp_path / "bundled")
    (tmp_path / "bundled" / "models").mkdir(parents=True)
    model_folder.rename(tmp_path / "bundled" / "models" / "tiny")
    (tmp_path / "far" / "away" / "disk").mkdir(parents=True)
    (tmp_path / "resources").symlink_to("far/away/disk")
    manifest = tmp_path / "resources" / "models" / "m" / "manifest.json"
    fetch_model({"kind": "bundled", "name": "tiny"}, manifest)
    assert (manifest.parent / "model.safetensors").is_file()


def test_a_model_s_folder_may_be_a_link_to_another_disk(model_folder, tmp_path, manifest):
    (tmp_path / "disk" / "m").mkdir(parents=True)
    manifest.parent.parent.mkdir(parents=True)
    manifest.parent.symlink_to(tmp_path / "disk" / "m")
    fetch_model(local(model_folder), manifest)
    assert manifest.parent.is_symlink() and (tmp_path / "disk/m/model.safetensors").is_symlink()


def test_the_bundled_reasoner_is_whole(manifest):
    fetch_model({"kind": "bundled", "name": "reasoner"}, manifest)
    assert "model.safetensors" in json.loads(manifest.read_text())["files"]


def test_an_unknown_bundled_name_lists_those_there_are(model_folder, manifest, monkeypatch):
    (model_folder.parents[1] / "bundled" / "models" / "tiny").mkdir(parents=True)
    monkeypatch.setattr(sources, "BUNDLED", model_folder.parents[1] / "bundled")
    with pytest.raises(InputError) as caught:
        fetch_model({"kind": "bundled", "name": "big"}, manifest)
    assert str(caught.value) == "source of kind bundled: no model 'big'; there are: tiny"


def test_the_layout_of_the_hub_cache_is_a_local_folder(model_folder, manifest):
    snapshot = model_folder.parent / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for path in model_folder.iterdir():
        (snapshot / path.name).symlink_to(f"../../model/{path.name}")
    fetch_model(local(snapshot), manifest)
    assert (manifest.parent / "model.safetensors").is_file()


def test_another_source_leaves_no_link_of_the_one_before(sharded_folder, tiny_model, manifest):
    fetch_model(local(sharded_folder), manifest)
    (manifest.parent / ".config.json.tmp").symlink_to("nowhere")  # of a killed run
    for shard in sharded_folder.glob("model-*"):
        shard.unlink()
    shutil.copy(tiny_model("qwen3", blocks=1) / "model.safetensors", sharded_folder)
    (sharded_folder / "model.safetensors.index.json").unlink()
    (sharded_folder / "chat_template.jinja").unlink()
    fetch_model(local(sharded_folder), manifest)
    assert sorted(path.name for path in manifest.parent.iterdir()) == [
        ".manifest.json.sha256", "config.json", "manifest.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def test_nothing_is_linked_when_a_file_is_damaged(model_folder, manifest):
    weights = model_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError):
        fetch_model(local(model_folder), manifest)
    assert not manifest.parent.exists()


def test_a_failed_fetch_leaves_the_model_before_it_as_it_was(model_folder, manifest):
    fetch_model(local(model_folder), manifest)
    before = manifest.read_bytes()
    (model_folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError):
        fetch_model(local(model_folder), manifest)
    assert manifest.read_bytes() == before


def test_a_fetch_that_dies_leaves_the_model_before_it(model_folder, manifest, monkeypatch):
    fetch_model(local(model_folder), manifest)
    before = sorted(path.name for path in manifest.parent.iterdir())

    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "symlink_to", die)
    with pytest.raises(KeyboardInterrupt):
        fetch_model(local(model_folder), manifest)
    assert sorted(path.name for path in manifest.parent.iterdir()) == before


def test_somebodys_own_files_in_the_folder_are_not_replaced(model_folder, manifest):
    manifest.parent.mkdir(parents=True)
    (manifest.parent / "config.json").write_text("mine")
    with pytest.raises(InputError) as caught:
        fetch_model(local(model_folder), manifest)
    mine = manifest.parent / "config.json"
    assert str(caught.value) == f"{mine}: not put there by this stage; move it away"
    assert mine.read_text() == "mine"


def test_a_model_is_not_linked_to_itself(model_folder):
    with pytest.raises(InputError, match="not put there by this stage"):
        fetch_model(local(model_folder), model_folder / "manifest.json")
    assert not (model_folder / "config.json").is_symlink()


def test_fetching_twice_gives_the_same_bytes(model_folder, manifest):
    fetch_model(local(model_folder), manifest)
    first = manifest.read_bytes()
    fetch_model(local(model_folder), manifest)
    assert manifest.read_bytes() == first


def test_the_digest_follows_the_content_and_not_the_path(model_folder, manifest):
    fetch_model(local(model_folder), manifest)
    first = json.loads(manifest.read_text())["digest"]
    moved = model_folder.rename(model_folder.parent / "elsewhere")
    fetch_model(local(moved), manifest)
    assert json.loads(manifest.read_text())["digest"] == first
    (moved / "chat_template.jinja").write_text("{{ other }}")
    fetch_model(local(moved), manifest)
    assert json.loads(manifest.read_text())["digest"] != first


@pytest.mark.parametrize(
    "text, key",
    [
        ("{", "all of it"),
        ("[]", "all of it"),
        ('{"path": "x"}', "all of it"),
        ('{"kind": "local"}', "path"),
        ('{"kind": "local", "path": ""}', "path"),
        ('{"kind": "local", "path": "x", "id": "y"}', "id"),
    ],
)
def test_a_wrong_source_is_one_line(text, key, manifest):
    with pytest.raises(InputError) as caught:
        main(["--options", text, "--output", str(manifest)])
    line = str(caught.value)
    assert line.startswith("--options: ") and key in line and "\n" not in line


def test_the_command_reports_a_mistake_in_one_line_without_a_traceback(run_stage, tmp_path):
    source = json.dumps({"kind": "local", "path": "missing"})
    done = run_stage("fetch_model", "--options", source, "--output", "m/manifest.json")
    assert done.returncode == 1
    assert done.stderr == (
        "error: missing: no such folder; a model is a folder with config.json and weights\n"
    )
    assert not (tmp_path / "m").exists()
