"""Bring a file of texts from the hub to where calibration finds it, with a manifest.

Calibration sets and influence sets of kind hub are drawn from such a file.

    python -m workflow_scripts.download.fetch_corpus \
        --options '{"kind": "hub", "id": "owner/name", "file": "en/a.json.gz"}' \
        --lock config/hub.lock --output resources/corpora/mine/manifest.json

Beside the manifest is a link to the file in the hub's cache, so that a corpus is on a disk once.
The manifest holds the source, the commit (null where a folder is used instead of the hub and none
is known) and the file's sha256.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.config.entry import parser_of, plain
from workflow_scripts.config.sources.texts import HubFile
from workflow_scripts.download.hub_lock import enforce
from workflow_scripts.files.atomic import write_json, written_atomically
from workflow_scripts.files.digests import file_digest
from workflow_scripts.jobs.stage import run_stage


def fetch_corpus(source: HubFile, manifest: Path, lock: Path | None = None) -> None:
    """Link the source's file beside the manifest, then write it; `lock` is the lock file.

    Raises `InputError` for anything that keeps the file from being fetched.
    """
    from workflow_scripts.download.hub.snapshots import fetch_file

    fetched = fetch_file(plain(source), "dataset", source.file, lock)
    file = fetched.folder / source.file
    digest = file_digest(file)
    enforce(lock, fetched.entry, fetched.commit, {source.file: digest})
    name = file.name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    for path in manifest.parent.iterdir():
        if path.is_symlink():  # to the file of an earlier source
            path.unlink()
    with written_atomically(manifest.parent / name, checksum=False) as temporary:
        temporary.symlink_to(file.resolve())
    record = {"source": plain(source), "revision": fetched.commit, "files": {name: digest}}
    write_json(manifest, record)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--options", required=True, help="the file on the hub, as JSON")
    parser.add_argument("--lock", type=Path, help="the lock file of the hub")
    parser.add_argument("--output", required=True, type=Path, help="manifest.json to write")
    options = parser.parse_args(arguments)
    fetch_corpus(parser_of(HubFile)(options.options), options.output, options.lock)


if __name__ == "__main__":
    run_stage(main)
