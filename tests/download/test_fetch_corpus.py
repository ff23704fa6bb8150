"""One file of a data set, from a server on this machine, and the one line where it is not there."""

import hashlib
import json

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SOURCE = {
    "kind": "hub",
    "id": "owner/corpus",
    "revision": COMMIT,
    "file": "en/train-00000.json.gz",
}
CONTENT = b"not looked into here"


@pytest.fixture
def fetch(run_stage, hub):
    hub.files["datasets/owner/corpus"] = {
        "en/train-00000.json.gz": CONTENT,
        "en/train-00001.json.gz": b"another",
    }

    def fetch(**changes):
        env = {"HF_ENDPOINT": hub.address} | changes.pop("env", {})
        arguments = ("--options", json.dumps(SOURCE | changes), "--output", "c/manifest.json")
        return run_stage("fetch_corpus", *arguments, env=env)

    return fetch


def test_one_file_is_fetched_and_linked_beside_its_manifest(fetch, hub, tmp_path):
    done = fetch()
    assert done.returncode == 0, done.stderr
    file = tmp_path / "c" / "train-00000.json.gz"
    assert file.is_symlink() and file.read_bytes() == CONTENT
    assert json.loads((tmp_path / "c" / "manifest.json").read_text()) == {
        "source": SOURCE,
        "revision": COMMIT,
        "files": {file.name: hashlib.sha256(CONTENT).hexdigest()},
    }
    asked = {path for path, _ in hub.asked if "train-" in path}
    assert all(path.endswith(f"{COMMIT}/en/train-00000.json.gz") for path in asked)


def test_another_file_takes_its_place(fetch, tmp_path):
    fetch()
    assert fetch(file="en/train-00001.json.gz").returncode == 0
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [
        ".manifest.json.sha256",
        "manifest.json",
        "train-00001.json.gz",
    ]


@pytest.mark.parametrize(
    "changes, said",
    [
        (
            {"file": "en/train-9.json.gz"},
            f"hub dataset 'owner/corpus': revision '{COMMIT}' has no file 'en/train-9.json.gz'",
        ),
        (
            {"revision": "f" * 40},
            f"hub dataset 'owner/corpus': there is no revision '{'f' * 40}'",
        ),
        (
            {"id": "owner/other"},
            "hub dataset 'owner/other': not found; the id is wrong, or it is private and HF_TOKEN "
            "gives no access to it",
        ),
        (
            {"env": {"HF_HUB_OFFLINE": "1"}},
            f"hub dataset 'owner/corpus': revision '{COMMIT}' is not complete in the local hub "
            "cache, and HF_HUB_OFFLINE forbids downloading",
        ),
    ],
)
def test_what_is_not_there_is_one_line(fetch, tmp_path, changes, said):
    done = fetch(**changes)
    assert (done.returncode, done.stderr) == (1, f"error: {said}\n")
    assert not (tmp_path / "c").exists()


def test_what_the_cache_holds_is_used_offline(fetch):
    assert fetch().returncode == 0
    done = fetch(env={"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr
