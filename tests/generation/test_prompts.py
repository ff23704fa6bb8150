"""The prompt of a problem: question, choices, and one opening of the thinking."""

import pytest
from transformers import AutoTokenizer

from workflow_scripts.artefacts.records import Problem
from workflow_scripts.config.thinking import ThinkingFormat
from workflow_scripts.errors import InputError
from workflow_scripts.generation.prompts import prompts
from workflow_scripts.models.chat_templates import ChatTemplate
from workflow_scripts.models.tokenizers import encode
from workflow_scripts.paths import PROJECT

REASONER = PROJECT / "bundled/models/reasoner"
THINK = ThinkingFormat(open="<think>", stop="</think>", after_stop="</think>", after_cap="</think>")
SUM = Problem("p", "7+3=?", "0", "integer")
USER, BOT = "<|user|>{{ messages[0].content }}", "<|end|><|assistant|>"


def prompt_of(problem=SUM, template=None, texts=THINK):
    tokenizer = AutoTokenizer.from_pretrained(REASONER)
    tokenizer.name_or_path = "models/mine"
    tokenizer.chat_template = template or tokenizer.chat_template
    opening = tuple(encode(tokenizer, texts.open))
    with ChatTemplate(tokenizer, "auto") as chat:
        (ids,) = prompts(chat, [problem], texts, opening, "chains").values()
    return tokenizer.decode(ids)


def test_the_prompt_is_the_chat_template_and_the_opening():
    assert prompt_of() == "<|user|>7+3=?<|end|><|assistant|><think>"


def test_choices_follow_the_question_as_lettered_lines():
    problem = Problem("p", "1+1=?", "A", "choice", choices=["2", "3", "4"])
    # the reasoner's tokenizer has neither newlines nor letters
    seen = "{{ 1 if messages[0].content == '1+1=?\n\nA) 2\nB) 3\nC) 4' else 2 }}"
    assert prompt_of(problem, seen + USER + BOT).startswith("1")


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (BOT + "<think>", "<think>"),
        (BOT + "<think>7+", "<think>7+"),
        (BOT, "<think>"),
        ("", "<think>"),
    ],
)
def test_an_opening_that_is_there_already_is_not_appended(ending, expected):
    assert (
        prompt_of(template=USER + ending)
        == "<|user|>7+3=?" + ending.removesuffix(expected) + expected
    )


def test_an_opening_before_or_in_the_question_is_another_s():
    told = "<think>7</think>" + USER + BOT
    assert prompt_of(template=told).endswith("<|assistant|><think>")
    asked = Problem("p", "<think>7", "0", "integer")
    assert prompt_of(asked, USER + BOT) == "<|user|><think>7<|end|><|assistant|><think>"


def test_a_format_without_an_opening_leaves_it_to_the_template():
    bare = THINK.model_copy(update={"open": ""})
    assert prompt_of(template=USER + BOT, texts=bare) == "<|user|>7+3=?<|end|><|assistant|>"


@pytest.mark.parametrize("ending", ["<think></think>", "</think>"])
def test_a_template_that_ends_the_thinking_is_one_line(ending):
    """As Qwen 3's without thinking, and DeepSeek V3.1's."""
    with pytest.raises(InputError) as caught:
        prompt_of(template=USER + BOT + ending)
    assert str(caught.value) == (
        "models/mine: its chat template ends the thinking before it begins, with '</think>' "
        "(benchmark chains, problem p); take a template or a thinking format without"
    )


def test_a_template_without_the_question_names_model_and_benchmark():
    with pytest.raises(InputError, match="models/mine: .* leaves out .*benchmark chains, problem"):
        prompt_of(template=BOT)
