"""Prompts and delimiters as token ids, with the demo reasoner's own tokenizer."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from workflow_scripts.errors import InputError
from workflow_scripts.generation.thinking import (
    end_of_turn_ids,
    prompt_ids,
    tokenise_format,
)
from workflow_scripts.records import Problem
from workflow_scripts.text_rows import encode

REASONER = Path(__file__).resolve().parents[2] / "bundled/models/reasoner"
THINK = {"open": "<think>", "stop": "</think>", "after_stop": "</think>", "after_cap": ";</think>"}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(REASONER)


def test_the_prompt_is_the_chat_template_and_the_opening(tokenizer):
    thinking = tokenise_format(tokenizer, THINK, end_of_turn=(4,))
    ids = prompt_ids(tokenizer, Problem("p", "7+3=?", "0", "integer"), thinking)
    assert tokenizer.decode(ids) == "<|user|>7+3=?<|end|><|assistant|><think>"


def test_choices_follow_the_question_as_lettered_lines(tokenizer):
    problem = Problem("p", "1+1=?", "A", "integer", choices=["2", "3", "4"])
    captured = {}

    class Recording:
        def apply_chat_template(self, messages, **options):
            captured["messages"], captured["options"] = messages, options
            return [1, 2]

    thinking = tokenise_format(tokenizer, THINK, end_of_turn=())
    assert prompt_ids(Recording(), problem, thinking) == (1, 2, *thinking.open)
    assert captured["messages"] == [{"role": "user", "content": "1+1=?\nA) 2\nB) 3\nC) 4"}]
    assert captured["options"]["add_generation_prompt"] is True


def test_a_format_is_its_texts_as_ids(tokenizer):
    thinking = tokenise_format(tokenizer, THINK, end_of_turn=(4,))
    assert tokenizer.decode(thinking.open) == "<think>"
    assert tokenizer.decode([thinking.stop]) == "</think>"
    assert tokenizer.decode(thinking.after_stop) == "</think>"
    assert tokenizer.decode(thinking.after_cap) == ";</think>" and len(thinking.after_cap) == 2


@pytest.mark.parametrize(
    ("stop", "tokens"), [("</think></think>", 2), ("12", 2), ("", 0), ("@", 1)]
)
def test_a_stop_that_is_not_one_known_token_is_refused(tokenizer, stop, tokens):
    with pytest.raises(InputError, match=f"is {tokens} tokens of this model's tokenizer"):
        tokenise_format(tokenizer, THINK | {"stop": stop}, end_of_turn=())


def test_the_turn_ends_at_the_tokenizer_s_eos_and_at_what_the_model_lists(tokenizer):
    eos = tokenizer.eos_token_id
    assert end_of_turn_ids(tokenizer, {}) == (eos,)
    assert end_of_turn_ids(tokenizer, {"eos_token_id": 2}) == tuple(sorted({2, eos}))
    assert end_of_turn_ids(tokenizer, {"eos_token_id": [9, 2, eos]}) == tuple(sorted({2, 9, eos}))


def test_encoding_adds_nothing(tokenizer):
    assert tokenizer.decode(encode(tokenizer, "7*2=4;")) == "7*2=4;"
    assert len(encode(tokenizer, "7*2=4;")) == 6
