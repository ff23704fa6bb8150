"""Methods that remove whole heads and neurons."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from workflow_scripts.config.entry import Said, plain
from workflow_scripts.config.methods.base import (
    GRADIENT_PASSES,
    NOT_OWN,
    Method,
    Propagate,
    SetName,
    norm_files,
)
from workflow_scripts.config.places import calibration_set, statistics
from workflow_scripts.config.types import Whole


class OfUnits(Method):
    """A method that removes heads of attention and neurons of MLPs."""

    family = "width"
    amount = "sparsity"

    sparsity: float = Field(gt=0, lt=1)
    """The part of the linear weights of the pruned blocks that goes, in whole heads and neurons."""
    heads: Literal["kv-group", "query-head"] = "kv-group"
    """What attention loses: heads of keys and values, each with the query heads that read it
    (kv-group), or single query heads, whose keys and values stay (query-head)."""
    even: bool = False
    """Whether all blocks lose the same number of heads and of neurons, so that an exported
    checkpoint has only what is left. Of uneven blocks it has what the widest of them keeps."""
    keep_first: Whole = 0
    """How many blocks at the start keep all they have; the sparsity is that of the others."""
    keep_last: Whole = 0
    """How many blocks at the end keep all they have."""
    selection: Literal["exact", "paper"] = "exact"
    """How units are counted: so that the share of the weights is right (exact), or as the public
    code does (paper)."""

    def own(self) -> dict[str, Any]:
        return plain(self, exclude={*NOT_OWN})

    def unfit(self, blocks: int) -> Iterator[Said]:
        if self.keep_first + self.keep_last >= blocks:
            said = f"{self.keep_first} and keep_last {self.keep_last} leave none of {blocks} blocks"
            yield ("keep_first",), f"{said}; together they must be at most {blocks - 1}"

    def contradictions(self) -> Iterator[Said]:
        if not self.even:
            return
        if self.selection == "paper":
            yield ("selection",), "'paper' is not allowed with even: true; must be exact"
        for key in ("keep_first", "keep_last"):
            if value := getattr(self, key):
                said = f"{value} is not allowed with even: true, where all blocks lose the same"
                yield (key,), f"{said}; must be 0"


class MagnitudeSp(OfUnits):
    """The heads and neurons go that are read by the columns of o_proj and down_proj of least norm,
    compared within each block."""

    title = "structured magnitude pruning"
    cites = "flap"
    goes_on = True

    method: Literal["magnitude-sp"]


class WandaSp(OfUnits):
    """The heads and neurons go that are read by the columns of o_proj and down_proj of least |W|
    times the norm of their input, compared within each block."""

    title = "Wanda-sp"
    cites = "flap"
    goes_on = True

    method: Literal["wanda-sp"]
    calibration: SetName
    propagate: Propagate = "dense"

    def files(self) -> dict[str, str]:
        return norm_files(self.calibration, self.propagate)

    def fixed_going_on(self) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
        yield ("propagate",), self.propagate, "pruned"


class Flap(OfUnits):
    """The heads and neurons go whose outputs vary least over a calibration set, and whose loss a
    bias makes up for best."""

    title = "FLAP"
    cites = "flap"

    method: Literal["flap"]
    calibration: SetName
    metric: Literal["WIFV", "IFV", "WIFN"] = "WIFV"
    """What a column of o_proj or down_proj is worth: the variance of its input times its sum of
    squares (WIFV), that variance alone (IFV), or the mean of |W| times the norm of its input
    (WIFN)."""
    structure: Literal["AL-AM", "UL-UM"] = "AL-AM"
    """Whether heads and neurons of all blocks compete, on standardised scores (AL-AM), or every
    block loses the same part of its heads and of its neurons (UL-UM)."""
    head_scores: Literal["plain", "squared"] = "plain"
    """Whether what a column of o_proj is worth is squared, as in the public code, and not in the
    paper."""
    compensate: bool = False
    """Whether biases of o_proj and down_proj give back what the outputs lose on average. vLLM runs
    the result for Llama and Qwen2; other models need the engine transformers."""

    def files(self) -> dict[str, str]:
        return statistics(self.calibration)


class LLMPruner(OfUnits):
    """Heads and neurons go whose loss changes the model's loss least, by its Taylor expansion."""

    title = "LLM-Pruner"
    cites = "llm-pruner"
    goes_on = True

    method: Literal["llm-pruner"]
    calibration: SetName
    taylor: Literal["vectorize", "param_first", "param_second", "param_mix"] = "param_first"
    """What a row or column is worth, with w its weights, g their gradient and F the mean square of
    the samples' own gradients: |Σ wg| (vectorize), Σ |wg| (param_first), Σ w²F (param_second) or
    Σ |wg - w²F/2| (param_mix)."""
    ranking: Literal["local", "global"] = "local"
    """Whether every block loses the same share (local) or all units of all pruned blocks stand in
    one list (global)."""
    fold: Literal["own", "public"] = "own"
    """Which query heads count for a head of keys and values: those that read it (own), or, as in
    the public code, every k-th one with k such heads (public)."""
    keep_first: Whole = 4
    """How many blocks at the start keep all they have; the sparsity is that of the others."""
    keep_last: Whole = 2
    """How many blocks at the end keep all they have."""

    def files(self) -> dict[str, str]:
        return calibration_set(self.calibration)

    def passes(self, blocks: int) -> float:
        return GRADIENT_PASSES

    def fixed_going_on(self) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
        yield ("ranking",), self.ranking, "local"
        yield ("fold",), self.fold, "own"

    def contradictions(self) -> Iterator[Said]:
        yield from super().contradictions()
        if self.selection == "paper" and self.ranking == "global":
            yield ("ranking",), "'global' is not allowed with selection: paper; must be local"
        if self.fold == "public" and self.heads != "kv-group":
            said = f"'{self.fold}' is not allowed with heads: {self.heads}"
            yield ("fold",), f"{said}, which are not folded; must be own"


WIDTH = {"magnitude-sp": MagnitudeSp, "wanda-sp": WandaSp, "flap": Flap, "llm-pruner": LLMPruner}
