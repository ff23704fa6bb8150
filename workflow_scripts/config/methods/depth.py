"""Methods that remove whole blocks, or a block's attention or MLP."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from workflow_scripts.config.entry import Said, absent
from workflow_scripts.config.methods.base import GRADIENT_PASSES, Method, RemoveBlocks, SetName
from workflow_scripts.config.places import calibration_set, statistics
from workflow_scripts.config.search import Counts, Search
from workflow_scripts.config.types import Count, Different, Whole

ENDS = (1, 1)  # blocks that SLEB keeps, from the first on and up to the last
PLUS = (4, 2)  # those that the "+" rule of Shortened LLaMA keeps

Plus = Annotated[
    bool,
    Field(description="Whether the first four blocks and the last two stay, whatever they score."),
]


class WholeBlocks(Method):
    """A method that removes a number of blocks."""

    family = "depth"
    amount = "remove_blocks"

    def places(self, blocks: int) -> range:
        """The blocks that may go."""
        first, last = self.stay
        return range(first, max(first, blocks - last))

    @property
    def stay(self) -> tuple[int, int]:
        """How many blocks at both ends may not go."""
        return 0, 0

    def unfit(self, blocks: int) -> Iterator[Said]:
        first, last = self.stay
        most = min(len(self.places(blocks)), blocks - 1)
        if self.remove_blocks > most:
            some = f"1 to {most}" if most > 1 else "1" if most else "none"
            said = f"{self.remove_blocks} is not allowed: of {blocks} blocks, {some} can be removed"
            why = f": the first {first} and the last {last} always stay" if first or last else ""
            yield ("remove_blocks",), said + why


class ShortGPT(WholeBlocks):
    """The blocks that change their input least on a calibration set go."""

    title = "ShortGPT"
    cites = "shortgpt"

    method: Literal["shortgpt"]
    remove_blocks: RemoveBlocks
    calibration: SetName

    def files(self) -> dict[str, str]:
        return statistics(self.calibration)


def block_runs(blocks: int, places: Sequence[int]) -> int:
    """How often a block runs so that each of `places` is left out of `blocks` blocks once.

    What comes before a place is computed once for all of them, what comes behind it for it alone.
    """
    return max(places, default=0) + sum(blocks - 1 - place for place in places)


class SLEB(WholeBlocks):
    """One block after another goes, each time the one without which the loss is least."""

    title = "SLEB"
    cites = "sleb"
    scores_blocks = True
    goes_on = True

    method: Literal["sleb"]
    remove_blocks: RemoveBlocks
    calibration: SetName

    def files(self) -> dict[str, str]:
        return calibration_set(self.calibration)

    @property
    def stay(self) -> tuple[int, int]:
        return ENDS

    def rounds(self, blocks: int) -> Iterator[tuple[int, range]]:
        """How many blocks are there in each round, and which places among them may be left out."""
        for gone in range(min(self.remove_blocks, len(self.places(blocks)))):
            yield blocks - gone, self.places(blocks - gone)

    def passes(self, blocks: int) -> float:
        return sum(block_runs(*of_round) for of_round in self.rounds(blocks)) / blocks


class Shortened(WholeBlocks):
    """The blocks that score least go, all scored once."""

    cites = "shortened"
    scores_blocks = True

    @property
    def stay(self) -> tuple[int, int]:
        return PLUS if self.plus else (0, 0)

    def unfit(self, blocks: int) -> Iterator[Said]:
        for path, said in super().unfit(blocks):
            yield path, f"{said}, unless plus is false" if self.plus else said


class ShortenedPPL(Shortened):
    """The blocks without which the perplexity is least go, each left out alone."""

    title = "Shortened LLaMA (perplexity)"
    goes_on = True

    method: Literal["shortened-ppl"]
    remove_blocks: RemoveBlocks
    calibration: SetName
    plus: Plus = False

    def files(self) -> dict[str, str]:
        return calibration_set(self.calibration)

    def passes(self, blocks: int) -> float:
        return block_runs(blocks, self.places(blocks)) / blocks


class ShortenedTaylor(Shortened):
    """The blocks of least Σ |W · gradient of the loss| go."""

    title = "Shortened LLaMA (Taylor)"
    goes_on = True

    method: Literal["shortened-taylor"]
    remove_blocks: RemoveBlocks
    calibration: SetName
    plus: Plus = True

    def files(self) -> dict[str, str]:
        return calibration_set(self.calibration)

    def passes(self, blocks: int) -> float:
        return GRADIENT_PASSES


class ShortenedMagnitude(Shortened):
    """The blocks of least Σ |W| go."""

    title = "Shortened LLaMA (magnitude)"
    goes_on = True

    method: Literal["shortened-magnitude"]
    remove_blocks: RemoveBlocks
    plus: Plus = True


class ReverseOrder(WholeBlocks):
    """The last blocks go."""

    title = "removal of the last blocks"
    goes_on = True

    method: Literal["reverse-order"]
    remove_blocks: RemoveBlocks


class Blocks(Method):
    """The blocks on a list go."""

    title = "removal of chosen blocks"
    family = "depth"

    method: Literal["blocks"]
    blocks: Different[Whole]
    """The blocks that are removed; the first block is 0."""

    def requested(self, blocks: int) -> float:
        return len(self.blocks) / blocks

    def unfit(self, blocks: int) -> Iterator[Said]:
        for block in self.blocks:
            if block >= blocks:
                said = f"there is no block {block}; the model has 0 to {blocks - 1}"
                yield ("blocks",), said
                return
        if len(self.blocks) == blocks:
            yield ("blocks",), f"all {blocks} blocks of the model are listed; one must stay"


class EvoPressDrop(Search, Method):
    """Attentions and MLPs go apart, those that an evolutionary search finds to matter least
    together."""

    title = "EvoPress (drop)"
    family = "depth"
    cites = "evopress"
    amount = "remove_parts"

    method: Literal["evopress-drop"]
    remove_parts: Count
    """How many attentions are removed, and as many MLPs. A block that loses both is removed."""
    parts: Literal["both", "attention", "mlp"] = "both"
    """What is removed: attentions and MLPs (both), or only one of them."""
    calibration: SetName
    fitness: Literal["kl", "perplexity"] = "kl"
    """What is kept low: the divergence of the outputs from the dense model's (kl), or the loss of
    the calibration tokens (perplexity)."""
    initial: Count = 64
    """Of how many random choices the best is the first parent, on as many tokens as the first
    round has."""
    generations: Count = absent()
    """How many generations there are. Without it, two thirds of the number of swaps that a choice
    of so many among the model's blocks allows."""
    offspring: Count = 32
    survivors: Counts = (2, 1)
    tokens: Counts = (2048, 32768)

    def files(self) -> dict[str, str]:
        return calibration_set(self.calibration)

    @property
    def first(self) -> int:
        return self.initial

    def unfit(self, blocks: int) -> Iterator[Said]:
        if self.remove_parts >= blocks:
            said = f"{self.remove_parts} is not allowed: of {blocks} blocks"
            yield ("remove_parts",), f"{said}, 1 to {blocks - 1} can lose a part"

    def requested(self, blocks: int) -> float:
        kinds = 2 if self.parts == "both" else 1
        return kinds * self.remove_parts / (2 * blocks)  # of all attentions and MLPs

    def generations_of(self, blocks: int) -> int:
        swaps = self.remove_parts * (blocks - self.remove_parts)
        return self.generations or max(1, round(swaps / 1.5))


DEPTH = {
    "shortgpt": ShortGPT,
    "sleb": SLEB,
    "shortened-ppl": ShortenedPPL,
    "shortened-taylor": ShortenedTaylor,
    "shortened-magnitude": ShortenedMagnitude,
    "reverse-order": ReverseOrder,
    "blocks": Blocks,
    "evopress-drop": EvoPressDrop,
}
