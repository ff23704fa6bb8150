"""A run without a network: a folder replaces the hub, and the lock file outlives resources/."""

import json
import os
import shutil

from tests.workflow.checkout import Checkout, copy_project, write_config

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RUN = {"models": ["reasoner"], "variants": ["dense"], "benchmarks": ["far"]}
CONFIG = {
    "run": RUN,
    "benchmarks": {
        "far": {
            "source": {
                "kind": "hub",
                "id": "owner/problems",
                "split": "test",
                "columns": {"question": "q", "answer": "a"},
                "answer_kind": "integer",
            },
            "problems": 2,
        }
    },
    "influence_sets": {
        "far": {
            "source": {
                "kind": "hub",
                "id": "owner/traces",
                "revision": COMMIT,
                "file": "data/train.jsonl",
                "prompt": "{question}",
                "completion": "{thoughts}",
            },
            "train_samples": 2,
            "validation_samples": 1,
            "length": 24,
        }
    },
}
TARGETS = ("resources/benchmarks/far.jsonl", "results/reasoner/influence/far.json")


def run(checkout: Checkout, monkeypatch, *targets: str) -> str:
    monkeypatch.setenv("PRUNETHINK_HUB", "mirror")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody is there
    done = checkout.snakemake("--cores", "1", *targets, "--configfile", "far.yaml")
    return done.stdout if done.returncode else ""


def test_what_a_folder_holds_is_fetched_locked_and_used(tmp_path, monkeypatch):
    checkout = copy_project(tmp_path)
    write_config(checkout, CONFIG, "far.yaml")
    problems = tmp_path / "mirror/datasets/owner/problems/main/test.jsonl"
    traces = tmp_path / f"mirror/datasets/owner/traces/{COMMIT}/data/train.jsonl"
    pairs = [{"question": f"{n}+1=", "thoughts": f"<think>{n}+1</think>"} for n in range(3)]
    for path, rows in ((problems, [{"q": "1+1=", "a": 2}, {"q": "1+2=", "a": 3}]), (traces, pairs)):
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(checkout, monkeypatch, *TARGETS) == ""
    scores = json.loads((tmp_path / TARGETS[1]).read_text())
    assert (scores["train_samples"], scores["validation_samples"]) == (2, 1)
    lock = (tmp_path / "config/hub.lock").read_text()
    entries = ("dataset owner/problems@main:", f"dataset owner/traces@{COMMIT} data/train.jsonl:")
    assert all(f"\n{entry}\n" in lock for entry in entries)
    shutil.rmtree(tmp_path / "resources")
    problems.write_text('{"q": "1+1=", "a": 3}\n{"q": "1+2=", "a": 3}\n')
    said = run(checkout, monkeypatch, TARGETS[0])
    assert "hub dataset owner/problems@main: its content has changed: test.jsonl has sha256" in said
    assert (tmp_path / "config/hub.lock").read_text() == lock
    assert not os.path.exists(tmp_path / TARGETS[0])
