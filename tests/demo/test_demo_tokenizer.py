"""The demo tokenizer, as built and as read back from files."""

import random

import pytest
from jinja2 import TemplateError
from transformers import AutoTokenizer

from workflow_scripts.demo.chains import THINK, THINK_END, TURN_END, training_example
from workflow_scripts.demo.tokenizer import build_tokenizer, prompt


@pytest.fixture(scope="module", params=["built", "read back"])
def tokenizer(request, tmp_path_factory):
    built = build_tokenizer()
    if request.param == "built":
        return built
    folder = tmp_path_factory.mktemp("tokenizer")
    built.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def test_text_survives_the_round_trip(tokenizer):
    rng = random.Random(5)
    for _ in range(50):
        example = training_example(rng)
        text = prompt(tokenizer, example.question) + example.completion
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.decode(ids) == text
        assert tokenizer.encode(text) == ids  # nothing is added of itself


def test_one_token_a_character_and_a_delimiter(tokenizer):
    for text in [*"0123456789+-*=;?", THINK, THINK_END, TURN_END, "<|user|>", "<|assistant|>"]:
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert len(ids) == 1 and ids[0] != tokenizer.unk_token_id
    ids = tokenizer.encode(f"{THINK}7*2=4;{THINK_END}4{TURN_END}", add_special_tokens=False)
    assert len(ids) == 1 + 6 + 1 + 1 + 1


def test_delimiters_survive_where_special_tokens_are_skipped(tokenizer):
    ids = tokenizer.encode(f"{THINK}7*2=4;{THINK_END}4{TURN_END}", add_special_tokens=False)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>7*2=4;</think>4"


def test_special_tokens_are_told_apart(tokenizer):
    assert tokenizer.eos_token == TURN_END
    assert tokenizer.bos_token is None
    assert len({tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}) == 3
    assert len(tokenizer) == 5 + 2 + 10 + 3 + 3


def test_foreign_characters_become_unknown_one_by_one(tokenizer):
    ids = tokenizer.encode("7 ×2", add_special_tokens=False)
    assert [i == tokenizer.unk_token_id for i in ids] == [False, True, True, False]


def test_chat_template(tokenizer):
    messages = [{"role": "user", "content": "7*2+5=?"}, {"role": "assistant", "content": "9"}]
    closed = "<|user|>7*2+5=?<|end|><|assistant|>9<|end|>"
    assert tokenizer.apply_chat_template(messages, tokenize=False) == closed
    assert prompt(tokenizer, "7*2+5=?") == "<|user|>7*2+5=?<|end|><|assistant|>"


def test_chat_template_refuses_other_roles(tokenizer):
    with pytest.raises(TemplateError, match="roles user and assistant, not system"):
        tokenizer.apply_chat_template([{"role": "system", "content": "1"}], tokenize=False)
