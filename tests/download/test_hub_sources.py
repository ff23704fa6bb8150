"""The hub sources against a server on this machine, through the real client libraries."""

import json
import socket

import pytest

from workflow_scripts.download.hub.rows import rows_of_dataset
from workflow_scripts.errors import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_secret_token_of_the_user"
MODEL = {"kind": "hub", "id": "owner/name", "revision": COMMIT}
DATASET = {
    "kind": "hub",
    "id": "owner/problems",
    "revision": COMMIT,
    "split": "test",
    "columns": {"id": "unique_id", "question": "problem", "answer": "answer"},
    "answer_kind": "integer",
}


def dataset(**changes):
    return json.dumps({"source": DATASET | changes})


@pytest.fixture
def served_model(hub, model_folder):
    files = {path.name: path.read_bytes() for path in model_folder.iterdir()}
    files |= {
        "pytorch_model.bin": b"never",
        "modeling_owner.py": b"never",
        "consolidated.safetensors": b"never",
        "original/model.safetensors": b"never",
        "onnx/config.json": b"never",
        "README.md": b"never",
    }
    hub.files["models/owner/name"] = files
    return hub


@pytest.fixture
def fetch_model(run_stage, hub):
    def fetch(source=MODEL, **env):
        return run_stage(
            "fetch_model", "--options", json.dumps(source), "--output", "m/manifest.json",
            env={"HF_ENDPOINT": hub.address} | env,
        )  # fmt: skip

    return fetch


def test_a_model_is_fetched_without_anything_that_could_run(served_model, fetch_model, tmp_path):
    done = fetch_model()
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert manifest["revision"] == COMMIT
    assert manifest["source"] == MODEL
    assert sorted(manifest["files"]) == [
        "chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    served = served_model.files["models/owner/name"]
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == served["model.safetensors"]
    asked = {path.rsplit("/", 1)[-1] for path, _ in served_model.asked}
    assert not asked & {"pytorch_model.bin", "modeling_owner.py", "consolidated.safetensors"}
    assert not any("/original/" in path or "/onnx/" in path for path, _ in served_model.asked)


def test_the_token_comes_from_the_environment_and_is_never_printed(
    served_model, fetch_model, tmp_path
):
    (tmp_path / "hub-home").mkdir()
    (tmp_path / "hub-home" / "token").write_text("hf_token_of_a_login")
    done = fetch_model()
    assert done.returncode == 0
    assert {authorization for _, authorization in served_model.asked} == {None}
    served_model.asked.clear()
    (tmp_path / "hub-home" / "hub").rename(tmp_path / "hub-home" / "old")
    done = fetch_model(HF_TOKEN=TOKEN)
    assert {authorization for _, authorization in served_model.asked} == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.stdout + done.stderr
    assert TOKEN not in (tmp_path / "m" / "manifest.json").read_text()


def test_the_cache_serves_a_second_fetch_without_the_network(served_model, fetch_model, tmp_path):
    assert fetch_model().returncode == 0
    first = (tmp_path / "m" / "manifest.json").read_bytes()
    served_model.asked.clear()
    assert fetch_model(HF_HUB_OFFLINE="1").returncode == 0
    assert served_model.asked == []
    assert (tmp_path / "m" / "manifest.json").read_bytes() == first


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize(
    ("status", "error", "env", "message"),
    [
        (404, "RepoNotFound", {},
         "not found; the id is wrong, or it is private and HF_TOKEN gives no access to it"),
        (403, "GatedRepo", {"HF_TOKEN": TOKEN},
         "access is gated; accept the terms at {hub}/owner/name and set the environment variable "
         "HF_TOKEN to a token of the account that did"),
        (404, "RevisionNotFound", {}, f"there is no revision '{COMMIT}'"),
        (200, None, {"HF_HUB_OFFLINE": "1"}, f"revision '{COMMIT}' is not complete in the local "
                                             "hub cache, and HF_HUB_OFFLINE forbids downloading"),
        (500, None, {}, f"revision '{COMMIT}' is not complete in the local hub cache, and the hub "
                        "cannot be reached (HTTP status 500)"),
        (200, None, {"HF_ENDPOINT": closed_port()}, f"revision '{COMMIT}' is not complete in the "
         "local hub cache, and the hub cannot be reached (ConnectError)"),
    ],
)  # fmt: skip
def test_every_way_to_fail_is_one_line(
    served_model, fetch_model, tmp_path, monkeypatch, status, error, env, message
):
    # the client tries again five times, and waits longer each time
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    served_model.status, served_model.error = status, error
    done = fetch_model(**env)
    message = message.replace("{hub}", served_model.address)
    assert (done.returncode, done.stderr) == (1, f"error: hub model 'owner/name': {message}\n")
    assert not (tmp_path / "m").exists()


def test_a_gated_data_set_is_one_line(hub, run_stage, tmp_path):
    hub.status, hub.error = 403, "GatedRepo"
    done = run_stage(
        "fetch_benchmark", "--options", dataset(), "--output", "b.jsonl",
        env={"HF_ENDPOINT": hub.address},
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"accept the terms at {hub.address}/datasets/owner/problems and set" in done.stderr
    assert not (tmp_path / "b.jsonl").exists()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 1},
         "architecture GPT2LMHeadModel is not supported: "),
        ({"quantization_config": {"quant_method": "fp8"}},
         "'quantization_config' says that the weights are quantised; pruning needs plain ones"),
        ({"architectures": ["Qwen3ForSequenceClassification"]}, "not a model that writes text"),
        ({"hidden_size": "wide"}, "config.json: transformers cannot "),
        (None, "config.json: no such file; a model folder needs it"),
    ],
)  # fmt: skip
def test_what_config_json_describes_is_judged_before_weights_are_fetched(
    served_model, fetch_model, entries, message
):
    files = served_model.files["models/owner/name"]
    config = json.loads(files.pop("config.json"))
    if entries is not None:
        files["config.json"] = json.dumps(config | entries).encode()
    done = fetch_model()
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert message in done.stderr
    asked = {path.rsplit("/", 1)[-1] for path, _ in served_model.asked}
    assert not asked & {"model.safetensors", "tokenizer.json"}


