"""Model and data folders of somebody else: nothing of them runs or leads out of its place."""

import json
import os
import pickle
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tests.models.tiny_models import save_tiny_model
from workflow_scripts.artefacts.records import Problem
from workflow_scripts.download.checkpoint_files import checkpoint_files
from workflow_scripts.download.fetch_model import fetch_model
from workflow_scripts.download.hub.snapshots import fetch_file, fetch_snapshot
from workflow_scripts.download.problems.rows import rows_of_dataset
from workflow_scripts.errors import InputError
from workflow_scripts.generation.thinking import ThinkingFormat, prompt_ids
from workflow_scripts.models import tokenizers as text_rows

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SECRET = "the secret of another place"


def refused(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message and SECRET not in message
    return message


@pytest.fixture
def secret(tmp_path) -> Path:
    path = tmp_path / "home" / "secret.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps({"question": SECRET, "answer": SECRET}) + "\n")
    return path


# links in a model folder on this machine


def test_shards_and_files_on_another_disk_may_be_linked(sharded_folder, tmp_path):
    """As people do it, by hand and by tools that name files by their content."""
    disk = tmp_path / "disk"
    disk.mkdir()
    for path in sorted(sharded_folder.glob("*")):
        suffix = "" if path.suffix == ".safetensors" else path.suffix
        path.rename(disk / f"x-{path.name.replace('.', '-')}{suffix}")
        path.symlink_to(disk / f"x-{path.name.replace('.', '-')}{suffix}")
    manifest = tmp_path / "m" / "manifest.json"
    fetch_model({"kind": "local", "path": str(sharded_folder)}, manifest)
    assert len(json.loads(manifest.read_text())["files"]) == 7


@pytest.mark.parametrize("name", ["vocab.txt", "chat_template.jinja", "tokenizer_config.json"])
def test_a_link_to_a_file_of_another_kind_is_not_followed(model_folder, secret, name):
    (model_folder / name).unlink(missing_ok=True)
    (model_folder / name).symlink_to(os.path.relpath(secret, model_folder))
    kind = Path(name).suffix
    assert refused(checkpoint_files, model_folder) == (
        f"{model_folder / name}: a link to {secret}, which is no {kind} file; it is not followed, "
        "put the file itself there"
    )


def test_a_link_that_calls_itself_weights_has_to_lead_to_weights(model_folder, secret):
    (model_folder / "model.safetensors").unlink()
    (model_folder / "model.safetensors").symlink_to(secret)
    assert refused(checkpoint_files, model_folder) == (
        f"{model_folder / 'model.safetensors'}: not a safetensors file"
    )


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "a/b.safetensors"])
def test_an_index_names_no_file_outside_its_folder(sharded_folder, shard):
    index = sharded_folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}))
    assert refused(checkpoint_files, sharded_folder) == (
        f"{index}: names {shard!r}, which is not a safetensors file beside it"
    )


# what a model's files could ask for


@pytest.mark.parametrize("key", ["attn_implementation", "_experts_implementation"])
def test_a_config_that_names_kernels_of_the_hub_is_refused(model_folder, key):
    path = model_folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: "owner/kernel"}))
    assert refused(checkpoint_files, model_folder) == (
        f"{path}: {key!r} is 'owner/kernel', code on the hub, which is never run; take it out"
    )
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: "sdpa"}))
    assert "config.json" in checkpoint_files(model_folder)


def test_an_adapter_that_names_another_model_is_left_out(model_folder):
    (model_folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/other"}')
    assert "adapter_config.json" not in checkpoint_files(model_folder)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": ' + "1" * 5000 + "}"])
def test_json_that_is_made_to_break_its_reader_is_one_line(model_folder, content):
    path = model_folder / "config.json"
    path.write_text(content)
    assert refused(checkpoint_files, model_folder).startswith(f"{path}: not valid JSON (")


ESCAPES = {
    "subclasses": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ cycler.__init__.__globals__.os.system('touch FLAG') }}",
    "format": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
    "attr": "{{ (messages|attr('__class__')).__mro__ }}",
    "import": "{% import 'os' as os %}",
    "include": "{% include '/etc/passwd' %}",
    "mutation": "{% set x = messages.append(1) %}",
    "raises": "{{ raise_exception('no system prompt') }}",
    "type": "{{ messages + 1 }}",
    "range": "{{ range(99999999) | list }}",
    "syntax": "{% if %}",
}


