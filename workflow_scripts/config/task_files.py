"""The files that tasks are defined in, as far as they are the project's or the user's."""

from pathlib import Path

from workflow_scripts.config.tasks import FetchedTask
from workflow_scripts.paths import DEFINITIONS, TASK_FILES

# what a task file may name beside it: functions, files it includes, data
SUFFIXES = {".yaml", ".py", ".json", ".jsonl", ".csv", ".parquet"}


def task_file(name: str, task: FetchedTask) -> Path | None:
    """The file of an entry `name` of the catalogue; None where the harness has it."""
    if task.file is not None:
        return Path(task.file)
    files = (folder / f"{task.task or name}.yaml" for folder in TASK_FILES)
    return next((file for file in files if file.is_file()), None)


def task_files(name: str, task: FetchedTask) -> list[Path]:
    """That file with all that it may be made of, sorted; empty where the harness has it."""
    file = task_file(name, task)
    beside = file.parent.iterdir() if file else ()
    return sorted(path for path in beside if path.suffix in SUFFIXES)


def function_modules() -> list[str]:
    """The modules of the package that task files of the project's own name functions in."""
    return [f"tasks.definitions.{file.stem}" for file in sorted(DEFINITIONS.glob("*.py"))]
