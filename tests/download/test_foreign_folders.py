"""Model and data folders of somebody else: nothing in them runs."""

import json
import pickle
import re
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tests.download.fetching import fetch_model
from tests.models.tiny_models import save_tiny_model
from workflow_scripts.download.checkpoint_files import checkpoint_files
from workflow_scripts.download.hub.rows import rows_of_dataset
from workflow_scripts.errors import InputError
from workflow_scripts.models.chat_templates import ChatTemplate
from workflow_scripts.models.tokenizers import load_tokenizer

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


ESCAPES = {
    "subclasses": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ cycler.__init__.__globals__.os.system('touch FLAG') }}",
    "raises": "{{ raise_exception('no system prompt') }}",
    "syntax": "{% if %}",
}


@pytest.mark.parametrize("template", ESCAPES.values(), ids=ESCAPES)
def test_a_chat_template_stays_in_its_sandbox(template, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = save_tiny_model(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(template.replace("FLAG", str(tmp_path / "flag")))
    with ChatTemplate(load_tokenizer(folder), "auto") as chat:
        said = refused(chat.render, "a", "here")
    assert re.match(rf"{folder}: its chat template (fails \(|is not Jinja: line 1: )", said)
    assert not (tmp_path / "flag").exists()


# what a data set's files could ask for


def data_set(tmp_path: Path, card: str, rows: str = '{"question": "1+1", "answer": "2"}\n') -> Path:
    folder = tmp_path / "data_set"
    folder.mkdir()
    (folder / "README.md").write_text(f"---\n{card}\n---\n")
    (folder / "test.jsonl").write_text(rows)
    return folder


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
