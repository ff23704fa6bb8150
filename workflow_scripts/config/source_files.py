"""The files that a config's sources name: where they are, and which of them are not there."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from workflow_scripts.config.messages import KeyPath, Problem, shown, unknown_name
from workflow_scripts.config.sources.base import Source
from workflow_scripts.files.digests import file_digest, files_digest
from workflow_scripts.models.file_names import may_be_of_checkpoint
from workflow_scripts.paths import BUNDLED

# the folder of each catalogue's bundled things, and what their names end in there
BUNDLED_FOLDERS = {
    "models": ("models", ""),
    "benchmarks": ("benchmarks", ".jsonl"),
    "texts": ("calibration", ".jsonl"),
    "calibration_sets": ("calibration", ".jsonl"),
    "influence_sets": ("calibration", ".jsonl"),
}
BYTES_READ_WHOLE = 64 << 20
PAGE_BYTES, SAMPLED_PAGES = 4096, 1024
MODEL_FILES = "must be a folder with config.json and weights as *.safetensors"


def source_files(catalogue: str, source: Source, root: Path = Path(".")) -> list[Path]:
    """The files on this machine that a source of `catalogue` consists of; none for the hub.

    Rules take them as inputs, so that an edited file is noticed. Paths are relative to the working
    directory where the config's are and where bundled files are below it.
    """
    path = _source_path(catalogue, source, root)
    if path is None:
        return []
    if os.path.isdir(path):
        return sorted(p for p in path.iterdir() if p.is_file() and may_be_of_checkpoint(p.name))
    return [path]


def sources_digest(files: Iterable[str | Path]) -> str:
    """A digest of what sources hold: large files by their sizes and by pages spread over them.

    A parameter of the rules that read sources. As an input, a file counts as changed only where it
    is newer than what was made from it, and one that is moved or copied into its place may not be.
    Files that cannot be read count as empty: saying so is the business of others.
    """
    return files_digest({Path(file).name: _digest_or_sample(Path(file)) for file in files})


def _digest_or_sample(file: Path) -> str:
    try:
        size = file.stat().st_size
        if size <= BYTES_READ_WHOLE:
            return file_digest(file)
        digest = hashlib.sha256(str(size).encode())
        with file.open("rb") as opened:
            for page in range(SAMPLED_PAGES):
                opened.seek((size - PAGE_BYTES) * page // (SAMPLED_PAGES - 1))
                digest.update(opened.read(PAGE_BYTES))
        return digest.hexdigest()
    except OSError:
        return ""


def checkpoint_shards(model: str, source: Source, root: Path = Path(".")) -> list[Path]:
    """The files of a model's weights, where it is fetched or on this machine; else none."""
    fetched = root / "resources" / "models" / model
    local = source.kind in ("local", "bundled")
    files = source_files("models", source, root) if local else []
    if (fetched / "manifest.json").exists():
        files = sorted(fetched.iterdir())
    return [file for file in files if file.suffix == ".safetensors" and file.is_file()]


def missing_source(path: KeyPath, catalogue: str, source: Source, root: Path) -> Iterator[Problem]:
    """Whether files of a source are not there; `path` is the source's place in the config.

    Looks only at what is there, not into it: opening files is the business of the stages.
    """
    place = _source_path(catalogue, source, root)
    if source.kind == "bundled":
        there = _bundled_names(catalogue)
        if source.name not in there:
            folder = f"bundled/{BUNDLED_FOLDERS[catalogue][0]}"
            yield unknown_name((*path, "name"), source.name, there, folder)
    elif place is not None:
        folder = catalogue == "models" and source.kind == "local"
        check = _model_problem if folder else _file_problem
        yield from _missing((*path, "path"), source.path, check(place))


def missing_file(path: KeyPath, file: str, root: Path) -> Iterator[Problem]:
    """Whether a file that the config's key at `path` names is not there."""
    yield from _missing(path, file, _file_problem(root / file))


def _missing(path: KeyPath, given: str, problem: str | None) -> Iterator[Problem]:
    if "{" in given:  # where it is a wildcard's, Snakemake finds nothing to put there
        problem = "has braces, which Snakemake takes for wildcards; rename what has them"
    if problem:
        yield Problem(path, f"{shown(given)} {problem}")


def _source_path(catalogue: str, source: Source, root: Path) -> Path | None:
    if getattr(source, "path", None) is not None:
        return root / source.path
    if source.kind == "bundled":
        folder, suffix = BUNDLED_FOLDERS[catalogue]
        place = BUNDLED / folder / (source.name + suffix)
        here = Path.cwd()
        return place.relative_to(here) if place.is_relative_to(here) else place
    return None


def _bundled_names(catalogue: str) -> list[str]:
    folder, suffix = BUNDLED_FOLDERS[catalogue]
    if catalogue == "models":
        return sorted(config.parent.name for config in (BUNDLED / folder).glob("*/config.json"))
    return sorted(file.name.removesuffix(suffix) for file in (BUNDLED / folder).glob(f"*{suffix}"))


# os.path and not Path: names too long for the file system are "not there", and no exception


def _model_problem(folder: Path) -> str | None:
    if not os.path.isdir(folder):
        state = "is not a folder" if os.path.exists(folder) else "does not exist"
        return f"{state}; {MODEL_FILES}"
    if not os.access(folder, os.R_OK | os.X_OK):
        return f"may not be read; {MODEL_FILES}"
    if not os.path.isfile(folder / "config.json"):
        return f"has no config.json; {MODEL_FILES}"
    if not any(name.endswith(".safetensors") for name in os.listdir(folder)):
        return f"has no *.safetensors; {MODEL_FILES}"
    return None


def _file_problem(file: Path) -> str | None:
    if os.path.isfile(file) and os.access(file, os.R_OK):
        return None
    is_file = "may not be read" if os.path.isfile(file) else "is not a file"
    state = is_file if os.path.exists(file) else "does not exist"
    return f"{state}; must be the path of a file"
