"""Rows of a benchmark's source, each with the place that an error message should name."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.download.hub_lock import enforce
from workflow_scripts.errors import InputError
from workflow_scripts.files import strict_json
from workflow_scripts.files.digests import file_digest
from workflow_scripts.files.user_rows import ROWS_AT_ONCE, bounded, parquet_rows

# What a data set on the hub may be made of. The snapshot is opened as a folder, by its exact
# revision: handed an id, `load_dataset` falls back to whichever revision its own cache holds.
CARD = "README.md"
LINES = ("*.json", "*.jsonl", "*.csv", "*.tsv")
DATA_FILES = (CARD, "*.parquet", "*.arrow", *LINES, *(f"{name}.gz" for name in LINES))


class Row(NamedTuple):
    """One row as it was found; `where` is `file:line`, or the file or data set and the row."""

    where: str
    values: Mapping[str, Any]


def rows_of_jsonl(path: Path) -> list[Row]:
    """Rows of a JSONL file. Raises `InputError` for a line that is not a JSON object."""
    try:
        lines = path.read_bytes().rstrip().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    if lines == [b""]:
        return []
    return [_json_row(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def _json_row(line: bytes, where: str) -> Row:
    try:
        values = strict_json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected a JSON object, found {type(values).__name__}")
    return Row(where, values)


def rows_of_csv(path: Path) -> list[Row]:
    """Rows of a CSV file, from 1, by the names in its first line; every value is a text."""
    import pandas as pd

    options = {"dtype": str, "na_filter": False, "encoding": "utf-8-sig"}
    try:
        (head,) = pd.read_csv(path, header=None, nrows=1, **options).values.tolist()
        for name in head:
            if head.count(name) > 1:  # pandas gives the second one another name
                raise ValueError(f"the column {name!r} stands twice")
        rows = pd.read_csv(path, **options).to_dict("records")
    except (OSError, ValueError) as error:  # what pandas raises is such
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason})") from None
    return [Row(f"{path}, row {number}", row) for number, row in enumerate(rows, 1)]


def rows_of_parquet(path: Path) -> list[Row]:
    """Rows of a parquet file, counted from 0."""
    return [Row(f"{path}, row {number}", row) for number, row in enumerate(parquet_rows(path))]


READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".jsonl": rows_of_jsonl,
    ".csv": rows_of_csv,
    ".parquet": rows_of_parquet,
}


def rows_of_file(path: Path) -> list[Row]:
    """Rows of a file of the user, read as its suffix says."""
    if path.suffix not in READERS:
        raise InputError(f"{path}: a file of problems is one of {', '.join(READERS)}")
    return READERS[path.suffix](path)


def rows_of_hub(source: Mapping[str, Any], lock: Path | None) -> list[Row]:
    """Rows of one split of a data set on the hub, its files as the lock file says."""
    from workflow_scripts.download.hub.snapshots import fetch_snapshot  # files need no hub library

    snapshot = fetch_snapshot(source, "dataset", DATA_FILES, lock=lock)
    digests = {name: file_digest(snapshot.folder / name) for name in snapshot.names}
    enforce(lock, snapshot.entry, snapshot.commit, digests)
    with tempfile.TemporaryDirectory() as made:
        folder = _only(snapshot.names, snapshot.folder, Path(made))
        return rows_of_dataset(folder, source["id"], source.get("config"), source["split"])


def _only(names: Sequence[str], folder: Path, made: Path) -> Path:
    """A folder with links to these files alone: it decides which files are a split's."""
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
