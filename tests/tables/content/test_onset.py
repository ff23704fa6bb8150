"""From which sparsity on pruning shows: the table and the figure of accuracy over sparsity."""

import math
import shutil

import numpy as np
import pytest

from tests.tables.sources import drawn, mask, named_ways, shown_texts, write_masks
from workflow_scripts.artefacts.records import Answer, Grade, write_records
from workflow_scripts.tables.content.cells import FILE, read_cells, write_cells
from workflow_scripts.tables.content.columns import NoRows, read_table, write_table
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import surface
from workflow_scripts.tables.table import make
from workflow_scripts.tables.ways import as_lists

BUDGETS, PROBLEMS = (4, 8, 16), 100
LEVELS = {20: 0.0, 40: 0.02, 60: 0.2, 80: 0.9}
VARIANTS = ("dense", *(f"wanda-{level}" for level in LEVELS), "magnitude-20", "magnitude-80")
FIGURE = {"model": "m", "benchmark": "b", "title": "a title"}


def lost(variant: str, budget: int) -> float:
    """Of the problems; the longer it thinks, the more."""
    if not variant.startswith("wanda"):
        return 0.0
    return LEVELS[int(variant[-2:])] * {4: 0.3, 8: 0.6, 16: 1.0}[budget]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    for variant in VARIANTS:
        grades, answers = [], []
        for number in range(PROBLEMS):
            for budget in BUDGETS:
                key = (f"p-{number:03}", 0, budget)
                right = number >= round(PROBLEMS * lost(variant, budget))
                grades.append(Grade(*key, "1", right, "stated"))
                answers.append(Answer(*key, 0, budget, "length", 2, "eos", "1"))
        write_records(folder / "results/m" / variant / "grades/b.jsonl", grades)
        write_records(folder / "results/m" / variant / "answers/b.jsonl", answers)
    shares = {v: int(v[-2:]) / 100 if v != "dense" else 0.0 for v in VARIANTS}
    write_masks(folder / "results", {v: mask(share) for v, share in shares.items()})
    names = {"models": ["m"], "variants": [*VARIANTS], "benchmarks": ["b"]}
    write_cells(folder / "tables" / FILE, read_cells(folder / "results", **names))
    options = {"reference": "dense", "ways": as_lists(named_ways(VARIANTS)), **names, **FIGURE}
    source = Source(folder / "results", folder / "tables", options)
    for table in ("accuracy", "onset"):
        make(table, source)
    return source


def test_every_budget_has_an_onset_and_longer_thinking_an_earlier_one(source):
    rows = read_table(source.tables, "onset").set_index("budget")
    assert [*rows.index] == [*BUDGETS] and set(rows["way"]) == {"wanda"}  # two levels are too few
    assert set(rows["levels"]) == {4} and set(rows["largest"]) == {0.8}
    assert 0.8 > rows["onset"][4] > rows["onset"][8] > rows["onset"][16] > 0.4
    assert (rows["ci_low"] <= rows["onset"]).all() and (rows["onset"] <= rows["ci_high"]).all()
    (slope,) = read_table(source.tables, "onset_slopes").to_dict("records")
    onsets = rows["onset"].to_numpy()
    assert slope["slope"] == pytest.approx((onsets[2] - onsets[0]) / 2, abs=2e-6)
    assert slope["low"] <= slope["slope"] <= slope["high"] < 0 and slope["budgets"] == 3


def test_the_page_has_percents_and_what_a_doubling_adds(source):
    rows = read_table(source.tables, "onset").set_index("budget")
    text = (source.tables / "onset.md").read_text()
    assert f"{100 * rows['onset'][16]:.1f} [" in text and "per doubling" in text and "−" in text


def test_what_no_level_shows_is_beyond_the_largest(source, tmp_path):
    cells = source.cells()
    frame = cells.assign(correct=True)
    frame.attrs = cells.attrs
    write_cells(tmp_path / "tables" / FILE, frame)
    other = Source(source.results, tmp_path / "tables", source.options)
    make("onset", other)
    rows = read_table(other.tables, "onset")
    assert len(rows) == 3 and all(map(math.isinf, rows["onset"]))
    assert read_table(other.tables, "onset_slopes").empty
    assert "> 80" in (other.tables / "onset.md").read_text()


def test_the_surface_has_a_panel_for_each_way_and_the_line(source):
    figure = drawn(surface.draw, source)
    texts = {text.get_text() for text in shown_texts(figure)}
    assert {"wanda", "accuracy", "budget (thinking tokens)", "4", "8", "16"} <= texts
    assert "magnitude" not in texts
    axes = figure.axes[0]
    (mesh,) = axes.collections[:1]
    assert mesh.get_array().shape == (3, 5)  # budgets, and dense with four levels
    assert mesh.get_array()[2].tolist() == pytest.approx([1, 1, 0.98, 0.8, 0.1])
    onset = read_table(source.tables, "onset")["onset"]
    assert axes.lines[0].get_xdata() == pytest.approx(100 * onset.to_numpy())


def test_an_onset_that_may_be_beyond_the_levels_is_an_arrow(source, tmp_path):
    shutil.copytree(source.tables, tmp_path / "tables")
    rows = read_table(source.tables, "onset")
    write_table(tmp_path / "tables", "onset", rows.assign(ci_high=[0.8, math.inf, 0.6]))
    axes = drawn(surface.draw, Source(source.results, tmp_path / "tables", source.options)).axes[0]
    marks = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    joined, alone = marks[:2]
    at = 100 * rows["onset"].to_numpy()
    assert np.isnan(joined[1]) and joined[[0, 2]] == pytest.approx(at[[0, 2]])
    assert alone == pytest.approx(at[[1]])


def test_a_run_without_enough_levels_has_no_surface(source, tmp_path):
    frame = source.cells()
    attrs, frame = frame.attrs, frame[~frame["variant"].isin(["wanda-20", "wanda-40"])]
    frame.attrs = attrs
    write_cells(tmp_path / "tables" / FILE, frame.reset_index(drop=True))
    other = Source(source.results, tmp_path / "tables", source.options)
    for table in ("accuracy", "onset"):
        make(table, other)
    with pytest.raises(NoRows):
        surface.draw(other)