@pytest.mark.parametrize("template", ESCAPES.values(), ids=ESCAPES)
def test_a_chat_template_stays_in_its_sandbox(template, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = save_tiny_model(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(template.replace("FLAG", str(tmp_path / "flag")))
    tokenizer = text_rows.load_tokenizer(folder)
    said = refused(text_rows.encode_pair, tokenizer, {"prompt": "a", "completion": "b"}, "here")
    thinking = ThinkingFormat((), (), (), (), (), (), 0, lambda ids: "", ())
    again = refused(prompt_ids, tokenizer, Problem("p", "a", "1", "integer"), thinking)
    assert said == again and said.startswith(f"{folder}: its chat template fails (")
    assert not (tmp_path / "flag").exists()


# repositories of the hub


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Path:
    """A folder that stands for the hub, with one data set."""
    monkeypatch.setenv("PRUNETHINK_HUB", str(tmp_path / "mirror"))
    folder = tmp_path / "mirror" / "datasets" / "owner" / "name" / COMMIT
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "real.jsonl").write_text("{}\n")
    return folder


DATASET = {"id": "owner/name", "revision": COMMIT}


def test_a_link_out_of_a_mirrored_repository_is_not_followed(mirror, secret):
    link = mirror / "data" / "train.jsonl"
    link.symlink_to(secret)
    said = (
        f"hub dataset 'owner/name': data/train.jsonl is a link to {secret}, which is outside the "
        "repository; it is not followed, put the file itself there"
    )
    assert refused(fetch_file, DATASET, "dataset", "data/train.jsonl") == said
    assert refused(fetch_snapshot, DATASET, "dataset", ["*.jsonl"]) == said
    # a link to a folder is not even looked into
    link.unlink()
    (mirror / "far").symlink_to(secret.parent)
    assert fetch_snapshot(DATASET, "dataset", ["*.jsonl"]).names == ["data/real.jsonl"]
    assert "far/secret.jsonl is a link to" in refused(
        fetch_file, DATASET, "dataset", "far/secret.jsonl"
    )


@pytest.mark.parametrize("name", ["../../../../../home/secret.jsonl", "ABSOLUTE"])
def test_a_file_s_name_does_not_lead_out_of_its_repository(mirror, secret, name):
    name = name.replace("ABSOLUTE", str(secret))
    assert "which is outside the repository" in refused(fetch_file, DATASET, "dataset", name)


def test_links_inside_a_repository_and_to_it_are_followed(mirror, tmp_path):
    (mirror / "data" / "train.jsonl").symlink_to("real.jsonl")
    elsewhere = tmp_path / "disk"
    mirror.rename(elsewhere)
    mirror.symlink_to(elsewhere)  # whoever made the mirror keeps it on another disk
    assert fetch_file(DATASET, "dataset", "data/train.jsonl").names == ["data/train.jsonl"]


def test_a_repository_of_the_hub_s_cache_may_be_the_mirror_s(mirror, tmp_path):
    cached = tmp_path / "cache" / "datasets--owner--name"
    snapshot = cached / "snapshots" / COMMIT
    (snapshot / "data").mkdir(parents=True)
    (cached / "blobs").mkdir()
    (cached / "blobs" / "0a1b").write_text("{}\n")
    (snapshot / "data" / "real.jsonl").symlink_to("../../../blobs/0a1b")
    mirror.rename(tmp_path / "old")
    mirror.symlink_to(snapshot)
    assert fetch_snapshot(DATASET, "dataset", ["*.jsonl"]).names == ["data/real.jsonl"]


@pytest.mark.parametrize(
    "name", ["../../escaped.json", "{outside}/escaped.json", "a/../../escaped.json"]
)
def test_a_hub_that_names_files_outside_a_repository_writes_none(hub, run_stage, tmp_path, name):
    name = name.format(outside=tmp_path)  # an absolute one
    hub.files["datasets/owner/name"] = {name: b"{}", "test.json": b'{"q": "1+1", "a": 2}\n'}
    source = DATASET | {
        "kind": "hub",
        "split": "test",
        "columns": {"question": "q", "answer": "a"},
        "answer_kind": "integer",
    }
    arguments = ("--source", json.dumps(source), "--output", "b.jsonl")
    done = run_stage("fetch_benchmark", *arguments, env={"HF_ENDPOINT": hub.address})
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: hub dataset 'owner/name': Invalid filename ")
    assert not list(tmp_path.parent.glob("escaped.json")) and not list(tmp_path.rglob("escaped*"))


def test_archives_of_a_data_set_are_not_fetched(hub, run_stage, tmp_path):
    rows = b'{"q": "1+1", "a": 2}\n'
    files = {"test.json": rows, "more.tar.gz": b"never", "more.zip": b"never", "more.gz": b"never"}
    hub.files["datasets/owner/name"] = files
    monkeyed = {"HF_ENDPOINT": hub.address}
    columns = {"question": "q", "answer": "a"}
    source = DATASET | {"kind": "hub", "split": "test", "columns": columns}
    source["answer_kind"] = "integer"
    done = run_stage(
        "fetch_benchmark", "--source", json.dumps(source), "--output", "b.jsonl", env=monkeyed
    )
    assert done.returncode == 0, done.stderr
    assert not any("more." in path for path, _ in hub.asked)


# what a data set's files could ask for


def data_set(tmp_path: Path, card: str, rows: str = '{"question": "1+1", "answer": "2"}\n') -> Path:
    folder = tmp_path / "data_set"
    folder.mkdir()
    (folder / "README.md").write_text(f"---\n{card}\n---\n")
    (folder / "test.jsonl").write_text(rows)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize(
    "files",
    [
        "data_files: SECRET",
        "data_files: [SECRET]",
        "data_files: [{split: test, path: SECRET}]",
        "data_files: [{split: test, path: [test.jsonl, SECRET]}]",
        "data_files: {test: SECRET}",
        "data_dir: FOLDER",
    ],
)
@pytest.mark.parametrize("way", ["absolute", "up", "address", "chained"])
def test_a_card_names_no_files_outside_its_repository(tmp_path, secret, hub, files, way):
    named = {
        "absolute": str(secret),
        "up": "../home/secret.jsonl",
        "address": f"{hub.address}/secret.jsonl",
        "chained": f"zip://secret.jsonl::{secret}.zip",
    }[way]
    if "FOLDER" in files:
        named = named.rpartition("/")[0]
    card = "configs:\n- config_name: default\n  " + files.replace("SECRET", f'"{named}"').replace(
        "FOLDER", f'"{named}"'
    )
    folder = data_set(tmp_path, card)
    assert refused(rows_of_dataset, folder, "owner/name", None, "test") == (
        f"data set 'owner/name': README.md names {named!r}, which is no file of the repository; "
        "such a data set is not opened"
    )
    assert hub.asked == []


def test_a_card_whose_metadata_are_damaged_is_one_line(tmp_path):
    folder = data_set(tmp_path, "configs: [")
    assert "README.md: its metadata cannot be read" in refused(
        rows_of_dataset, folder, "owner/name", None, "test"
    )


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_what_a_column_s_type_would_open_stays_closed(tmp_path, secret, hub, kind):
    """An image may be a path or an address, and is opened when its row is looked at."""
    card = f"dataset_info:\n  features:\n  - name: question\n    dtype: {kind}\n"
    card += "  - name: answer\n    dtype: string"
    places = [str(secret), f"{hub.address}/secret.png"]
    rows = [{"question": {"bytes": None, "path": place}, "answer": "2"} for place in places]
    folder = data_set(tmp_path, card, "".join(json.dumps(row) + "\n" for row in rows))
    found = rows_of_dataset(folder, "owner/name", None, "test")
    assert [row.values["question"]["path"] for row in found] == places
    assert hub.asked == []


class Planted:
    """Unpickling one writes a file."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self):
        return Path.touch, (self.flag,)


def test_pickles_in_data_files_are_not_opened(tmp_path):
    flag = tmp_path / "flag"
    pickle.loads(pickle.dumps(Planted(flag)))
    assert flag.exists()  # it would work
    flag.unlink()
    folder = data_set(tmp_path, "license: mit")
    (folder / "test.jsonl").unlink()
    metadata = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Planted(flag)),
    }
    schema = pyarrow.schema([pyarrow.field("question", pyarrow.string(), metadata=metadata)])
    parquet.write_table(pyarrow.table({"question": ["1+1"]}, schema), folder / "test.parquet")
    (folder / "data.pkl").write_bytes(pickle.dumps(Planted(flag)))
    try:
        rows_of_dataset(folder, "owner/name", None, "test")
    except InputError as error:
        assert "\n" not in str(error)
    assert not flag.exists()
