"""Bring a file of texts from the hub to where calibration finds it, with a manifest.

Calibration sets and influence sets of kind hub are drawn from such a file.

    python -m workflow_scripts.download.fetch_corpus \
        --source '{"kind": "hub", "id": "owner/name", "revision": "0123...", "file": "en/a.json.gz",
                   "text": "text"}' \
        --lock config/hub.lock --output resources/corpora/mine/manifest.json

Beside the manifest is a link to the file in the hub's cache, so that a corpus is on a disk once.
The manifest holds the source, the commit (null where a folder is used instead of the hub and none
is known) and the file's sha256.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.download.hub_lock import enforce
from workflow_scripts.download.sources import Fields, parse_source
from workflow_scripts.files.atomic import write_json, written_atomically
from workflow_scripts.files.digests import file_digest
from workflow_scripts.jobs.stage import run_stage

KINDS = {
    "hub": Fields(
        required={"id": str, "file": str},
        optional={"revision": str, "text": str, "prompt": str, "completion": str},
    )
}


def fetch_corpus(source: Mapping[str, Any], manifest: Path, lock: Path | None = None) -> None:
    """Link the source's file beside the manifest, then write it; `lock` is the lock file.

    Raises `InputError` for anything that keeps the file from being fetched.
    """
    from workflow_scripts.download.hub.snapshots import fetch_file

    fetched = fetch_file(source, "dataset", source["file"], lock)
    file = fetched.folder / source["file"]
    digest = file_digest(file)
    enforce(lock, fetched.entry, fetched.commit, {source["file"]: digest})
    name = file.name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    for path in manifest.parent.iterdir():
        if path.is_symlink():  # to the file of an earlier source
            path.unlink()
    with written_atomically(manifest.parent / name, checksum=False) as temporary:
        temporary.symlink_to(file.resolve())
    record = {"source": dict(source), "revision": fetched.commit, "files": {name: digest}}
    write_json(manifest, record)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, help="the corpus' source, as JSON")
    parser.add_argument("--lock", type=Path, help="the lock file of the hub")
    parser.add_argument("--output", required=True, type=Path, help="manifest.json to write")
    options = parser.parse_args(arguments)
    fetch_corpus(parse_source(options.source, KINDS), options.output, options.lock)


if __name__ == "__main__":
    run_stage(main)
