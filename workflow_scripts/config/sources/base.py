"""What sources have in common."""

from collections.abc import Iterator
from typing import Literal

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.types import matching


class Source(Entry):
    """Where something comes from."""

    def files(self) -> dict[str, str]:
        """What is made of it by other jobs: the stage's flag and the path."""
        return {}

    def _both(self, *keys: str) -> Iterator[Said]:
        """Keys that are there together or not at all."""
        given = [key for key in keys if getattr(self, key) is not None]
        for key in keys:
            if given and key not in given:
                yield (key,), f"missing; {given[0]} needs it"


class Hub(Source):
    """A repository on the Hugging Face hub."""

    kind: Literal["hub"]
    id: matching(
        "[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", "a hub id of the form owner/name"
    )
    """The repository on the hub."""
    revision: matching(
        "[0-9a-f]{40}",
        "a commit of 40 lowercase hexadecimal digits (a pinned commit; a branch or a tag can move)",
    ) = absent()
    """The commit to download; left out, the one that the main branch has at the first download,
    which config/hub.lock then holds."""
