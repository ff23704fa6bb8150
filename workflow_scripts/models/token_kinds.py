"""What kind of text a token is: number, operator, delimiter, word.

A token is what its text is without blanks around it; one that mixes kinds is `other`.
"""

import unicodedata
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOKEN_KINDS = ("digit", "operator", "delimiter", "word", "space", "special", "other")

OPERATORS = frozenset("+-*/=<>^%&|~")  # beside the symbols of Unicode's class Sm, of which + is one


def token_kinds(tokenizer: "PreTrainedTokenizerBase") -> NDArray[np.uint8]:
    """The kind of every id of a tokenizer, as an index of TOKEN_KINDS; shape (vocabulary,)."""
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    kinds = ("special" if i in special else kind_of(text) for i, text in enumerate(texts))
    return np.array([TOKEN_KINDS.index(kind) for kind in kinds], dtype=np.uint8)


def kind_of(text: str) -> str:
    """The kind of a token's text: one of TOKEN_KINDS other than `special`."""
    found = {_kind_of_character(character) for character in text.strip()}
    if not found:
        return "space"
    return found.pop() if len(found) == 1 else "other"


def _kind_of_character(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] == "N":
        return "digit"
    if character in OPERATORS or category == "Sm":
        return "operator"
    if category[0] == "P" or character in "$`\\":
        return "delimiter"
    return "word" if category[0] in "LM" else "other"
