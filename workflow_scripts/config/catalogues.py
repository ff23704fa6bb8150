"""What things are: models, benchmarks, calibration sets and influence sets."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.sources import ModelSource, source_of
from workflow_scripts.config.types import Count, Seed, Sha256, fitting, named


class Sourced(Entry):
    """An entry that is made from a source."""

    def files(self) -> dict[str, str]:
        """What it is made from by other jobs: the stage's flag and the path."""
        return self.source.files()


class Model(Sourced):
    """A dense checkpoint."""

    source: ModelSource
    """Where the checkpoint comes from."""
    thinking: named("thinking_formats")
    """A name from `thinking_formats`."""
    parameters: Count = absent()
    """How many weights the model has, for cost and cluster before it is fetched."""


class Benchmark(Sourced):
    """A set of problems."""

    source: source_of("benchmarks")
    """Where the problems come from."""
    problems: Count = absent()
    """How many problems it has; another number stops the run."""
    sha256: Sha256 = absent()
    """Digest of the normalised file resources/benchmarks/{benchmark}.jsonl; a file with another
    digest stops the run."""


class CalibrationSet(Sourced):
    """Token sequences that statistics are collected on."""

    source: source_of("calibration_sets")
    """Where the texts come from."""
    sampling: Literal["packed", "windows", "passages"] = "packed"
    """Texts put end to end and cut into sequences (packed), a random piece of each of some texts
    that are longer than a sequence (windows, the paper's recipe for Wanda), or the beginnings of
    random passages, of which long texts have more (passages, its recipe for ShortGPT)."""
    passage: Count = absent()
    """With sampling passages: characters of whole lines that make up a passage, at most."""
    samples: Count
    """How many token sequences are drawn."""
    length: Count
    """Tokens in each sequence."""
    seed: Seed = 0
    """Decides which sequences are drawn."""

    def contradictions(self) -> Iterator[Said]:
        if self.sampling == "passages" and self.source.kind == "generated":
            yield ("sampling",), "passages is not allowed with kind generated; must be packed"
        elif self.sampling == "passages" and self.passage is None:
            yield ("passage",), "missing; sampling passages needs it"
        elif self.sampling != "passages" and self.passage is not None:
            yield ("passage",), f"not allowed with sampling {self.sampling}"


class InfluenceSet(Sourced):
    """Rows that the influence of blocks is scored on."""

    source: source_of("influence_sets")
    """Where the prompts and completions come from."""
    train_samples: Count
    """How many rows are drawn whose influence is scored."""
    validation_samples: Count
    """How many other rows are drawn whose mean loss the influence is on."""
    length: Annotated[int, Field(ge=2), AfterValidator(fitting)]
    """Tokens of a row, prompt and completion; what is longer is cut."""
    seed: Seed = 0
    """Decides which rows are drawn."""
    hessian: Literal["identity", "datainf"] = "identity"
    """What stands for the Hessian: the identity (the paper), or DataInf's closed form (arXiv
    2310.00902), with three backward passes for each train row where `identity` has one."""
