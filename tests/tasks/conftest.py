"""A place where jobs of the stage run on the demo's reasoner, a few samples of each task."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.artefacts.masks import Plan, variant_files, write_pruned
from workflow_scripts.config.sources.models import BundledModel
from workflow_scripts.config.tasks import FetchedTask
from workflow_scripts.download.fetch_model import fetch_model
from workflow_scripts.download.fetch_task import fetch_task
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint
from workflow_scripts.tasks import run_tasks
from workflow_scripts.tasks.code.judging import RUN_CODE
from workflow_scripts.tasks.sandbox.choice import UNSAFE, missing_in
from workflow_scripts.tasks.sandbox.modes import Mode

PLANS = {"dense": Plan(), "shortened": Plan(removed_blocks=(1, 3))}
DEMO = ("chains-next-step", "chains-result", "chains-answer")


@dataclass(frozen=True)
class Place:
    """A folder with the reasoner, its dense variant and the demo's tasks, all fetched."""

    folder: Path

    def arguments(
        self, tasks: Mapping[str, Any], store: str = "store", variant: str = "dense", **job: Any
    ) -> list[str]:
        """What a job is told; its output is in `results/VARIANT/tasks`."""
        options = {
            "tasks": tasks,
            "engine": "transformers",
            "device": "cpu",
            "dtype": "float32",
            "batch_invariant": False,
            "run_code": "sandboxed",
            "date": "2026-11-27",
            "thinking_end": "</think>",
            **job,
        }
        speed = {"batch_size": 4, "threads": 1, "tensor_parallel": 1, "engine_options": {}}
        return [
            *("--model", "resources/models/reasoner"),
            *("--variant", *map(str, variant_files(Path("results", variant)))),
            *("--options", json.dumps(options), "--speed", json.dumps(speed)),
            *("--store", store, "--output", f"results/{variant}/tasks"),
        ]

    def output(self, ending: str) -> bytes:
        return (self.folder / f"results/dense/tasks/other{ending}").read_bytes()

    def outputs(self) -> list[bytes]:
        return [self.output(e) for e in (".json", ".scores.jsonl", ".samples.jsonl")]


@pytest.fixture(scope="package", autouse=True)
def best_box() -> Iterator[None]:
    """Programs of tests run in the best box that the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        if all(missing_in(mode) for mode in (Mode.NAMESPACES, Mode.BUBBLEWRAP)):
            patch.setenv(RUN_CODE, UNSAFE)
        yield


@pytest.fixture(scope="package")
def fetched_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("tasks")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        model = Path("resources/models/reasoner")
        fetch_model(BundledModel(kind="bundled", name="reasoner"), model / "manifest.json")
        checkpoint, digest = open_checkpoint(model), model_digest(model)
        for name, plan in PLANS.items():
            files = variant_files(Path("results", name))
            files.record.parent.mkdir(parents=True)
            write_pruned(files, plan, checkpoint, digest, name, {})
        for name in DEMO:
            fetch_task(name, FetchedTask(), run_tasks.FETCHED / name / "manifest.json")
    yield Place(folder)


@pytest.fixture
def place(fetched_place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The same, with it as the working directory."""
    monkeypatch.chdir(fetched_place.folder)
    return fetched_place
