"""States of a training that are saved on the way to its output: a killed one goes on from the last.

    results/reasoner/wanda-50-lora/.recovery.json.states/0123456789abcdef/step-100

Folders are named by what the training is made from, and of use to the same alone. One is written
whole or not at all, and then the one before it goes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow_scripts.files.atomic import remove, written_atomically

STEP, GONE = "step-", ".gone"


class States:
    """The states on the way to `output`; `request` is a digest of all that they depend on."""

    def __init__(self, output: Path, request: str) -> None:
        self._all = output.with_name(f".{output.name}.states")
        self.folder = self._all / request[:16]

    def last(self) -> Path | None:
        """The folder of the last state, if there is one; what others left goes."""
        for other in self._all.glob("[!.]*"):
            if other != self.folder:
                self._drop(other)
        found = sorted(self.folder.glob(f"{STEP}*"), key=step_of)
        return found[-1] if found else None

    @contextmanager
    def written(self, step: int) -> Iterator[Path]:
        """Yield a folder to fill, which becomes the state after that step."""
        place = self.folder / f"{STEP}{step}"
        with written_atomically(place) as folder:
            folder.mkdir()
            yield folder
            for file in folder.rglob("*"):
                if file.is_file():
                    _to_disk(file)
        for old in self.folder.glob(f"{STEP}*"):
            if old != place:
                self._drop(old)

    def forget(self) -> None:
        """Remove them all: the output is there."""
        for state in self.folder.glob(f"{STEP}*"):
            self._drop(state)
        remove(self._all)

    def _drop(self, folder: Path) -> None:
        """Remove a folder that is whole: at no moment it is less than that under its own name."""
        gone = self._all / GONE
        remove(gone)
        os.replace(folder, gone)
        remove(gone)


def step_of(state: Path) -> int:
    """After which step a state is."""
    return int(state.name.removeprefix(STEP))


def _to_disk(file: Path) -> None:
    """Have a file on the disk before its folder's name is: the power may fail between the two."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
