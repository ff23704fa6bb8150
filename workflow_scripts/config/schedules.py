"""Schedules: a variant that is pruned and trained in turns, as variants that are a turn each.

    NAME+round-1+pruned → NAME+round-1 → NAME+round-2+pruned → ... → NAME+pruned → NAME
    NAME+routers+pruned → NAME+routers → NAME

A turn that prunes is `after` the one before it: its mask is made for what that has become, and
holds all that is gone.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from workflow_scripts.config.entry import Entry, Said
from workflow_scripts.config.types import fitting, named, one_of

PRUNED = "+pruned"  # behind the name of a variant with a recovery, what that starts from
# and of one with a schedule, the turns before its last
ROUND, PENALISED, ROUTERS = "+round-", "+penalised", "+routers"

# families of methods by which no weight of a linear goes
UNPENALISED = ("none", "slicing", "dynamic")


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


class Penalised(Entry):
    """What is to go is made small by a training of its own, goes, and the rest is trained (DReSS,
    arXiv 2501.17905)."""

    kind: Literal["penalised"]
    recovery: named("recoveries")
    """A name from `recoveries`, of one with a penalty: the training before weights go. The
    variant's own recovery is the one after it."""


class RoutersFirst(Entry):
    """The routers of a dynamic method are trained, and then the rest is, with them as they are
    (SkipGPT, arXiv 2506.04179)."""

    kind: Literal["routers-first"]
    recovery: named("recoveries")
    """A name from `recoveries`, of one that trains routers. The variant's own recovery is the one
    after it."""


SCHEDULES = {"gradual": Gradual, "penalised": Penalised, "routers-first": RoutersFirst}
# of those by which another recovery comes first, what that turn is called
_FIRST = {Penalised: PENALISED, RoutersFirst: ROUTERS}

Schedule = one_of(SCHEDULES, "kind")


def turns_of(name: str, variant: Any) -> Iterator[tuple[str, Any]]:
    """The variants, by name, that the turns of a schedule before its last end in."""
    if suffix := _FIRST.get(type(variant.schedule)):
        turn = {"schedule": None, "recovery": variant.schedule.recovery}
        yield name + suffix, variant.model_copy(update=turn)
    if not isinstance(variant.schedule, Gradual):
        return
    before = None
    for number, amount in enumerate(variant.schedule.amounts(variant.much)[:-1], 1):
        place = f"{name}{ROUND}{number}"
        turn = {variant.amount: amount, "schedule": None, "after": before}
        yield place, variant.model_copy(update=turn)
        before = place


def start_of(name: str, variant: Any) -> Any:
    """What a variant's recovery starts from, as an entry; itself where it has none."""
    start: dict[str, Any] = {"recovery": None, "schedule": None}
    if type(variant.schedule) in _FIRST:
        start["recovery"] = variant.schedule.recovery
    if isinstance(variant.schedule, Gradual):
        start["after"] = f"{name}{ROUND}{variant.schedule.rounds - 1}"
    return variant.model_copy(update=start)


def mistakes(
    variants: Mapping[str, Any], recoveries: Mapping[str, Any], methods: Mapping[str, Any]
) -> Iterator[Said]:
    """What schedules, variants after others and recoveries with a penalty cannot be.

    `methods` are all there are, by name.
    """
    going_on = ", ".join(sorted(name for name, method in methods.items() if method.goes_on))
    with_penalty = {name for name in recoveries if _has("penalty", name, recoveries)}
    with_routers = {name for name in recoveries if _has("routers", name, recoveries)}
    unmeasured = {name for name in recoveries if _is_unmeasured(name, recoveries)}
    for name, variant in variants.items():
        said = [*_of_schedule(variant, with_penalty)]
        if variant.after is not None or isinstance(variant.schedule, Gradual):
            said += _of_going_on(variant, variants, going_on)
        if variant.recovery in with_penalty:
            said += _of_penalty(variant)
        said += _of_routers(variant, with_routers, unmeasured)
        said += _of_idle_keys(variant, recoveries)
        for path, what in said:
            yield ("variants", name, *path), what
    yield from _untrained(variants, with_routers, recoveries)


def _has(key: str, name: str, recoveries: Mapping[str, Any]) -> bool:
    """Whether a recovery has a key, or leads to one that has it for any model."""
    return any(getattr(one, key, None) is not None for one in _each(name, recoveries))


def _is_unmeasured(name: str, recoveries: Mapping[str, Any]) -> bool:
    """Whether a recovery has no validation rows, or leads to one that has none for any model."""
    return any(getattr(one, "validation", None) == 0 for one in _each(name, recoveries))


def _trains_routers(variant: Any) -> str | None:
    """The recovery by which a dynamic variant's routers are to be trained."""
    is_first = isinstance(variant.schedule, RoutersFirst)
    return variant.schedule.recovery if is_first else variant.recovery


def _untrained(
    variants: Mapping[str, Any], with_routers: set[str], recoveries: Mapping[str, Any]
) -> Iterator[Said]:
    """Models whose routers would stay untrained while those of others are trained."""
    dynamic = {name: one for name, one in variants.items() if one.family == "dynamic"}
    needed = {_trains_routers(variant): name for name, variant in reversed(dynamic.items())}
    for name, recovery in recoveries.items():
        if name not in with_routers or name not in needed:
            continue
        for model, leaf in getattr(recovery, "models", {}).items():
            if leaf in recoveries and leaf not in with_routers:
                said = f"'{leaf}' trains no routers; must be one that does, for variant"
                yield ("recoveries", name, "models", model), f"{said} {needed[name]}"


