"""Put a model where every stage finds it: links to its files, and a manifest with their digests.

    python -m workflow_scripts.download.fetch_model \
        --options '{"kind": "local", "path": "checkpoints/mine"}' \
        --lock config/hub.lock --output resources/models/mine/manifest.json

The folder of the manifest becomes an ordinary Hugging Face folder. Its files are links: relative
to bundled files, so that a clone can be moved; absolute to a local folder or to the hub's cache, so
that no checkpoint takes its space twice. Only a GGUF file is no such folder: it is turned into one,
of real files. Every file is checked, those from the hub against the lock file too, and the model as
a whole; then the folder is put there and the manifest written last: where there is one, the model
is complete. Of the hub config.json comes first: what it describes is judged before weights are
fetched.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.config.entry import parser_of, plain
from workflow_scripts.config.sources import ModelSource
from workflow_scripts.config.sources.base import Source
from workflow_scripts.download.checkpoint_files import CONFIG, check_config, checkpoint_files
from workflow_scripts.download.gguf_conversion import convert, gguf_path
from workflow_scripts.download.hub_lock import enforce
from workflow_scripts.download.sources import bundled_path
from workflow_scripts.download.whole_models import check_model
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json, written_atomically
from workflow_scripts.files.checksums import checksum_file
from workflow_scripts.files.digests import file_digest, files_digest
from workflow_scripts.files.making import record_file
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models.architectures import check_described
from workflow_scripts.models.file_names import ALLOWED, IGNORED

CONVERTED = ".converted"  # in a folder whose files are no links and this stage's own


class Found(NamedTuple):
    """A model's folder, its commit where one is known, and its name in the lock file."""

    folder: Path
    commit: str | None = None
    entry: str | None = None


def _found(source: Source, lock: Path | None) -> Found:
    if source.kind == "bundled":
        return Found(bundled_path("models", source.name))
    if source.kind == "local":
        return Found(Path(source.path))
    from workflow_scripts.download.hub.snapshots import fetch_snapshot

    # Folders inside a repository hold other formats of the same weights, and so does consolidated*.
    ignored = (*IGNORED, "*/*", "consolidated*")
    described = fetch_snapshot(plain(source), "model", [CONFIG], lock=lock).folder / CONFIG
    check_config(described, read_json(described) if described.exists() else None)
    check_described(described.parent)
    # what can be a model of ours: its weights can be many gigabytes
    snapshot = fetch_snapshot(plain(source), "model", ALLOWED, ignored, lock)
    return Found(snapshot.folder, snapshot.commit, snapshot.entry)


def fetch_model(source: Source, manifest: Path, lock: Path | None = None) -> None:
    """Fill the folder of `manifest` with the source's files, then write the manifest.

    The manifest holds the source, its revision (of a GGUF file its sha256; null where there is
    none), the sha256 of every file and `digest`, one digest over them. `lock` is the lock file for
    what comes from the hub. Raises `InputError` for anything wrong with the source; the folder is
    then as it was.
    """
    target = manifest.parent.resolve()  # a folder of models may be a link to another disk
    _refuse_other_files(target, manifest)
    with written_atomically(target) as folder:
        if source.kind == "gguf":
            path = gguf_path(plain(source))
            # what is no file `convert` refuses in its own words
            revision = file_digest(path) if path.is_file() else None
            if revision and source.sha256 not in (None, revision):
                raise InputError(
                    f"{path}: sha256 is {revision}, the config says {source.sha256}; put the right "
                    "file there, or accept this one: set the model's source.sha256 to it"
                )
            folder.mkdir()
            convert(path, folder)
            (folder / CONVERTED).touch()
            names = checkpoint_files(folder)
            digests = {name: file_digest(folder / name) for name in names}
        else:
            found = _found(source, lock)
            names, revision = checkpoint_files(found.folder), found.commit
            digests = {name: file_digest(found.folder / name) for name in names}
            if found.entry:
                enforce(lock, found.entry, found.commit, digests)
            start = found.folder.resolve()
            if source.kind == "bundled":
                start = Path(os.path.relpath(start, target))
            folder.mkdir()
            for name in names:
                (folder / name).symlink_to(start / name)
        # what libraries open is the folder of this stage, without anything else of the source's
        _check(folder, path if source.kind == "gguf" else found.folder)
        record = {
            "source": plain(source),
            "revision": revision,
            "files": digests,
            "digest": files_digest(digests),
        }
    write_json(manifest, record)


def _check(folder: Path, source: Path) -> None:
    """Check the model in `folder`, a temporary one, and speak of where it is from."""
    try:
        check_model(folder)
    except InputError as error:
        raise InputError(str(error).replace(str(folder), str(source))) from None


def _refuse_other_files(target: Path, manifest: Path) -> None:
    """Raise where the folder holds a person's files, which would be lost."""
    if not target.exists() or (target / CONVERTED).exists():
        return
    ours = {path.name for path in (manifest, checksum_file(manifest), record_file(manifest))}
    for path in sorted(target.iterdir()):
        if not path.is_symlink() and path.name not in ours:
            raise InputError(f"{path}: not put there by this stage; move it away")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--options", required=True, help="the model's source, as JSON")
    parser.add_argument("--lock", type=Path, help="the lock file of the hub")
    parser.add_argument("--output", required=True, type=Path, help="manifest.json to write")
    options = parser.parse_args(arguments)
    fetch_model(parser_of(ModelSource)(options.options), options.output, options.lock)


if __name__ == "__main__":
    run_stage(main)
