"""What was downloaded once is downloaded again as it was, or the error says what has changed."""

import hashlib
import json
import multiprocessing
from pathlib import Path

import pytest
import yaml

from workflow_scripts.download.hub_lock import LOCK, enforce, forget, locked_commit, main
from workflow_scripts.errors import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATER = "f" * 40
ROWS = [{"problem": "1+1=?", "answer": "2"}, {"problem": "9-12=?", "answer": "-3"}]
SOURCE = {
    "kind": "hub",
    "id": "owner/problems",
    "split": "test",
    "columns": {"question": "problem", "answer": "answer"},
    "answer_kind": "integer",
}
ENTRY = "dataset owner/problems@main"
FORGET = "python -m workflow_scripts.download.hub_lock --forget"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def served(hub):
    hub.files["datasets/owner/problems"] = {"test.jsonl": jsonl(ROWS), "README.md": b"# A card"}
    return hub


@pytest.fixture
def fetch(run_stage, served, tmp_path):
    """Fetch the benchmark into b.jsonl with an empty hub cache, as on another machine."""
    machines = iter(range(100))

    def fetch(env=None, **changes):
        home = {"HF_HOME": str(tmp_path / f"hub-home-{next(machines)}")}
        return run_stage(
            "fetch_benchmark", "--options", json.dumps({"source": SOURCE | changes}),
            "--lock", LOCK, "--output", "b.jsonl",
            env={"HF_ENDPOINT": served.address} | home | (env or {}),
        )  # fmt: skip

    return fetch


def entries(tmp_path: Path) -> dict:
    return yaml.safe_load((tmp_path / LOCK).read_text())


def questions(tmp_path: Path) -> list[str]:
    return [
        json.loads(line)["question"] for line in (tmp_path / "b.jsonl").read_text().split("\n")[:-1]
    ]


def test_the_first_download_is_recorded_and_the_next_one_compared(fetch, served, tmp_path):
    assert fetch().returncode == 0
    lock = (tmp_path / LOCK).read_text()
    assert entries(tmp_path) == {
        ENTRY: {
            "commit": COMMIT,
            "files": {"README.md": sha256(b"# A card"), "test.jsonl": sha256(jsonl(ROWS))},
        }
    }
    assert lock.startswith("# What was downloaded from the hub")
    assert fetch().returncode == 0
    assert (tmp_path / LOCK).read_text() == lock


def test_without_a_revision_the_recorded_commit_is_asked_for_wherever_main_stands(
    fetch, served, tmp_path
):
    fetch()
    served.files[f"datasets/owner/problems@{COMMIT}"] = served.files["datasets/owner/problems"]
    served.files["datasets/owner/problems"] = {"test.jsonl": jsonl(ROWS[:1])}
    served.commit = LATER
    (tmp_path / "b.jsonl").unlink()
    assert fetch().returncode == 0
    assert questions(tmp_path) == ["1+1=?", "9-12=?"]
    main(["--lock", str(tmp_path / LOCK), "--forget", ENTRY])
    assert fetch().returncode == 0
    assert questions(tmp_path) == ["1+1=?"]
    assert entries(tmp_path)[ENTRY]["commit"] == LATER


def test_other_content_of_the_same_commit_is_one_line_with_both_digests(fetch, served, tmp_path):
    fetch()
    (tmp_path / "b.jsonl").unlink()
    lock = (tmp_path / LOCK).read_text()
    other = jsonl(ROWS[::-1])
    served.files["datasets/owner/problems"]["test.jsonl"] = other
    done = fetch()
    assert (done.returncode, done.stderr) == (
        1,
        f"error: hub {ENTRY}: its content has changed: test.jsonl has sha256 {sha256(other)}, the "
        f"lock file says {sha256(jsonl(ROWS))}; to accept other content: {FORGET} '{ENTRY}', and "
        "run again\n",
    )
    assert not (tmp_path / "b.jsonl").exists()
    assert (tmp_path / LOCK).read_text() == lock


def test_a_file_that_is_new_or_gone_is_a_change_too(fetch, served):
    fetch()
    files = served.files["datasets/owner/problems"]
    files["more.jsonl"] = b"{}\n"
    assert f"more.jsonl is new, sha256 {sha256(b'{}' + bytes([10]))}, and not" in fetch().stderr
    del files["more.jsonl"], files["README.md"]
    done = fetch()
    assert f"README.md is gone, sha256 {sha256(b'# A card')} in the lock file" in done.stderr
    files["test.jsonl"] = b"x"
    assert "(and 1 more of its files)" in fetch().stderr


