"""Tasks of the evaluation harness (lm-eval): found by name, and loaded with data that are here.

The harness opens data sets of the hub by `datasets.load_dataset`, with whatever commit the hub has
that day. While a task is loaded here, that function is answered by a folder instead, which was
fetched and locked before; files beside a task's own file are opened as they are.
"""

import difflib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.config.task_files import task_file
from workflow_scripts.config.tasks import FetchedTask
from workflow_scripts.errors import InputError
from workflow_scripts.inputs.checkers import settled

if TYPE_CHECKING:
    from lm_eval.tasks.manager import TaskDict, TaskManager

# what `load_dataset` opens besides repositories: files, by their form
FORMS = {"json", "csv", "parquet", "text", "arrow"}
OF_REPOSITORIES = ("revision", "trust_remote_code", "token", "cache_dir", "download_mode")
FolderOf = Callable[[str, str | None], Path]


def find_in_harness(name: str) -> str | None:
    """The file of a task below the harness's own; None for a group, a tag or a class in Python.

    Its own index opens all its 15,000 files, which takes ten times as long.
    """
    line = re.compile(rf"^task:\s*[\"']?{re.escape(name)}[\"']?\s*$", re.MULTILINE)
    for path in sorted(_harness().glob("**/*.yaml")):
        if line.search(path.read_text(encoding="utf-8")):
            return str(path.relative_to(_harness()))
    return None


def load_task(name: str, task: FetchedTask, place: str | None, folder_of: FolderOf) -> "TaskDict":
    """What the harness makes of the entry `name`, with its data opened.

    `place` is its file below the harness's, as `find_in_harness` says. `folder_of` gives the folder
    of a data set, by the hub's id and the revision that the task asks for. Raises `InputError` for
    a name that is not there and for whatever keeps the harness from loading it.
    """
    own = task_file(name, task)
    file = own or (_harness() / place if place else None)
    try:
        manager, wanted = _manager(file, task.task or name)
        if file is None and wanted not in manager.all_tasks:
            close = difflib.get_close_matches(wanted, manager.all_tasks, n=3)
            meant = f"; close to it: {', '.join(close)}" if close else ""
            raise InputError(f"tasks.{name}: the harness has no task {wanted!r}{meant}")
        with settled(name, file), _data_from(folder_of, own.parent if own else None):
            return manager.load([wanted])
    except InputError:
        raise
    except Exception as error:  # of any class: tasks bring code of their own
        reason = " ".join(str(error).split())
        raise InputError(
            f"tasks.{name}: the harness cannot load it ({type(error).__name__}: {reason})"
        ) from None


def _manager(file: Path | None, name: str) -> tuple["TaskManager", str]:
    """What loads a task, and by which word: its file, or its name in an index of all there are.

    A file that puts tasks together is one of these: it may name any of them.
    """
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    if file is None:
        return _index(None), name
    group = load_yaml(file, resolve_func=False).get("group")
    if isinstance(group, str):
        return _index(file.parent), group
    return TaskManager(include_defaults=False), str(file)


@cache
def _index(folder: Path | None) -> "TaskManager":
    """All tasks of the harness, and those in a folder; takes seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=folder and str(folder))


@contextmanager
def _data_from(folder_of: FolderOf, beside: Path | None) -> Iterator[None]:
    """Where `datasets.load_dataset` opens folders of ours, and files beside a task's own file.

    What a task makes of its rows is kept as long as this process runs: the harness has it made
    again wherever it asks for rows, and a task that shuffles would then be asked for one order of
    its choices and graded by another.
    """
    import datasets

    opens = datasets.load_dataset
    datasets.disable_progress_bars()
    datasets.enable_caching()

    def answer(path: str, name: str | None = None, **asked: Any) -> Any:
        revision = asked.get("revision")
        rest = {key: asked[key] for key in asked if key not in OF_REPOSITORIES}
        # its own: a common one may hold what another file of the same name was
        rest["cache_dir"] = tempfile.mkdtemp(dir=_cache().name)
        if path in FORMS:
            files = _local(rest.pop("data_files", {}), beside or Path())
            return opens(path, name, data_files=files, **rest)
        local = (beside or Path()) / path
        folder = local if local.is_dir() else folder_of(path, revision)
        return opens(str(folder.resolve()), name, **rest)

    datasets.load_dataset = answer
    try:
        yield
    finally:
        datasets.load_dataset = opens


@cache
def _cache() -> tempfile.TemporaryDirectory:
    """Where data sets are as long as this process runs."""
    return tempfile.TemporaryDirectory()


def _local(files: Any, folder: Path) -> Any:
    """Names of files beside a task's own as paths. Raises `InputError` for addresses."""
    if isinstance(files, Mapping):
        return {key: _local(value, folder) for key, value in files.items()}
    if isinstance(files, list):
        return [_local(value, folder) for value in files]
    if "://" in files:
        raise InputError(
            f"{files}: an address, which no lock file holds; save the file and name it"
        )
    if not (folder / files).is_file():
        raise InputError(f"{folder / files}: no such file; a task names it as its data")
    return str((folder / files).resolve())


def _harness() -> Path:
    return Path(find_spec("lm_eval").origin).parent / "tasks"
