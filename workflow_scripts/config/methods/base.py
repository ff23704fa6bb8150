"""What methods have in common."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from workflow_scripts.config.allocations import Allocation, Uniform
from workflow_scripts.config.engines import ENGINES
from workflow_scripts.config.entry import Entry, Said, absent, plain
from workflow_scripts.config.places import (
    ALLOCATION,
    calibration_set,
    statistics,
    variant_of,
)
from workflow_scripts.config.schedules import Schedule
from workflow_scripts.config.types import Count, matching, named

NOT_OWN = ("method", "calibration", "recovery", "after", "schedule")
SCOPES = ("all", "attention", "mlp")
# of a forward pass, with gradients: forward, then forward again and two products for each there
GRADIENT_PASSES = 4.0
TOLERANCE = 1e-6  # n/m has no end in decimals for some m

SetName = Annotated[
    named("calibration_sets"),
    Field(
        description="A name from `calibration_sets`; what the method measures, it measures on its "
        "tokens."
    ),
]
Propagate = Annotated[
    Literal["dense", "pruned"],
    Field(
        description="Where input norms come from: the dense model, all in one pass that every "
        "variant shares (dense), or the pruned blocks before each block, as in the original "
        "algorithm, in two passes of its own (pruned)."
    ),
]
RemoveBlocks = Annotated[Count, Field(description="How many blocks are removed.")]


def read_pattern(text: str) -> tuple[int, int]:
    """(n, m) of the text "n:m"."""
    pruned, group = map(int, text.split(":"))
    return pruned, group


def norm_files(calibration: str, propagate: str) -> dict[str, str]:
    """Statistics of the dense model, or the calibration set that blocks are pruned by."""
    return statistics(calibration) if propagate == "dense" else calibration_set(calibration)


class Method(Entry):
    """What every method has beside its keys."""

    title: ClassVar[str]  # in prose
    # what it takes out
    family: ClassVar[Literal["none", "unstructured", "depth", "width", "slicing", "dynamic"]]
    cites: ClassVar[str | None] = None  # a key of config.references, or the reference
    amount: ClassVar[str | None] = None  # the key that says how much is removed
    engines: ClassVar[tuple[str, ...]] = tuple(ENGINES)  # those that can run what it makes
    scores_blocks: ClassVar[bool] = False  # whether its mask comes with a score of every block
    # whether its mask may be made for a model that it has pruned before and that was trained since:
    # what is gone scores least there, and no other file tells of the dense model
    goes_on: ClassVar[bool] = False

    recovery: named("recoveries") = absent()
    """A name from `recoveries`: how the pruned model is trained. Where another variant has the same
    keys but this, both start from one mask."""
    after: named("variants") = absent()
    """A name from `variants`, with the same method and a lesser amount: what that has made of the
    model, trained or not, is pruned further. The amount is of the dense model, and holds what is
    gone already."""
    schedule: Schedule = absent()
    """How pruning and recovery take turns."""

    def start_files(self) -> dict[str, str]:
        """What it goes on from, likewise."""
        return variant_of(self.after) if self.after else {}

    def fixed_going_on(self) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
        """The paths of keys that must have a value, theirs and that one, where it `goes_on`."""
        yield from ()

    @property
    def much(self) -> float:
        """Its amount: blocks, or a share."""
        return getattr(self, self.amount)

    def files(self) -> dict[str, str]:
        """What its mask is made from: the stage's flag and the path, with wildcards in braces."""
        return {}

    def own(self) -> dict[str, Any]:
        """The keys that only this method takes; the others reach the mask as files."""
        return plain(self, exclude={*NOT_OWN, *Share.model_fields})

    def requested(self, blocks: int) -> float:
        """The share that it asks for, of a model of that many blocks.

        A sparsity or another fraction is one; a number of blocks is one of all blocks.
        """
        amount = getattr(self, self.amount) if self.amount else 0
        return amount / blocks if isinstance(amount, int) else amount

    @property
    def is_dense(self) -> bool:
        """Whether it is the dense model, untouched."""
        return self.family == "none" and self.recovery is None

    @property
    def runs_model(self) -> bool:
        """Whether building its mask runs the model on the calibration set."""
        return "calibration" in self.files()

    def passes(self, blocks: int) -> float:
        """How many times as much as a forward pass over its set building its mask takes, about.

        `blocks` are those of the model.
        """
        # every block runs twice: with all its weights, and without those that it loses
        return 2.0 if self.runs_model else 0.0


class Share(Entry):
    """How much goes, and from where: what an allocation is told."""

    allocation: Allocation = Uniform(kind="uniform")
    """How the sparsity is divided among the linears."""
    sparsity: float = Field(gt=0, lt=1)
    """The part of all linear weights that is set to zero."""
    scope: Literal[SCOPES] = "all"
    """Which linears are pruned; the sparsity is that of these, and the others keep every weight."""


class OfWeights(Method, Share):
    """A method that removes single weights, as many as its allocation gives each linear."""

    family = "unstructured"
    amount = "sparsity"
    evolves: ClassVar[bool] = False  # whether an evolved allocation knows its scores

    pattern: matching(
        "[1-9][0-9]?:[1-9][0-9]?",
        '"n:m" with 0 < n < m < 100, in quotes (n of every m consecutive input weights are pruned)',
    ) = absent()
    """n:m prunes n of every m consecutive input weights of a row; the sparsity is then n/m and the
    allocation uniform."""
    selection: Literal["exact", "paper"] = "exact"
    """How weights are counted: to the nearest whole number (exact) or as the paper's public code
    does (paper: quirks 2, 3 and 6; for sparsegpt as SparseGPT's own does)."""

    def files(self) -> dict[str, str]:
        return dict(ALLOCATION)

    def unfit(self, blocks: int) -> Iterator[Said]:
        for path, said in self.allocation.unfit(blocks):
            yield ("allocation", *path), said

    def fixed_going_on(self) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
        yield ("allocation", "kind"), self.allocation.kind, "uniform"
        yield ("pattern",), self.pattern, None
        yield ("propagate",), getattr(self, "propagate", "pruned"), "pruned"

    def allocation_files(self) -> dict[str, str]:
        """What its allocation is made from, as `files` says it."""
        own = {flag: path for flag, path in self.files().items() if flag not in ALLOCATION}
        return self.allocation.files() | (own if self.allocation.for_method else {})

    def contradictions(self) -> Iterator[Said]:
        if self.allocation.kind == "evolved" and not self.evolves:
            said = f"'evolved' is not allowed with method {self.method}; it knows the scores of"
            yield ("allocation", "kind"), f"{said} magnitude and wanda"
        if self.pattern is None:
            return
        pruned, group = read_pattern(self.pattern)
        if pruned >= group:
            said = "the first number must be less than the second"
            yield ("pattern",), f"'{self.pattern}' is not allowed; {said}"
            return
        sparsity = pruned / group
        if abs(self.sparsity - sparsity) <= TOLERANCE:
            sparsity = self.sparsity
        for path, value, needed in (
            (("allocation", "kind"), self.allocation.kind, "uniform"),
            (("sparsity",), self.sparsity, sparsity),
            (("comparison",), getattr(self, "comparison", "row"), "row"),
            (("selection",), self.selection, "exact"),
        ):
            if value != needed:
                said = f"{value!r} is not allowed with pattern {self.pattern}; must be {needed}"
                yield path, said