def _of_idle_keys(variant: Any, recoveries: Mapping[str, Any]) -> Iterator[Said]:
    """Keys of a training of routers that have no effect on this method's."""
    name = _trains_routers(variant)
    if variant.family != "dynamic" or name not in recoveries:
        return
    key = ("recovery",) if name == variant.recovery else ("schedule", "recovery")
    for one in _each(name, recoveries):
        given = getattr(getattr(one, "routers", None), "model_fields_set", set())
        if idle := sorted(given & variant.idle):
            said = f"'{name}' is not allowed with method {variant.method}, form {variant.form}"
            yield key, f"{said}: routers.{idle[0]} has no effect there"
            return


def _each(name: str, recoveries: Mapping[str, Any]) -> list[Any]:
    """A recovery and all that it leads to."""
    entry = recoveries[name]
    names = getattr(entry, "models", {}).values()
    return [entry, *(recoveries[name] for name in names if name in recoveries)]


def _of_schedule(variant: Any, with_penalty: set[str]) -> Iterator[Said]:
    if variant.schedule is None:
        return
    if variant.recovery is None:
        yield ("recovery",), "missing; schedule needs it: a name from recoveries"
    if variant.after is not None:
        yield ("after",), "not allowed with schedule"
    if isinstance(variant.schedule, Penalised):
        if variant.schedule.recovery not in with_penalty:
            said = f"'{variant.schedule.recovery}' is not allowed; must be one with a penalty"
            yield ("schedule", "recovery"), said
        if variant.family in UNPENALISED:
            yield (
                ("schedule",),
                f"not allowed with method {variant.method}, by which no weight goes",
            )
    elif variant.goes_on and isinstance(variant.much, int):
        rounds, most = variant.schedule.rounds, variant.much
        if most < rounds:
            said = f"{rounds} is not allowed; must be at most {variant.amount} ({most})"
            yield ("schedule", "rounds"), said


def _of_routers(variant: Any, with_routers: set[str], unmeasured: set[str]) -> Iterator[Said]:
    """Routers that are never trained, trained twice, or are not there; a share that no rows tell.

    `with_routers` are recoveries that train routers, `unmeasured` those without validation rows.
    """
    schedule, recovery = variant.schedule, variant.recovery
    is_first = isinstance(schedule, RoutersFirst)
    if variant.family != "dynamic":
        said = f"not allowed with method {variant.method}, which has no routers"
        if is_first:
            yield ("schedule",), said
        elif recovery in with_routers:
            yield ("recovery",), f"'{recovery}' is {said}: it trains them"
        return
    if is_first:
        if schedule.recovery not in with_routers:
            said = f"'{schedule.recovery}' is not allowed; must be one that trains routers"
            yield ("schedule", "recovery"), said
        if recovery in with_routers:
            said = f"'{recovery}' is not allowed with schedule; must be one that trains no routers"
            yield ("recovery",), said
        elif recovery in unmeasured:
            said = f"'{recovery}' is not allowed with method {variant.method}; must be one with "
            yield ("recovery",), f"{said}validation rows, by which the skipped share is told"
    elif recovery is None:
        said = f"missing; method {variant.method} has routers that are to be trained"
        yield ("recovery",), f"{said}: a name from recoveries"
    elif recovery not in with_routers:
        said = f"'{recovery}' is not allowed with method {variant.method}; must be one that trains"
        yield ("recovery",), f"{said} routers, or come after one that does: see schedule"


def _of_penalty(variant: Any) -> Iterator[Said]:
    """Weights that will go are what a penalty is on; those of rounds before are gone."""
    if variant.family in UNPENALISED:
        said = f"'{variant.recovery}' is not allowed with method {variant.method}"
        yield ("recovery",), f"{said}: its penalty is on weights that go, and none does"
    elif variant.after is not None or isinstance(variant.schedule, Gradual):
        key = "schedule" if variant.after is None else "after"
        said = f"'{variant.recovery}' is not allowed with {key}: it has a penalty, and weights have"
        yield ("recovery",), f"{said} gone before"


def _of_going_on(variant: Any, variants: Mapping[str, Any], going_on: str) -> Iterator[Said]:
    key = "schedule" if variant.after is None else "after"
    if not variant.goes_on:
        said = f"not allowed with method {variant.method}, which has no mask that is built for a "
        said += "model which lacks weights and was trained since"
        yield (key,), f"{said}; there: {going_on}"
        return
    for path, value, needed in variant.fixed_going_on():
        if value != needed:
            said = "" if needed is None else f"; must be {needed}"
            yield path, f"{value!r} is not allowed with {key}{said}"
    before = variants.get(variant.after)
    if before is None:  # without after; or there is no such, which is said already
        return
    if before.method != variant.method:
        said = f"'{variant.after}' is not allowed; must be a variant with method {variant.method}"
        yield ("after",), said
    elif before.much >= variant.much:
        said = f"{variant.much} is not allowed; must be more than that of {variant.after}"
        yield (variant.amount,), f"{said} ({before.much})"
