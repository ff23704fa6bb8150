"""The published numbers, the paper's statistic, and a run beside them."""

import csv
import math
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tables.sources import rows_of
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.overlays import read_config
from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.cells import Cell
from workflow_scripts.tables.content.published import row_of_cell, sections
from workflow_scripts.tables.paper.published import FOLDER, Published, key, read_published
from workflow_scripts.tables.statistics.seeds import mean_and_sd, sampling_error

PROBLEMS = {"aime": 30, "gpqa": 198, "amc": 40, "math": 500}


def table_cells() -> Iterator[tuple[dict[str, str], str, float, float]]:
    """Every published cell of tables 1 to 10: its row, benchmark, mean and deviation."""
    with (FOLDER / "tables_1_to_10.csv").open() as file:
        for row in csv.DictReader(file):
            for name in PROBLEMS:
                yield row, name, float(row[name]), float(row[f"{name}_sd"])


def three_seeds(mean: float, sd: float, problems: int) -> Iterator[tuple[float, float, float]]:
    """Accuracies of three runs, as whole numbers of right answers, with about this statistic."""
    reach = int(2.5 * sd * problems) + 2
    for total in {math.floor(3 * problems * mean), math.ceil(3 * problems * mean)}:
        middle = total // 3
        for low in range(max(0, middle - reach), middle + 1):
            for centre in range(low, middle + reach + 1):
                high = total - low - centre
                if centre <= high <= problems:
                    yield low / problems, centre / problems, high / problems


def rounds_to(found: tuple[float, float], mean: float, sd: float) -> bool:
    """Whether both are the published four decimals; half a digit either way where they tie."""
    return abs(found[0] - mean) < 0.6e-4 and abs(found[1] - sd) < 0.6e-4


def test_per_seed_accuracies_give_the_published_deviations_in_the_population_form():
    """All but 34 of 480 cells are the statistic of three whole numbers of right answers.

    Of the others, those of one model's uniform arms on two benchmarks are off the grid, since their
    runs were rounded before they were averaged, and four are the form with n - 1.
    """
    exact, with_one_less, off_grid, rest = 0, [], 0, []
    for row, name, mean, sd in table_cells():
        runs = list(three_seeds(mean, sd, PROBLEMS[name]))
        statistics = [mean_and_sd(run) for run in runs]
        unbiased = [(m, s * math.sqrt(3 / 2)) for m, s in statistics]
        where = (row["table"], row["model"], row["alloc"], row["method"], name)
        if any(rounds_to(found, mean, sd) for found in statistics):
            exact += 1
        elif any(rounds_to(found, mean, sd) for found in unbiased):
            with_one_less.append(where)
        elif where[1:3] == ("s1.1-7B", "Uniform") and name in ("aime", "gpqa"):
            off_grid += 1
        else:
            rest.append(where)
    assert (exact, off_grid) == (446, 30)
    assert with_one_less == [
        ("7", "Qwen3-8B", "OWL", "Magnitude", "gpqa"),
        ("8", "s1.1-7B", "LayerIF", "Magnitude", "amc"),
        ("10", "s1.1-7B", "LayerIF", "Wanda", "gpqa"),
        ("10", "Qwen3-8B", "LayerIF", "Wanda", "math"),
    ]
    assert rest == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_mean_and_deviation_are_numpys(runs):
    assert mean_and_sd(runs) == (pytest.approx(np.mean(runs)), pytest.approx(np.std(runs)))


def test_the_sampling_error_is_that_of_seeds_on_the_same_problems():
    random = np.random.default_rng(5)
    difficulty = random.random((60, 1))
    runs = random.random((4000, 60, 3)) < difficulty
    spread = runs.mean(axis=(1, 2)).std()
    errors = [sampling_error(correct) for correct in runs[:500]]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(spread, rel=0.05)
    assert math.isnan(sampling_error(runs[0, :, :1]))


