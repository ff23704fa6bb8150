"""Files that a config names: found where they are, and missed in one line where they are not."""

import os
import shutil
from pathlib import Path

import pytest

from tests.config.config_door import changed, lines_of, make_bundled
from workflow_scripts.config import source_files as config_files
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.source_files import (
    BYTES_READ_WHOLE,
    source_files,
    sources_digest,
)
from workflow_scripts.config.sources import SOURCES


@pytest.fixture(autouse=True)
def bundled(tmp_path_factory, monkeypatch) -> Path:
    folder = make_bundled(tmp_path_factory.mktemp("repository"))
    monkeypatch.setattr(config_files, "BUNDLED", folder)
    return folder


MODEL_FOLDER = "must be a folder with config.json and weights as *.safetensors"


def local_model(path: str) -> dict:
    return changed((("models", "reasoner", "source"), {"kind": "local", "path": path}))


def test_a_local_model_that_is_not_there(tmp_path):
    where = "config: models.reasoner.source.path: 'models/mine'"
    folder = tmp_path / "models" / "mine"
    assert lines_of(local_model("models/mine"), tmp_path) == [
        f"{where} does not exist; {MODEL_FOLDER}"
    ]
    folder.parent.mkdir()
    folder.touch()
    assert lines_of(local_model("models/mine"), tmp_path) == [
        f"{where} is not a folder; {MODEL_FOLDER}"
    ]
    folder.unlink()
    folder.mkdir()
    (folder / "pytorch_model.bin").touch()
    assert lines_of(local_model("models/mine"), tmp_path) == [
        f"{where} has no config.json; {MODEL_FOLDER}"
    ]
    (folder / "config.json").touch()
    assert lines_of(local_model("models/mine"), tmp_path) == [
        f"{where} has no *.safetensors; {MODEL_FOLDER}"
    ]
    (folder / "model.safetensors").touch()
    load_settings(local_model("models/mine"), tmp_path)
    assert "does not exist" in lines_of(local_model("models/mine"), tmp_path / "models")[0]
    load_settings(local_model(str(folder)), tmp_path / "models")


def test_a_path_with_braces(tmp_path):
    """Snakemake would take them for wildcards."""
    (tmp_path / "{mine}").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "{mine}" / name).touch()
    assert lines_of(local_model("{mine}"), tmp_path) == [
        "config: models.reasoner.source.path: '{mine}' has braces, which Snakemake takes for "
        "wildcards; rename what has them"
    ]


def test_a_path_that_no_file_system_takes(tmp_path):
    (line,) = lines_of(local_model("m" * 5000), tmp_path)
    assert line == (
        f"config: models.reasoner.source.path: '{'m' * 55}...' does not exist; {MODEL_FOLDER}"
    )


@pytest.mark.parametrize("catalogue", ["benchmarks", "calibration_sets"])
def test_a_local_file_that_is_not_there(tmp_path, catalogue):
    config = changed(((catalogue, "chains", "source"), {"kind": "local", "path": "mine.jsonl"}))
    where = f"config: {catalogue}.chains.source.path: 'mine.jsonl'"
    wanted = "must be the path of a file"
    assert lines_of(config, tmp_path) == [f"{where} does not exist; {wanted}"]
    (tmp_path / "mine.jsonl").mkdir()
    assert lines_of(config, tmp_path) == [f"{where} is not a file; {wanted}"]
    (tmp_path / "mine.jsonl").rmdir()
    (tmp_path / "mine.jsonl").touch()
    load_settings(config, tmp_path)


@pytest.mark.parametrize(
    "catalogue, folder",
    [("models", "models"), ("benchmarks", "benchmarks"), ("calibration_sets", "calibration")],
)
def test_a_bundled_name_that_is_not_there(catalogue, folder, bundled):
    name = "reasoner" if catalogue == "models" else "chains"
    config = changed(((catalogue, name, "source", "name"), name[:-1]))
    assert lines_of(config) == [
        f"config: {catalogue}.{name}.source.name: '{name[:-1]}' is not in bundled/{folder}; did "
        f"you mean '{name}'? there: {name}"
    ]
    shutil.rmtree(bundled / folder)
    # influence sets come from the same folder as calibration sets
    assert (
        f"config: {catalogue}.{name}.source.name: '{name[:-1]}' is not in bundled/{folder}; "
        "there: none"
    ) in lines_of(config)


def test_only_the_calibration_sets_of_variants_that_run_must_be_there(bundled):
    (bundled / "calibration" / "chains.jsonl").unlink()
    load_settings(changed((("run", "variants"), ["dense", "magnitude-20"])))
    assert lines_of(changed((("run", "variants"), ["wanda-20", "wanda-50"]))) == [
        "config: calibration_sets.chains.source.name: 'chains' is not in bundled/calibration; "
        "there: none"
    ]


def source(catalogue: str, kind: str, **keys: object) -> object:
    return SOURCES[catalogue][kind](kind=kind, **keys)


