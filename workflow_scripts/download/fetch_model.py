"""Put a model where every stage finds it: links to its files, and a manifest with their digests.

    python -m workflow_scripts.download.fetch_model \
        --source '{"kind": "local", "path": "checkpoints/mine"}' \
        --lock config/hub.lock --output resources/models/mine/manifest.json

The folder of the manifest becomes an ordinary Hugging Face folder. Its files are links: relative
to bundled files, so that a clone can be moved; absolute to a local folder or to the hub's cache, so
that no checkpoint stands twice on a disk. Only a GGUF file is no such folder: it is turned into
one, of real files, which `.converted.json` lists as this stage's own. Every file is checked before
the first one is put there, those from the hub against the lock file too, and the manifest is
written last: where it stands, the model is complete.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.download.checkpoint_files import checkpoint_files
from workflow_scripts.download.gguf_conversion import convert, gguf_path
from workflow_scripts.download.hub_lock import enforce
from workflow_scripts.download.sources import Fields, bundled_path, parse_source
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json, written_atomically
from workflow_scripts.files.digests import file_digest, files_digest
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models.file_names import ALLOWED, IGNORED

CONVERTED = ".converted.json"
CONVERTING = ".converting."

KINDS = {
    "hub": Fields(required={"id": str}, optional={"revision": str}),
    "local": Fields(required={"path": str}, optional={}),
    "bundled": Fields(required={"name": str}, optional={}),
    "gguf": Fields(required={}, optional={"path": str, "package": str, "file": str}),
}


class Found(NamedTuple):
    """A model's folder, its commit where one is known, and its name in the lock file."""

    folder: Path
    commit: str | None = None
    entry: str | None = None


def _from_hub(source: Mapping[str, Any], lock: Path | None) -> Found:
    from workflow_scripts.download.hub.snapshots import (
        fetch_snapshot,  # the other kinds need no hub library
    )

    # Folders inside a repository hold other forms of the same weights, and so does consolidated*.
    ignored = (*IGNORED, "*/*", "consolidated*")
    snapshot = fetch_snapshot(source, "model", ALLOWED, ignored, lock)
    return Found(snapshot.folder, snapshot.commit, snapshot.entry)


def _from_folder(source: Mapping[str, Any], _: Path | None) -> Found:
    return Found(Path(source["path"]))


def _from_bundle(source: Mapping[str, Any], _: Path | None) -> Found:
    return Found(bundled_path("models", source["name"]))


SOURCES: dict[str, Callable[[Mapping[str, Any], Path | None], Found]] = {
    "hub": _from_hub,
    "local": _from_folder,
    "bundled": _from_bundle,
}


def fetch_model(source: Mapping[str, Any], manifest: Path, lock: Path | None = None) -> None:
    """Fill the folder of `manifest` with the source's files, then write the manifest.

    The manifest holds the source, its revision (of a GGUF file its sha256; null where there is
    none), the sha256 of every file and `digest`, one digest over them. `lock` is the lock file for
    what comes from the hub. Raises `InputError` for anything wrong with the source; the folder is
    then as it was.
    """
    if source["kind"] == "gguf":
        digests, revision = _convert(source, manifest)
    else:
        found = SOURCES[source["kind"]](source, lock)
        relative = source["kind"] == "bundled"
        digests, revision = _link_to(found, manifest, lock, relative=relative)
    record = {
        "source": dict(source),
        "revision": revision,
        "files": digests,
        "digest": files_digest(digests),
    }
    write_json(manifest, record)


def _link_to(
    found: Found, manifest: Path, lock: Path | None, *, relative: bool
) -> tuple[dict[str, str], str | None]:
    """Put links to a folder's files beside the manifest: their digests and the revision."""
    folder, target = found.folder, manifest.parent
    if target.exists() and folder.exists() and folder.samefile(target):
        raise InputError(f"{folder}: is the folder that the model would be put into")
    names = checkpoint_files(folder)
    _refuse_strangers(target, manifest.name)
    digests = {name: file_digest(folder / name) for name in names}
    if found.entry:
        enforce(lock, found.entry, found.commit, digests)
    manifest.unlink(missing_ok=True)
    _remove_converted(target)
    _link(folder, names, target, relative=relative)
    return digests, found.commit


def _convert(source: Mapping[str, Any], manifest: Path) -> tuple[dict[str, str], str]:
    """Turn a GGUF file into files beside the manifest: their digests and that of the GGUF."""
    path, target = gguf_path(source), manifest.parent
    _refuse_strangers(target, manifest.name)
    target.mkdir(parents=True, exist_ok=True)
    for broken_off in target.glob(f"{CONVERTING}*"):
        shutil.rmtree(broken_off)
    # in the same folder, so that the files need only be renamed
    with tempfile.TemporaryDirectory(prefix=CONVERTING, dir=target) as made:
        folder = Path(made)
        convert(path, folder)
        digests = {name: file_digest(folder / name) for name in checkpoint_files(folder)}
        revision = file_digest(path)
        manifest.unlink(missing_ok=True)
        _remove_converted(target)
        _link(folder, [], target, relative=False)  # removes links of an earlier source
        write_json(target / CONVERTED, digests, checksum=False)
        for name in digests:
            os.replace(folder / name, target / name)
    return digests, revision


def _refuse_strangers(target: Path, manifest: str) -> None:
    """Raise where the folder holds files that neither are links nor were converted: not ours."""
    if not target.exists():
        return
    ours = {manifest, *_converted(target)}
    for path in sorted(target.iterdir()):
        if not path.is_symlink() and path.name not in ours and not path.name.startswith("."):
            raise InputError(f"{path}: not put there by this stage; move it away")


def _converted(target: Path) -> list[str]:
    """Names of the files that an earlier conversion put into the folder."""
    record = target / CONVERTED
    digests = read_json(record) if record.exists() else {}
    there = [name for name in digests if (target / name).is_file()]
    return [name for name in there if file_digest(target / name) == digests[name]]


def _remove_converted(target: Path) -> None:
    for name in _converted(target):
        (target / name).unlink()
    (target / CONVERTED).unlink(missing_ok=True)


def _link(folder: Path, names: Sequence[str], target: Path, *, relative: bool) -> None:
    """Link every name in `target` to its file in `folder`; remove links of an earlier source."""
    target.mkdir(parents=True, exist_ok=True)
    start = folder.resolve()
    # a relative link is read from where it really stands, whatever links lead there
    to = Path(os.path.relpath(start, target.resolve())) if relative else start
    for path in sorted(target.iterdir()):
        if path.is_symlink() and path.name not in names:
            path.unlink()
    for name in names:
        with written_atomically(target / name, checksum=False) as temporary:
            temporary.symlink_to(to / name)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, help="the model's source, as JSON")
    parser.add_argument("--lock", type=Path, help="the lock file of the hub")
    parser.add_argument("--output", required=True, type=Path, help="manifest.json to write")
    options = parser.parse_args(arguments)
    fetch_model(parse_source(options.source, KINDS), options.output, options.lock)


if __name__ == "__main__":
    run_stage(main)
