"""What the generation store holds, and removing entries by name.

    python -m workflow_scripts.generation.manage_store
    python -m workflow_scripts.generation.manage_store --remove 3f2a9c04b1d7

An entry is a folder of the store: the completions of one model and variant with one engine. Its
name, or the beginning of it, is in the first column of the list. Nothing is removed while a job
uses the store.
"""

import argparse
import re
import shutil
from pathlib import Path

from tabulate import tabulate

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.generation.store.completions import KEY_DIGITS
from workflow_scripts.generation.store.files import (
    Record,
    check_format,
    locked_alone,
    read_entry,
)
from workflow_scripts.jobs.stage import run_stage

ENTRY = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}")  # as the store names its folders
COLUMNS = ("entry", "for", "engine", "completions", "tokens", "bytes", "damaged lines")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("store"), help="its folder")
    parser.add_argument("--remove", nargs="+", metavar="ENTRY", help="entries that are to go")
    arguments = parser.parse_args()
    if not arguments.store.is_dir():
        raise InputError(f"{arguments.store}: there is no store here")
    check_format(arguments.store)
    if not arguments.remove:
        print(contents(arguments.store))
        return
    with locked_alone(arguments.store):
        for folder in [_entry(arguments.store, name) for name in arguments.remove]:
            shutil.rmtree(folder)
            print(f"removed {folder}")


def contents(store: Path) -> str:
    """A table with a line for each entry of a store, and one for all of them."""
    rows = [_row(folder) for folder in _entries(store)]
    totals = [sum(row[column] for row in rows) for column in range(3, len(COLUMNS))]
    return tabulate([*rows, ("all", "", "", *totals)], COLUMNS, "plain", intfmt=",")


def _entries(store: Path) -> list[Path]:
    return sorted(path for path in store.iterdir() if ENTRY.fullmatch(path.name) and path.is_dir())


def _entry(store: Path, name: str) -> Path:
    """The one entry whose name begins like this."""
    found = [path for path in _entries(store) if name and path.name.startswith(name)]
    if len(found) != 1:
        raise InputError(
            f"{store}: {len(found)} entries have a name that begins with {name!r}, nothing was "
            "removed; without --remove the entries are listed"
        )
    return found[0]


def _row(folder: Path) -> tuple:
    files = read_entry(folder)
    labels = {(file.writer or {}).get("label") for file in files} - {None, ""}
    note = folder / "identity.json"
    identity = read_json(note) if note.exists() else {}
    used: dict[str, Record] = {}
    for record in (record for file in files for record in file.records):
        if record.key not in used or record.outranks(used[record.key]):
            used[record.key] = record
    return (
        folder.name[:12],
        ", ".join(sorted(labels)) or "?",
        " ".join(str(identity.get(key, "?")) for key in ("engine", "device", "dtype")),
        len(used),
        sum(record.count for record in used.values()),
        sum(file.path.stat().st_size for file in files),
        sum(file.damaged + file.torn for file in files),
    )


if __name__ == "__main__":
    run_stage(main)
