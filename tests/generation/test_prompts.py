"""The prompt of a problem: question, choices, and one opening of the thinking."""

import pytest
import yaml
from transformers import AutoTokenizer

from workflow_scripts.artefacts.records import Problem
from workflow_scripts.config.prompts import Wording
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


def prompt_of(problem=SUM, template=None, texts=THINK, **wording):
    tokenizer = AutoTokenizer.from_pretrained(REASONER)
    tokenizer.name_or_path = "models/mine"
    tokenizer.chat_template = template or tokenizer.chat_template
    opening = tuple(encode(tokenizer, texts.open))
    with ChatTemplate(tokenizer, "auto") as chat:
        said = Wording(**wording)
        (ids,) = prompts(chat, [problem], texts, opening, "chains", said).values()
    return tokenizer.decode(ids)


def test_the_prompt_is_the_chat_template_and_the_opening():
    assert prompt_of() == "<|user|>7+3=?<|end|><|assistant|><think>"


QUIZ = Problem("p", "1+1=?", "A", "choice", choices=["2", "3"])


@pytest.mark.parametrize(
    ("problem", "text", "seen"),
    [
        (SUM, "{question}", "7+3=?"),
        (SUM, "0+{question}0", "0+7+3=?0"),
        (QUIZ, "{question}\n\n{choices}", "1+1=?\n\nA) 2\nB) 3"),
        (QUIZ, "{B}or {A}: {question}\\boxed{}", "3or 2: 1+1=?\\boxed{}"),
    ],
)
def test_a_question_is_put_in_its_text(problem, text, seen):
    # the reasoner's tokenizer has no letters
    told = "{{ 1 if messages[-1].content == " + repr(seen) + " else 2 }}"
    assert prompt_of(problem, told + USER + BOT, prompt=text).startswith("1")


def test_the_texts_called_bare_are_the_prompts_of_benchmarks_that_name_none():
    texts = yaml.safe_load((PROJECT / "config/config.yaml").read_text())["prompts"]
    assert prompt_of(prompt=texts["bare"]["text"]) == prompt_of()
    quiz = prompt_of(QUIZ, prompt=texts["bare-choices"]["text"])
    assert quiz == prompt_of(QUIZ)


@pytest.mark.parametrize(
    ("problem", "text", "has", "put"),
    [
        (QUIZ, "{question}", "the choices A to B", "none"),
        (QUIZ, "{question}{A}", "the choices A to B", "A"),
        (QUIZ, "{question}{A}{B}{C}", "the choices A to B", "A, B, C"),
        (SUM, "{question}{choices}", "no choices", "choices"),
    ],
)
def test_a_text_that_does_not_put_the_choices_is_one_line(problem, text, has, put):
    with pytest.raises(InputError) as caught:
        prompt_of(problem, prompt=text)
    assert str(caught.value) == (
        f"benchmarks.chains.prompt: problem p has {has}, and the prompt has places for {put}"
    )


def test_a_question_may_be_put_without_its_blank_lines():
    asked = Problem("p", "7+\n\n3=?\n", "0", "integer")
    seen = "{{ 1 if messages[0].content == 'So: 7+\\n3=?' else 2 }}"
    assert prompt_of(asked, seen + USER + BOT, prompt="So: {question_lines}").startswith("1")


def test_kinds_of_problems_have_texts_of_their_own():
    texts = {"integer": "{question}1", "choice": "{question}{choices}"}
    assert prompt_of(SUM, prompt=texts) == prompt_of(SUM, prompt="{question}1")
    assert prompt_of(QUIZ, prompt=texts) == prompt_of(QUIZ, prompt="{question}{choices}")
    with pytest.raises(InputError) as caught:
        prompt_of(Problem("p", "7+3=?", "0", "math"), prompt=texts)
    assert str(caught.value) == (
        "benchmarks.chains.prompt: problem p is of kind math, and the prompt has texts for "
        "integer, choice"
    )


def test_a_system_message_comes_first():
    whole = "{% for m in messages %}<|user|>{{ m.content }}<|end|>{% endfor %}<|assistant|>"
    assert prompt_of(template=whole, system="1+2") == (
        "<|user|>1+2<|end|><|user|>7+3=?<|end|><|assistant|><think>"
    )


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
