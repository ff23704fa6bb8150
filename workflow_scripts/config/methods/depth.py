"""Methods that remove whole blocks."""

from typing import Literal

from workflow_scripts.config.methods.base import Method, RemoveBlocks, SetName
from workflow_scripts.config.places import statistics
from workflow_scripts.config.types import Different, Whole


class ShortGPT(Method):
    """The blocks that change their input least on a calibration set go."""

    title = "ShortGPT"
    family = "depth"
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
    family = "depth"
    amount = "remove_blocks"

    method: Literal["reverse-order"]
    remove_blocks: RemoveBlocks


class Blocks(Method):
    """The blocks on a list go."""

    title = "removal of chosen blocks"
    family = "depth"

    method: Literal["blocks"]
    blocks: Different[Whole]
    """The blocks that are removed; the first block is 0."""


DEPTH = {"shortgpt": ShortGPT, "reverse-order": ReverseOrder, "blocks": Blocks}
