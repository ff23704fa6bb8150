"""The keys of an evolutionary search."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from workflow_scripts.config.entry import Entry, Said
from workflow_scripts.config.types import AS_TUPLE, Count, Seed, some

Counts = Annotated[
    tuple[Count, ...],
    AS_TUPLE,
    AfterValidator(some),
    Field(
        json_schema_extra={"minItems": 1, "x-allowed": "a list of one or more numbers from 1 on"}
    ),
]


class Search(Entry):
    """A search that mutates one parent and keeps the best of each generation."""

    generations: Count = 400
    """How many generations there are."""
    offspring: Count = 64
    """How many mutations of the parent a generation tries."""
    survivors: Counts = (8, 2, 1)
    """How many are left after each round of a generation. The parent takes part in the last, and
    the 1 that is left there is the next parent."""
    tokens: Counts = (2048, 16384, 65536)
    """On how many tokens each round measures them, drawn anew from the calibration set; no more
    than it has."""
    seed: Seed = 0
    """What mutations and tokens are drawn by."""

    def contradictions(self) -> Iterator[Said]:
        tokens, survivors = [*self.tokens], [*self.survivors]
        if len(tokens) != len(survivors):
            said = f"must be a list of as many numbers as survivors has ({len(survivors)})"
            yield ("tokens",), f"{tokens} is not allowed; {said}"
        if survivors[-1] != 1:
            yield ("survivors",), f"{survivors[-1]} is not allowed as the last; must be 1"
        elif [self.offspring, *survivors] != sorted([self.offspring, *survivors], reverse=True):
            said = f"{survivors} is not allowed with offspring {self.offspring}"
            most = f"the first at most {self.offspring}"
            yield ("survivors",), f"{said}; {most}, each other at most the one before it"

    @property
    def first(self) -> int:
        """How many states the first parent is chosen from, on the tokens of the first round."""
        return 1

    def generations_of(self, blocks: int) -> int:
        """How many generations there are for a model of so many blocks."""
        return self.generations

    def rounds(self, available: int) -> Sequence[tuple[int, int]]:
        """The variants and the tokens of every round of a generation, of `available` tokens."""
        entering = [self.offspring, *self.survivors[:-1]]
        entering[-1] += 1  # the parent
        tokens = (min(one, available) for one in self.tokens)
        return [*zip(entering, tokens, strict=True)]

    def evaluations(self, blocks: int, available: int) -> int:
        """How many pruned models are measured."""
        each = sum(count for count, _ in self.rounds(available))
        return self.first + self.generations_of(blocks) * each

    def passed_tokens(self, blocks: int, available: int) -> int:
        """How many tokens pass a model, the dense one of every round included."""
        rounds = self.rounds(available)
        each = sum((count + 1) * tokens for count, tokens in rounds)
        return (self.first + 1) * rounds[0][1] + self.generations_of(blocks) * each
