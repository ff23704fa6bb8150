"""Named runs in one folder share what is made of models, sets and variants, and so define it alike.

Each notes what it asks of shared files, `results/runs/NAME/shared.json`, when its first job starts.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.config.catalogues import FetchedBenchmark
from workflow_scripts.config.entry import plain
from workflow_scripts.config.generation import Generation
from workflow_scripts.config.messages import dotted, shown
from workflow_scripts.config.places import RUNS, run_folder
from workflow_scripts.config.screen_jobs import screen_job
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.tasks import FetchedTask
from workflow_scripts.config.uses import CATALOGUES, answered_in_use, in_use
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json

RECORD = "shared.json"
LEFT_OUT = object()
MAX_LINES = 10

Key = tuple[str, ...]


def definitions(settings: Settings) -> dict[Key, Any]:
    """What decides the bytes of the files that a run shares with others, by its keys."""
    run, used = settings.run, in_use(settings)
    found: dict[Key, Any] = {
        ("pruning",): plain(settings.pruning),
        ("generation", "threads"): settings.generation.threads,
    }
    for name in run.models:
        found["models", name, "source"] = plain(settings.models[name].source)
        if settings.models[name].trained_on:
            found["models", name, "trained_on"] = settings.models[name].trained_on
    for name in used["benchmarks"]:
        fetched = {*FetchedBenchmark.model_fields}
        found["benchmarks", name] = plain(settings.benchmarks[name], include=fetched)
    for name in used["tasks"]:
        found["tasks", name] = plain(settings.tasks[name], include={*FetchedTask.model_fields})
    for catalogue in ("texts", "calibration_sets", "influence_sets", "recoveries", "variants"):
        for name in used[catalogue]:
            found[catalogue, name] = plain(getattr(settings, catalogue)[name])
    if used["calibration_sets"] or used["influence_sets"] or used["recoveries"]:
        found["generation", "date"] = settings.generation.date
        for name in run.models:
            chat = settings.models[name].chat_template_args
            found["models", name, "chat_template_args"] = chat or {}
    if run.screen:
        for key, value in plain(screen_job(settings)).items():
            found["run", "screen", key] = value
    for benchmark in answered_in_use(settings):
        found |= _of_calibration_traces(settings, benchmark)
    return found


def _of_calibration_traces(settings: Settings, benchmark: str) -> Iterator[tuple[Key, Any]]:
    """What decides the dense model's own traces on a benchmark."""
    yield ("benchmarks", benchmark, "prompt"), plain(settings.wording_of(benchmark))
    for name in settings.run.models:
        model, job = settings.models[name], settings.trace_job(name, benchmark)
        yield ("models", name, "thinking"), model.thinking
        yield ("thinking_formats", model.thinking), plain(job.thinking)
        asked = {*Generation.model_fields} - Generation.SPEED
        for key, value in plain(job, include=asked).items():
            yield ("generation", key), value


def note_definitions(settings: Settings) -> None:
    """Note what a named run asks of shared files."""
    if settings.run.name:
        noted = {dotted(key): value for key, value in definitions(settings).items()}
        write_json(Path(run_folder(settings.run.name)) / RECORD, noted)


def check_other_runs(settings: Settings) -> None:
    """Raise `InputError`, a line for each key, where another named run defines a thing otherwise.

    The two would make each other's shared files again and again. A run without a name is held
    against those that have one, too.
    """
    mine, name = definitions(settings), settings.run.name
    here = f"run {name}" if name else "this run"
    lines = []
    for record in sorted(Path(RUNS).glob(f"*/{RECORD}")):
        other = record.parent.name
        theirs = read_json(record) if other != name else {}
        for key in [key for key in mine if dotted(key) in theirs]:
            if found := _first_difference(key, mine[key], theirs[dotted(key)]):
                path, *values = found
                one, two = ("left out" if v is LEFT_OUT else shown(v) for v in values)
                lines.append(
                    f"config: {dotted(path)}: {one} in {here} and {two} in run {other}, and both "
                    f"share what is made with it; {_remedy(key)}, or remove {record} if run "
                    f"{other} is to follow"
                )
    if lines:
        raise InputError(*lines[:MAX_LINES])


def _first_difference(key: Key, one: Any, two: Any) -> tuple[Key, Any, Any] | None:
    """Where two values differ first, by the path of a key, and how; None where they are equal."""
    if one == two:
        return None
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for name in sorted(one.keys() | two.keys()):
            parts = (value.get(name, LEFT_OUT) for value in (one, two))
            if found := _first_difference((*key, name), *parts):
                return found
    return key, one, two


def _remedy(key: Key) -> str:
    if key[0] not in CATALOGUES:
        return "must be the same in both"
    return f"give {dotted(key[:2])} another name in one of them"