def test_every_published_row_is_found_by_the_name_that_a_run_has_for_it():
    published = read_published(FOLDER)
    assert len(published) == 480 + 120 + 320
    one = published[key("S1.1_7B", "wanda-owl-20", "AIME24", 8192)]
    assert (one.mean, one.sd, one.origin) == (0.1889, 0.0157, "exact")
    dense = published[key("qwen3-8b", "dense", "gpqa-diamond", 512)]
    assert math.isnan(dense.sd) and dense.origin == "digitised"
    part = published[key("s1.1-7B", "magnitude-mlp-10", "aime24", 512)]
    assert (part.mean, part.origin) == (0.1, "digitised")
    assert published[key("Qwen3-8B", "magnitude-owl-10", "aime24", 8192)].doubtful
    assert not published[key("Qwen3-8B", "magnitude-owl-10", "amc23", 8192)].doubtful
    assert key("s1.1-7B", "shortgpt-2", "math500", 4096) in published


@pytest.mark.parametrize("name", ["paper.yaml", "strict.yaml"])
def test_a_run_of_the_papers_configs_has_every_published_cell(name):
    settings = load_settings(read_config([FOLDER.parent / name]))
    run, budgets = settings.run, settings.generation.budgets
    cells = {key(*at) for at in product(run.models, run.variants, run.benchmarks, budgets)}
    assert cells == set(read_published(FOLDER))


@pytest.mark.parametrize(
    ("model", "benchmark", "error"),
    [("s1.1-7B", "aime24", 0.020), ("s1.1-7B", "amc23", 0.030), ("Qwen3-8B", "aime24", 0.037),
     ("Qwen3-8B", "gpqa_diamond", 0.017), ("Qwen3-8B", "math500", 0.005)],
)  # fmt: skip
def test_the_error_of_a_published_mean_is_pooled_over_arms(model, benchmark, error):
    one = read_published(FOLDER)[key(model, "wanda-20", benchmark, 512)]
    assert one.error == pytest.approx(error, abs=0.0006)


@pytest.mark.parametrize("name", ["tables_1_to_10", "figure_2_digitised", "figures_4_5_digitised"])
def test_every_row_says_whether_it_is_exact(name):
    with (FOLDER / f"{name}.csv").open() as file:
        origins = {row["origin"] for row in csv.DictReader(file)}
    assert origins == {"exact" if name.startswith("tables") else "digitised"}


def test_a_folder_without_the_published_numbers(tmp_path):
    with pytest.raises(InputError) as caught:
        read_published(tmp_path)
    assert "No such file" in str(caught.value) and str(tmp_path) in str(caught.value)


def cell(correct: list[list[bool]], variant: str = "wanda-20") -> Cell:
    rows = np.array(correct, dtype=int)
    return Cell("s1.1-7B", variant, "aime24", 512, rows, rows, rows.astype(object), 1.0, 1.0)


def test_the_difference_is_in_units_of_the_combined_error():
    published = {key("s1.1-7B", "wanda-20", "aime24", 512): Published(0.25, 0.01, 0.03, "exact")}
    row = row_of_cell(cell([[True, False, True]] * 3 + [[False] * 3]), published)
    # runs: 3, 0 and 3 of 4 right
    assert row["mean"] == pytest.approx(0.5)
    assert row["sd"] == pytest.approx(0.75 * math.sqrt(2) / 3)
    error = math.sqrt(3 * (1 / 3) / 3) / 4
    assert row["combined_error"] == pytest.approx(math.hypot(error, 0.03))
    assert row["errors"] == pytest.approx(0.25 / row["combined_error"])
    alone = row_of_cell(cell([[True] * 3], "mine-20"), published)
    assert alone["origin"] == "" and "published_mean" not in alone


def row(variant, benchmark, budget=512, published=None, doubtful="", repeats=3):
    """A row of the table; `published`: mean, deviation, origin, place and line."""
    nan = math.nan
    mean, sd, origin, place, line = published or (nan, nan, "", "", 0)
    difference = (0.1 - mean, 0.02, (0.1 - mean) / 0.02)
    return ("s", variant, benchmark, budget, repeats, 0.1, 0.0157, mean, sd, origin, place, line,
            doubtful, *difference)  # fmt: skip


