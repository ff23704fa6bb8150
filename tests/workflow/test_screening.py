"""A run that screens its variants: two models, each with a choice of its own, in one call."""

import shutil
from pathlib import Path

import pytest

from tests.workflow.checkout import SMALL, Checkout, jobs_run, small_checkout, write_config
from workflow_scripts.artefacts.screens import read_choice, read_screen
from workflow_scripts.tables.content.columns import read_table

CONFIG = ("--configfile", "small.yaml")
# of the default target, which a dry run plans, what it takes to see who was generated
TABLES = ("results/tables/accuracy.csv", "results/tables/screening.csv")
FIGURE = "results/figures/screening/answerer/small.svg"
VARIANTS = ["dense", "magnitude-50", "shortgpt-2"]
MODELS = ["reasoner", "answerer"]
RUN = {
    "models": MODELS, "variants": VARIANTS, "benchmarks": ["small"],
    "screen": {"keep": 1, "problems": 4},
}  # fmt: skip
GENERATION = SMALL["generation"] | {"budgets": [6, 72], "repeats": 1}


def config_of(**screen: object) -> dict:
    """Without `screen`, a run that screens nothing."""
    run = {key: value for key, value in RUN.items() if key != "screen"}
    return SMALL | {"run": run | ({"screen": screen} if screen else {}), "generation": GENERATION}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, str]:
    folder = tmp_path_factory.mktemp("screened")
    checkout = small_checkout(folder, run=RUN, generation=GENERATION)
    planned = checkout.planned(*CONFIG)
    # a dry run knows all that comes before the choices, and what comes of them
    assert planned["screen_variant"] == 6 and planned["choose_variants"] == 2
    assert planned["screening_table"] == 1 and "generate" not in planned
    return checkout, checkout.run("--cores", "2", *TABLES, FIGURE, *CONFIG)


@pytest.fixture(scope="module")
def finished(printed: tuple[Checkout, str]) -> Checkout:
    return printed[0]


@pytest.fixture
def copy(finished: Checkout, tmp_path: Path) -> Checkout:
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


def test_one_call_screens_chooses_and_generates_with_the_best(
    printed: tuple[Checkout, str],
) -> None:
    checkout, said = printed
    ran = jobs_run(said)
    assert (ran["screen_variant"], ran["choose_variants"]) == (6, 2)
    assert ran["generate"] == ran["grade_answers"] == 4
    results = checkout.folder / "results"
    for model in MODELS:
        choice = read_choice(results / model / "screening.json")
        screens = {name: read_screen(results / model / name / "screen.json") for name in VARIANTS}
        assert screens["dense"].all.kl == 0 and screens["dense"].all.agreement == 1
        best = min(VARIANTS[1:], key=lambda name: screens[name].all.kl)
        assert choice.going_on == ["dense", best]
        answered = {path.parts[-3] for path in (results / model).glob("*/answers/small.jsonl")}
        assert answered == {"dense", best, "calibration_traces"}
        assert {screen.problems for screen in screens.values()} == {4}
    accuracy = read_table(results / "tables", "accuracy")
    assert len(accuracy) == 2 * 2 * 2  # models, variants, budgets
    text = (results / "tables/accuracy.md").read_text(encoding="utf-8")
    assert "Missing" not in text and "Screened out before generation: reasoner/" in text
    assert ran["screening_figure"] == 1
    assert {checkout.folder / FIGURE, results / "figures/screening/reasoner/small.svg"} == {
        *(results / "figures").rglob("*.svg")
    }


