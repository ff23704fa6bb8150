"""What checkers of the harness's tasks would fetch or draw by themselves, settled beforehand.

IFEval counts sentences with nltk, whose rules for that are data of their own, `punkt_tab`. A
package brings them (envs/harness.txt); where they are not here the task is refused, and nothing
is downloaded. It tells languages with langdetect, which draws at random unless it has a seed.
A metric that is none of the harness's own would be code from the hub, and is refused as well.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from workflow_scripts.errors import InputError

PACKAGE, RULES = "llama_index", "core/_static/nltk_cache"
LANGUAGE_SEED = 0


@contextmanager
def settled(name: str, file: Path | None) -> Iterator[None]:
    """Where the entry `name` may be loaded: nothing is fetched for what it checks with, and what it
    checks is the same every time.

    `file` is that of the task; None where it is not known, and any task may be in it. What would be
    fetched raises `InputError`.
    """
    from lm_eval.api import task as harness

    found = harness.get_metric
    harness.get_metric = partial(_own_metric, name, found)
    try:
        if file is not None and not _names_nltk(file.parent):  # it takes long to import
            yield
            return
        with _nltk_data(name):
            yield
    finally:
        harness.get_metric = found
        if "langdetect" in sys.modules:
            sys.modules["langdetect"].DetectorFactory.seed = LANGUAGE_SEED


@contextmanager
def _nltk_data(task: str) -> Iterator[None]:
    import nltk

    ours, downloads = _rules(), nltk.download
    if ours is not None and str(ours) not in nltk.data.path:
        nltk.data.path.append(str(ours))  # behind the user's own, which NLTK_DATA names
    nltk.download = partial(_refuse, task)
    try:
        yield
    finally:
        nltk.download = downloads


def _names_nltk(folder: Path) -> bool:
    return any("nltk" in path.read_text(encoding="utf-8") for path in folder.glob("*.py"))


def _rules() -> Path | None:
    """The package's folder of nltk data. It is looked for without importing the package."""
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    folders = (Path(place, RULES) for place in places or ())
    return next((folder for folder in folders if folder.is_dir()), None)


def _refuse(task: str, data: str, *_: object, **__: object) -> NoReturn:
    ours = _rules()
    if ours is not None and (ours / "tokenizers" / data).exists():
        # it reads nothing that another account could have put there
        raise InputError(
            f"tasks.{task}: nltk does not read its data {data!r}, which others may write to; "
            f"chmod -R go-w {ours}"
        )
    raise InputError(
        f"tasks.{task}: nltk's data {data!r} are not here; make harness, or python -m "
        f"nltk.downloader {data}"
    )


def _own_metric(
    task: str, find: Callable[[str], Any], metric: str, is_from_hub: bool = False
) -> Any:
    from lm_eval.api import metrics, registry

    del metrics  # it is imported for what it registers
    if is_from_hub or metric not in registry.metric_registry:
        raise InputError(
            f"tasks.{task}: {metric!r} is none of the harness's own metrics; code for it would "
            "come from the hub, and is not run"
        )
    return find(metric)