def test_a_commit_that_is_no_longer_there_is_one_line(fetch, served):
    fetch()
    served.commit = LATER
    assert fetch().stderr == (
        f"error: hub dataset 'owner/problems': there is no revision '{COMMIT}', which is the "
        f"locked one; to accept other content: {FORGET} '{ENTRY}', and run again\n"
    )


def test_a_pinned_revision_has_an_entry_of_its_own(fetch, served, tmp_path):
    assert fetch(revision=COMMIT).returncode == 0
    assert list(entries(tmp_path)) == [f"dataset owner/problems@{COMMIT}"]
    served.files["datasets/owner/problems"]["test.jsonl"] = b"{}\n"
    assert "its content has changed" in fetch(revision=COMMIT).stderr


def test_models_and_single_files_are_locked_as_well(served, run_stage, model_folder, tmp_path):
    served.files["models/owner/name"] = {p.name: p.read_bytes() for p in model_folder.iterdir()}
    served.files["datasets/owner/corpus"] = {"en/a.jsonl": b"text", "en/b.jsonl": b"more"}
    model = {"kind": "hub", "id": "owner/name"}
    corpus = {"kind": "hub", "id": "owner/corpus", "file": "en/a.jsonl"}
    stages = [
        ("fetch_model", model, "m/manifest.json"),
        ("fetch_corpus", corpus, "c/manifest.json"),
    ]

    def fetch_all(home: str) -> list[str]:
        return [
            run_stage(
                stage, "--options", json.dumps(source), "--lock", LOCK, "--output", output,
                env={"HF_ENDPOINT": served.address, "HF_HOME": str(tmp_path / home)},
            ).stderr
            for stage, source, output in stages
        ]  # fmt: skip

    assert fetch_all("one") == ["", ""]
    assert list(entries(tmp_path)) == [
        "dataset owner/corpus@main en/a.jsonl",
        "model owner/name@main",
    ]
    assert json.loads((tmp_path / "m/manifest.json").read_text())["revision"] == COMMIT
    served.files["models/owner/name"]["tokenizer_config.json"] = b'{"x": 1}'
    served.files["datasets/owner/corpus"]["en/a.jsonl"] = b"other text"
    before = (tmp_path / "m/manifest.json").read_bytes()
    errors = fetch_all("two")
    assert "hub model owner/name@main: its content has changed: tokenizer_config.json" in errors[0]
    assert "hub dataset owner/corpus@main en/a.jsonl: its content has changed" in errors[1]
    assert (tmp_path / "m/manifest.json").read_bytes() == before


def _record(lock: Path, number: int) -> None:
    enforce(lock, f"dataset owner/{number:02}@main", COMMIT, {"a": sha256(b"a")})
    enforce(lock, "dataset owner/common@main", COMMIT, {"a": sha256(b"a")})


def test_jobs_that_record_at_once_lose_nothing(tmp_path):
    lock = tmp_path / LOCK
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.starmap(_record, [(lock, number) for number in range(24)])
    names = [f"dataset owner/{number:02}@main" for number in range(24)]
    assert list(entries(tmp_path)) == [*names, "dataset owner/common@main"]
    assert sorted(path.name for path in lock.parent.iterdir()) == [lock.name]


def test_without_a_lock_file_nothing_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    enforce(None, ENTRY, COMMIT, {"a": "b"})
    assert locked_commit(None, ENTRY) is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_recorded_needs_no_permission_to_write(tmp_path):
    lock = tmp_path / "hub.lock"
    enforce(lock, ENTRY, None, {"a": "b"})
    lock.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        enforce(lock, ENTRY, COMMIT, {"a": "b"})
    finally:
        tmp_path.chmod(0o755)
    assert locked_commit(lock, ENTRY) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "damaged, not a lock file (while parsing"),
        ("- a", "'all of it' is not a commit and sha256 by file name"),
        ("a: b", "'a' is not a commit and sha256 by file name"),
        ("a: {commit: x}", "'a' is not a commit and sha256 by file name"),
        ("a: {commit: x, files: {b: 1}}", "'a' is not a commit and sha256 by file name"),
        ("a: {commit: 1, files: {}}", "'a' is not a commit and sha256 by file name"),
        ("a: {commit: ../../b, files: {}}", "'a' is not a commit and sha256 by file name"),
    ],
)
def test_a_damaged_lock_file_is_one_line_and_stays(tmp_path, text, said):
    lock = tmp_path / "hub.lock"
    lock.write_text(text)
    with pytest.raises(InputError) as caught:
        enforce(lock, ENTRY, COMMIT, {"a": "b"})
    assert str(caught.value).startswith(f"{lock}: {said}") and "\n" not in str(caught.value)
    assert lock.read_text() == text


