"""What decides, token by token, which sublayers of a model run. No torch here.

A router reads a token's hidden state (width,) and gives a number, its margin; the token runs what
the router is for where that is 0 or more. See `routed` for the forward pass.
"""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from workflow_scripts.models.linear_names import BLOCKS

PARTS = ("attention", "mlp")  # the sublayers of a block, in the order that they run in
BLOCK = "block"  # in a name, a router that decides for both
_ROUTER = re.compile(rf"{re.escape(BLOCKS)}\.\d+\.router\.")

Share = Annotated[float, Field(ge=0, le=1)]


class Routing(BaseModel):
    """The routers of a dynamic variant and what follows from their numbers.

    `rule` is how margins decide: `argmax` of two logits, the sign of one number (`threshold`), or
    the largest of a row's (`top-k`), of which there are `capacity` times its tokens. With
    `is_strict` the last of these does not run; with `is_weighted` what runs is multiplied by the
    router's number. One decision is for a whole block or for a sublayer (`unit`), of `parts` in
    `blocks`; all others always run, and so do the first `reserved` tokens. A router `reads` what
    enters its block or its sublayer. It is a linear map, or has a hidden layer of `width` with a
    ReLU (`two-layer`) or with RMSNorm and SiLU (`normalised`). Keys and values of a token that
    skips attention are there for later tokens (`kept`) or are not (`evicted`).
    `asked` is the share of tokens × sublayers of the whole model that is to be skipped.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
    rule: Literal["argmax", "threshold", "top-k"]
    unit: Literal["block", "sublayer"]
    parts: Annotated[tuple[Literal[PARTS], ...], Field(strict=False)] = PARTS
    blocks: Annotated[tuple[int, ...], Field(strict=False)]
    router: Literal["linear", "two-layer", "normalised"] = "linear"
    width: PositiveInt | None = None
    reads: Literal["block", "sublayer"] = "block"
    keys: Literal["kept", "evicted"]
    reserved: NonNegativeInt = 0
    asked: Share
    capacity: Share | None = None
    is_strict: bool = False
    is_weighted: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What a block's routers are called."""
        return (BLOCK,) if self.unit == "block" else self.parts

    @property
    def is_causal(self) -> bool:
        """Whether what a token skips depends on no later token."""
        return self.rule != "top-k"


def router_place(block: int, name: str) -> str:
    """Where the router `name` of a block is in a model; its tensors' names begin so."""
    return f"{BLOCKS}.{block}.router.{name}"


def is_router_tensor(name: str) -> bool:
    """Whether a tensor of a model, by its name, is a router's."""
    return bool(_ROUTER.match(name))
