"""Models and benchmarks that come with the project."""

from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.files.bundled import BUNDLED, check_bundled


def bundled_path(kind: str, name: str, suffix: str = "") -> Path:
    """The path of something that comes with the project, below `bundled/{kind}`, if it is whole."""
    folder = BUNDLED / kind
    there = sorted(p.name.removesuffix(suffix) for p in folder.glob(f"*{suffix}"))
    if name not in there:
        raise InputError(
            f"source of kind bundled: no {kind[:-1]} {name!r}; there are: "
            f"{', '.join(there) or 'none'}"
        )
    return check_bundled(folder / (name + suffix))
