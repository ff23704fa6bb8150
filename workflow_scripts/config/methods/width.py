"""Methods that remove whole heads and neurons."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from workflow_scripts.config.entry import Said, plain
from workflow_scripts.config.methods.base import Method
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
    """Whether all blocks lose the same number of heads and of neurons. An exported checkpoint is
    then smaller; of uneven ones it keeps what any block keeps."""
    keep_first: Whole = 0
    """How many blocks at the start keep all they have; the sparsity is that of the others."""
    keep_last: Whole = 0
    """How many blocks at the end keep all they have."""

    def own(self) -> dict[str, Any]:
        return plain(self, exclude={"method", "calibration"})

    def contradictions(self) -> Iterator[Said]:
        if not self.even:
            return
        for key in ("keep_first", "keep_last"):
            if value := getattr(self, key):
                said = f"{value} is not allowed with even: true, where all blocks lose the same"
                yield (key,), f"{said}; must be 0"
