"""Answers with part marks in tables: shares are means of marks, and right is full marks."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.tables.sources import mask, source_of
from workflow_scripts.tables.content.cells import (
    COLUMNS,
    FILE,
    cells_of,
    load_cells,
    read_cells,
    write_cells,
)
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.reporting.cautions import cautions
from workflow_scripts.tables.table import make

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
PROBLEMS, REPEATS = 8, 2


def with_marks(grades, seed):
    draw = random.Random(seed)
    marks = [draw.choice(QUARTERS) for _ in grades]
    return [
        replace(g, correct=mark == 1, score=mark, extracted=f"{mark}")
        for g, mark in zip(grades, marks, strict=True)
    ]


@pytest.fixture
def results(write_results, made_cells):
    """Two variants on a benchmark with part marks, and on one without."""
    for seed, variant in enumerate(("dense", "wanda-20")):
        grades, answers = made_cells({6: 0.5}, problems=PROBLEMS, repeats=REPEATS, seed=seed)
        write_results("m", variant, "parts", with_marks(grades, seed), answers)
        folder = write_results("m", variant, "whole", grades, answers)
    return folder


def gathered(results, benchmarks):
    return read_cells(results, ["m"], ["dense", "wanda-20"], benchmarks)


def test_cells_have_a_column_of_marks_only_where_some_are_parts(results, tmp_path):
    assert list(gathered(results, ["whole"]).columns) == COLUMNS
    cells = gathered(results, ["parts", "whole"])
    assert list(cells.columns) == [*COLUMNS, "mark"]
    write_cells(tmp_path / FILE, cells)
    pd.testing.assert_frame_equal(load_cells(tmp_path), cells)
    for cell in cells_of(cells):
        assert (cell.correct == (cell.marks == 1)).all()
        assert set(np.unique(cell.marks)) <= set(QUARTERS)
        if cell.benchmark == "whole":
            assert (cell.correct == cell.marks).all()
        else:
            assert 0 < cell.correct.mean() < cell.marks.mean() < 1


def test_tables_of_a_benchmark_without_parts_are_the_same_beside_one_with(results, tmp_path):
    made = []
    for names in (["whole"], ["whole", "parts"]):
        source = source_of(tmp_path / names[-1], masks={"wanda-20": mask(0.2), "dense": mask(0)})
        write_cells(source.tables / FILE, gathered(results, names))
        for name in ("accuracy", "parallel"):
            make(name, source)
        tables = [pd.read_csv(source.tables / f"{n}.csv") for n in ("accuracy", "parallel")]
        made.append([t[t["benchmark"] == "whole"].reset_index(drop=True) for t in tables])
    for one, other in zip(*made, strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.fixture
def tables(results, tmp_path):
    cells = gathered(results, ["parts"])
    source = source_of(tmp_path, masks={"wanda-20": mask(0.2), "dense": mask(0)})
    write_cells(source.tables / FILE, cells)
    for name in ("accuracy", "comparison", "parallel"):
        make(name, source)
    found = {n: pd.read_csv(source.tables / f"{n}.csv") for n in ("accuracy", "comparison")}
    parallel = pd.read_csv(source.tables / "parallel.csv")
    return {c.variant: c for c in cells_of(cells)}, found | {"parallel": parallel}


def test_accuracy_is_the_mean_mark(tables):
    cells, found = tables
    for row in found["accuracy"].itertuples():
        marks = cells[row.variant].marks
        assert row.accuracy == pytest.approx(marks.mean(), abs=1e-6)
        se = marks.mean(axis=1).std(ddof=1) / PROBLEMS**0.5
        assert row.se == pytest.approx(se, abs=1e-6)
        assert 0 < row.ci_low < row.accuracy - se < row.accuracy + se < row.ci_high < 1


def test_variants_are_compared_by_marks_over_all_flips_of_signs(tables):
    cells, found = tables
    (row,) = found["comparison"].itertuples()
    changes = (cells["wanda-20"].marks - cells["dense"].marks).sum(axis=1)
    assert row.difference == pytest.approx(changes.mean() / REPEATS, abs=1e-6)
    assert row.accuracy - row.reference_accuracy == pytest.approx(row.difference, abs=2e-6)
    sums = [
        abs(sum(s * c for s, c in zip(signs, changes, strict=True)))
        for signs in itertools.product((1, -1), repeat=PROBLEMS)
    ]
    assert row.p == pytest.approx(np.mean(np.array(sums) >= abs(changes.sum())), rel=1e-5)


def test_passes_and_majorities_take_full_marks(tables):
    cells, found = tables
    for row in found["parallel"].itertuples():
        correct = cells[row.variant].correct
        alone, together = correct.mean(), correct.any(axis=1).mean()
        assert row.pass_at_k == pytest.approx(alone if row.k == 1 else together, abs=1e-6)
        if row.k == 1:
            assert row.majority_at_k == pytest.approx(alone, abs=1e-6)


def test_where_parts_are_right_not_everything_is_wrong(write_results, made_cells):
    grades, answers = made_cells({6: 0.0}, problems=4)
    compared, diagnosed = (as_frame(name, []) for name in ("comparison", "diagnosis"))
    nothing = compared.astype({"family": str}), diagnosed
    said = []
    for given in (grades, [replace(g, score=0.25) for g in grades]):
        results = write_results("m", "dense", "b", given, answers)
        cells = read_cells(results, ["m"], ["dense"], ["b"])
        said.append(" ".join(cautions(cells, *nothing, "dense")))
    assert "is wrong with 6 thinking tokens" in said[0] and "is wrong" not in said[1]