def test_the_tables_have_the_papers_layout():
    """Its tables in its order, its rows and benchmarks in its order, then its figures."""
    nan = math.nan
    table, figure = "table 2: sparsity 20 %", "figure 2"
    rows = rows_of(
        "published",
        [
            row("dense", "math500", published=(0.6789, nan, "digitised", figure, 0)),
            row("wanda-20", "mine"),
            row("wanda-20", "amc23", published=(0.0551, 0.0154, "exact", table, 1)),
            row("wanda-20", "aime24", published=(0.14, 0.0118, "exact", table, 1), doubtful="yes"),
            row("magnitude-20", "amc23", published=(0.1, 0.0, "exact", table, 0)),
            row("wanda-10", "amc23", 8192, (0.1, 0.0, "exact", "table 10: sparsity 10 %", 0)),
        ],
    )
    found = list(sections(rows, ["s/dense: mine"]))
    assert [section.title for section in found] == [
        "table 2: sparsity 20 %, budget 512", "table 10: sparsity 10 %, budget 8192",
        "figure 2: budget 512", "not in the paper: budget 512",
    ]  # fmt: skip
    header = ["model", "variant", "aime24", "published", "σ", "amc23", "published", "σ"]
    assert list(found[0].frame.columns) == header
    here = "0.1000 ± 0.0157"
    assert found[0].frame.to_numpy().tolist() == [
        ["s", "magnitude-20", "", "", "", here, "0.1000 ± 0.0000 e", "0.0"],
        ["s", "wanda-20", here, "0.1400 ± 0.0118 e?", "−2.0", here, "0.0551 ± 0.0154 e", "+2.2"],
    ]
    # what was read off a figure has two digits
    assert found[2].frame.to_numpy().tolist() == [["s", "dense", here, "0.68 d", "−28.9"]]
    assert found[3].frame.to_numpy().tolist() == [["s", "wanda-20", here]]
    assert "e: exact" in found[0].caption and "?: probably a slip" in found[0].caption
    assert all(section.caption.endswith("Missing: s/dense: mine.") for section in found)
    (section,) = sections(rows[1:2])
    assert section.title == "budget 512"
    assert "Nothing was published about these" in section.caption


def test_every_published_cell_has_its_place_in_the_paper():
    published = read_published(FOLDER)
    places = {}
    for (_, _, _, budget), one in published.items():
        places.setdefault(one.place, set()).add(budget)
    tables = {place: budgets for place, budgets in places.items() if place.startswith("table")}
    assert len(tables) == 10 and all(len(budgets) == 1 for budgets in tables.values())
    assert tables["table 1: sparsity 20 %"] == {8192} and tables["table 7: sparsity 10 %"] == {1024}
    figures = {f"figure {number}: sparsity {level} %" for number in (4, 5) for level in (10, 20)}
    assert places.keys() - tables.keys() == {"figure 2", *figures}
    one = published[key("Qwen3-8B", "wanda-mlp-20", "math500", 512)]
    assert one.place == "figure 5: sparsity 20 %"


def test_doubtful_are_the_cells_that_repeat_another():
    """With its deviation, to four digits: of the other method, or of another budget."""
    cells = {
        (row["table"], row["model"], row["alloc"], row["method"], name): (mean, sd, row["doubtful"])
        for row, name, mean, sd in table_cells()
    }
    doubtful = {at for at, (*_, names) in cells.items() if at[-1] in names.split()}
    assert len(doubtful) == 12
    for at in doubtful:
        mean, sd, _ = cells[at]
        others = [(cells[other], other) for other in doubtful - {at} if other[1:3] == at[1:3]]
        assert any(found[1] == sd and other[-1] == at[-1] for found, other in others)
