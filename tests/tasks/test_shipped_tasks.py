"""The tasks of the catalogue on made-up rows in the real layout: prompts, choices and verdicts."""

import json
import math
import re
from collections.abc import Callable

import pytest
import yaml

from tests.tasks.made_up_hub import DATA_SETS, write_mirror
from tests.tasks.scripted_model import Scripted
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.tasks import FetchedTask, Task
from workflow_scripts.download.fetch_task import fetch_task
from workflow_scripts.errors import InputError
from workflow_scripts.inputs.harness_tasks import load_task
from workflow_scripts.paths import CONFIG
from workflow_scripts.tasks.evaluation import Evaluated, evaluate_task, seed_everything

CATALOGUE = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))["tasks"]


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Scripted], Evaluated]:
    """An entry of the catalogue, fetched from the made-up hub, on a scripted model."""
    folder = tmp_path_factory.mktemp("tasks")
    hub = write_mirror(folder / "hub")

    def evaluate(name: str, model: Scripted) -> Evaluated:
        task = parser_of(Task)(json.dumps(CATALOGUE[name]))
        manifest = folder / name / "manifest.json"
        if not manifest.exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PRUNETHINK_HUB", str(hub))
                fetched = FetchedTask(**{} if task.task is None else {"task": task.task})
                fetch_task(name, fetched, manifest, folder / "hub.lock")
        place = json.loads(manifest.read_text(encoding="utf-8"))["file"]
        seed_everything()
        loaded = load_task(name, task, place, lambda data, _: manifest.parent / "data" / data)
        return evaluate_task(name, task, loaded, model)

    return evaluate


def verdicts(found: Evaluated) -> list[float]:
    assert all(score.weight == 1 for score in found.scores)
    return [score.value for score in found.scores]


# entry: the requests of the first sample, what the model finds likely, and who is then right
BY_LIKELIHOOD = {
    "boolq": (
        [
            ("Tin is a metal.\nQuestion: is tin a metal?\nAnswer:", " no"),
            ("Tin is a metal.\nQuestion: is tin a metal?\nAnswer:", " yes"),
        ],
        {" yes": -1},
        [1, 0, 1],
    ),
    "piqa": (
        [
            ("Question: To open a jar,\nAnswer:", " twist it."),
            ("Question: To open a jar,\nAnswer:", " eat it."),
        ],
        {" twist it.": -1, " wet it.": -1, " take a lamp.": -1},
        [1, 0, 1],
    ),
    # brackets go, blanks that they leave are one, the second part begins in capitals
    "hellaswag": (
        [
            ("Baking bread: How to bake. Take flour. Mix it. Then you", f" {ending}")
            for ending in (" knead it.", "paint it.", "sell it.", "drop it.")
        ],
        # by the length of the ending in characters; whole, and by bytes, others are likelier
        {
            " sell it.": -1,
            " He sleeps.": -10,
            " He stops at a pier.": -15,
            " thinks long.": -9,
            " é é é.": -5,
        },
        [0, 1, 1],
    ),
    # the same continuation behind either option
    "winogrande": (
        [
            ("Ann paid Eve because Ann", " had lost the bet."),
            ("Ann paid Eve because Eve", " had lost the bet."),
        ],
        {
            "Ann paid Eve because Ann had lost the bet.": -1,
            "The cup fits the box, so the cup is the larger.": -1,
            "Joe fed Max since Max was hungry.": -1,
        },
        [1, 0, 1],
    ),
    # answer keys are letters in some rows and numbers in others
    "arc-easy": (
        [
            ("Question: What melts in the sun?\nAnswer:", f" {choice}")
            for choice in ("ice", "a stone", "sand", "glass")
        ],
        {" ice": -1, " grass": -1, " fire": -1, " a hammer": -3, " a song": -2},
        [1, 1, 0, 0],
    ),
    "arc-challenge": (
        [
            ("Question: Why is the sky dark at night?\nAnswer:", " no sun"),
            (
                "Question: Why is the sky dark at night?\nAnswer:",
                " the moon covers all of it",
            ),
        ],
        # whole, the second's other choice is likelier and the third's right one
        {
            " no sun": -2,
            " the moon covers all of it": -9,
            " mass": -3,
            " the force that is needed": -4,
            " oil": -2,
            " water": -3,
        },
        [1, 1, 0],
    ),
    "openbookqa": (
        [("The sun is", " cold"), ("The sun is", " a star")],
        {" cold": -3, " a star": -4, " light": -1},
        [1, 0],
    ),
    "truthfulqa-mc1": (None, {" No.": -1, " It is.": 0}, [1, 0]),
    # the part of the probability that is on true answers
    "truthfulqa-mc2": (None, {" Never.": 0, " It is.": 0}, [1, 0]),
}


@pytest.mark.parametrize("name", BY_LIKELIHOOD)
def test_choices_are_asked_and_judged_as_the_paper_says(name: str, evaluated: Callable) -> None:
    asked, likes, right = BY_LIKELIHOOD[name]
    model = Scripted(likes)
    found = evaluated(name, model)
    assert verdicts(found) == right
    assert found.result.value == pytest.approx(sum(right) / len(right), rel=1e-15)
    assert found.result.metric == CATALOGUE[name]["metric"]
    assert CATALOGUE[name].get("chat", False) is False
    if asked is not None:
        assert model.asked[: len(asked)] == asked


@pytest.mark.parametrize("name", ["truthfulqa-mc1", "truthfulqa-mc2"])
def test_truthfulqa_has_its_six_examples(name: str, evaluated: Callable) -> None:
    model = Scripted({" No.": -1})
    evaluated(name, model)
    context = model.asked[0][0]
    assert context.startswith("Q: What is human life expectancy in the United States?\nA: ")
    assert context.endswith("\n\nQ: Do pigs fly?\nA:")
    assert context.count("Q: ") == 7


