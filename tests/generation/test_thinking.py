"""Prompts and delimiters as token ids, with the demo reasoner's tokenizer and one of bytes."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from workflow_scripts.config.thinking import ThinkingFormat
from workflow_scripts.errors import InputError
from workflow_scripts.generation.thinking import (
    Cut,
    answer_prompt,
    longest_marker,
    tokenise_format,
)
from workflow_scripts.models.tokenizers import encode
from workflow_scripts.paths import PROJECT

REASONER = PROJECT / "bundled/models/reasoner"
SHIPPED = yaml.safe_load((PROJECT / "config/config.yaml").read_text(encoding="utf-8"))[
    "thinking_formats"
]
THINK = SHIPPED["think"] | {"after_cap": ";</think>"}
S1 = SHIPPED["s1"]


def tokenise(tokenizer, texts, end_of_turn=()):
    texts = ThinkingFormat(**texts)
    return tokenise_format(tokenizer, texts, "think", end_of_turn, "models/mine")


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(REASONER)


def byte_tokenizer():
    """Every byte is a token, as are newlines with what often stands before them; as in Qwen."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    newline = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str("\n")[0][0]
    merges = [(newline, newline), (".", newline), (".", newline + newline)]
    vocabulary = {token: i for i, token in enumerate([*alphabet, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ("<|im_start|>", "<|im_end|>")
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in special])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")


BYTES = byte_tokenizer()
BYTES_S1 = tokenise(BYTES, S1)


def test_a_format_is_its_texts_as_ids(tokenizer):
    thinking = tokenise(tokenizer, THINK, (4,))
    assert tokenizer.decode(thinking.open) == "<think>"
    assert tokenizer.decode(thinking.stop) == "</think>" and len(thinking.stop) == 1
    assert tokenizer.decode(thinking.after_stop) == "</think>"
    assert tokenizer.decode(thinking.after_cap) == ";</think>" and len(thinking.after_cap) == 2
    assert (thinking.newline, thinking.extend_with, thinking.extensions) == ((), (), 0)
    assert thinking.end_of_turn == (4,)


def test_the_shipped_s1_format_is_that_of_the_public_code():
    """Markers are tokenised in one piece each and the newline apart, as there."""
    thinking = BYTES_S1
    (start,) = encode(BYTES, "<|im_start|>")
    assert thinking.open == (start, *encode(BYTES, "think"))
    assert thinking.stop == (start,)
    assert thinking.after_stop == (start, *encode(BYTES, "answer"))
    assert thinking.after_cap == (start, *encode(BYTES, "answer\nFinal Answer:"))
    assert thinking.newline == tuple(encode(BYTES, "\n")) and len(thinking.newline) == 1
    assert longest_marker(thinking) == len(thinking.after_cap) + 1


@pytest.mark.parametrize(
    ("text", "finish", "then"),
    [
        ("so it is 4", "length", "\n<|im_start|>answer\nFinal Answer:"),
        ("so it is 4\n", "length", "<|im_start|>answer\nFinal Answer:"),
        ("so it is 4.\n", "length", "<|im_start|>answer\nFinal Answer:"),
        ("so it is 4.\n\n", "length", "<|im_start|>answer\nFinal Answer:"),
        ("so it is\n4", "length", "\n<|im_start|>answer\nFinal Answer:"),
        ("é", "length", "\n<|im_start|>answer\nFinal Answer:"),
        ("", "length", "\n<|im_start|>answer\nFinal Answer:"),
        ("so it is 4.\n\n", "stop", "<|im_start|>answer"),
        ("so it is 4", "eos", "<|im_start|>answer"),
        ("", "stop", "<|im_start|>answer"),
    ],
)
def test_the_newline_rule_looks_at_the_text_and_not_at_the_token(text, finish, then):
    tokens = tuple(encode(BYTES, text))
    prompt = tuple(encode(BYTES, "2+2?"))
    ids = answer_prompt(prompt, Cut(tokens, finish), BYTES_S1)
    assert BYTES.decode(ids) == f"2+2?{text}{then}"
    assert ids[: len(prompt) + len(tokens)] == prompt + tokens


def test_a_newline_may_be_the_end_of_a_longer_token():
    """What the cases above are about: no token of this trace is the newline's own."""
    (newline,) = encode(BYTES, "\n")
    assert newline not in encode(BYTES, "so it is 4.\n") + encode(BYTES, "4.\n\n")


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, len(BYTES) - 1), max_size=40))
def test_the_end_of_any_trace_is_seen_as_in_its_whole_text(tokens):
    """Parts of characters and special tokens included."""
    ends_in_newline = BYTES.decode(tokens).endswith("\n")
    ids = answer_prompt((), Cut(tuple(tokens), "length"), BYTES_S1)
    added = () if ends_in_newline else BYTES_S1.newline
    assert ids == (*tokens, *added, *BYTES_S1.after_cap)


