"""Files of hub repositories, locked, and the hub's many ways to fail as one line each.

The access token is read from the environment variable HF_TOKEN and from nowhere else; it is never
printed. HF_HUB_OFFLINE, the local hub cache (HF_HOME) and a mirror (HF_ENDPOINT) work as
everywhere: what the cache holds is not downloaded again, and offline the cache is all there is.
Where PRUNETHINK_HUB names a folder, files are taken from it and the network is left alone: the
files of a repository stand in `{models,datasets}/OWNER/NAME/REVISION/` there, as in the repository
itself; REVISION is `main` where the config has none.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects, httpx, logging

from workflow_scripts.download.hub.links import refuse_links_out
from workflow_scripts.download.hub_lock import entry_name, how_to_accept, locked_commit
from workflow_scripts.errors import InputError

FOLDER = "PRUNETHINK_HUB"
BRANCH = "main"


class Snapshot(NamedTuple):
    """Files of one revision: their folder, sorted names, and the commit (None: not known).

    `entry` is their name in the lock file.
    """

    folder: Path
    names: list[str]
    commit: str | None
    entry: str


class NoSuchRevision(InputError):
    """The repository is there, and has no such revision."""


def fetch_snapshot(
    source: Mapping[str, Any],
    repository_type: str,
    allowed: Sequence[str],
    ignored: Sequence[str] = (),
    lock: Path | None = None,
) -> Snapshot:
    """Bring the files of a source that match into the hub cache.

    A source has an `id` and may have a `revision`; without one it is the commit in the lock file,
    else the main branch. Nothing is compared with the lock file here. Raises `InputError`, one
    line, for a repository or revision that is not there, needs access that the token does not give,
    or cannot be reached and is not in the cache.
    """

    def fetch(revision: str) -> tuple[Path, str | None]:
        place = _local(source["id"], repository_type, revision)
        if place is not None:
            return place, _commit(revision)
        with _one_line_errors(source["id"], repository_type, revision):
            folder = snapshot_download(
                source["id"],
                repo_type=repository_type,
                revision=revision,
                allow_patterns=list(allowed),
                ignore_patterns=list(ignored),
                token=os.environ.get("HF_TOKEN") or False,  # False: no token from a login on disk
            )
        # the hub's cache names a snapshot's folder after its commit
        return Path(folder), Path(folder).name

    entry = entry_name(repository_type, source["id"], source.get("revision"))
    folder, commit = _at_revision(source, entry, lock, fetch)
    # others may have put more of the repository into the same folder
    present = [str(p.relative_to(folder)) for p in sorted(folder.rglob("*")) if p.is_file()]
    names = list(
        filter_repo_objects(present, allow_patterns=list(allowed), ignore_patterns=list(ignored))
    )
    for name in names:
        refuse_links_out(folder, name, _spoken(repository_type, source["id"]))
    return Snapshot(folder, names, commit, entry)


def fetch_file(
    source: Mapping[str, Any], repository_type: str, name: str, lock: Path | None = None
) -> Snapshot:
    """Bring one file of a source into the hub cache; otherwise as `fetch_snapshot`.

    Raises `InputError` also for a file that the revision does not have.
    """

    def fetch(revision: str) -> tuple[Path, str | None]:
        what = _spoken(repository_type, source["id"])
        lack = f"{what}: revision {revision!r} has no file {name!r}"
        place = _local(source["id"], repository_type, revision)
        if place is not None:
            if not (place / name).is_file():
                raise InputError(f"{lack} in the folder of {FOLDER}")
            return place, _commit(revision)
        with _one_line_errors(source["id"], repository_type, revision):
            try:
                file = hf_hub_download(
                    source["id"],
                    name,
                    repo_type=repository_type,
                    revision=revision,
                    token=os.environ.get("HF_TOKEN") or False,
                )
            except LocalEntryNotFoundError:
                raise  # nothing is known of the file; it is a kind of the next error
            except EntryNotFoundError:
                raise InputError(lack) from None
        folder = Path(file.removesuffix(name))
        return folder, folder.name

    entry = entry_name(repository_type, source["id"], source.get("revision"), name)
    folder, commit = _at_revision(source, entry, lock, fetch)
    refuse_links_out(folder, name, _spoken(repository_type, source["id"]))
    return Snapshot(folder, [name], commit, entry)


def _at_revision(
    source: Mapping[str, Any],
    entry: str,
    lock: Path | None,
    fetch: Callable[[str], tuple[Path, str | None]],
) -> tuple[Path, str | None]:
    """Fetch the source's revision, else the locked commit, else the main branch."""
    logging.set_verbosity_error()  # its warnings about retries; the last failure is reported
    if source.get("revision"):
        return fetch(source["revision"])
    locked = locked_commit(lock, entry)
    if locked is None:
        return fetch(BRANCH)
    try:
        return fetch(locked)
    except NoSuchRevision as error:
        raise InputError(f"{error}, which is the locked one; {how_to_accept(entry)}") from None


