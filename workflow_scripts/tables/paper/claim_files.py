"""Claims about tasks as files say them: `config/published/claims_*.yaml`.

The file of arXiv 2601.18091 says at its top what its keys mean.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from workflow_scripts.artefacts.json_files import checked
from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.overlays import read_config_file
from workflow_scripts.paths import CONFIG

FOLDER = CONFIG / "published"
PATTERN = "claims_*.yaml"

Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]  # a list, as YAML has them


class Chosen(Entry):
    """Variants by what they take out and by method; without either, all that take something."""

    families: Names = absent()
    methods: Names = absent()

    def __str__(self) -> str:
        said = [
            f"{noun} {' or '.join(names)}"
            for noun, names in (("family", self.families), ("method", self.methods))
            if names
        ]
        return f"of {' and '.join(said)}" if said else "that takes something out"


class OfVariants(Entry):
    """Variants against others that remove about as much."""

    kind: Literal["variants"]
    better: Chosen
    worse: Chosen
    at_equal: Literal["removed_of_all", "unused"]


class OfTexts(Chosen):
    """Variants that differ in nothing but texts, the model's own or the more of them first."""

    kind: Literal["texts"]
    of: Literal["calibration", "recovery", "samples"]


class OfTraining(Chosen):
    """Variants that were trained after pruning against the same that were not."""

    kind: Literal["training"]


class OfModels(Chosen):
    """What variants cost the model that thinks, less what they cost the one that does not."""

    kind: Literal["models"]


Comparison = Annotated[OfVariants | OfTexts | OfTraining | OfModels, Field(discriminator="kind")]


class Claim(Entry):
    """One claim: it holds where `compares`, less `than`, comes out above 0."""

    says: str
    where: str
    tasks: Names = absent()
    model: Literal["instruct", "think"] = absent()
    compares: Comparison
    than: Comparison = absent()
    small: bool = False

    def contradictions(self) -> Iterator[Said]:
        of_models = [one for one in (self.compares, self.than) if isinstance(one, OfModels)]
        if of_models and (self.than is not None or self.model is not None):
            yield ("compares",), "kind models is not allowed with than or model"


class ClaimFile(Entry):
    """The claims of one paper by their names."""

    paper: str
    claims: dict[str, Claim]


def read_claims(folder: Path = FOLDER) -> Iterator[tuple[str, str, Claim]]:
    """Paper, name and claim of every file. Raises `InputError` naming file and key."""
    for path in sorted(folder.glob(PATTERN)):
        found = checked(ClaimFile.model_validate, read_config_file(path), str(path))
        for name, claim in found.claims.items():
            yield found.paper, name, claim
