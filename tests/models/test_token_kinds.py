import numpy as np
import pytest

from workflow_scripts.models.token_kinds import TOKEN_KINDS, kind_of, token_kinds
from workflow_scripts.models.tokenizers import load_tokenizer
from workflow_scripts.paths import PROJECT


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("7", "digit"), (" 12", "digit"), ("½", "digit"), ("²", "digit"),
        ("+", "operator"), (" -", "operator"), ("×", "operator"), ("≤", "operator"),
        ("//", "operator"), ("**", "operator"), ("=", "operator"),
        (",", "delimiter"), (").", "delimiter"), ("$", "delimiter"), ("\\[", "delimiter"),
        ("the", "word"), (" Étude", "word"), ("等", "word"),
        (" ", "space"), ("\n\n", "space"), ("", "space"),
        ("x=", "other"), ("3.", "other"), ("\ufffd", "other"), ("😀", "other"),
    ],
)  # fmt: skip
def test_a_token_is_what_its_text_is(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_every_id_of_a_tokenizer_has_a_kind() -> None:
    tokenizer = load_tokenizer(PROJECT / "bundled" / "models" / "reasoner")
    kinds = token_kinds(tokenizer)
    assert kinds.shape == (len(tokenizer),) and kinds.dtype == np.uint8
    named = {tokenizer.convert_ids_to_tokens(i): TOKEN_KINDS[kind] for i, kind in enumerate(kinds)}
    assert named["7"] == "digit" and named["+"] == "operator" and named[";"] == "delimiter"
    assert {named[token] for token in ("<think>", "</think>")} == {"special"}
