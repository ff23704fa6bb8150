"""Rows of a data set on the hub, each with the place that an error message should name."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.download.hub_lock import enforce
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import file_digest
from workflow_scripts.files.user_rows import ROWS_AT_ONCE, bounded
from workflow_scripts.inputs.problems.rows import Row

# What a data set on the hub may be made of. The snapshot is opened as a folder, by its exact
# revision: handed an id, `load_dataset` falls back to whichever revision its own cache holds.
CARD = "README.md"
LINES = ("*.json", "*.jsonl", "*.csv", "*.tsv")
DATA_FILES = (CARD, "*.parquet", "*.arrow", *LINES, *(f"{name}.gz" for name in LINES))


def rows_of_hub(source: Mapping[str, Any], lock: Path | None) -> list[Row]:
    """Rows of one split of a data set on the hub, its files as the lock file says."""
    from workflow_scripts.download.hub.snapshots import fetch_snapshot  # files need no hub library

    snapshot = fetch_snapshot(source, "dataset", DATA_FILES, lock=lock)
    digests = {name: file_digest(snapshot.folder / name) for name in snapshot.names}
    enforce(lock, snapshot.entry, snapshot.commit, digests)
    with tempfile.TemporaryDirectory() as made:
        folder = linked(snapshot.names, snapshot.folder, Path(made))
        return rows_of_dataset(folder, source["id"], source.get("config"), source["split"])


def linked(names: Sequence[str], folder: Path, made: Path) -> Path:
    """The folder `made`, with links to these files alone: it decides which files are a split's."""
    for name in names:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).symlink_to((folder / name).resolve())
    return made


def rows_of_dataset(folder: Path, name: str, config: str | None, split: str) -> list[Row]:
    """Rows of one split of a folder in the layout of a hub data set; `name` is for messages.

    Rows are counted from 0, as the hub's own viewer counts them. Values are those that the files
    hold: what a column's type would open beside them (images, sounds, addresses) stays closed.
    """
    from datasets import disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetsError

    disable_progress_bars()

    chosen = f"config {config!r}, split {split!r}" if config else f"split {split!r}"
    what = f"data set {name!r}, {chosen}"
    # a cache of its own: the common one may hold what an earlier file of the same name was
    with tempfile.TemporaryDirectory() as cache:
        try:
            table = load_dataset(str(folder), config, split=split, cache_dir=cache)
        except (DatasetsError, ValueError, FileNotFoundError) as error:
            cause = error.__cause__ or error  # "an error occurred" is all that some say
            reason = " ".join(str(cause).replace(str(folder), name).split())
            raise InputError(f"{what}: cannot be opened ({reason})") from None
        batches = table.with_format("arrow").iter(ROWS_AT_ONCE)
        rows = (row for batch in batches for row in batch.to_pylist())
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        try:
            return [
                Row(f"{what}, row {number}", row)
                for number, row in enumerate(bounded(rows, size, what))
            ]
        except UnicodeDecodeError as error:
            raise InputError(f"{what}: a text in it is not UTF-8 ({error.reason})") from None