def test_snakemakes_report_has_one_caption_for_the_figures_of_both_models(
    finished: Checkout, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    finished.run(FIGURE, "--report", str(page), *CONFIG)
    text = page.read_text(encoding="utf-8")
    for model in MODELS:
        assert f"{model} on small: accuracy lost against divergence" in text
    assert "What variants of the model lose of" in " ".join(text.split())


def test_a_second_call_has_nothing_to_do(finished: Checkout) -> None:
    assert "Nothing to be done" in finished.run("--cores", "1", *TABLES, FIGURE, *CONFIG)
    # and the whole run has but tables and figures to make
    planned = finished.planned(*CONFIG)
    assert planned["write_report"] == 1
    assert not {"screen_variant", "choose_variants", "generate"} & planned.keys()


def test_more_that_go_on_are_generated_and_nothing_is_screened_again(copy: Checkout) -> None:
    write_config(copy, config_of(keep=2, problems=4))
    before, tables = copy.decoded(), copy.tables()
    ran = jobs_run(copy.run("--cores", "2", *TABLES, *CONFIG))
    assert (ran["screen_variant"], ran["choose_variants"], ran["generate"]) == (0, 2, 2)
    assert copy.decoded() > before
    # and back: nothing is generated, and tables are the bytes that they were
    write_config(copy, config_of(keep=1, problems=4))
    ran = jobs_run(copy.run("--cores", "2", *TABLES, *CONFIG))
    assert (ran["screen_variant"], ran["choose_variants"], ran["generate"]) == (0, 2, 0)
    assert copy.tables() == tables


def test_screens_that_come_out_the_same_rerun_no_generation(copy: Checkout) -> None:
    """An edit of the stage screens all variants again, and the choice is what it was.

    Of one model, as the other's would be no different.
    """
    config = config_of(keep=1, problems=4)
    write_config(copy, config | {"run": config["run"] | {"models": MODELS[:1]}})
    answered = copy.decoded(), accuracies(copy, MODELS[0])
    module = copy.folder / "workflow_scripts/screening/teacher_forcing.py"
    module.write_text(module.read_text() + "\n\nEDITED = True\n")
    ran = jobs_run(copy.run("--cores", "2", *TABLES, *CONFIG))
    assert (ran["screen_variant"], ran["choose_variants"], ran["generate"]) == (3, 1, 0)
    assert (copy.decoded(), accuracies(copy, MODELS[0])) == answered


def accuracies(checkout: Checkout, model: str) -> list[str]:
    """The lines of the table of accuracy that tell of a model."""
    lines = (checkout.folder / TABLES[0]).read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line.startswith(f"{model},")]
    assert found
    return found


def test_other_calls_plan_what_they_need(finished: Checkout, tmp_path: Path) -> None:
    choice = read_choice(finished.folder / "results/reasoner/screening.json")
    out = [name for name in VARIANTS if name not in choice.going_on]
    # what was screened out can be asked for by its name
    target = f"results/reasoner/{out[0]}/generation.json"
    asked = finished.planned("--keep-going", target, *CONFIG)
    assert asked == {"generate": 1}
    # and without run.screen all are generated, and a screen is there for the asking
    write_config(finished, config_of(), "plain.yaml")
    plain = finished.planned("--configfile", "plain.yaml")
    # dense too: it has no traces to wait for any more, and takes all from the store
    assert (
        plain["generate"] == 2 * (1 + 1)
        and not {"screen_variant", "choose_variants"} & plain.keys()
    )
    screen = "results/reasoner/dense/screen.json"
    one = finished.planned("--forceall", screen, "--configfile", "plain.yaml")
    assert one["screen_variant"] == 1 and "generate" not in one and "choose_variants" not in one
    # engines that variants share are those of the variants that go on
    shared = config_of(keep=1, problems=4)
    shared["run"] = shared["run"] | {"variants_per_engine": 2}
    write_config(finished, shared, "shared.yaml")
    fresh = ("--directory", str(tmp_path / "fresh"))
    (tmp_path / "fresh").mkdir()
    asked = finished.planned("--configfile", "shared.yaml")
    assert asked["generate_variants"] == 2
    shutil.copytree(finished.folder / "config", tmp_path / "fresh/config")
    shutil.copy(finished.folder / "small.jsonl", tmp_path / "fresh")
    text = finished.run(
        "--dry-run", target, *fresh, "--configfile", str(finished.folder / "shared.yaml")
    )
    assert "choose_variants" in text and "Traceback" not in text


def test_mistakes_are_one_line(finished: Checkout) -> None:
    write_config(finished, config_of(keep=3), "many.yaml")
    done = finished.snakemake("--dry-run", "--configfile", "many.yaml")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("config: ")]
    assert line == (
        "config: run.screen.keep: 3 is more than there is to choose from: of run.variants, 2 are "
        "neither dense nor in always; must be at most 2, or all"
    )
