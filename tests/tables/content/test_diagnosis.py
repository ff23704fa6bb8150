"""What traces look like where accuracy falls: numbers by hand, and what luck may not do."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.tables.trace_results import Told, write_run
from workflow_scripts.config.diagnosis import Diagnosis
from workflow_scripts.tables import table
from workflow_scripts.tables.content.cells import FILE, read_cells, write_cells
from workflow_scripts.tables.content.columns import read_table
from workflow_scripts.tables.content.diagnosis import Cell, by_difficulty, by_length, cells_of
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.content.traces import FILE as TRACES
from workflow_scripts.tables.content.traces import IS_REFERENCE, OTHER_SEED, write_traces
from workflow_scripts.tables.statistics.intervals import estimate_accuracy
from workflow_scripts.tables.traces.reading import read_traces

DENSE = "7+3=0;0+6=6;6+1=7;"
LOOP = "9+9=8;" * 12
LONG = "".join(f"{n % 10}+{7 * n % 10}={3 * n % 10};" for n in range(13))
RUN = {
    "dense": {
        "p": [Told(DENSE), Told(DENSE)], "q": [Told(DENSE), Told(DENSE, False)],
        "r": [Told(DENSE), Told(DENSE, False)], "s": [Told(DENSE, False), Told(DENSE, False)],
    },
    "w": {
        # lost in a loop, lost and cut
        "p": [Told(LOOP, False, "length"), Told(LONG, False, "length")],
        "q": [Told(DENSE, False, "eos"), Told(DENSE)],  # lost with the turn, won
        "r": [Told(DENSE[:6], False), Told(DENSE, False)],  # lost and ended
        "s": [Told(DENSE, False), Told(DENSE, False)],
    },
    "x": {name: [Told(DENSE, False, seed=n), Told(DENSE)] for n, name in enumerate("pqrs")},
}  # fmt: skip
BUDGETS = (12, 72)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Source:
    run = write_run(tmp_path_factory.mktemp("diagnosis"), RUN, BUDGETS)
    return tables_of(run)


def tables_of(run, variants=("dense", "w", "x"), reference="dense") -> Source:
    cells = read_cells(run / "results", ["m"], list(variants), ["b"])
    models, words = run / "resources/models", Diagnosis(reflection_words={"signs": ["9+9"]})
    traces, _ = read_traces(run / "results", models, cells, reference, words)
    write_cells(run / "tables" / FILE, cells)
    write_traces(run / "tables" / TRACES, traces)
    source = Source(run / "results", run / "tables", {"reference": reference})
    table.make("diagnosis", source)
    return source


def row_of(source, variant, budget=72):
    rows = read_table(source.tables, "diagnosis")
    return rows[(rows["variant"] == variant) & (rows["budget"] == budget)].iloc[0]


def test_shares_of_endings_and_loops(source):
    row = row_of(source, "w")
    assert row[["ended", "inside", "cut", "loops", "looping"]].tolist() == [
        5 / 8,
        1 / 8,
        2 / 8,
        1 / 8,
        1 / 8,
    ]
    interval = estimate_accuracy([[1, 1], [0, 0], [0, 0], [0, 0]])
    assert row[["cut_low", "cut_high"]].tolist() == pytest.approx(
        [interval.low, interval.high], abs=1e-6
    )
    assert (row["cut_looping"], row["loop_period"], row["loop_times"]) == (1 / 8, 6, 12)
    tokens = 72 + 72 + 18 * 5 + 6
    assert row["reflections"] == pytest.approx(1000 * 12 / tokens, abs=1e-6)
    under = row_of(source, "w", 12)
    assert under[["ended", "inside", "cut", "loops"]].tolist() == [1 / 8, 0, 7 / 8, 0]
    assert math.isnan(under["loop_period"])
    assert row_of(source, "dense")[["ended", "cut", "looping"]].tolist() == [1, 0, 0]


def test_departures_have_quartiles_and_a_share_that_stays_together(source):
    # by problem and repeat: 0 0, 18 -, 6 -, - -
    row = row_of(source, "w")
    assert row[["departure_q1", "departure_median"]].tolist() == [0, 18]
    assert math.isnan(row["departure_q3"]) and row["together"] == 4 / 8
    under = row_of(source, "w", 12)
    assert under["departure_q1"] == 0 and math.isnan(under["departure_median"])
    assert under["together"] == 5 / 8
    assert row["unpaired"] == "" and row_of(source, "dense")["unpaired"] == IS_REFERENCE
    # of x all but those of the first problem have seeds of their own
    other = row_of(source, "x")
    assert other["unpaired"] == OTHER_SEED and other["together"] == 1.0
    assert math.isnan(other["departure_median"])


def test_lost_answers_are_told_apart_by_how_their_traces_ended(source):
    row = row_of(source, "w")
    assert row[["lost", "won"]].tolist() == [4 / 8, 1 / 8]
    ways = ["lost_looping", "lost_cut", "lost_inside", "lost_ended"]
    assert row[ways].tolist() == [1 / 8, 1 / 8, 1 / 8, 1 / 8]
    lost = estimate_accuracy([[1, 1], [1, 0], [1, 0], [0, 0]])
    assert row[["lost_low", "lost_high"]].tolist() == pytest.approx([lost.low, lost.high], abs=1e-6)
    assert row_of(source, "dense")[["lost", "won", *ways]].isna().all()
    rows = read_table(source.tables, "diagnosis").query("variant != 'dense'")
    assert rows[ways].sum(axis=1).to_numpy() == pytest.approx(rows["lost"].to_numpy(), abs=1e-5)


def test_pages_say_why_there_is_nothing_to_depart_from(source, tmp_path):
    text = (source.tables / "diagnosis.md").read_text()
    assert f"Nothing to depart from: x: {OTHER_SEED}." in " ".join(text.split())
    assert "0 / 18 / ∞" in text and "50.0 [" in text
    run = write_run(tmp_path, {name: RUN[name] for name in ("w", "x")}, BUDGETS)
    without = tables_of(run, ("w", "x"))
    text = " ".join((without.tables / "diagnosis.md").read_text().split())
    assert "Nothing to depart from: w: no trace of the reference, x: no trace" in text
    assert "what is lost" not in text and "by difficulty" not in text
    rows = read_table(without.tables, "diagnosis")
    assert rows[["departure_median", "together", "lost", "won"]].isna().all(axis=None)
    assert read_table(without.tables, "diagnosis_difficulty").empty
    assert len(read_table(without.tables, "diagnosis_lengths")) > 0


def cell_of(variant: str, marks, tokens=None, budget=100) -> Cell:
    marks = np.asarray(marks, dtype=float)
    tokens = np.zeros(marks.shape, dtype=int) if tokens is None else np.asarray(tokens)
    return Cell("m", variant, "b", budget, {"mark": marks, "tokens": tokens})


def by_place(*cells: Cell):
    return {(cell.model, cell.variant, cell.benchmark, cell.budget): cell for cell in cells}


def test_parts_by_length_are_between_quartiles_of_the_references(source):
    dense = cell_of("dense", np.ones((4, 2)), [[10, 20], [30, 40], [50, 60], [70, 80]])
    other = cell_of(
        "w", [[1, 0], [1, 0], [1, 0], [0, 0]], [[5, 100], [21, 100], [60, 100], [61] * 2]
    )
    rows = pd.DataFrame(by_length(by_place(dense, other), "dense"))
    bounds = ["bin", "shortest", "longest"]
    of_dense = rows[rows["variant"] == "dense"]
    assert of_dense[bounds].to_numpy().tolist() == [
        [1, 0, 20], [2, 21, 40], [3, 41, 60], [4, 61, 100],
    ]  # fmt: skip
    assert of_dense["answers"].tolist() == [2, 2, 2, 2]
    of_other = rows[rows["variant"] == "w"].set_index("bin")
    assert of_other["answers"].to_dict() == {1: 1, 2: 1, 3: 1, 4: 5}
    assert of_other["accuracy"].to_dict() == {1: 1.0, 2: 1.0, 3: 1.0, 4: 0.0}
    assert (of_other["ci_low"] <= of_other["accuracy"]).all()
    # traces of one length stay together
    tied = cell_of("dense", np.ones((4, 2)), [[10, 10], [10, 20], [30, 30], [30, 40]])
    assert [row["answers"] for row in by_length(by_place(tied), "dense")] == [3, 1, 3, 1]
    # all cut alike: one part
    same = cell_of("dense", np.ones((4, 2)), np.full((4, 2), 100))
    assert len(list(by_length(by_place(same), "dense"))) == 1
    # without the reference, of all variants together
    alone = pd.DataFrame(by_length(by_place(dense, other), "none"))
    assert alone.groupby("variant")["answers"].sum().tolist() == [8, 8]


def slow_difficulty(dense, marks):
    """By level: how many answers, the reference's accuracy and the variant's, one by one."""
    found: dict[str, list[tuple[float, float]]] = {}
    for problem in range(len(dense)):
        for repeat in range(len(dense[0])):
            others = [m for r, m in enumerate(dense[problem]) if r != repeat]
            share = 3 * sum(others) / len(others)
            level = "hard" if share < 1 - 1e-6 else "easy" if share > 2 + 1e-6 else "middle"
            found.setdefault(level, []).append((dense[problem][repeat], marks[problem][repeat]))
    return {level: (len(some), *map(float, np.mean(some, axis=0))) for level, some in found.items()}


@pytest.mark.parametrize("repeats", [2, 3, 4, 7])
def test_how_hard_a_problem_is_the_other_repeats_tell(repeats):
    random = np.random.default_rng(repeats)
    chance = random.random((40, 1))
    dense, marks = (random.random((40, repeats)) < chance for _ in range(2))
    cells = by_place(cell_of("dense", dense), cell_of("w", marks))
    rows = pd.DataFrame(by_difficulty(cells, "dense"))
    rows = rows[rows["variant"] == "w"].set_index("difficulty")
    slow = slow_difficulty(dense.tolist(), marks.tolist())
    assert set(rows.index) == set(slow)
    for level, (answers, reference, accuracy) in slow.items():
        row = rows.loc[level]
        assert row["answers"] == answers
        assert row["reference_accuracy"] == pytest.approx(reference)
        assert row["accuracy"] == pytest.approx(accuracy)
        assert row["difference"] == pytest.approx(accuracy - reference)
        assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_a_variant_that_is_as_good_loses_nothing_where_problems_looked_easy():
    """What regression to the mean would feign if problems were sorted by the answers compared."""
    random = np.random.default_rng(1)
    chance = random.beta(1, 1, (2000, 1))
    dense, marks = (random.random((2000, 3)) < chance for _ in range(2))
    always = dense.mean(axis=1) == 1
    assert marks[always].mean() - 1 < -0.15
    rows = pd.DataFrame(
        by_difficulty(by_place(cell_of("dense", dense), cell_of("w", marks)), "dense")
    )
    differences = rows[rows["variant"] == "w"].set_index("difficulty")
    assert set(differences.index) == {"hard", "middle", "easy"}
    assert (differences["difference"].abs() < 0.03).all()
    assert (differences["difference_low"] < 0).all() and (differences["difference_high"] > 0).all()


def test_one_repeat_tells_no_difficulty():
    cells = by_place(cell_of("dense", [[1], [0]]), cell_of("w", [[0], [0]]))
    assert list(by_difficulty(cells, "dense")) == []


def test_cells_of_traces_are_those_of_their_answers(source):
    (first, *_, last) = cells_of(source.cells(), source.traces())
    assert first.place == {"model": "m", "variant": "dense", "benchmark": "b", "budget": 12}
    assert last["correct"].tolist() == [[False, True]] * 4
    assert last["tokens"].shape == (4, 2)
