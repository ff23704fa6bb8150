"""Schedules: a variant that is pruned and trained in turns, as variants that are a turn each.

    NAME+round-1+pruned → NAME+round-1 → NAME+round-2+pruned → ... → NAME+pruned → NAME

A turn that prunes is `after` the one before it: its mask is made for what that has become, and
holds all that is gone.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from workflow_scripts.config.entry import Entry, Said
from workflow_scripts.config.types import fitting

PRUNED = "+pruned"  # behind the name of a variant with a recovery, what that starts from
ROUND = "+round-"  # behind the name of a variant with a schedule, a turn before its last

GRADUAL = "that is built for a model which lacks weights and was trained since"


class Gradual(Entry):
    """A little is removed and the rest is trained, round after round (PTL, arXiv 2602.04919)."""

    kind: Literal["gradual"]
    rounds: Annotated[int, Field(ge=2), AfterValidator(fitting)]
    """How many rounds there are. Each removes as much, and trains with the variant's recovery."""

    def amounts(self, amount: float) -> list[float]:
        """How much is gone after every round, where `amount` is in the end: blocks, or a share."""
        if isinstance(amount, int):
            return [round(amount * done / self.rounds) for done in range(1, self.rounds + 1)]
        return [round(amount * done / self.rounds, 12) for done in range(1, self.rounds)] + [amount]


def rounds_of(name: str, variant: Any) -> Iterator[tuple[str, Any]]:
    """The variants, by name, that the rounds of a schedule before its last end in."""
    if variant.schedule is None:
        return
    before = None
    for number, amount in enumerate(variant.schedule.amounts(variant.much)[:-1], 1):
        place = f"{name}{ROUND}{number}"
        turn = {variant.amount: amount, "schedule": None, "after": before}
        yield place, variant.model_copy(update=turn)
        before = place


def start_of(name: str, variant: Any) -> Any:
    """What a variant's recovery starts from, as an entry; itself where it has none."""
    without = {"recovery": None, "schedule": None}
    if variant.schedule:
        without["after"] = f"{name}{ROUND}{variant.schedule.rounds - 1}"
    return variant.model_copy(update=without)


def mistakes(variants: Mapping[str, Any]) -> Iterator[Said]:
    """What schedules, and variants after others, cannot be."""
    for name, variant in variants.items():
        keys = [key for key in ("schedule", "after") if getattr(variant, key) is not None]
        for path, said in _of_one(variant, keys[0], variants) if keys else ():
            yield ("variants", name, *path), said


def _of_one(variant: Any, key: str, variants: Mapping[str, Any]) -> Iterator[Said]:
    if not variant.goes_on:
        methods = sorted({one.method for one in variants.values() if one.goes_on})
        said = f"not allowed with method {variant.method}, which has no mask {GRADUAL}"
        yield (key,), f"{said}" + (f"; there: {', '.join(methods)}" if methods else "")
        return
    for path, value, needed in variant.fixed_going_on():
        if value != needed:
            said = "" if needed is None else f"; must be {needed}"
            yield path, f"{value!r} is not allowed with {key}{said}"
    if variant.schedule:
        if variant.recovery is None:
            yield ("recovery",), "missing; schedule needs it: a name from recoveries"
        if variant.after is not None:
            yield ("after",), "not allowed with schedule"
        if isinstance(variant.much, int) and variant.much < variant.schedule.rounds:
            said = f"{variant.schedule.rounds} is not allowed; must be at most {variant.amount}"
            yield ("schedule", "rounds"), f"{said} ({variant.much})"
        return
    before = variants.get(variant.after)
    if before is None:  # which is said already
        return
    if before.method != variant.method:
        said = f"'{variant.after}' is not allowed; must be a variant with method {variant.method}"
        yield ("after",), said
    elif before.much >= variant.much:
        said = f"{variant.much} is not allowed; must be more than that of {variant.after}"
        yield (variant.amount,), f"{said} ({before.much})"
