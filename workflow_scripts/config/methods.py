"""Methods: what decides which weights or blocks of a model go.

A new one is a class here with its line in `METHODS`, and in the stage `masking` a module with its
function and its line in the table of `build_mask`.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from workflow_scripts.config.allocations import Allocation, Uniform
from workflow_scripts.config.engines import ENGINES
from workflow_scripts.config.entry import Entry, Said, absent, plain
from workflow_scripts.config.places import ALLOCATION, calibration_set, statistics
from workflow_scripts.config.types import Count, Different, Whole, matching, named, one_of

SCOPES = ("all", "attention", "mlp")
TOLERANCE = 1e-6  # n/m has no end in decimals for some m

SetName = Annotated[
    named("calibration_sets"),
    Field(
        description="A name from `calibration_sets`; the statistics that the method needs come "
        "from it."
    ),
]
RemoveBlocks = Annotated[Count, Field(description="How many blocks are removed.")]


def read_pattern(text: str) -> tuple[int, int]:
    """(n, m) of the text "n:m"."""
    pruned, group = map(int, text.split(":"))
    return pruned, group


class Method(Entry):
    """What every method has beside its keys."""

    title: ClassVar[str]  # in prose
    cites: ClassVar[str | None] = None  # a key of config.references, or the reference
    amount: ClassVar[str | None] = None  # the key that says how much is removed
    engines: ClassVar[tuple[str, ...]] = tuple(ENGINES)  # those that can run what it makes

    def files(self) -> dict[str, str]:
        """What its mask is made from: the stage's flag and the path, with wildcards in braces."""
        return {}

    def own(self) -> dict[str, Any]:
        """The keys that only this method takes; the others reach the mask as files."""
        return plain(self, exclude={"method", "calibration", *Share.model_fields})

    @property
    def runs_model(self) -> bool:
        """Whether building its mask runs the model on the calibration set."""
        return "calibration" in self.files()


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

    amount = "sparsity"

    pattern: matching(
        "[1-9][0-9]?:[1-9][0-9]?",
        '"n:m" with 0 < n < m < 100, in quotes (n of every m consecutive input weights are pruned)',
    ) = absent()
    """n:m prunes n of every m consecutive input weights of a row; the sparsity is then n/m and the
    allocation uniform."""
    selection: Literal["exact", "paper"] = "exact"
    """How weights are counted: to the nearest whole number (exact) or as the paper's public code
    does (paper: quirks 2, 3 and 6)."""

    def files(self) -> dict[str, str]:
        return dict(ALLOCATION)

    def contradictions(self) -> Iterator[Said]:
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


class Dense(Method):
    """Nothing is removed."""

    title = "nothing"

    method: Literal["dense"]


class Magnitude(OfWeights):
    """The weights of least absolute value go, compared within each linear."""

    title = "magnitude pruning"
    cites = "magnitude"

    method: Literal["magnitude"]


class Wanda(OfWeights):
    """The weights of least |W| times the norm of their input go, compared in each output row."""

    title = "Wanda"
    cites = "wanda"

    method: Literal["wanda"]
    calibration: SetName
    comparison: Literal["row", "matrix"] = "row"
    """The group in which weights are compared, an output row or a whole linear."""
    propagate: Literal["dense", "pruned"] = "dense"
    """Where input norms come from: the dense model, all in one pass that every variant shares
    (dense), or the pruned blocks before each block, as in the original algorithm, in two passes of
    its own (pruned)."""

    def files(self) -> dict[str, str]:
        made_from = statistics if self.propagate == "dense" else calibration_set
        return ALLOCATION | made_from(self.calibration)


class Stade(OfWeights):
    """The weights of least W² times the variance of their input go, in each output row."""

    title = "STADE"
    cites = "stade"

    method: Literal["stade"]
    calibration: SetName
    score: Literal["stade", "stade-w"] = "stade"
    """Whether all linears are scored so (stade) or only o_proj and down_proj, and the others as
    Wanda does (stade-w)."""
    compensate: bool = False
    """Whether biases give back what the outputs lose on average. vLLM runs the result for Llama and
    Qwen2; other models need the engine transformers."""

    def files(self) -> dict[str, str]:
        return ALLOCATION | statistics(self.calibration)


class ShortGPT(Method):
    """The blocks that change their input least on a calibration set go."""

    title = "ShortGPT"
    cites = "shortgpt"
    amount = "remove_blocks"

    method: Literal["shortgpt"]
    remove_blocks: RemoveBlocks
    calibration: SetName

    def files(self) -> dict[str, str]:
        return statistics(self.calibration)


class ReverseOrder(Method):
    """The last blocks go."""

    title = "removal of the last blocks"
    amount = "remove_blocks"

    method: Literal["reverse-order"]
    remove_blocks: RemoveBlocks


class Blocks(Method):
    """The blocks on a list go."""

    title = "removal of chosen blocks"

    method: Literal["blocks"]
    blocks: Different[Whole]
    """The blocks that are removed; the first block is 0."""


METHODS = {
    "dense": Dense,
    "magnitude": Magnitude,
    "wanda": Wanda,
    "stade": Stade,
    "shortgpt": ShortGPT,
    "reverse-order": ReverseOrder,
    "blocks": Blocks,
}

Variant = one_of(METHODS, "method")
