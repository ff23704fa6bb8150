"""Files that a test changes as a person may: without the seal that would tell of the change."""

from pathlib import Path

from workflow_scripts.seals import seal_of


def unsealed(path: Path) -> Path:
    """The same path, its seal gone."""
    seal_of(path).unlink(missing_ok=True)
    return path
