"""Methods that remove single weights."""

from typing import Literal

from workflow_scripts.config.methods.base import OfWeights, SetName
from workflow_scripts.config.places import ALLOCATION, calibration_set, statistics


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


UNSTRUCTURED = {"magnitude": Magnitude, "wanda": Wanda, "stade": Stade}
