"""Methods that remove single weights."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from workflow_scripts.config.entry import Said
from workflow_scripts.config.methods.base import (
    OfWeights,
    Propagate,
    SetName,
    norm_files,
    read_pattern,
)
from workflow_scripts.config.places import ALLOCATION, calibration_set, statistics
from workflow_scripts.config.types import Count


class Magnitude(OfWeights):
    """The weights of least absolute value go, compared within each linear."""

    title = "magnitude pruning"
    cites = "magnitude"
    evolves = True
    goes_on = True

    method: Literal["magnitude"]


class Wanda(OfWeights):
    """The weights of least |W| times the norm of their input go, compared in each output row."""

    title = "Wanda"
    cites = "wanda"
    evolves = True
    goes_on = True

    method: Literal["wanda"]
    calibration: SetName
    comparison: Literal["row", "matrix"] = "row"
    """The group in which weights are compared, an output row or a whole linear."""
    propagate: Propagate = "dense"

    def files(self) -> dict[str, str]:
        return ALLOCATION | norm_files(self.calibration, self.propagate)

    def contradictions(self) -> Iterator[Said]:
        yield from super().contradictions()
        if self.allocation.kind == "evolved" and self.propagate == "pruned":
            yield ("propagate",), "'pruned' is not allowed with allocation evolved; must be dense"


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


class SparseGPT(OfWeights):
    """Weights go a block of columns after the other, and those to the right make up for them."""

    title = "SparseGPT"
    cites = "sparsegpt"

    method: Literal["sparsegpt"]
    calibration: SetName
    block_size: Count = 128
    """How many columns of a weight are compared at once, over all of its rows."""
    damping: float = Field(0.01, gt=0)
    """What is added to the diagonal of every Hessian, in units of its mean."""

    def files(self) -> dict[str, str]:
        return ALLOCATION | calibration_set(self.calibration)

    def passes(self, blocks: int) -> float:
        # to gather Hessians and to go over the columns by them takes as long as two more
        return 4.0

    def contradictions(self) -> Iterator[Said]:
        yield from super().contradictions()
        if self.pattern and self.block_size % read_pattern(self.pattern)[1]:
            group = read_pattern(self.pattern)[1]
            said = f"{self.block_size} is not allowed with pattern {self.pattern}"
            yield ("block_size",), f"{said}; must be a multiple of {group}"


UNSTRUCTURED = {
    "magnitude": Magnitude,
    "wanda": Wanda,
    "stade": Stade,
    "sparsegpt": SparseGPT,
}