def test_several_stops_are_ids_in_order():
    texts = S1 | {"stop": ["<|im_start|>", "#", "<|im_end|>"]}
    ids = [encode(BYTES, text)[0] for text in texts["stop"]]
    assert tokenise(BYTES, texts).stop == tuple(sorted(ids))


def test_extensions_are_tokenised_as_they_are():
    thinking = tokenise(BYTES, S1 | {"extend_with": "Wait", "extensions": 2})
    assert BYTES.decode(thinking.extend_with) == "Wait" and thinking.extensions == 2


@pytest.mark.parametrize(
    ("stop", "which", "tokens"),
    [
        ("</think></think>", "</think></think>", 2),
        ("12", "12", 2),
        (["</think>", "12"], "12", 2),
    ],
)
def test_a_stop_that_is_not_one_token_is_one_line(tokenizer, stop, which, tokens):
    with pytest.raises(InputError) as caught:
        tokenise(tokenizer, THINK | {"stop": stop})
    assert str(caught.value) == (
        f"thinking_formats.think.stop: {which!r} is {tokens} tokens of the tokenizer of "
        "models/mine; each must be exactly one"
    )


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("stop", "@", "@"),
        ("open", "<|im_start|>think", "<|im_start|>think"),
        ("after_cap", "1@</think>", "1@</think>"),
        ("extend_with", "Wait", "Wait"),
        ("newline_before_cap", True, "\n"),
    ],
)
def test_a_text_that_the_tokenizer_cannot_write_is_one_line(tokenizer, key, value, text):
    with pytest.raises(InputError) as caught:
        tokenise(tokenizer, THINK | {key: value, "extensions": int(key == "extend_with")})
    assert str(caught.value) == (
        f"thinking_formats.think.{key}: the tokenizer of models/mine has no token for a part of "
        f"{text!r}; write it with what that tokenizer knows"
    )


def test_encoding_adds_nothing(tokenizer):
    assert tokenizer.decode(encode(tokenizer, "7*2=4;")) == "7*2=4;"
    assert len(encode(tokenizer, "7*2=4;")) == 6


def test_a_tokenizer_that_drops_what_it_does_not_know_is_one_line():
    dropping = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE({"a": 0}, [])))
    texts = THINK | {key: "a" for key in ("open", "stop", "after_stop")}
    assert tokenise(dropping, texts | {"after_cap": "a"}).after_cap == (0,)
    with pytest.raises(InputError, match="think.after_cap: the tokenizer of models/mine has no"):
        tokenise(dropping, texts | {"after_cap": "b"})


def test_the_token_for_what_is_unknown_may_itself_be_written(tokenizer):
    unknown = tokenizer.unk_token
    thinking = tokenise(tokenizer, THINK | {"after_cap": f"{unknown}</think>"})
    assert thinking.after_cap == (tokenizer.unk_token_id, *thinking.stop)
