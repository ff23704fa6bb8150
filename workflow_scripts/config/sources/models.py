"""Where models come from."""

from collections.abc import Iterator
from typing import Literal

from workflow_scripts.config.entry import Said, absent
from workflow_scripts.config.sources.base import Hub, Source
from workflow_scripts.config.types import Name, Sha256, Text, file_name, matching

GgufFile = file_name("gguf", allowed="a .gguf file")


class BundledModel(Source):
    """A model that comes with the project."""

    kind: Literal["bundled"]
    name: Name
    """A folder in bundled/models/."""


class LocalModel(Source):
    """A folder of yours."""

    kind: Literal["local"]
    path: Text
    """A Hugging Face folder with config.json, tokenizer files and *.safetensors (weights in pickle
    files are never opened); relative to the working directory."""


class HubModel(Hub):
    """A model on the Hugging Face hub."""


class Gguf(Source):
    """A GGUF file, which is turned into a Hugging Face folder once."""

    kind: Literal["gguf"]
    path: GgufFile = absent()
    """A GGUF file, which is turned into a Hugging Face folder once."""
    package: matching(
        "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "the name of a Python package"
    ) = absent()
    """An installed Python package that holds the GGUF file."""
    file: GgufFile = absent()
    """The name of the GGUF file in the package."""
    sha256: Sha256 = absent()
    """Digest of the GGUF file; one with another digest stops the run."""

    def contradictions(self) -> Iterator[Said]:
        yield from self._both("package", "file")
        if self.path is None and self.package is None and self.file is None:
            yield ("path",), "missing; kind gguf needs it, or package and file"
        if self.path is not None and self.package is not None:
            yield ("path",), "kind gguf takes either path, or package and file"