def test_a_repository_without_safetensors(served_model, fetch_model):
    del served_model.files["models/owner/name"]["model.safetensors"]
    done = fetch_model()
    assert done.returncode == 1
    assert done.stderr.endswith(
        ": no safetensors weights: neither model.safetensors nor model.safetensors.index.json; "
        "found no weights\n"
    )
    assert done.stderr.count("\n") == 1


ROWS = [
    {"unique_id": "test/1", "problem": "1+1=?", "answer": "2", "level": 1},
    {"unique_id": "test/2", "problem": "9-12=?", "answer": "-3", "level": 2},
]


@pytest.fixture
def served_dataset(hub):
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    other = json.dumps(ROWS[0] | {"answer": "7"}) + "\n"
    card = (
        "---\nconfigs:\n"
        "- config_name: hard\n  data_files: [{split: test, path: hard.jsonl}]\n"
        "- config_name: easy\n  data_files: [{split: test, path: easy.jsonl}]\n---\n"
    )
    hub.files["datasets/owner/problems"] = {
        "README.md": card.encode(),
        "hard.jsonl": lines.encode(),
        "easy.jsonl": other.encode(),
        "problems.py": b"never",
    }
    return hub


def test_a_data_set_is_fetched_by_config_and_split(served_dataset, run_stage, tmp_path):
    env = {"HF_ENDPOINT": served_dataset.address}
    arguments = ("--options", dataset(config="hard"), "--output", "b.jsonl")
    done = run_stage("fetch_benchmark", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "b.jsonl").read_text()
    assert [json.loads(line) for line in content.splitlines()] == [
        {"id": "test/1", "question": "1+1=?", "answer": "2", "kind": "integer"},
        {"id": "test/2", "question": "9-12=?", "answer": "-3", "kind": "integer"},
    ]
    assert not any("problems.py" in path for path, _ in served_dataset.asked)
    served_dataset.asked.clear()
    (tmp_path / "b.jsonl").unlink()
    assert (
        run_stage("fetch_benchmark", *arguments, env=env | {"HF_HUB_OFFLINE": "1"}).returncode == 0
    )
    assert served_dataset.asked == []
    assert (tmp_path / "b.jsonl").read_text() == content


def test_a_revision_that_is_not_cached_is_not_replaced_by_one_that_is(
    served_dataset, run_stage, tmp_path
):
    env = {"HF_ENDPOINT": served_dataset.address}
    first = run_stage(
        "fetch_benchmark", "--options", dataset(config="hard"), "--output", "b.jsonl", env=env
    )
    assert first.returncode == 0
    other = dataset(config="hard", revision="f" * 40)
    done = run_stage(
        "fetch_benchmark", "--options", other, "--output", "c.jsonl",
        env=env | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 1
    assert f"revision '{'f' * 40}' is not complete in the local hub cache" in done.stderr
    assert not (tmp_path / "c.jsonl").exists()


@pytest.mark.parametrize(
    ("config", "split", "what", "named"),
    [
        ("hard", "train", "config 'hard', split 'train'", "['test']"),
        ("soft", "test", "config 'soft', split 'test'", "['hard', 'easy']"),
        (None, "test", "split 'test'", "['hard', 'easy']"),
    ],
)
def test_a_wrong_config_or_split_is_one_line_that_names_the_right_ones(
    served_dataset, tmp_path, monkeypatch, config, split, what, named
):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "problems"
    folder.mkdir()
    for name, data in served_dataset.files["datasets/owner/problems"].items():
        (folder / name).write_bytes(data)
    (folder / "problems.py").unlink()
    with pytest.raises(InputError) as caught:
        rows_of_dataset(folder, "owner/problems", config, split)
    message = str(caught.value)
    assert message.startswith(f"data set 'owner/problems', {what}: cannot be opened (")
    assert named in message
    assert "\n" not in message and str(tmp_path) not in message
