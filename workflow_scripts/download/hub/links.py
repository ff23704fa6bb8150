"""Links in folders that somebody else made: which are followed, and which lead out of their place.

A repository can hold links, and a clone or a mirror of it has them too. Files of a hub repository
may be links inside their own repository alone, as in the hub's cache, where they lead from a
snapshot to the blobs beside it. A local model folder is its user's, who may have put shards on
another disk: its links may lead anywhere, but to a file of the same kind.
"""

from pathlib import Path

from workflow_scripts.errors import InputError

BLOBS = "blobs"  # of the hub's cache: files named by their digest, without a suffix
CHECKED = ".safetensors"  # what has to have a header of its own cannot be another kind of file


def refuse_links_out(folder: Path, name: str, what: str) -> None:
    """Raise `InputError` where the file `name` of the repository in `folder` is not inside it.

    `what` names the repository in the message.
    """
    place = folder.resolve()  # the folder itself may be a link of the user's
    if place.parent.name == "snapshots":
        place = place.parent.parent  # the repository in the hub's cache
    target = (folder / name).resolve()
    if not target.is_relative_to(place):
        raise InputError(
            f"{what}: {name} is a link to {target}, which is outside the repository; it is not "
            "followed, put the file itself there"
        )


def refuse_link_to_other_kind(path: Path) -> None:
    """Raise `InputError` where a file of a local model is a link to a file of another kind."""
    if not path.is_symlink() or path.suffix == CHECKED:
        return
    target = path.resolve()
    if target.suffix != path.suffix and target.parent.name != BLOBS:
        raise InputError(
            f"{path}: a link to {target}, which is no {path.suffix} file; it is not followed, put "
            "the file itself there"
        )