def _local(repository: str, repository_type: str, revision: str) -> Path | None:
    """The repository's folder where a folder stands for the hub, else None."""
    root = os.environ.get(FOLDER)
    if not root:
        return None
    place = Path(root, f"{repository_type}s", repository, revision)
    if not place.is_dir():
        raise InputError(
            f"{_spoken(repository_type, repository)}: {FOLDER} is set, and there is no folder "
            f"{place}"
        )
    return place


def _spoken(repository_type: str, repository: str) -> str:
    return f"hub {repository_type} {repository!r}"


def _commit(revision: str) -> str | None:
    """The revision where it can be a commit; of a branch in a folder none is known."""
    return None if revision == BRANCH else revision


@contextmanager
def _one_line_errors(repository: str, repository_type: str, revision: str) -> Iterator[None]:
    what = _spoken(repository_type, repository)
    room = "datasets/" if repository_type == "dataset" else ""
    page = f"{constants.ENDPOINT}/{room}{repository}"
    given = bool(os.environ.get("HF_TOKEN"))
    try:
        yield
    except GatedRepoError:
        if given:
            todo = f"the account of HF_TOKEN has not been granted it; accept the terms at {page}"
        else:
            todo = (
                f"accept the terms at {page} with an account of yours, then set the environment "
                "variable HF_TOKEN to a token of that account"
            )
        raise InputError(f"{what}: access is gated; {todo}") from None
    except RepositoryNotFoundError:
        todo = "HF_TOKEN gives no access to it" if given else "it needs HF_TOKEN"
        raise InputError(
            f"{what}: not found; the id is wrong, or it is private and {todo}"
        ) from None
    except RevisionNotFoundError:
        raise NoSuchRevision(f"{what}: there is no revision {revision!r}") from None
    except LocalEntryNotFoundError as error:
        cache = f"revision {revision!r} is not complete in the local hub cache"
        if constants.HF_HUB_OFFLINE:
            raise InputError(f"{what}: {cache}, and HF_HUB_OFFLINE forbids downloading") from None
        cause = error.__cause__ or error
        why = type(cause).__name__
        if isinstance(cause, HfHubHTTPError):
            why = f"HTTP status {cause.response.status_code}"
        raise InputError(f"{what}: {cache}, and the hub cannot be reached ({why})") from None
    except HFValidationError:
        raise InputError(f"{what}: not a repository id such as 'owner/name'") from None
    except ValueError as error:
        # a name that leads out of the repository, or an answer that is no JSON
        raise InputError(f"{what}: {' '.join(str(error).split())}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise InputError(f"{what}: the hub answered with HTTP status {status}") from None
    except httpx.HTTPError as error:
        # what was finished stays in the cache, and the next attempt goes on from there
        why = type(error).__name__
        raise InputError(f"{what}: the download broke off ({why}); run it again") from None
