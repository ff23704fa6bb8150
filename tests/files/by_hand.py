"""Files that a test changes as a person may: without the checksum that would tell of the change."""

from pathlib import Path

from workflow_scripts.files.checksums import checksum_file


def without_checksum(path: Path) -> Path:
    """The same path, its checksum gone."""
    checksum_file(path).unlink(missing_ok=True)
    return path
