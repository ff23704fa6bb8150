"""Which variants are pruned in one way and differ only in how much: from the config's entries."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workflow_scripts.config.entry import as_json
from workflow_scripts.config.methods.base import Method

DYNAMIC = "dynamic"  # the family of methods by which tokens decide what they skip


@dataclass(frozen=True)
class Way:
    """How a variant is pruned: what its entry says but for the amount.

    `name` is what the names of all variants of this way begin with, `level` the rest of this one's,
    which may be empty. `family` is its method's: what is taken out. `recovery` names the training
    that follows, if any; `pruned` is then the way that says all the same but that, or, where none
    is run, the first that does. Variants with a recovery may have an end in common, too.
    """

    method: str
    name: str
    level: str
    family: str
    recovery: str = ""
    pruned: str = ""

    @property
    def base(self) -> str:
        """The name of the way without what follows pruning: one for all that prune alike."""
        return self.pruned or self.name

    @property
    def is_dynamic(self) -> bool:
        """Whether tokens decide for themselves what they skip, and nothing is removed."""
        return self.family == DYNAMIC

    @property
    def removes(self) -> bool:
        """Whether something is taken out of the model, for all tokens alike."""
        return self.family not in ("none", DYNAMIC)


def ways_of(variants: Mapping[str, Method]) -> dict[str, Way]:
    """The way of each of some entries by name, in their order."""
    members: dict[tuple[str, str], list[str]] = {}
    for name, entry in variants.items():
        key = as_json(entry, exclude={entry.amount, "recovery"})
        members.setdefault((key, entry.recovery or ""), []).append(name)
    found, taken, alike = {}, set(), {}
    for (key, recovery), names in sorted(members.items(), key=lambda one: bool(one[0][1])):
        start, end = _common_words(names) or names[0], ""
        if recovery and len(names) > 1:
            end = _common_words(names, last=True)
        common = f"{start}-{end}" if end else start
        # another way whose names begin alike, as `wanda-20` does where this one is `wanda-owl-20`
        way = common if common not in taken else f"{common} ({names[0]})"
        taken.add(way)
        pruned = alike.setdefault(key, way)
        for name in names:
            level = name.removeprefix(start).removesuffix(end).strip("-_. ")
            entry = variants[name]
            after = {"recovery": recovery, "pruned": pruned} if recovery else {}
            found[name] = Way(entry.method, way, level, entry.family, **after)
    return {name: found[name] for name in variants}


def as_lists(ways: Mapping[str, Way]) -> list[list[str]]:
    """Ways for a flag: in their order, and short, since a command's argument has its limits."""
    return [
        [name, way.method, way.name, way.level, way.family]
        + ([way.recovery, way.pruned] if way.recovery else [])
        for name, way in ways.items()
    ]


def from_lists(lists: Iterable[list[str]]) -> dict[str, Way]:
    """What `as_lists` was made from."""
    return {name: Way(*rest) for name, *rest in lists}


def _common_words(names: list[str], last: bool = False) -> str:
    """The words, parted by `-`, `_`, `.` or blanks, that all of some names begin with; or end with,
    if the `last` ones are asked for."""
    step = -1 if last else 1
    words = [re.split(r"([-_. ])", name)[::step] for name in names]
    alike = 0
    while all(len(w) > alike and w[alike] == words[0][alike] for w in words):
        alike += 1
    return "".join(words[0][:alike][::step]).strip("-_. ")


def members_of(ways: Mapping[str, Way], variants: Iterable[str]) -> dict[str, list[str]]:
    """The variants of each way by its name, in their order."""
    found: dict[str, list[str]] = {}
    for variant in variants:
        found.setdefault(ways[variant].name, []).append(variant)
    return found
