"""What is measured of one trace, from its text. Text in, numbers out.

Places are counted in characters: a trace file holds the text of a trace and the number of its
tokens, but not which characters are one token. What a smaller budget leaves of a trace is the same
share of its characters as of its tokens (see `place_of`), and how many tokens lie before a place is
asked of the model's tokenizer (`models.tokenizers.tokens_before`).
"""

import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.tables.traces.hashing import Hashed

# scripts that put no spaces between words: Thai to Burmese, Khmer, the ideographs with their kana
_UNSPACED = (("\u0e00", "\u109f"), ("\u1780", "\u17ff"), ("\u2e80", "\u9fff"), ("\uf900", "\ufaff"),
             ("\U00020000", "\U0003ffff"))  # fmt: skip
_SPACE, _SIGN, _LETTER, _DIGIT = range(4)


def place_of(characters: int, tokens: int, kept: int) -> int:
    """Where a trace ends of which the first `kept` of its tokens are left, in characters.

    Exact where all tokens are equally long, as the demo reasoner's are, and for the whole trace.
    """
    return characters if kept >= tokens else characters * kept // tokens


def compressions(text: str, places: Sequence[int]) -> list[float]:
    """How many times smaller zlib makes the text up to each of some ascending places, as UTF-8.

    NaN for no text. What repeats itself is compressed well: prose about 2 or 3 times, a loop far
    more. Short texts have ratios below 1, because of zlib's header.
    """
    compressor, start, size, made = zlib.compressobj(), 0, 0, 0
    found = {0: np.nan}
    for place in places:
        if place not in found:
            part = text[start:place].encode("utf-8", "surrogatepass")
            size, start, made = size + len(part), place, made + len(compressor.compress(part))
            found[place] = size / (made + len(compressor.copy().flush()))
    return [found[place] for place in places]


def grams(text: Hashed, words: int) -> tuple[NDArray, NDArray]:
    """Every n-gram of so many words, as a hash, and where it ends; both of shape (n-grams,).

    A word is a run of letters, one of digits, or any other character that is no space; characters
    of scripts without spaces between words stand for themselves. Spaces between the words of an
    n-gram count as they are.
    """
    kinds = _kinds()[text.codes]
    is_word = kinds != _SPACE
    goes_on = (kinds[1:] == kinds[:-1]) & (kinds[1:] != _SIGN)
    begins, ends = is_word.copy(), is_word.copy()
    begins[1:] &= ~goes_on
    ends[:-1] &= ~goes_on
    starts, stops = np.flatnonzero(begins), np.flatnonzero(ends) + 1
    count = max(len(starts) - words + 1, 0)
    stops = stops[words - 1 :]
    return text.parts(starts[:count], stops), stops


def distinct(texts: Sequence[NDArray], counts: NDArray) -> NDArray:
    """Distinct n-grams over all n-grams of several texts together (Li et al., arXiv 1510.03055).

    `counts`, of shape (cuts, texts), ascending, are how many of a text's n-grams each cut leaves
    it; the result is of shape (cuts,), NaN where there is none. All cuts take one pass over the
    n-grams, in the order in which cuts leave them: new is what was not there before.
    """
    before = np.vstack([np.zeros_like(counts[:1]), counts[:-1]])
    parts = [
        grams[start:end]
        for starts, ends in zip(before, counts, strict=True)
        for grams, start, end in zip(texts, starts, ends, strict=True)
    ]
    is_new = ~pd.Series(np.concatenate(parts)).duplicated().to_numpy()
    new, every = np.concatenate([[0], np.cumsum(is_new)]), counts.sum(axis=1)
    return np.where(every > 0, new[every] / np.maximum(every, 1), np.nan)


def word_places(text: str, words: Iterable[str]) -> NDArray:
    """Where each of some words or phrases ends in a text, ascending, capitals or not.

    Letters or digits beside it make another word of it, but in scripts without spaces between
    words. Of those that overlap the first counts, and the longest that starts there.
    """
    lowered = _lowered(text)
    found = []
    for word in map(_lowered, words):
        start = lowered.find(word)
        while start >= 0:
            end = start + len(word)
            before, after = lowered[start - 1 : start], lowered[end : end + 1]
            if not (_joined(before, word[0]) or _joined(word[-1], after)):
                found.append((start, -end))
            start = lowered.find(word, start + 1)
    ends, last = [], 0
    for start, end in sorted(found):
        if start >= last:
            last = -end
            ends.append(last)
    return np.array(ends, dtype=int)


def departure(one: NDArray, other: NDArray) -> int | None:
    """The first character in which two texts, as code points, differ; None where they do not.

    Where one is the beginning of the other it is where that one ends.
    """
    shared = min(len(one), len(other))
    differ = one[:shared] != other[:shared]
    if differ.any():
        return int(differ.argmax())
    return None if len(one) == len(other) else shared


def _lowered(text: str) -> str:
    """In small letters, with as many characters and with straight apostrophes."""
    small = text.lower().replace("’", "'")
    if len(small) == len(text):
        return small
    parts = (char.lower() for char in text.replace("’", "'"))
    return "".join(part if len(part) == 1 else part[0] for part in parts)


def _joined(one: str, two: str) -> bool:
    """Whether two characters that stand beside each other are parts of one word."""
    return _is_spaced(one) and _is_spaced(two)


def _is_spaced(char: str) -> bool:
    """A letter or digit of a script with spaces between words; not the place beside a text."""
    return char.isalnum() and not any(low <= char <= high for low, high in _UNSPACED)


@cache
def _kinds() -> NDArray:
    """What every code point is: space, sign, letter or digit."""
    kinds = np.full(0x110000, _SIGN, dtype=np.uint8)
    for code in range(0x20000):  # above stand ideographs, which are for themselves
        char = chr(code)
        if char.isspace():
            kinds[code] = _SPACE
        elif _is_spaced(char):
            kinds[code] = _DIGIT if char.isdigit() else _LETTER
        elif unicodedata.combining(char):  # accents that stand on their letters
            kinds[code] = _LETTER
    return kinds
