"""Mistakes in configs, drawn at random: the kinds that people make, each said in words.

`config_mutations.py` puts anything anywhere; here are the slips of somebody who writes a config.
"""

import copy
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from tests.config.config_mutations import places

# what is written where another type is right; texts that YAML reads as something else included
RETYPED = [None, True, 0, 7, 0.5, "", "yes", "20%", [], {}, ["dense"], {"kind": "local"}, "~"]
NUMBERS = [-1, 0, 0.0, 1, 1.0, 0.5, 1.5, 100, 101, 10**6, 2**32, 2**64, 10**30]
NUMBERS += [float("nan"), float("inf"), -0.5, 1e-9]
TEXTS = ["", " ", "../up", "/etc/passwd", "a/b", "x" * 5000, "two\nlines", "nul\0", "é", "-n", "."]
WORDS = ["hub", "local", "wanda", "dense", "uniform", "owl", "vllm", "cuda", "paper", "2:4", "main"]


class Mistake(NamedTuple):
    """A config with one thing changed; `said` names the place and the change."""

    kind: str
    said: str
    config: Any


def drop(config: dict, draw: random.Random) -> str:
    place, last, path = _anywhere(config, draw)
    del place[last]
    return f"{path} dropped"


def rename(config: dict, draw: random.Random) -> str:
    """A key gets a typo, another case, another key's name, or one that is none."""
    keys = [path for path in places(config) if isinstance(path[-1], str)]
    path = draw.choice(keys)
    place, last = _parent(config, path), path[-1]
    others = [*{key[-1] for key in keys} - {last}]
    new = draw.choice([_typo(last, draw), last.upper(), draw.choice(sorted(others)), 20, "a/b", ""])
    items = [(new if key == last else key, value) for key, value in place.items()]
    place.clear()
    place.update(items)
    return f"{_spoken(path)} renamed to {new!r}"


def retype(config: dict, draw: random.Random) -> str:
    place, last, path = _anywhere(config, draw)
    value = place[last]
    choices = [*RETYPED, [value], str(value), {"value": value}]
    place[last] = draw.choice(choices)
    return f"{path} = {place[last]!r:.60}"


def put_out_of_range(config: dict, draw: random.Random) -> str:
    """A number, a text or a list becomes one that the place may not hold."""
    place, last, path = _leaf(config, draw)
    value = place[last]
    if isinstance(value, list):
        place[last] = draw.choice([[], value * 2, value + [value[-1]] if value else [0]])
    elif isinstance(value, str):
        place[last] = draw.choice(TEXTS)
    else:
        place[last] = draw.choice([*NUMBERS, -value, value * 1000])
    return f"{path} = {place[last]!r:.60}"


def cross(config: dict, draw: random.Random) -> str:
    """A name or word becomes one from elsewhere, or a part of the config stands in two places."""
    if draw.random() < 0.3:
        place, last, path = _anywhere(config, draw)
        source, name, other = _anywhere(config, draw)
        place[last] = copy.deepcopy(source[name])
        return f"{path} = what stands at {other}"
    texts = [path for path in places(config) if isinstance(_at(config, path), str)]
    path = draw.choice(texts)
    names = {key[-1] for key in places(config) if len(key) == 2 and isinstance(key[-1], str)}
    place, last = _parent(config, path), path[-1]
    place[last] = draw.choice(sorted(names | {*WORDS}))
    return f"{_spoken(path)} = {place[last]!r}"


KINDS: dict[str, Callable[[dict, random.Random], str]] = {
    "dropped": drop,
    "renamed": rename,
    "retyped": retype,
    "out of range": put_out_of_range,
    "crossed": cross,
}


def mistake(config: dict, draw: random.Random, kind: str) -> Mistake:
    """A copy of `config` with one mistake of this kind in it."""
    changed = copy.deepcopy(config)
    return Mistake(kind, KINDS[kind](changed, draw), changed)


def garbled(text: str, draw: random.Random) -> Mistake:
    """The text of a config, damaged as in an editor: it may be no YAML any more."""
    lines = [
        number
        for number, line in enumerate(text.splitlines())
        if line.strip() and not line.lstrip().startswith("#")
    ]
    number, lines = draw.choice(lines), text.splitlines()
    line = lines[number]
    at = draw.randrange(len(line))
    slip = draw.choice(["removed", "doubled", "indented", "tab", "sign", "cut", "date"])
    lines[number : number + 1] = {
        "removed": [],
        "doubled": [line, line],
        "indented": [" " + line],
        "tab": ["\t" + line],
        "sign": [line[:at] + draw.choice(":{}[]\"'#&*!%@,- ") + line[at:]],
        "cut": [line[:at]],
        "date": [line.split(":")[0] + ": 2026-01-13"],
    }[slip]
    return Mistake("garbled", f"line {number + 1} {slip}", "\n".join(lines) + "\n")


def written(config: Any) -> str:
    """A config as YAML that a loader reads back as it is."""
    return config if isinstance(config, str) else yaml.dump(config, sort_keys=False)


def _anywhere(config: dict, draw: random.Random) -> tuple[Any, Any, str]:
    path = draw.choice(places(config))
    return _parent(config, path), path[-1], _spoken(path)


def _leaf(config: dict, draw: random.Random) -> tuple[Any, Any, str]:
    leaves = [
        path
        for path in places(config)
        if isinstance(value := _at(config, path), (list, str)) or type(value) in (int, float)
    ]
    path = draw.choice(leaves)
    return _parent(config, path), path[-1], _spoken(path)


def _parent(config: Any, path: tuple) -> Any:
    return _at(config, path[:-1])


def _at(config: Any, path: tuple) -> Any:
    for step in path:
        config = config[step]
    return config


def _spoken(path: tuple) -> str:
    return ".".join(map(str, path))


def _typo(word: str, draw: random.Random) -> str:
    at = draw.randrange(len(word))
    return draw.choice(
        [word[:at] + word[at + 1 :], word[:at] + word[at] * 2 + word[at + 1 :], word + "s"]
    )
