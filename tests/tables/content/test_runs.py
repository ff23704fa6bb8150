"""Two finished runs side by side."""

import pandas as pd
import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.tables import compare_runs
from workflow_scripts.tables.content.cells import read_cells, write_cells
from workflow_scripts.tables.content.runs import read_run
from workflow_scripts.tables.statistics.differences import paired_difference

GENERATION = {"seed": 0, "seeding": "per-sample", "sweep": "shared", "budgets": [6, 12]}
VARIANTS = {"dense": {6: 0.5, 12: 0.9}, "wanda-50": {6: 0.3, 12: 0.6}}


@pytest.fixture
def finish(tmp_path, write_results, made_cells):
    """Make a finished run of some variants' accuracies by budget; its folder."""

    def make(name, variants, problems=10, seed=1, **generation):
        for variant, accuracy in variants.items():
            made = made_cells(accuracy, problems=problems, seed=seed)
            write_results(f"runs/{name}/m", variant, "b", *made)
        folder = tmp_path / "results/runs" / name
        write_cells(folder / "tables/cells.parquet", read_cells(folder, ["m"], [*variants], ["b"]))
        config = {"run": {"name": name, "variants": [*variants]}}
        write_json(folder / "config.json", config | {"generation": GENERATION | generation})
        return folder

    return make


def compared(tmp_path, *folders):
    compare_runs.main([*map(str, folders), "--output", str(tmp_path / "out")])
    first, second = (folder.name for folder in folders)
    made = {kind: tmp_path / f"out/{first}/{second}.{kind}" for kind in ("csv", "md", "html")}
    return pd.read_csv(made["csv"]), made["md"].read_text(), made["html"].read_text()


def test_what_both_have_is_compared_problem_by_problem_and_the_rest_named(tmp_path, finish):
    first = finish("a", VARIANTS)
    second = finish("b", {"wanda-50": {12: 0.8, 24: 0.9}}, seed=2, budgets=[12, 24])
    rows, text, page = compared(tmp_path, first, second)
    assert list(rows[["variant", "budget"]].itertuples(index=False, name=None)) == [
        ("dense", 6), ("dense", 12), ("wanda-50", 6), ("wanda-50", 12), ("wanda-50", 24),
    ]  # fmt: skip
    both = rows["paired"].notna()
    assert list(both) == [False, False, False, True, False]
    assert list(rows["first_accuracy"].isna()) == [False] * 4 + [True]
    assert list(rows["second_accuracy"].isna()) == [True] * 3 + [False] * 2
    key = ("m", "b", "wanda-50", 12)
    expected = paired_difference(*(read_run(f).cells[key].correct for f in (second, first)))
    row = rows[both].iloc[0]
    assert row[["difference", "ci_low", "ci_high"]].tolist() == pytest.approx(
        [expected.difference, expected.low, expected.high], abs=1e-6
    )
    assert (row["paired"], row["first_problems"], row["second_repeats"]) == ("yes", 10, 2)
    for said in (text, page):
        assert "generation.budgets" in said and "[12, 24]" in said
        assert "generation.seed" not in said and "run.name" not in said


@pytest.mark.parametrize(
    ("problems", "generation", "lacks"),
    [
        (8, {}, "no: other problems"),
        (10, {"seeding": "paper"}, "no: other seeds"),
        (8, {"sweep": "independent"}, "no: other problems and seeds"),
    ],
)
def test_what_is_not_paired_has_no_interval_and_says_why(
    tmp_path, finish, problems, generation, lacks
):
    second = finish("b", VARIANTS, problems=problems, **generation)
    rows, text, _ = compared(tmp_path, finish("a", VARIANTS), second)
    assert set(rows["paired"]) == {lacks} and lacks in text
    assert rows["difference"].notna().all() and rows["ci_low"].isna().all()


def test_a_run_that_is_not_there_or_not_finished_is_one_line(tmp_path, finish):
    first = finish("a", VARIANTS)
    with pytest.raises(InputError, match=r"results/runs/c: there is no such run; there are a$"):
        compared(tmp_path, first, first.with_name("c"))
    second = finish("b", VARIANTS)
    (second / "tables/cells.parquet").unlink()
    with pytest.raises(InputError, match=r"runs/b: not finished, it has no tables/cells.parquet"):
        compared(tmp_path, first, second)
    with pytest.raises(InputError, match="its name is that of the other run"):
        compared(tmp_path, first, first)
