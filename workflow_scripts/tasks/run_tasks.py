"""Run tasks of the evaluation harness on a variant of a model, with one engine.

    python -m workflow_scripts.tasks.run_tasks --model resources/models/reasoner \\
        --variant results/reasoner/wanda-20/{mask,weights}.safetensors \\
        results/reasoner/wanda-20/mask.json \\
        --options '{"tasks": {"boolq": {...}}, ...}' --speed '{...}' --store store \\
        --output results/reasoner/wanda-20/tasks

Every response goes to the store as soon as its batch is finished, and an engine starts only for
what is not there. Of each family of tasks the output is three files, see `artefacts.task_records`:
FAMILY.json, FAMILY.scores.jsonl and FAMILY.samples.jsonl, the last in the harness's own form.
"""

import argparse
import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.artefacts.masks import Pruned, VariantFiles, read_pruned
from workflow_scripts.artefacts.task_records import TaskResults, write_results, write_scores
from workflow_scripts.config.entry import parser_of, plain
from workflow_scripts.config.tasks import AUTO_BATCH, Task, TaskJob
from workflow_scripts.engines.fingerprint import fingerprint_of, identity
from workflow_scripts.engines.interface import EngineSettings
from workflow_scripts.engines.start import check_runs, resolved
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, written_atomically
from workflow_scripts.files.digests import value_digest
from workflow_scripts.inputs.harness_tasks import load_task
from workflow_scripts.jobs.gpus import take_gpus
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models.chat_templates import ChatTemplate
from workflow_scripts.models.checkpoints import check_weights, model_digest
from workflow_scripts.models.manifests import MANIFEST, check_digest
from workflow_scripts.models.tokenizers import end_of_turn_ids, load_tokenizer
from workflow_scripts.tasks.code.judging import RUN_CODE
from workflow_scripts.tasks.evaluation import Evaluated, evaluate_task, seed_everything
from workflow_scripts.tasks.models import STARTS
from workflow_scripts.tasks.responses import KeptModel, Responses, about
from workflow_scripts.tasks.sandbox.choice import sandbox_for

if TYPE_CHECKING:
    from lm_eval.api.model import TemplateLM
    from lm_eval.tasks.manager import TaskDict

FETCHED = Path("resources/tasks")
KEPT = "tasks"  # the folder in the store
KEY_DIGITS = 16


def main() -> None:
    given = _parse_arguments()
    job = parser_of(TaskJob)(json.dumps(given.options | given.speed))
    os.environ[RUN_CODE] = job.run_code
    pruned = read_pruned(VariantFiles(*given.variant), model_digest(given.model))
    settings = _engine_settings(job)
    check_runs(settings, pruned, given.model)
    if any(_manifest(name)["runs_code"] for name in job.tasks):
        sandbox_for(job.run_code)  # before any model runs
    depends_on = identity(given.model, pruned, settings) | {"harness": version("lm_eval")}
    tokenizer = load_tokenizer(given.model)
    end = tokenizer.convert_tokens_to_ids(job.thinking_end)
    is_turn = end in end_of_turn_ids(given.model, tokenizer)  # of a model that answers at once
    thinking_end = None if is_turn else job.thinking_end
    model = OneModel(given.model, pruned, settings, job.max_length, thinking_end)
    found: dict[str, Evaluated] = {}
    producers: dict[str, dict[str, dict[str, str]]] = {}
    with ChatTemplate(tokenizer, job.date, job.chat_template_args) as template:
        for name, task in job.tasks.items():
            loaded = _load(name, task)
            own = {
                "thinking_end": thinking_end if task.chat else None,
                "max_length": job.max_length,
            }
            place = given.store / KEPT / _place(depends_on, loaded, own)
            with about(place), closing(Responses(place)) as responses:
                kept = KeptModel(model.starter(task), template, responses, f"task {name}")
                found[name] = evaluate_task(name, task, loaded, kept)
                producers[name] = responses.producers()
        day = template.day
    for family in sorted({task.family for task in job.tasks.values()}):
        mine = {name: task for name, task in job.tasks.items() if task.family == family}
        made_by = {digest: one for name in mine for digest, one in producers[name].items()}
        provenance = {
            "generator": depends_on,
            "settings": plain(job.model_copy(update={"tasks": mine}), exclude=TaskJob.SPEED),
            "producers": [made_by[digest] for digest in sorted(made_by)],
        }
        if day is not None and any(task.chat for task in mine.values()):
            provenance["date"] = day
        _write(given.output / family, {name: found[name] for name in mine}, provenance)


