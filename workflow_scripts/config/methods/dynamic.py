"""Methods by which every token decides for itself which sublayers it skips.

Nothing is removed. Routers are added, which are trained by the variant's recovery, and the forward
pass changes. A share that is skipped is one of all pairs of a token and a sublayer, where a model
has two sublayers a block.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from workflow_scripts.config.entry import Said, absent
from workflow_scripts.config.methods.base import Method
from workflow_scripts.config.types import Count, Seed
from workflow_scripts.models.routing import PARTS, Routing

RESERVED_BLOCKS, RESERVED_TOKENS, WIDTH = 2, 2, 512  # of D-LLM

# keys of a recovery's `routers` without effect where nothing is drawn, and where a share is fixed
NOISE = frozenset({"temperature", "final_temperature"})
BUDGET = frozenset({"weight", "ramp", "budget", "exact_share"})


class Dynamic(Method):
    """What methods with routers have in common; each says in `routing` what decides in a model of
    so many blocks."""

    family = "dynamic"
    amount = "skip"
    engines = ("transformers",)

    skip: float = Field(gt=0, lt=1)
    """The part of all pairs of a token and a sublayer that is to be skipped; a model has two
    sublayers a block."""
    seed: Seed = 0
    """Decides what of routers is drawn: hidden layers, and all of those by which the largest of a
    row run. Others begin as one number for all tokens, by which these run."""

    @property
    def idle(self) -> frozenset[str]:
        """The keys of a recovery's `routers` that have no effect on these."""
        return frozenset()

    def routed(self, blocks: int) -> Sequence[int]:
        """The blocks that have routers."""
        return range(blocks)

    def most(self, blocks: int) -> float:
        """The largest share that could be skipped."""
        return len(self.routed(blocks)) / blocks

    def unfit(self, blocks: int) -> Iterator[Said]:
        most = self.most(blocks)
        if self.skip > most:
            said = f"{self.skip:g} is not allowed; of {blocks} blocks at most {most:.3g} of all"
            yield ("skip",), f"{said} tokens x sublayers can be skipped"


class SkipGPT(Dynamic):
    """A router for the attention and one for the MLP of every block; keys and values of all tokens
    stay."""

    title = "SkipGPT"
    cites = "skipgpt"

    method: Literal["skipgpt"]
    form: Literal["published", "two-layer"] = "published"
    """Routers that are one linear layer, as in the paper, its released weights and the second paper
    (published), or that have a hidden layer of a quarter of the width, as in the public training
    code (two-layer)."""

    def routing(self, blocks: int) -> Routing:
        return Routing(
            rule="argmax",
            unit="sublayer",
            blocks=tuple(range(blocks)),
            router="linear" if self.form == "published" else "two-layer",
            reads="block",
            keys="kept",
            asked=self.skip,
        )


class DLLM(Dynamic):
    """A router for every block but the first two; of a token that skips a block no keys and values
    are left there."""

    title = "D-LLM"
    cites = "d-llm"

    method: Literal["d-llm"]
    form: Literal["published", "lrm"] = "published"
    """As published; or as the second paper ran it (lrm), with a linear router for every block, none
    of them reserved, no reserved tokens, and keys and values of all tokens."""
    width: Count = absent()
    """The width of the hidden layer of routers, for form published; 512 without it, as there."""

    def contradictions(self) -> Iterator[Said]:
        if self.form == "lrm" and self.width is not None:
            said = "not allowed with form lrm, whose routers are linear; it is for form published"
            yield ("width",), said

    def routed(self, blocks: int) -> Sequence[int]:
        return range(0 if self.form == "lrm" else RESERVED_BLOCKS, blocks)

    def routing(self, blocks: int) -> Routing:
        published = self.form == "published"
        return Routing(
            rule="argmax",
            unit="block",
            blocks=tuple(self.routed(blocks)),
            router="normalised" if published else "linear",
            width=(self.width or WIDTH) if published else None,
            keys="evicted" if published else "kept",
            reserved=RESERVED_TOKENS if published else 0,
            asked=self.skip,
        )


class MoD(Dynamic):
    """Mixture of Depths: a number for each token decides whether it runs a block or a sublayer."""

    title = "Mixture of Depths"
    cites = "mod"

    method: Literal["mod"]
    form: Literal["threshold", "expert-choice", "lrm"] = "threshold"
    """Where the number is 0 or more (threshold: this project's, causal, with the gradients and the
    budget of Router-Tuning, arXiv 2410.13184, which decides for whole sequences); the tokens of a
    row with the largest numbers, in every other block as a whole (expert-choice, arXiv 2404.02258);
    or so in attention and MLP apart, in all blocks but the first and the last (lrm: as the second
    paper ran it, where skip is the part of those sublayers alone)."""
    parts: Literal["attention", "mlp", "both"] = absent()
    """The sublayers that can be skipped, for form threshold: without it attention, as in
    Router-Tuning."""
    blocks: Literal["all", "alternate"] = absent()
    """The blocks that have routers, for form threshold: all without it."""
    decode_densely: bool = False
    """Which tokens have the largest numbers of a row is not known before its end. So with the forms
    other than threshold a token that is being generated runs everything, as in the second paper;
    this says that it may. In a prompt tokens skip: also those of a trace, which ran everything when
    it was written and is a part of the prompt of its answer."""

    def contradictions(self) -> Iterator[Said]:
        if self.form == "threshold":
            if self.decode_densely:
                said = "True is not allowed with form threshold, which skips while decoding as well"
                yield ("decode_densely",), said
            return
        for key in ("parts", "blocks"):
            if getattr(self, key) is not None:
                yield (key,), f"not allowed with form {self.form}; it is for form threshold"
        if not self.decode_densely:
            yield (
                ("decode_densely",),
                f"False is not allowed with form {self.form}: which tokens skip depends on those "
                "behind them, so that none can skip while it is generated; set it to true, or take "
                "form threshold",
            )

    @property
    def idle(self) -> frozenset[str]:
        return NOISE if self.form == "threshold" else NOISE | BUDGET

    def routed(self, blocks: int) -> Sequence[int]:
        if self.form == "lrm":
            return range(1, blocks - 1)
        alternate = self.form == "expert-choice" or self.blocks == "alternate"
        return range(1, blocks, 2) if alternate else range(blocks)

    @property
    def _parts(self) -> tuple[str, ...]:
        if self.form != "threshold" or self.parts == "both":
            return PARTS
        return (self.parts or "attention",)

    def most(self, blocks: int) -> float:
        if self.form == "lrm":
            return 1.0 if self.routed(blocks) else 0.0  # of the sublayers with routers
        return len(self.routed(blocks)) * len(self._parts) / (blocks * len(PARTS))

    def routing(self, blocks: int) -> Routing:
        routed = tuple(self.routed(blocks))
        chosen: dict[str, Any] = {"rule": "threshold", "reads": "sublayer"}
        chosen |= {"keys": "evicted", "asked": self.skip}
        if self.form != "threshold":
            chosen |= {"rule": "top-k", "reads": "block", "is_weighted": True}
            chosen["capacity"] = 1 - self.skip / self.most(blocks)
        if self.form == "lrm":
            asked = self.skip * len(routed) / blocks
            chosen |= {"keys": "kept", "is_strict": True, "asked": asked}
        return Routing(
            unit="block" if self.form == "expert-choice" else "sublayer",
            parts=self._parts,
            blocks=routed,
            **chosen,
        )


DYNAMIC = {"skipgpt": SkipGPT, "d-llm": DLLM, "mod": MoD}
