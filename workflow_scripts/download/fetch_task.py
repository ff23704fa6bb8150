"""Bring the data of a task of the evaluation harness to where its jobs find them.

    python -m workflow_scripts.download.fetch_task --name boolq \
        --options '{"task": "boolq"}' --lock config/hub.lock \
        --output resources/tasks/boolq/manifest.json

The task is loaded once: every data set that it asks for is fetched as the lock file says, and a
task that cannot be loaded is refused before any model runs it. Beside the manifest are links to
the files of each data set, `data/OWNER/NAME/`. The manifest holds commits and digests, where the
task's file is among the harness's, its samples, and whether it runs what a model wrote.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.task_files import task_file
from workflow_scripts.config.tasks import FetchedTask
from workflow_scripts.download.hub.rows import DATA_FILES, linked
from workflow_scripts.download.hub_lock import enforce
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.files.digests import file_digest, value_digest
from workflow_scripts.inputs.harness_tasks import find_in_harness, load_task
from workflow_scripts.jobs.stage import run_stage


def fetch_task(name: str, task: FetchedTask, manifest: Path, lock: Path | None = None) -> None:
    """Fetch what the entry `name` needs and write its manifest; `lock` is the lock file.

    Raises `InputError` for a task that the harness has not or cannot load, that has no samples, and
    for whatever keeps its data from being fetched.
    """
    data, fetched = manifest.parent / "data", {}
    shutil.rmtree(data, ignore_errors=True)

    def folder_of(repository: str, revision: str | None) -> Path:
        if repository not in fetched:
            fetched[repository] = _fetch(repository, revision, data / repository, lock)
        return data / repository

    place = None if task_file(name, task) else find_in_harness(task.task or name)
    loaded = load_task(name, task, place, folder_of)
    tasks = dict(sorted(loaded["tasks"].items()))
    try:
        samples = {found: len(one.eval_docs) for found, one in tasks.items()}
    except Exception as error:  # of any class: tasks bring code of their own
        reason = " ".join(str(error).split())
        raise InputError(
            f"tasks.{name}: its data are not what it reads ({type(error).__name__}: {reason})"
        ) from None
    if not all(samples.values()):
        raise InputError(f"tasks.{name}: no samples in its data")
    found = {
        "file": place,
        "samples": samples,
        "runs_code": any(one.get_config("unsafe_code") for one in tasks.values()),
        "data": fetched,
    }
    if not fetched:  # rows that a Python package brings have no file of their own here
        found["rows"] = value_digest([[*one.eval_docs] for one in tasks.values()])
    write_json(manifest, found)


def _fetch(
    repository: str, revision: str | None, folder: Path, lock: Path | None
) -> dict[str, Any]:
    """Links in `folder` to a data set's files, and what a manifest says of them."""
    from workflow_scripts.download.hub.snapshots import fetch_snapshot

    source = {"id": repository} | ({"revision": revision} if revision else {})
    snapshot = fetch_snapshot(source, "dataset", DATA_FILES, lock=lock)
    digests = {file: file_digest(snapshot.folder / file) for file in snapshot.names}
    enforce(lock, snapshot.entry, snapshot.commit, digests)
    linked(snapshot.names, snapshot.folder, folder)
    return {"revision": snapshot.commit, "files": digests}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="the entry's name in the catalogue tasks")
    parser.add_argument("--options", required=True, help="the entry, as JSON")
    parser.add_argument("--lock", type=Path, help="the lock file of the hub")
    parser.add_argument("--output", required=True, type=Path, help="manifest.json to write")
    given = parser.parse_args(arguments)
    fetch_task(given.name, parser_of(FetchedTask)(given.options), given.output, given.lock)


if __name__ == "__main__":
    run_stage(main)
