"""Files of hub repositories, locked, and the hub's many ways to fail as one line each.

The access token is read from the environment variable HF_TOKEN and from nowhere else; it is never
printed. HF_HUB_OFFLINE, the local hub cache (HF_HOME) and a mirror (HF_ENDPOINT) work as
everywhere: what the cache holds is not downloaded again, and offline the cache is all there is.
Where PRUNETHINK_HUB names a folder, files are taken from it and the network is left alone: the
files of a repository are in `{models,datasets}/OWNER/NAME/REVISION/` there, as in the repository
itself; REVISION is `main` where the config has none.
"""

import os
from collections.abc import Callable, Mapping, Sequence
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
    patterns = {"allow_patterns": list(allowed), "ignore_patterns": list(ignored)}
    entry = entry_name(repository_type, source["id"], source.get("revision"))
    folder, commit = _fetch(
        source, repository_type, entry, lock, lambda **asked: snapshot_download(**asked, **patterns)
    )
    # others may have put more of the repository into the same folder
    present = [str(p.relative_to(folder)) for p in sorted(folder.rglob("*")) if p.is_file()]
    return Snapshot(folder, list(filter_repo_objects(present, **patterns)), commit, entry)


def fetch_file(
    source: Mapping[str, Any], repository_type: str, name: str, lock: Path | None = None
) -> Snapshot:
    """Bring one file of a source into the hub cache; otherwise as `fetch_snapshot`.

    Raises `InputError` also for a file that the revision does not have.
    """
    lack = InputError(
        f"hub {repository_type} {source['id']!r}: revision {source.get('revision') or BRANCH!r} "
        f"has no file {name!r}"
    )

    def download(**asked: Any) -> str:
        try:
            return hf_hub_download(filename=name, **asked).removesuffix(name)
        except LocalEntryNotFoundError:
            raise  # nothing is known of the file; it is a kind of the next error
        except EntryNotFoundError:
            raise lack from None

    entry = entry_name(repository_type, source["id"], source.get("revision"), name)
    folder, commit = _fetch(source, repository_type, entry, lock, download)
    if not (folder / name).is_file():
        raise lack
    return Snapshot(folder, [name], commit, entry)


def _fetch(
    source: Mapping[str, Any],
    repository_type: str,
    entry: str,
    lock: Path | None,
    download: Callable[..., str],
) -> tuple[Path, str | None]:
    """The folder and commit of the source's revision, else the locked one, else the main branch."""
    logging.set_verbosity_error()  # its warnings about retries; the last failure is reported
    what, locked = f"hub {repository_type} {source['id']!r}", None
    if not (revision := source.get("revision")):
        locked = locked_commit(lock, entry)
        revision = locked or BRANCH
    if root := os.environ.get(FOLDER):
        place = Path(root, f"{repository_type}s", source["id"], revision)
        if not place.is_dir():
            raise InputError(f"{what}: {FOLDER} is set, and there is no folder {place}")
        return place, None if revision == BRANCH else revision  # of a branch no commit is known
    page = f"{constants.ENDPOINT}/{'datasets/' * (repository_type == 'dataset')}{source['id']}"
    try:
        folder = download(
            repo_id=source["id"],
            repo_type=repository_type,
            revision=revision,
            token=os.environ.get("HF_TOKEN") or False,  # False: no token from a login on disk
        )
    except RevisionNotFoundError:
        todo = f", which is the locked one; {how_to_accept(entry)}" if locked else ""
        raise InputError(f"{what}: there is no revision {revision!r}{todo}") from None
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise InputError(f"{what}: {_explained(error, page, revision)}") from None
    except ValueError as error:
        # a name that leads out of the repository, or an answer that is no JSON
        raise InputError(f"{what}: {' '.join(str(error).split())}") from None
    except httpx.HTTPError as error:
        # what was finished stays in the cache, and the next attempt goes on from there
        why = type(error).__name__
        raise InputError(f"{what}: the download broke off ({why}); run it again") from None
    return Path(folder), Path(folder).name  # the hub's cache names a snapshot after its commit


def _explained(error: Exception, page: str, revision: str) -> str:
    """What an error of the hub's client means and what to do."""
    if isinstance(error, GatedRepoError):
        return (
            f"access is gated; accept the terms at {page} and set the environment variable "
            "HF_TOKEN to a token of the account that did"
        )
    if isinstance(error, RepositoryNotFoundError):
        return "not found; the id is wrong, or it is private and HF_TOKEN gives no access to it"
    if isinstance(error, HFValidationError):
        return "not a repository id such as 'owner/name'"
    if isinstance(error, LocalEntryNotFoundError):
        cache = f"revision {revision!r} is not complete in the local hub cache"
        if constants.HF_HUB_OFFLINE:
            return f"{cache}, and HF_HUB_OFFLINE forbids downloading"
        cause = error.__cause__ or error
        status = getattr(getattr(cause, "response", None), "status_code", None)
        why = f"HTTP status {status}" if status else type(cause).__name__
        return f"{cache}, and the hub cannot be reached ({why})"
    return f"the hub answered with HTTP status {error.response.status_code}"
