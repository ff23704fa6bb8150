"""What screening says of variants before they generate. No torch here.

results/{model}/{variant}/screen.json   how far a variant is from the dense model on its traces
results/{model}/screening.json          which variants of a model go on to generation
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PositiveInt

from workflow_scripts.artefacts.json_files import AS_LIST, STRICT, read_model_file
from workflow_scripts.files.atomic import write_json

FORMAT = 1
MEASURES = ("kl", "agreement", "loss")


class Distance(BaseModel):
    """Means over so many tokens that the dense model wrote, each predicted from those before it.

    `kl` is KL(dense || variant) in nats, a rounding error below 0 at the least; `agreement` the
    share of tokens at which both hold the same one for the likeliest; `loss` the variant's cross
    entropy of the token that was written, in nats.
    """

    model_config = STRICT
    tokens: PositiveInt
    kl: float
    agreement: Annotated[float, Field(ge=0, le=1)]
    loss: float


class Screen(BaseModel):
    """How far a variant is from the dense model on `problems` of a benchmark.

    `trace` and `answer` hold distances by the kind of token, those of `models.token_kinds` that
    occur. `digest` is the variant's.
    """

    model_config = STRICT
    format: Literal[1] = FORMAT
    model_digest: str
    digest: str
    benchmark: str
    problems: PositiveInt
    trace: Mapping[str, Distance]
    answer: Mapping[str, Distance]

    @property
    def all(self) -> Distance:
        """Over all tokens of traces and answers."""
        return mean_distance(*self.trace.values(), *self.answer.values())


class Choice(BaseModel):
    """Which variants of a model go on: the reference and others `always`, and the best `chosen`.

    `variants` are all that were screened, in the run's order; `scores` has for each the measure
    that `by` names, over all tokens.
    """

    model_config = STRICT
    format: Literal[1] = FORMAT
    by: Literal["kl", "agreement", "loss"]
    variants: Annotated[tuple[str, ...], AS_LIST]
    scores: Mapping[str, float]
    always: Annotated[tuple[str, ...], AS_LIST]
    chosen: Annotated[tuple[str, ...], AS_LIST]

    @property
    def going_on(self) -> list[str]:
        """All that go on, in the run's order."""
        return [name for name in self.variants if name in {*self.always, *self.chosen}]


def mean_distance(*distances: Distance) -> Distance:
    """The means over the tokens of several, of which there is at least one."""
    tokens = sum(each.tokens for each in distances)
    means = {
        measure: sum(each.tokens * getattr(each, measure) for each in distances) / tokens
        for measure in MEASURES
    }
    return Distance(tokens=tokens, **means)


def write_screen(path: Path, screen: Screen) -> None:
    """Write a `screen.json`, atomically."""
    write_json(path, screen.model_dump(mode="json"))


def read_screen(path: Path) -> Screen:
    """Read a `screen.json`. Raises `InputError`, naming the key, where it is not one."""
    return read_model_file(path, Screen, "screen")


def write_choice(path: Path, choice: Choice) -> None:
    """Write a `screening.json`, atomically."""
    write_json(path, choice.model_dump(mode="json"))


def read_choice(path: Path) -> Choice:
    """Read a `screening.json`. Raises `InputError`, naming the key, where it is not one."""
    return read_model_file(path, Choice, "choice")
