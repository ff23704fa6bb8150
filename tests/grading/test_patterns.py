"""Regular expressions that every admitted version of Python reads alike."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator

import workflow_scripts.grading


def patterns_in(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from patterns_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from patterns_in(item)


def is_possessive(pattern: str, flags: int = 0) -> bool:
    tree = repr(re._parser.parse(pattern, flags))
    return "POSSESSIVE_REPEAT" in tree or "ATOMIC_GROUP" in tree


def test_no_pattern_has_possessive_quantifiers_or_atomic_groups():
    """Up to 3.11.4 Python gives back in them what it must not when what follows fails."""
    for module in pkgutil.walk_packages(
        workflow_scripts.grading.__path__, "workflow_scripts.grading."
    ):
        importlib.import_module(module.name)
    names = [name for name in sys.modules if name.startswith("workflow_scripts.")]
    found = [(n, p) for n in names for p in patterns_in(list(vars(sys.modules[n]).values()))]
    assert len(found) > 100
    assert [(n, p.pattern) for n, p in found if is_possessive(p.pattern, p.flags)] == []
    assert is_possessive("(?:ab*+c)?") and is_possessive("(?>ab)")
