"""Prompts, chat template arguments and limits in a config, and what is said of wrong ones."""

import pytest

from tests.config.config_door import DEFAULT, changed, lines_of
from workflow_scripts.config.entry import plain
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.prompts import filled, places

CHAINS, MODEL = ("benchmarks", "chains"), ("models", "reasoner", "chat_template_args")
GPQA, GSM8K = ("benchmarks", "gpqa-diamond", "prompt"), ("benchmarks", "gsm8k", "prompt")
JEEBENCH = ("benchmarks", "jeebench", "prompt")
BRACES = "; must be {question}, {choices}, or {A}, {B}, ...; braces of the text itself are doubled"
LIMIT = "must be a whole number of at least 1, or a mapping with the keys problems and seed"


def test_placeholders_are_filled_once_and_other_braces_stay():
    text = r"{question} {A} in \boxed{}, \boxed{{}} or \boxed{{{A}}}"
    assert places(text) == ["question", "A", "A"]
    values = {"question": r"{A} or {B}?", "A": "x"}
    assert filled(text, values) == r"{A} or {B}? x in \boxed{}, \boxed{} or \boxed{x}"


@pytest.mark.parametrize("name", DEFAULT["prompts"])
def test_every_prompt_of_the_default_config_names_its_origin_and_suits_a_benchmark(name):
    """A text without choices suits GSM8K, one with choices GPQA, whose four it puts; texts for
    kinds of problems suit JEEBench, which has them."""
    text = DEFAULT["prompts"][name]["text"]
    if isinstance(text, dict):
        job = load_settings(changed((JEEBENCH, name))).generation_job("reasoner", ["jeebench"])
        assert plain(job)["wordings"] == {"jeebench": {"prompt": text}}
        assert {*map(tuple, map(places, text.values()))} == {("question_lines",)}
        return
    there = set(places(text))
    assert there in ({"question"}, {"question", "choices"}, {"question", *"ABCD"})
    assert DEFAULT["prompts"][name]["origin"]
    place = GSM8K if there == {"question"} else GPQA
    job = load_settings(changed((place, name))).generation_job("reasoner", [place[1]])
    assert plain(job)["wordings"] == {place[1]: {"prompt": text}}


def test_a_job_is_told_of_prompts_only_where_there_are_any():
    bare = plain(load_settings(DEFAULT).generation_job("reasoner"))
    assert not {"wordings", "chat_template_args"} & bare.keys()
    settings = load_settings(
        changed(
            ((*CHAINS, "system"), "Be brief."),
            ((*GSM8K,), "lm-eval-gsm8k"),
            (MODEL, {"enable_thinking": False}),
        )
    )
    assert plain(settings.generation_job("reasoner")) == bare | {
        "wordings": {"chains": {"system": "Be brief."}},
        "chat_template_args": {"enable_thinking": False},
    }
    assert list(settings.trace_job("reasoner", "gsm8k").wordings) == ["gsm8k"]


def test_limits_in_words():
    limits = {"chains": 1, "gsm8k": {"problems": 100, "seed": 3}, "aime24": 30}
    keys = ((("benchmarks", name, "limit"), limit) for name, limit in limits.items())
    assert load_settings(changed(*keys)).limits(["gsm8k", "math500", "aime24", "chains"]) == {
        "gsm8k": "a sample of 100 problems (seed 3)",
        "aime24": "the first 30 problems",
        "chains": "the first problem",
    }


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ((*CHAINS, "prompt"), "{qestion}", f"'{{qestion}}' is no placeholder{BRACES}"),
        ((*CHAINS, "prompt"), "{question} {a\nb}", rf"'{{a\nb}}' is no placeholder{BRACES}"),
        (
            (*CHAINS, "prompt"),
            "Think step by step.",
            "has no {question}, which the question is put in place of",
        ),
        ((*CHAINS, "prompt"), "box", "'box' is not in prompts; did you mean 'boxed'? there: "),
        ((*GPQA,), "boxed", "has no place for the choices; must hold {choices}, or {A}, {B}, ..."),
        ((*GSM8K,), "bare-choices", "has a place for choices, and source.columns has no choices"),
        (("prompts", "bare", "text"), "{q}", f"'{{q}}' is no placeholder{BRACES}"),
        ((*JEEBENCH,), "bare-choices", "has a place for choices, and source.columns has no"),
        (
            ("benchmarks", "math500", "prompt"),
            "evalchemy-jeebench",
            "has no text for kind math; there: choice, choices, integer, number",
        ),
        (
            ("prompts", "evalchemy-jeebench", "text", "choice"),
            "Solve it.",
            "has no {question}, which the question is put in place of",
        ),
        ((*CHAINS, "system"), "", "'' is not allowed; must be text that is not empty"),
        ((*CHAINS, "limit"), 0, f"0 is not allowed; {LIMIT}"),
        ((*CHAINS, "limit"), [3], f"a list is not allowed; {LIMIT}"),
        (
            ("benchmarks", "aime24", "limit"),
            {"problems": 31},
            "31 is not allowed; there are 30 problems",
        ),
        ((*MODEL, "x"), [1], "a list is not allowed; must be true, false, a number or text"),
        ((*MODEL, "messages"), "x", "not allowed; the workflow says this itself"),
        ((*MODEL, "a-b"), 1, "is no name of a variable"),
        ((*MODEL, "x"), "false", "'false' is text; write false without quotes, in a file"),
    ],
)
def test_mistakes_are_one_line(place, value, said):
    changes = [(MODEL, {}), (place, value)] if place[: len(MODEL)] == MODEL else [(place, value)]
    (line,) = lines_of(changed(*changes))
    assert line.startswith(f"config: {'.'.join(place)}: {said}")


def test_a_name_without_a_catalogue_is_one_line():
    config = changed(((*CHAINS, "prompt"), "boxed"))
    del config["prompts"], config["benchmarks"]["jeebench"]
    (line,) = lines_of(config)
    assert line == "config: benchmarks.chains.prompt: 'boxed' is not in prompts; there: none"
