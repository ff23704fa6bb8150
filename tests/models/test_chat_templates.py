"""What a model's chat template may do, and which day it is told."""

from datetime import date, datetime

import pytest

from tests.models.tiny_models import CHAT_TEMPLATE, tiny_tokenizer
from workflow_scripts.errors import InputError
from workflow_scripts.models import chat_templates
from workflow_scripts.models.chat_templates import ChatTemplate, fixed_day

LLAMA = (  # as Llama 3.2 has it
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}{%- endif %}"
    "Today Date: {{ date_string }} "
) + CHAT_TEMPLATE


def render(template, question="1+1=", day="auto"):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    tokenizer.name_or_path = "models/mine"
    with ChatTemplate(tokenizer, day) as chat:
        return chat.render(question, "benchmark sums, problem 5"), chat.day


def refused(template, question="1+1="):
    with pytest.raises(InputError) as caught:
        render(template, question)
    said = str(caught.value)
    assert said.isprintable() and len(said) < 400
    before, after = "models/mine: its chat template ", " (benchmark sums, problem 5); correct "
    assert said.startswith(before) and said.endswith(f"{after}chat_template.jinja")
    return said.removeprefix(before).partition(after)[0]


def test_a_prompt_is_what_transformers_makes_of_it():
    turn = [{"role": "user", "content": " 2*3= "}]
    expected = tiny_tokenizer().apply_chat_template(
        turn, add_generation_prompt=True, tokenize=False
    )
    assert render(CHAT_TEMPLATE, " 2*3= ") == (expected, None)
    trimmed = CHAT_TEMPLATE.replace("m['content']", "m['content'] | trim")
    assert render(trimmed, " 2*3= ") == ("<user>2*3=<model>", None)


THINKS = "{% if enable_thinking is defined and not enable_thinking %}no{% endif %}" + CHAT_TEMPLATE


def rendered(template, *, system=None, **arguments):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    tokenizer.name_or_path = "models/mine"
    with ChatTemplate(tokenizer, "auto", arguments) as chat:
        return chat.render("1+1=", "benchmark sums, problem 5", system)


def test_a_template_is_told_its_arguments():
    assert rendered(THINKS) == rendered(THINKS, enable_thinking=True) == "<user>1+1=<model>"
    assert rendered(THINKS, enable_thinking=False) == "no<user>1+1=<model>"


def test_an_argument_that_a_template_does_not_use_is_one_line():
    with pytest.raises(InputError) as caught:
        rendered(THINKS, enable_thinkin=False)
    assert str(caught.value) == (
        "models/mine: its chat template has no use for 'enable_thinkin'; correct "
        "chat_template_args of the model"
    )


def test_a_system_message_is_there_or_the_template_is_refused():
    assert rendered(CHAT_TEMPLATE, system="be brief") == "<user>be brief<user>1+1=<model>"
    for lost in (
        CHAT_TEMPLATE.replace("for m in messages", "for m in messages if m.role == 'user'"),
        CHAT_TEMPLATE.replace("m['content']", "m['content'] | replace('brief', 'long')"),
    ):
        with pytest.raises(InputError, match="leaves out the system message or changes its text"):
            rendered(lost, system="be brief")


def test_a_template_is_told_the_day_that_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert render(LLAMA, day="2024-07-26") == (
        "Today Date: 26 Jul 2024 <user>1+1=<model>",
        "2024-07-26",
    )
    assert not list(tmp_path.iterdir())


def test_it_is_the_day_of_the_first_job_on_every_later_one(tmp_path, monkeypatch):
    class Tomorrow(date):
        @classmethod
        def today(cls):
            return cls(2031, 2, 3)

    monkeypatch.chdir(tmp_path)
    render(CHAT_TEMPLATE)  # asks for no day, so none is recorded
    assert not list(tmp_path.iterdir())
    first = render(LLAMA)
    assert abs((datetime.now() - datetime.fromisoformat(first[1])).days) <= 1
    monkeypatch.setattr(chat_templates, "Day", Tomorrow)
    assert render(LLAMA) == first
    (tmp_path / "config/date.lock").write_text("")  # of a job that was killed there
    assert render(LLAMA) == ("Today Date: 03 Feb 2031 <user>1+1=<model>", "2031-02-03")


def test_what_a_template_draws_is_the_same_in_every_job():
    drawing = "{{ range(10 ** 5) | random }}" + CHAT_TEMPLATE
    assert render(drawing) == render(drawing)


def test_a_lock_file_with_something_else_is_one_line(tmp_path):
    lock = tmp_path / "date.lock"
    lock.write_text("tomorrow\n")
    with pytest.raises(InputError, match="date.lock: does not end in a line with a day, such as"):
        fixed_day("auto", lock)
    with pytest.raises(InputError, match="date.lock: cannot be read or written .*generation.date"):
        fixed_day("auto", lock / "date.lock")


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}"
         "{% endfor %}{{ n.s }}", "takes more than 1 GiB of memory"),
        ("{{ 'a' * 10000000000 }}", "takes more than 1 GiB of memory"),
        ("{{ 'a' * 10000001 }}", "writes 100000"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "fails (RecursionError: maximum "),
        ("{{ '\\ud800' }}", "fails (UnicodeEncodeError: 'utf-8' codec can't encode "),
        ("{{ raise_exception('\\x1b[31mno\\n' ~ 'x' * 999) }}", r"fails (TemplateError: \x1b[31m"),
    ],
)  # fmt: skip
def test_a_template_has_limits(template, what):
    assert refused(template + CHAT_TEMPLATE).startswith(what)


def test_a_template_without_end_is_ended(monkeypatch):
    monkeypatch.setattr(chat_templates, "CPU_SECONDS", 1)
    loops = "".join(f"{{% for {name} in range(99999) %}}" for name in "abc")
    assert refused(loops + "{% endfor %}" * 3) == "takes more than 1 s"


@pytest.mark.parametrize(
    ("template", "what"),
    [
        (CHAT_TEMPLATE.replace("content", "question"), "leaves out the question"),
        ("{% for m in messages if m.role == 'system' %}{{ m.content }}{% endfor %}", "leaves out"),
        ("{% for part in messages[0].content %}{{ part.text }}{% endfor %}", "leaves out"),
        ("{{ messages[0].content | e }}", "leaves out the question or changes its text"),
        ("{{ messages[0].content | tojson }}", "leaves out the question or changes its text"),
        ("{{ messages }}", "leaves out the question or changes its text"),
        ("{{ messages[0].content[:10] }}", "leaves out the question or changes its text"),
        (CHAT_TEMPLATE * 2, "writes the question 2 times"),
        ({"tool_use": CHAT_TEMPLATE}, "fails (ValueError: "),
    ],
)
def test_the_question_is_in_the_prompt_once(template, what):
    assert refused(template, "1+2?").startswith(what)


def test_a_question_that_stands_elsewhere_too_is_no_mistake():
    assert render("Answer 1 question. " + CHAT_TEMPLATE, "1")[0].endswith("<user>1<model>")
