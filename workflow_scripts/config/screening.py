"""Screening: which variants go on to generation, by how far they are from the dense model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.types import AS_TUPLE, Count, different, in_words, named

if TYPE_CHECKING:
    from workflow_scripts.config.methods.base import Method

Keep = Annotated[
    Annotated[Count, Tag("integer")] | Annotated[Literal["all"], Tag("string")],
    Discriminator(lambda value: "string" if isinstance(value, str) else "integer"),
    Field(**in_words("a whole number of at least 1 or all")),
]
By = Literal["kl", "agreement", "loss"]
Names = Annotated[tuple[str, ...], AS_TUPLE]


class Screening(Entry):
    """Screens every variant on the dense model's own traces before it generates."""

    keep: Keep = "all"
    """How many variants of each model go on to generation, tasks and tables: the best by `by`,
    beside the variants that change nothing and those in `always`. With `all`, every variant is
    screened and none is left out."""
    by: By = "kl"
    """What is best. `kl`: the lowest Kullback-Leibler divergence from the dense model, per token;
    `agreement`: the largest share of tokens at which both hold the same one for the likeliest;
    `loss`: the lowest cross entropy of the dense model's own tokens."""
    benchmark: named("benchmarks") = absent()
    """A name from `benchmarks`: what the dense model's traces are of; left out, the first of
    `run.benchmarks`."""
    problems: Count = 32
    """Of how many of its problems, drawn evenly from all, the traces are read."""
    always: Annotated[
        tuple[named("variants", "a name"), ...], AS_TUPLE, AfterValidator(different)
    ] = Field(
        (), json_schema_extra={"uniqueItems": True, "x-allowed": "a list of names, none twice"}
    )
    """Names from `variants`, of those in `run.variants`, that go on whatever their screens say."""


class ScreenJob(Entry):
    """What screening a variant is told."""

    benchmark: str
    problems: Count


class ChoiceJob(Entry):
    """What choosing among a model's variants is told; those in `always` go on."""

    variants: Names
    always: Names
    keep: Keep
    by: By


def always_go_on(
    screen: Screening, names: Sequence[str], variants: "Mapping[str, Method]"
) -> tuple[str, ...]:
    """The variants of a run, by their `names`, that generate whatever their screens say."""
    return tuple(name for name in names if name in screen.always or variants[name].is_dense)


def screen_mistakes(
    screen: Screening | None, names: Sequence[str], variants: "Mapping[str, Method]"
) -> Iterator[Said]:
    """What is wrong with the screen of a run: nothing to choose from, more to keep than there is,
    names of variants that are not run.
    """
    if screen is None or any(name not in variants for name in names):
        return
    for number, name in enumerate(screen.always):
        if name in variants and name not in names:
            yield ("always", number), f"{name!r} is not in run.variants; there: {', '.join(names)}"
    others = len(names) - len(always_go_on(screen, names, variants))
    if not others:
        said = "leaves nothing to choose from: every variant of run.variants goes on anyway"
        yield (), f"{said}; must be left out, or run.variants have others"
    elif screen.keep != "all" and screen.keep > others:
        said = f"{screen.keep} is more than there is to choose from: of run.variants, {others} are "
        yield ("keep",), f"{said}neither dense nor in always; must be at most {others}, or all"
