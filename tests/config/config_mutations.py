"""Configs broken at random: values and keys that YAML can hold, put anywhere into a config."""

import copy
import datetime
import random

from hypothesis import strategies

from tests.config.config_door import HEX40

NUMBERS = [0, 1, -1, 2, 10**30, 0.0, 0.5, 1.0, -0.5, 3.0, float("inf"), float("nan")]
WORDS = ["", "0.2", "1e-1", "on", "dense", "wanda", "hub", "local", "uniform", "think", "chains"]
ODD_TEXTS = ["x\ny", "\0", "\ud800", "é", "a" * 300, HEX40]
NOT_JSON = [datetime.date(2026, 1, 1), b"x", (1, 2), frozenset({1, 2})]
KNOWN_KEYS = ["run", "kind", "name", "path", "id", "method", "sparsity", "calibration", "seed"]
ODD_KEYS = ["x", "", "a/b", "x\n", 20, True, None, 1.5, (1, 2)]

KEYS = strategies.sampled_from(KNOWN_KEYS + ODD_KEYS)
VALUES = strategies.recursive(
    strategies.sampled_from([None, True, False, *NUMBERS, *WORDS, *ODD_TEXTS, *NOT_JSON]),
    lambda inner: (
        strategies.lists(inner, max_size=3) | strategies.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=6,
)
ACTIONS = ["drop", "replace", "rename", "add", "move", "nudge"]


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The key path of everything inside a config."""
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    else:
        return []
    found = []
    for step, item in steps:
        found += [(*path, step), *places(item, (*path, step))]
    return found


def with_mutation(config: dict, draw: random.Random, value: object, key: object) -> None:
    """Change something somewhere in `config`, in place."""
    spots = places(config)
    if not spots:
        return
    place, last = _parent(config, draw.choice(spots))
    action = draw.choice(ACTIONS)
    if action == "drop":
        del place[last]
    elif action == "replace":
        place[last] = value
    elif action == "rename" and isinstance(place, dict):
        place[key] = place.pop(last)
    elif action == "add" and isinstance(place[last], dict):
        place[last][key] = value
    elif action == "add" and isinstance(place[last], list):
        place[last].append(value)
    elif action == "move":
        source, name = _parent(config, draw.choice(spots))
        place[last] = copy.deepcopy(source[name])
    elif type(place[last]) in (int, float):
        place[last] = draw.choice([place[last] + 1, place[last] - 1, place[last] * 2])


def _parent(config: dict, path: tuple) -> tuple:
    for step in path[:-1]:
        config = config[step]
    return config, path[-1]