class OneModel:
    """The harness's model of a variant, which starts for the first request that has no response."""

    def __init__(
        self,
        model: Path,
        pruned: Pruned,
        settings: EngineSettings,
        max_length: int | None,
        thinking_end: str | None,
    ) -> None:
        self._of, self._settings = (model, pruned, settings, max_length), settings
        self._thinking_end = thinking_end
        self._model: TemplateLM | None = None

    def starter(self, task: Task) -> Callable[[Responses], "TemplateLM"]:
        """What starts it for a task, or has it go on, and tells its responses to their file."""

        def start(responses: Responses) -> "TemplateLM":
            settings = self._settings
            if self._model is None:
                if settings.device == "cuda":
                    take_gpus(settings.tensor_parallel, "generation.device")
                check_weights(self._of[0])
                self._model = STARTS[settings.engine](*self._of)
            responses.write_as(fingerprint_of(settings))
            self._model.set_cache_hook(responses)
            self._model.end_thinking_at(self._thinking_end if task.chat else None)
            return self._model

        return start


def _load(name: str, task: Task) -> "TaskDict":
    """The task as it was fetched, with Python's generator as the harness has it then."""
    folder, manifest = FETCHED / name, _manifest(name)

    def folder_of(repository: str, _: str | None) -> Path:
        if repository not in manifest["data"]:
            raise InputError(
                f"tasks.{name}: asks for data set {repository!r}, which it did not when it was "
                f"fetched; delete {folder / MANIFEST} and start again"
            )
        for file, digest in manifest["data"][repository]["files"].items():
            check_digest(folder / "data" / repository / file, digest, folder / MANIFEST)
        return folder / "data" / repository

    seed_everything()
    return load_task(name, task, manifest["file"], folder_of)


def _manifest(name: str) -> dict[str, Any]:
    return read_json(FETCHED / name / MANIFEST)


def _place(depends_on: dict[str, Any], loaded: "TaskDict", own: dict[str, Any]) -> Path:
    """The file of a task's responses: of other weights, engines or versions they are others."""
    versions = sorted((name, str(one.VERSION)) for name, one in loaded["tasks"].items())
    task = value_digest({"tasks": versions, **own})
    return Path(value_digest(depends_on)[:KEY_DIGITS], f"{task[:KEY_DIGITS]}.sqlite")


def _engine_settings(job: TaskJob) -> EngineSettings:
    chosen = {key: getattr(job, key) for key in EngineSettings.__annotations__}
    settings = resolved(EngineSettings(**chosen | {"engine_options": plain(job.engine_options)}))
    if job.batch_size == "auto":
        settings = replace(settings, batch_size=AUTO_BATCH[settings.engine])
    return settings


def _write(place: Path, found: dict[str, Evaluated], provenance: dict[str, Any]) -> None:
    """The files of a family, whose names begin with `place`; the numbers come last."""
    samples = Path(f"{place}.samples.jsonl")
    with written_atomically(samples) as temporary, temporary.open("w", encoding="utf-8") as file:
        for one in found.values():
            for sample in one.samples:
                file.write(json.dumps(sample, ensure_ascii=False, sort_keys=True) + "\n")
    scores = (score for one in found.values() for score in one.scores)
    write_scores(Path(f"{place}.scores.jsonl"), scores)
    results = TaskResults(
        tasks={name: one.result for name, one in found.items()}, provenance=provenance
    )
    write_results(Path(f"{place}.json"), results)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of the dense checkpoint")
    parser.add_argument(
        "--variant", required=True, nargs=3, type=Path, help="its mask, weights and record"
    )
    parser.add_argument("--options", required=True, type=json.loads, help="the job, as JSON")
    parser.add_argument(
        "--speed", type=json.loads, default={}, help="more of it, which changes no results"
    )
    parser.add_argument("--store", required=True, type=Path, help="folder of the store")
    parser.add_argument("--output", required=True, type=Path, help="folder for the outputs")
    return parser.parse_args()


if __name__ == "__main__":
    run_stage(main)
