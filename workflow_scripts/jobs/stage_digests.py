"""Digests of stages, as rules take them: kept from one snakemake to the next.

Stages share most of the modules that they import, and each is followed through all of them. While
the package has the same source files, to the byte, nothing of that is done again.
"""

import hashlib
import sys
from contextlib import suppress
from functools import cache

from pydantic import BaseModel, ConfigDict, ValidationError

from workflow_scripts.files.atomic import written_atomically
from workflow_scripts.jobs.source_digests import PACKAGE, source_digest

KEPT = "__pycache__/stage_digests.json"


class _Kept(BaseModel):
    """Digests of stages, by the names of their modules, and one of the sources they are of."""

    model_config = ConfigDict(strict=True, extra="forbid")
    sources: str
    digests: dict[str, str] = {}


@cache
def stage_digest(*modules: str) -> str:
    """What `source_digest` says of modules, of the sources as they are when it is asked first."""
    kept, names = _kept(), " ".join(modules)
    if names not in kept.digests:
        kept.digests[names] = source_digest(*modules)
        _keep(kept)
    return kept.digests[names]


@cache
def _kept() -> _Kept:
    """What is kept, if it is of the same sources."""
    sources = _sources_digest()
    with suppress(OSError, ValidationError):
        kept = _Kept.model_validate_json((PACKAGE / KEPT).read_bytes())
        if kept.sources == sources:
            return kept
    return _Kept(sources=sources)


def _keep(kept: _Kept) -> None:
    if not sys.dont_write_bytecode:
        # a folder that may only be read, or another process that does the same
        with suppress(OSError), written_atomically(PACKAGE / KEPT, checksum=False) as temporary:
            temporary.write_text(kept.model_dump_json(), encoding="utf-8")


def _sources_digest() -> str:
    """sha256 over the names and bytes of all source files of the package."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE)} {len(source)}\n".encode() + source)
    return digest.hexdigest()
