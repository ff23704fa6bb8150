"""What the generation store holds, and removing what no config needs.

    python -m workflow_scripts.generation.manage_store
    python -m workflow_scripts.generation.manage_store \\
        --remove-unneeded config/config.yaml config/mine.yaml        # says what would go
    python -m workflow_scripts.generation.manage_store \\
        --remove-unneeded config/config.yaml config/mine.yaml --yes  # and it goes

Each config is taken over config/config.yaml, as by `snakemake --configfile`. A record that none of
them uses goes, and so does what is damaged. Nothing is removed while a job uses the store, and
nothing that is not the store's: it may stand in a folder that holds more.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, written_atomically
from workflow_scripts.generation.store.completions import KEY_DIGITS
from workflow_scripts.generation.store.files import (
    Record,
    WriterFile,
    check_format,
    encode,
    locked_alone,
    read_generator,
    read_line,
)
from workflow_scripts.jobs.stage import run_stage

IDENTITY = "identity.json"
# the names that the store gives: to a generator's folder; to the file of one of its writers; and
# to what a process leaves of either that was killed while it wrote it
GENERATOR = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}")
WRITERS_FILE = re.compile(r".+-\d+-[0-9a-f]{8}\.jsonl")
LEFT_OVER = re.compile(rf"\.{re.escape(IDENTITY)}\.[0-9a-f]+|\..+\.jsonl\.[0-9-]+\.tmp")
COLUMNS = ("generator", "for", "engine", "completions", "tokens", "bytes", "damaged lines")


@dataclass
class Removal:
    """What goes: lines (records and damaged ones), and bytes; and why a folder does not."""

    records: int = 0
    damaged: int = 0
    size: int = 0
    staying: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("store"), help="its folder")
    parser.add_argument(
        "--remove-unneeded", type=Path, nargs="+", metavar="CONFIG", help="configs to keep all of"
    )
    parser.add_argument("--yes", action="store_true", help="remove it and not only say what")
    arguments = parser.parse_args()
    if arguments.yes and not arguments.remove_unneeded:
        parser.error("--yes belongs to --remove-unneeded")
    if not arguments.store.is_dir():
        raise InputError(f"{arguments.store}: there is no store here")
    check_format(arguments.store)
    if arguments.remove_unneeded is None:
        print(contents(arguments.store))
        return
    # not above: it loads what tokenises prompts, which takes longer than all of the listing
    from workflow_scripts.generation.needed_records import needed_records

    with locked_alone(arguments.store):
        keys = needed_records(arguments.store, arguments.remove_unneeded)
        removal = remove_all_but(arguments.store, keys, arguments.yes)
    for line in removal.staying:
        print(line, file=sys.stderr)
    done = "removed" if arguments.yes else "would be removed; --yes removes them"
    print(
        f"{removal.records:,} completions and {removal.damaged:,} damaged lines, "
        f"{removal.size:,} bytes: {done}"
    )


def contents(store: Path) -> str:
    """A table with a line for each generator of a store, and one for all of them."""
    rows = [_row(folder) for folder in _generators(store)]
    totals = [sum(row[column] for row in rows) for column in range(3, len(COLUMNS))]
    rows.append(("all", "", "", *totals))
    texts = [COLUMNS, *([f"{x:,}" if isinstance(x, int) else x for x in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = []
    for row in texts:
        cells = (
            cell.ljust(width) if i < 3 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _generators(store: Path) -> list[Path]:
    """The folders that are named as the store names a generator's."""
    found = (path for path in store.iterdir() if GENERATOR.fullmatch(path.name))
    return sorted(path for path in found if path.is_dir())


def _row(folder: Path) -> tuple:
    files = read_generator(folder)
    labels = {(file.writer or {}).get("label") for file in files} - {None, ""}
    identity = read_json(folder / IDENTITY) if (folder / IDENTITY).exists() else {}
    engine = " ".join(str(identity.get(key, "?")) for key in ("engine", "device", "dtype"))
    used = _best(files).values()
    return (
        folder.name[:12],
        ", ".join(sorted(labels)) or "?",
        engine,
        len(used),
        sum(record.count for record in used),
        sum(file.path.stat().st_size for file in files),
        sum(file.damaged + file.torn for file in files),
    )


def _best(files: list[WriterFile]) -> dict[str, Record]:
    """The record of every key that the store uses."""
    best: dict[str, Record] = {}
    for file in files:
        for record in file.records:
            if record.key not in best or record.outranks(best[record.key]):
                best[record.key] = record
    return best


def remove_all_but(store: Path, keys: Mapping[Path, Set[str]], really: bool) -> Removal:
    """Remove all records but those of `keys`, by the folder of their generator.

    The store must be locked. Only says what would go where not `really`.
    """
    removal = Removal()
    for folder in _generators(store):
        if (folder / IDENTITY).is_file():
            _clean(folder, keys.get(folder, set()), removal, really)
        else:
            removal.staying.append(
                f"{folder}: stays, it has no {IDENTITY} and so may not be the store's"
            )
    return removal


def _clean(folder: Path, keys: Set[str], removal: Removal, really: bool) -> None:
    """Rewrite a generator's files with the records of `keys` alone, each once."""
    files = [file for file in read_generator(folder) if _is_of_store(file)]
    # by identity: of equal records in several files one stays
    kept = {id(record) for key, record in _best(files).items() if key in keys}
    for file in files:
        staying = [record for record in file.records if id(record) in kept]
        gone, damaged = len(file.records) - len(staying), file.damaged + file.torn
        if staying and not gone and not damaged:
            continue
        lines = [encode(file.writer)] if file.writer else []
        lines += map(read_line, staying)
        removal.records += gone
        removal.damaged += damaged
        removal.size += file.path.stat().st_size - (sum(map(len, lines)) if staying else 0)
        if really and staying:
            with written_atomically(file.path, checksum=False) as temporary:
                temporary.write_bytes(b"".join(lines))
        elif really:
            file.path.unlink()
    if not kept:
        _remove_folder(folder, {file.path.name for file in files}, removal, really)


def _is_of_store(file: WriterFile) -> bool:
    """Whether a file was written by the store: damaged all over it is known by its name."""
    has_its_lines = file.writer is not None or bool(file.records)
    return has_its_lines or WRITERS_FILE.fullmatch(file.path.name) is not None


def _remove_folder(folder: Path, gone: Set[str], removal: Removal, really: bool) -> None:
    """Remove the folder of a generator of which nothing is kept, unless somebody uses it too."""
    names = {path.name for path in folder.iterdir()} - gone
    left_over = {name for name in names if LEFT_OVER.fullmatch(name)}
    strangers = sorted(names - left_over - {IDENTITY})
    if strangers:
        more = f" (and {len(strangers) - 1} more)" if strangers[1:] else ""
        removal.staying.append(
            f"{folder}: stays, for it holds what is not the store's: {strangers[0]}{more}"
        )
    if not really:
        return
    for name in (*left_over, IDENTITY):  # the last is what the folder is known by
        (folder / name).unlink()
    if not strangers:
        try:
            folder.rmdir()
        except OSError as error:
            removal.staying.append(f"{folder}: cannot be removed ({error.strerror})")


if __name__ == "__main__":
    run_stage(main)
