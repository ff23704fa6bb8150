"""Allocations: how a sparsity is divided among the linears of a model.

A new one is a class here with its line in `ALLOCATIONS`, and a module of `allocation.kinds` with
its name.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.places import calibration_set, influence, statistics
from workflow_scripts.config.search import Search
from workflow_scripts.config.types import Count, Fraction, Whole, named, one_of


class AllocationKind(Entry):
    """What every allocation has: its name in prose, its reference, the files that it needs."""

    title: ClassVar[str]
    cites: ClassVar[str | None] = None  # a key of config.references, or the reference
    takes_long: ClassVar[bool] = False  # long enough to be worth every thread
    for_method: ClassVar[bool] = False  # made for the variant's own method, with its files

    def files(self) -> dict[str, str]:
        """What it is made from: the stage's flag and the path, with wildcards in braces."""
        return {}

    @property
    def runs_model(self) -> bool:
        """Whether it runs the model on a calibration set."""
        return "calibration" in self.files()


class Uniform(AllocationKind):
    """The same sparsity for every linear."""

    title = "the same sparsity for every linear"

    kind: Literal["uniform"]


class Owl(AllocationKind):
    """Blocks with more outlier weights are pruned less."""

    title = "OWL"
    cites = "owl"

    kind: Literal["owl"]
    calibration: named("calibration_sets")
    """A name from `calibration_sets`; outlier weights are found by its statistics."""
    threshold: float = Field(5.0, gt=0)
    """OWL's M: a weight is an outlier where its weight times input norm is more than M times the
    mean over all linears of its block that are in scope."""
    spread: Fraction = 0.08
    """The sparsities of the blocks span twice this, before they are kept within 0 and 1
    (lambda)."""
    floor: float = absent(ge=0, lt=1)
    """Sparsities of 0 and less become this, and the mean is left where it falls; without it they
    become 0 and the others move until the mean is right."""

    def files(self) -> dict[str, str]:
        return statistics(self.calibration)


class LayerIF(AllocationKind):
    """Blocks with more influence on the loss of held-out rows are pruned less (or more)."""

    title = "LayerIF"
    cites = "layerif"

    kind: Literal["layerif"]
    influence: named("influence_sets")
    """A name from `influence_sets`; the scores of the blocks come from it."""
    direction: Literal["protect", "prune"] = "protect"
    """Whether influential blocks are pruned less (protect) or more (prune)."""
    unit: Literal["split", "block"] = "split"
    """Whether attention and MLP are scored apart and each has the sparsity as its mean (split,
    arXiv 2604.25098), or a block has one score, the sum of both, and one sparsity (block,
    LayerIF)."""
    low: float = Field(0.05, gt=0, lt=1)
    """The sparsity that the least pruned block starts from, before scaling."""
    high: float = Field(0.40, gt=0, le=1)
    """The sparsity that the most pruned block starts from, before scaling."""
    window: Count = 5
    """Blocks that the smoothing of scores looks at together (Savitzky and Golay), an odd number. A
    window longer than the model is an error; 1, with `order` 0, does not smooth."""
    order: Whole = 2
    """The order of the polynomial that scores are smoothed with."""

    def files(self) -> dict[str, str]:
        return influence(self.influence)

    def unfit(self, blocks: int) -> Iterator[Said]:
        if self.window > blocks:
            said = f"{self.window} is longer than the model, which has {blocks} blocks"
            yield (
                ("window",),
                f"{said}; must be an odd number up to that (1, with order 0, does not smooth)",
            )

    def contradictions(self) -> Iterator[Said]:
        if not self.low < self.high:
            yield ("high",), f"{self.high} is not allowed; must be greater than low ({self.low})"
        if self.window % 2 == 0:
            yield ("window",), f"{self.window} is not allowed; must be an odd whole number"
        elif not self.order < self.window:
            said = f"{self.order} is not allowed; must be less than window ({self.window})"
            yield ("order",), said


class AlphaPruning(AllocationKind):
    """Blocks whose weight matrices have heavier-tailed spectra are pruned less."""

    title = "AlphaPruning"
    cites = "alphapruning"
    takes_long = True

    kind: Literal["alphapruning"]
    spread: float = Field(0.3, ge=0, lt=1)
    """Sparsities run from 1 - spread times to 1 + spread times the same factor (epsilon). The
    public scripts take 0.3 for Wanda, 0.5 for magnitude and 0.2 for SparseGPT."""
    tail: Literal["peak", "public"] = "peak"
    """Where the tail of a spectrum may begin: near the peak of its histogram (peak), or from far
    below it too, as a slip in the public code lets it (public)."""


class Evolved(Search, AllocationKind):
    """An evolutionary search moves sparsity between blocks, with the variant's own method, towards
    the outputs of the dense model."""

    title = "an evolutionary search of block sparsities"
    cites = "evopress"
    takes_long = True
    for_method = True

    kind: Literal["evolved"]
    calibration: named("calibration_sets")
    """A name from `calibration_sets`; outputs are compared on its tokens."""
    step: float = Field(0.05, gt=0, lt=1)
    """How much sparsity a mutation moves from one block to another; between blocks of unequal size,
    as many weights as that is of a block of mean size."""

    def files(self) -> dict[str, str]:
        return calibration_set(self.calibration)


ALLOCATIONS = {
    "uniform": Uniform,
    "owl": Owl,
    "layerif": LayerIF,
    "alphapruning": AlphaPruning,
    "evolved": Evolved,
}

Allocation = one_of(ALLOCATIONS, "kind")
