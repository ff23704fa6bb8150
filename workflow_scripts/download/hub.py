"""Snapshots of hub repositories, and the hub's many ways to fail as one line each.

The access token is read from the environment variable HF_TOKEN and from nowhere else; it is never
printed. HF_HUB_OFFLINE and the local hub cache (HF_HOME) work as everywhere: what the cache holds
is not downloaded again, and offline the cache is all there is.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
from huggingface_hub.utils import httpx, logging

from workflow_scripts.errors import InputError


def fetch_snapshot(
    repository: str,
    revision: str,
    repository_type: str,
    allowed: Sequence[str],
    ignored: Sequence[str] = (),
) -> tuple[Path, str]:
    """Bring the matching files of one revision into the hub cache: their folder and the commit.

    Raises `InputError`, one line, for a repository or revision that is not there, needs access
    that the token does not give, or cannot be reached and is not in the cache.
    """
    logging.set_verbosity_error()  # its warnings about retries; the last failure is reported below
    with _one_line_errors(f"hub {repository_type} {repository!r}", revision):
        folder = snapshot_download(
            repository,
            repo_type=repository_type,
            revision=revision,
            allow_patterns=list(allowed),
            ignore_patterns=list(ignored),
            token=os.environ.get("HF_TOKEN") or False,  # False: no token from a login on disk
        )
    # the hub's cache names a snapshot's folder after its commit
    return Path(folder), Path(folder).name


def fetch_file(repository: str, revision: str, repository_type: str, name: str) -> Path:
    """Bring one file of one revision into the hub cache: its place there.

    Raises `InputError` as `fetch_snapshot` does, and for a file that the revision does not have.
    """
    logging.set_verbosity_error()
    with _one_line_errors(f"hub {repository_type} {repository!r}", revision):
        try:
            file = hf_hub_download(
                repository,
                name,
                repo_type=repository_type,
                revision=revision,
                token=os.environ.get("HF_TOKEN") or False,
            )
        except LocalEntryNotFoundError:
            raise  # nothing is known of the file; it is a kind of the next error
        except EntryNotFoundError:
            what = f"hub {repository_type} {repository!r}"
            raise InputError(f"{what}: revision {revision!r} has no file {name!r}") from None
    return Path(file)


@contextmanager
def _one_line_errors(what: str, revision: str) -> Iterator[None]:
    given = bool(os.environ.get("HF_TOKEN"))
    try:
        yield
    except GatedRepoError:
        if given:
            todo = "the account of HF_TOKEN has not been granted access; ask for it on its page"
        else:
            todo = "ask for access on its page, then set the environment variable HF_TOKEN"
        raise InputError(f"{what}: access is gated; {todo}") from None
    except RepositoryNotFoundError:
        todo = "HF_TOKEN gives no access to it" if given else "it needs HF_TOKEN"
        raise InputError(
            f"{what}: not found; the id is wrong, or it is private and {todo}"
        ) from None
    except RevisionNotFoundError:
        raise InputError(f"{what}: there is no revision {revision!r}") from None
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
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise InputError(f"{what}: the hub answered with HTTP status {status}") from None
    except httpx.HTTPError as error:
        # what was finished stays in the cache, and the next attempt goes on from there
        why = type(error).__name__
        raise InputError(f"{what}: the download broke off ({why}); run it again") from None
