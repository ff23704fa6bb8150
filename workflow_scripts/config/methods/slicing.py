"""Methods that make hidden states narrower."""

from typing import Literal

from pydantic import Field

from workflow_scripts.config.methods.base import Method, SetName
from workflow_scripts.config.places import calibration_set
from workflow_scripts.config.types import Count


class SliceGPT(Method):
    """Hidden states lose the directions in which they vary least on a calibration set."""

    title = "SliceGPT"
    family = "slicing"
    cites = "slicegpt"
    amount = "slicing"
    engines = ("transformers",)

    method: Literal["slicegpt"]
    calibration: SetName
    slicing: float = Field(gt=0, lt=1)
    """The part of the width of hidden states that goes. Of the parameters fewer go, because blocks
    get adapters; a model whose head is its embedding gets a head of its own and may even grow."""
    round_to: Count = 8
    """What is left of the width is a multiple of this; it is rounded down."""
    signal: Literal["residual", "normalised"] = "residual"
    """What the directions are taken from: hidden states as they are, as the public code does
    (residual), or each divided by its root mean square, as the paper has it (normalised)."""
    subtract_mean: bool = False
    """Whether every embedding first loses the mean of its features, as in the public code. That
    changes a model with RMSNorm even where nothing is sliced."""

    def files(self) -> dict[str, str]:
        return calibration_set(self.calibration)


SLICING = {"slicegpt": SliceGPT}
