"""The figures of the diagnosis: their axes hold the numbers, and texts have their places."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.tables.sources import drawn, mask, named_ways, overlapping, shown_texts, write_masks
from tests.tables.trace_results import Told, write_run
from workflow_scripts.config.diagnosis import Diagnosis
from workflow_scripts.tables import plot, table
from workflow_scripts.tables.content.cells import FILE, read_cells, write_cells
from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.content.traces import FILE as TRACES
from workflow_scripts.tables.content.traces import write_traces
from workflow_scripts.tables.drawing import departures, endings
from workflow_scripts.tables.drawing.endings import SHARES
from workflow_scripts.tables.traces.reading import read_traces
from workflow_scripts.tables.ways import as_lists

DENSE = "7+3=0;0+6=6;6+1=7;"
VARIANTS = ("dense", "magnitude-20", "wanda-layerif-50", "wanda-layerif-60", "shortgpt-2")
BUDGETS = (6, 24, 72)


def source_of(folder, variants=VARIANTS, repeats=3) -> Source:
    random = np.random.default_rng(0)
    told = {}
    for number, variant in enumerate(variants):
        texts = [DENSE[: 3 * (6 - number)] + "9+9=8;" * (14 if number == 4 else number)] * repeats
        told[variant] = {
            f"p{n}": [
                Told(text, bool(random.random() < 0.1 * (n % 10) + 0.1), "length" if number == 4
                     else "stop")
                for text in texts
            ]
            for n in range(12)
        }  # fmt: skip
    run = write_run(folder, told, BUDGETS)
    cells = read_cells(run / "results", ["m"], list(variants), ["b"])
    traces, _ = read_traces(run / "results", run / "resources/models", cells, "dense", Diagnosis())
    write_cells(run / "tables" / FILE, cells)
    write_traces(run / "tables" / TRACES, traces)
    write_masks(run / "results", {v: mask(0.1 * n) for n, v in enumerate(variants)})
    options = {
        "reference": "dense", "model": "m", "benchmark": "b", "title": "m on b",
        "ways": as_lists(named_ways(variants)),
    }  # fmt: skip
    source = Source(run / "results", run / "tables", options)
    table.make("diagnosis", source)
    return source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(tmp_path_factory.mktemp("figures"))


def test_bars_add_up_to_all_traces_and_show_loops(source):
    figure = drawn(endings.draw, source)
    rows = source.rows("diagnosis").set_index(["variant", "budget"])
    hues = {colour: name for name, (_, colour) in SHARES.items()}
    for axes, variant in zip(figure.axes, VARIANTS, strict=True):
        assert axes.get_title(loc="left") == variant
        heights = {name: {} for name in SHARES}
        for bar in axes.patches:
            budget = BUDGETS[round(bar.get_x() + bar.get_width() / 2)]
            heights[hues[to_hex(bar.get_facecolor())]][budget] = bar.get_height()
        for budget in BUDGETS:
            row = rows.loc[variant, budget]
            assert sum(heights[name][budget] for name in SHARES) == pytest.approx(1)
            assert heights["cut_looping"][budget] == pytest.approx(row["cut_looping"])
            assert heights["cut"][budget] == pytest.approx(row["cut"] - row["cut_looping"])
            assert heights["ended"][budget] == pytest.approx(row["ended"])
    assert rows.loc[("shortgpt-2", 72), "cut_looping"] == 1
    assert overlapping(figure, shown_texts(figure)) == []


def test_a_line_falls_where_traces_depart(source):
    together = departures.still_together(source)
    assert list(together) == list(VARIANTS[1:])
    tokens, shares = together["magnitude-20"]
    assert tokens.tolist() == [0, 15, 72] and shares.tolist() == [1, 0, 0]


def test_panels_of_departures_lengths_and_difficulty(source):
    figure = drawn(departures.draw, source)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "token of the trace", "tokens of the trace", "problem",
    ]  # fmt: skip
    assert [len(axes.lines) for axes in figure.axes] == [4, 5, 5]
    assert overlapping(figure, shown_texts(figure)) == []


def test_a_run_with_one_repeat_has_no_panel_of_difficulty(tmp_path):
    figure = drawn(departures.draw, source_of(tmp_path, repeats=1))
    assert len(figure.axes) == 2


def test_without_anything_to_depart_from_there_is_no_figure(tmp_path):
    with pytest.raises(NoRows, match="no traces that depart"):
        departures.draw(source_of(tmp_path, ("wanda-50", "shortgpt-2")))


@pytest.mark.parametrize("figure", ["endings", "departures"])
def test_files_are_the_same_each_time(source, tmp_path, figure):
    paths = [tmp_path / f"{name}.svg" for name in ("one", "two")]
    for path in paths:
        plot.make(figure, source, [path])
    assert paths[0].read_bytes() == paths[1].read_bytes()
