"""What comes with the project, in `bundled/`, held against the digests in bundled/SHA256SUMS."""

from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import file_digest
from workflow_scripts.paths import BUNDLED

SUMS = "SHA256SUMS"


def check_bundled(path: Path) -> Path:
    """The path of a bundled file or folder again.

    Raises `InputError` where a file is gone or is not the one that came with the project; one that
    the list does not have is taken as it is.
    """
    for line in (BUNDLED / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        file = BUNDLED / name
        if file != path and path not in file.parents:
            continue
        found = file_digest(file) if file.exists() else None
        if found != digest:
            damage = "is missing" if found is None else f"has sha256 {found}"
            raise InputError(
                f"bundled/{name}: {damage}, bundled/{SUMS} says {digest}; restore the file: "
                f"git checkout -- bundled/{name}"
            )
    return path