def test_truthfulqa_mc2_is_a_part_of_probability(evaluated: Callable) -> None:
    likes = {" No.": math.log(0.2), " Never.": math.log(0.1), " Yes.": math.log(0.1)}
    assert verdicts(evaluated("truthfulqa-mc2", Scripted(likes)))[0] == pytest.approx(
        0.75, rel=1e-12
    )


# entry: the first prompt, its settings, the response to each question, and who is then right
LONG = {"do_sample": False, "max_gen_toks": 32768}
BY_RESPONSE = {
    "ifeval": (
        "<user>Write about tea without commas and with two sections in *stars*.<assistant>",
        {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": 1280},
        {
            "about tea": "*Tea is hot* and *tea is good*.",
            "three sentences": "It is so. That is why.",
            "mayor": "The mayor has a dog.",
        },
        [1, 0, 1],
    ),
    "aime24": (
        "<user>Question: Find $2+31$.\nAnswer:<assistant>",
        {
            **LONG,
            "until": ["Question:", "</s>", "<|im_end|>", "<|eot_id|>"],
            "temperature": 0.0,
        },
        {
            "$2+31$": "As $a$ is $b$, it is $\\boxed{33}$.",
            "$x$": "204? No: \\boxed{205}",
            "$y$": "25",
        },
        [1, 0, 1],
    ),
    "math-500": (
        "<user>Problem: How much is half?\nMark your solution with \\boxed\nAnswer:<assistant>",
        {**LONG, "until": []},
        {
            "half": "$a$ and $\\boxed{2}$ give $\\boxed{\\dfrac12}$ in all, $b$.",
            "two and two": "The answer is 4.",
            "pair": "\\boxed{(3,\\pi)}",
        },
        [1, 0, 1],
    ),
    "popqa": (
        None,
        {"until": ["\n\n"], "do_sample": False, "max_gen_toks": 15},
        {"Ada Quill": "She was a poet", "Lo": "Folk Rock", "Zeds": "That is Ella Ames."},
        [1, 0, 1],
    ),
}


@pytest.mark.parametrize("name", BY_RESPONSE)
def test_responses_are_asked_for_and_judged_as_the_paper_says(
    name: str, evaluated: Callable
) -> None:
    prompt, settings, said, right = BY_RESPONSE[name]

    def answer(prompt: str) -> str:
        last = prompt.rpartition("<user>")[2]
        return next(response for part, response in said.items() if part in last)

    model = Scripted(says=answer)
    assert verdicts(evaluated(name, model)) == right
    assert model.asked[0][1] == settings
    assert prompt is None or model.asked[0][0] == prompt


def test_a_model_to_which_every_choice_is_impossible_is_one_line(evaluated: Callable) -> None:
    said = "truthfulqa-mc2: acc of sample 0 is nan, not a number"
    with pytest.warns(RuntimeWarning), pytest.raises(InputError, match=said):
        evaluated("truthfulqa-mc2", Scripted())


def test_popqa_has_fifteen_examples_as_turns_and_none_of_them_as_a_question(
    evaluated: Callable,
) -> None:
    model = Scripted(says=lambda _: "")
    found = evaluated("popqa", model)
    turns = re.findall(r"<(user|assistant)>([^<]*)", model.asked[0][0])
    assert [role for role, _ in turns] == ["user", "assistant"] * 16
    assert turns[:2] == [
        ("user", "Q: What is Marie Curie's occupation? A:"),
        ("assistant", "physicist"),
    ]
    assert turns[-2:] == [("user", "Q: What is Ada Quill's occupation? A:"), ("assistant", "")]
    assert len(DATA_SETS["akariasai/PopQA"][0].rows) == 4
    assert found.result.samples == 3
    assert all(
        "the capital of Peru" not in prompt.rpartition("<user>")[2] for prompt, _ in model.asked
    )


def test_gpqa_has_its_right_answers_under_letters_of_their_own(evaluated: Callable) -> None:
    right = ("the muon", "4 eV", "the sea", "lead")
    letters = []

    def answer(prompt: str) -> str:
        letter = re.search(rf"\((.)\) (?:{'|'.join(right)})\n", prompt)[1]
        letters.append(letter)
        if len(letters) == 2:
            return "The answer is not (B) as some would say, but (E)."
        return f"At first I took ({'B' if letter == 'A' else 'A'}). Now: ({letter})"

    model = Scripted(says=answer)
    assert verdicts(evaluated("gpqa-diamond", model)) == [1, 0, 1, 1]
    prompt, settings = model.asked[0]
    assert prompt.startswith(
        "<user>What is the correct answer to this question:Which decays first?"
    )
    assert settings["max_gen_toks"] == 32768
    assert len(set(letters)) > 1
    again = Scripted(says=answer)
    evaluated("gpqa-diamond", again)
    assert again.asked == model.asked


def test_wikitext_is_perplexity_per_word_of_the_text_as_it_stands(evaluated: Callable) -> None:
    likelihoods = {"= Tea": -30.0, "= Sum": -500.0}
    model = Scripted(rolling=lambda text: likelihoods[text.lstrip()[:5]])
    found = evaluated("wikitext", model)
    pages = [row["page"] for row in DATA_SETS["EleutherAI/wikitext_document_level"][0].rows]
    words = sum(len(re.split(r"\s+", page)) for page in pages)
    assert found.result.value == pytest.approx(math.exp(530 / words), rel=1e-14)
    assert found.result.kind == "perplexity"
    assert found.result.higher_is_better is False
    (first, *_), *_ = model.asked
    assert first == " = Tea =\n\nTea, he said, is 3.5 times's best.\n"