def test_forgetting_what_is_not_there_names_what_is(tmp_path):
    lock = tmp_path / "hub.lock"
    enforce(lock, ENTRY, COMMIT, {"a": "b"})
    with pytest.raises(InputError) as caught:
        forget(lock, "dataset owner/problem@main")
    assert str(caught.value) == f"{lock}: no entry 'dataset owner/problem@main'; there: {ENTRY}"


FOLDER = "PRUNETHINK_HUB"


def test_a_folder_stands_for_the_hub(fetch, served, tmp_path):
    """Same problems, same lock file; the network is not asked."""
    assert fetch(revision=COMMIT).returncode == 0
    lock, problems = (tmp_path / LOCK).read_text(), (tmp_path / "b.jsonl").read_bytes()
    place = tmp_path / "mirror/datasets/owner/problems" / COMMIT
    (place / ".cache/huggingface").mkdir(parents=True)
    (place / ".cache/huggingface/test.jsonl.metadata").write_text("of the tool that made it")
    (place / "problems.py").write_text("never")
    for number in "12":  # by themselves they would be a test split of texts
        (place / f"test-{number}.txt").write_text("never")
    for name, data in served.files["datasets/owner/problems"].items():
        (place / name).write_bytes(data)
    served.asked.clear()
    (tmp_path / "b.jsonl").unlink()
    done = fetch(revision=COMMIT, env={FOLDER: "mirror"})
    assert done.returncode == 0, done.stderr
    assert served.asked == []
    assert (tmp_path / "b.jsonl").read_bytes() == problems
    assert (tmp_path / LOCK).read_text() == lock
    (place / "test.jsonl").write_bytes(b"{}\n")
    assert (
        "its content has changed: test.jsonl"
        in fetch(revision=COMMIT, env={FOLDER: "mirror"}).stderr
    )


def test_a_folder_that_lacks_something_is_one_line(run_stage, tmp_path):
    def said(stage: str, source: dict) -> str:
        done = run_stage(
            stage, "--options", json.dumps({"kind": "hub", "id": "owner/name"} | source),
            "--output", "x/manifest.json", env={FOLDER: "mirror"},
        )  # fmt: skip
        assert done.returncode == 1
        return done.stderr

    assert said("fetch_model", {}) == (
        f"error: hub model 'owner/name': {FOLDER} is set, and there is no folder "
        "mirror/models/owner/name/main\n"
    )
    (tmp_path / "mirror/datasets/owner/name" / COMMIT).mkdir(parents=True)
    corpus = {"revision": COMMIT, "file": "a.jsonl"}
    assert said("fetch_corpus", corpus) == (
        f"error: hub dataset 'owner/name': revision '{COMMIT}' has no file 'a.jsonl'\n"
    )


def test_a_model_and_a_corpus_from_a_folder(run_stage, model_folder, tmp_path):
    place = tmp_path / "mirror/models/owner/name"
    place.mkdir(parents=True)
    model_folder.rename(place / "main")
    corpus = tmp_path / "mirror/datasets/owner/corpus" / COMMIT / "en"
    corpus.mkdir(parents=True)
    (corpus / "a.jsonl").write_text("text")
    env = {FOLDER: str(tmp_path / "mirror")}
    source = json.dumps({"kind": "hub", "id": "owner/name"})
    done = run_stage(
        "fetch_model", "--options", source, "--lock", LOCK, "--output", "m/manifest.json", env=env
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "m/manifest.json").read_text())["revision"] is None
    source = {"kind": "hub", "id": "owner/corpus", "revision": COMMIT, "file": "en/a.jsonl"}
    done = run_stage(
        "fetch_corpus", "--options", json.dumps(source), "--lock", LOCK, "--output",
        "c/manifest.json", env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c/a.jsonl").read_text() == "text"
    assert entries(tmp_path)["model owner/name@main"]["commit"] is None
