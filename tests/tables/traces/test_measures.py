"""What is measured of scripted texts."""

import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.tables.traces.hashing import code_points, hashed
from workflow_scripts.tables.traces.measures import (
    compressions,
    departure,
    distinct,
    grams,
    place_of,
    word_places,
)


def test_a_cut_is_at_the_same_share_of_characters_as_of_tokens():
    assert [place_of(72, 72, kept) for kept in (0, 6, 71, 72, 99)] == [0, 6, 71, 72, 72]
    assert place_of(1000, 250, 125) == 500
    assert place_of(0, 0, 6) == 0


@pytest.mark.parametrize("text", ["", "7+3=0;0+6=6;", "so " * 500, "等一下，再检查一下。é" * 9])
def test_compression_is_that_of_the_bytes_of_each_beginning(text):
    places = [0, len(text) // 3, len(text)]
    for place, ratio in zip(places, compressions(text, places), strict=True):
        part = text[:place].encode()
        if part:
            assert ratio == pytest.approx(len(part) / len(zlib.compress(part)), rel=0.02)
        else:
            assert math.isnan(ratio)
    assert compressions("so " * 500, [1500])[0] > 50


def words_of(text: str) -> list[str]:
    """The words of a text, by where its one-word grams end."""
    _, ends = grams(hashed(text), 1)
    pieces = [text[start:end].strip() for start, end in zip([0, *ends], ends, strict=False)]
    return pieces


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7+3=0;", ["7", "+", "3", "=", "0", ";"]),
        ("Wait, 12 is  too\nmuch", ["Wait", ",", "12", "is", "too", "much"]),
        ("x2 = naïve", ["x", "2", "=", "naïve"]),
        ("等一下 ok", ["等", "一", "下", "ok"]),
        ("cafe\u0301!", ["cafe\u0301", "!"]),
        ("\U0001f914\U0001f914", ["\U0001f914", "\U0001f914"]),
        (" \n", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(1, 4))
def test_distinct_n_grams_are_those_of_lists_of_words(words, n):
    found, ends = grams(hashed(" ".join(words)), n)
    by_hand = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    assert len(found) == len(ends) == len(by_hand)
    cuts = [0, len(by_hand) // 2, len(by_hand)]
    for cut, share in zip(cuts, distinct([found], np.array([cuts]).T), strict=True):
        if cut:
            assert share == pytest.approx(len({*by_hand[:cut]}) / cut)
        else:
            assert math.isnan(share)


def test_repeats_that_say_the_same_have_half_as_many_distinct_n_grams():
    one, other = (grams(hashed(text), 3)[0] for text in ("a b c d e", "f g h i j"))
    both = np.array([[1, 1], [3, 3]])
    assert distinct([one], both[:, :1]).tolist() == [1.0, 1.0]
    assert distinct([one, one], both).tolist() == [0.5, 0.5]
    assert distinct([one, other], both).tolist() == [1.0, 1.0]
    # the second has nothing of the first before the larger cut
    late = grams(hashed("f g h a b c"), 3)[0]
    assert distinct([one, late], np.array([[3, 1], [3, 4]])).tolist() == [1.0, 6 / 7]


WORDS = ["wait", "let me check", "check", "不对", "hold on"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Wait, wait. WAIT", 3),
        ("waiter awaits wait2", 0),
        ("let me check", 1),  # and not "check" as well
        ("let me check check", 2),
        ("不对，不对。", 2),
        ("这不对wait吧", 2),
        ("wait", 1),
        ("", 0),
        ("\u0130 wait", 1),  # which has two characters in small letters
        ("hold\non", 0),
    ],
)
def test_reflection_words(text, count):
    assert len(word_places(text, WORDS)) == count


def test_reflection_words_are_counted_where_they_end():
    text = "Wait. So 4, wait: 5."
    assert word_places(text, WORDS).tolist() == [4, 16]
    assert word_places("I’d rethink", ["i'd rethink"]).tolist() == [11]


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        ("", "", None), ("abc", "abc", None), ("abc", "abd", 2), ("abc", "ab", 2), ("ab", "abc", 2),
        ("", "a", 0), ("等一下", "等两下", 1), ("a\U0001f914b", "a\U0001f914c", 2),
        ("e\u0301", "\u00e9", 0),
    ],
)  # fmt: skip
def test_a_departure_is_the_first_character_that_differs(one, other, place):
    assert departure(code_points(one), code_points(other)) == place


@given(st.text("ab", max_size=30), st.data())
def test_parts_have_equal_hashes_where_they_are_equal(text, data):
    length = data.draw(st.integers(0, len(text)))
    starts = np.arange(len(text) - length + 1)
    every = hashed(text).every(length)
    assert (every == hashed(text).parts(starts, starts + length)).all()
    for one in starts:
        for two in starts:
            same = text[one : one + length] == text[two : two + length]
            assert (every[one] == every[two]) == same
