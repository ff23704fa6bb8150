"""Constraints of wildcards: every name, and no other text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.jobs.name_patterns import one_of

NAMES = st.text("ab-.1|(", min_size=1, max_size=5)


@given(st.sets(NAMES), NAMES)
def test_names_match_and_nothing_else(names, other):
    pattern = re.compile(f"x/(?P<name>{one_of(names)})/y")
    for text in {*names, other}:
        assert bool(pattern.fullmatch(f"x/{text}/y")) == (text in names)
    assert not pattern.fullmatch("x//y")


def test_what_names_begin_with_alike_is_there_once():
    names = [f"magnitude-uniform-{number}" for number in range(1000)]
    assert len(one_of(names)) < len("|".join(names)) / 5
    assert one_of(names) == one_of(reversed(names)) == one_of(names * 2)