def test_source_files_are_what_a_source_is_made_from(tmp_path, bundled, monkeypatch):
    (tmp_path / "mine").mkdir()
    for name in ("model.safetensors", "config.json", ".hidden", "NOTES.txt", "optimizer.pt"):
        (tmp_path / "mine" / name).touch()
    assert source_files("models", source("models", "hub", id="owner/name")) == []
    assert source_files("models", source("models", "local", path="mine"), tmp_path) == [
        tmp_path / "mine" / "config.json",
        tmp_path / "mine" / "model.safetensors",
    ]
    chains = source("benchmarks", "bundled", name="chains")
    assert source_files("benchmarks", chains) == [bundled / "benchmarks" / "chains.jsonl"]
    monkeypatch.chdir(bundled.parent)
    assert source_files("calibration_sets", chains) == [Path("bundled/calibration/chains.jsonl")]
    assert source_files("models", source("models", "bundled", name="reasoner")) == [
        Path("bundled/models/reasoner/config.json")
    ]
    local = source("benchmarks", "local", path="data/x.jsonl")
    assert source_files("benchmarks", local) == [Path("data/x.jsonl")]


def test_a_digest_of_sources_is_of_what_they_hold_and_not_of_their_place_or_time(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.jsonl").write_text("1")
    os.utime(tmp_path / "b/x.jsonl", (0, 0))
    one, two = ([tmp_path / folder / "x.jsonl"] for folder in ("a", "b"))
    assert sources_digest(one) == sources_digest(two) != sources_digest([])
    two[0].write_text("2")
    os.utime(two[0], (0, 0))
    assert sources_digest(one) != sources_digest(two)
    assert sources_digest([tmp_path / "a/gone"]) not in (sources_digest(one), sources_digest([]))


@pytest.mark.parametrize("place", [0, 1, -4096, -1])
def test_a_digest_of_large_files_is_of_their_size_and_of_pages_in_them(tmp_path, place):
    file, size = tmp_path / "model.safetensors", BYTES_READ_WHOLE + 1
    with file.open("wb") as opened:
        opened.truncate(size)
    before = sources_digest([file])
    with file.open("r+b") as opened:
        opened.seek(place % size)
        opened.write(b"x")
    after = sources_digest([file])
    assert before != after
    with file.open("r+b") as opened:
        opened.truncate(size + 1)
    assert sources_digest([file]) != after


def test_weights_that_differ_everywhere_have_another_digest_of_sources(tmp_path):
    """As two fine-tuned checkpoints of one model do."""
    file = tmp_path / "model.safetensors"
    digests = []
    for byte in (b"a", b"b"):
        with file.open("wb") as opened:
            opened.truncate(BYTES_READ_WHOLE + 1)
            for start in range(1 << 20, BYTES_READ_WHOLE, 1 << 20):
                opened.seek(start)
                opened.write(byte * (1 << 16))
        digests.append(sources_digest([file]))
    assert digests[0] != digests[1]


def test_a_gguf_file_that_is_not_there(tmp_path):
    config = changed((("models", "reasoner", "source"), {"kind": "gguf", "path": "m/small.gguf"}))
    where = "config: models.reasoner.source.path: 'm/small.gguf'"
    assert lines_of(config, tmp_path) == [f"{where} does not exist; must be the path of a file"]
    (tmp_path / "m" / "small.gguf").mkdir(parents=True)
    assert lines_of(config, tmp_path) == [f"{where} is not a file; must be the path of a file"]
    (tmp_path / "m" / "small.gguf").rmdir()
    (tmp_path / "m" / "small.gguf").touch()
    found = load_settings(config, tmp_path).models["reasoner"].source
    assert source_files("models", found, tmp_path) == [tmp_path / "m" / "small.gguf"]


def test_a_gguf_file_of_a_package_is_no_input_of_the_rule(tmp_path):
    inside = {"kind": "gguf", "package": "some-model", "file": "small.gguf"}
    settings = load_settings(changed((("models", "reasoner", "source"), inside)), tmp_path)
    assert source_files("models", settings.models["reasoner"].source, tmp_path) == []


def test_the_benchmark_of_a_calibration_set_that_is_used_has_to_be_there(tmp_path):
    """It is answered even where no run list names it; and only where a variant needs the set."""
    benchmark = {"source": {"kind": "local", "path": "more.jsonl"}}
    own = {"source": {"kind": "generated", "benchmark": "more"}, "samples": 1, "length": 8}
    added = [(("benchmarks", "more"), benchmark), (("calibration_sets", "own"), own)]
    load_settings(changed(*added), tmp_path)
    used = changed(*added, (("variants", "wanda-50", "calibration"), "own"))
    assert lines_of(used, tmp_path) == [
        "config: benchmarks.more.source.path: 'more.jsonl' does not exist; must be the path of a "
        "file"
    ]
    (tmp_path / "more.jsonl").touch()
    found = load_settings(used, tmp_path).calibration_sets["own"].source
    assert source_files("calibration_sets", found, tmp_path) == []
