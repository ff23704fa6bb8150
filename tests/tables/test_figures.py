"""The smaller figures: what they show, that it can be read, and that their bytes do not change."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text
from safetensors.numpy import save_file

from tests.artefacts.records_by_hand import write_mask_record
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.tables import (
    block_scores_plot,
    difference_plot,
    parallel_plot,
    scaling_curves,
    sparsity_curves,
)
from workflow_scripts.tables.allocation_plot import Removal, draw_allocation
from workflow_scripts.tables.content.removals import Removed
from workflow_scripts.tables.content.rows import ComparisonRow, ParallelRow, Row, csv_text
from workflow_scripts.tables.drawing import style

VARIANTS = ("magnitude-20", "wanda-layerif-50", "shortgpt-2")


def comparison(variant: str, budget: int, difference: float, verdict: str) -> ComparisonRow:
    return ComparisonRow(
        "dense of m", "m", "b", budget, variant, 0.2, "dense", 0.0, 30, 3, 0.5, 0.5 - difference,
        difference, 0.02, difference - 0.05, difference + 0.05, 0.01, 0.04, 0.1, verdict,
    )  # fmt: skip


COMPARISONS = [
    comparison("magnitude-20", 6, 0.0, "no difference larger than 0.050"),
    comparison("magnitude-20", 12, 0.08, "better"),
    comparison("wanda-layerif-50", 6, -0.02, "too few samples"),
    comparison("wanda-layerif-50", 12, -0.3, "worse"),
]
PARALLEL = [
    ParallelRow("m", variant, "b", budget, k, k * (budget + 2.0), 0.9, 0.8, 0.95,
                0.1 * k + 0.01 * budget, 0.0, 1.0)
    for variant in ("dense", *VARIANTS)
    for budget in (6, 12, 24)
    for k in (1, 2, 3)
]  # fmt: skip
ROWS = [
    Row("m", variant, "b", budget, 30, 3, p, 0.03, p - 0.05, p + 0.05, budget, 2)
    for variant, p in (("dense", 0.9), ("wanda-20", 0.85), ("wanda-50", 0.7), ("shortgpt-2", 0.3))
    for budget in (6, 12)
]
REMOVED = {
    "dense": Removed(0.0, (), "dense", ""), "wanda-20": Removed(0.2, (), "wanda", ""),
    "wanda-50": Removed(0.5, (), "wanda", ""),
    "shortgpt-2": Removed(0.33, (1, 2), "shortgpt", ""),
}  # fmt: skip


def drawn(make, *arguments):
    with style.applied():
        figure = make(*arguments)
        FigureCanvasAgg(figure).draw()
    return figure


FIGURES = {
    "differences": lambda: drawn(difference_plot.draw_differences, COMPARISONS),
    "parallel": lambda: drawn(parallel_plot.draw_parallel, PARALLEL),
    "sparsity": lambda: drawn(
        sparsity_curves.draw_sparsity_curves, [r for r in ROWS if r.budget == 12], REMOVED, "dense"
    ),
    "block scores": lambda: drawn(
        block_scores_plot.draw_block_scores, {"attention": [0.1, -0.2], "mlp": [0.3, 0.4]},
        {"shortgpt-1": [1]}, "m: scores", "two blocks", "score",
    ),
}  # fmt: skip


def assert_texts_are_inside(figure) -> list[Text]:
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    for text in texts:
        box = Text.get_window_extent(text, renderer)
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 + 1, text
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 + 1, text
    return texts


@pytest.mark.parametrize("name", FIGURES)
def test_every_text_is_inside_the_figure_and_large_enough_for_print(name):
    figure = FIGURES[name]()
    assert figure.get_figwidth() == pytest.approx(6.5)
    texts = assert_texts_are_inside(figure)
    assert len(texts) > 5
    assert all(text.get_fontsize() >= 7.9 for text in texts)


def test_differences_have_a_panel_for_each_budget_and_filled_marks_for_what_is_found():
    figure = FIGURES["differences"]()
    assert [axes.get_title() for axes in figure.axes] == ["6", "12"]
    for axes, members in zip(figure.axes, (COMPARISONS[::2], COMPARISONS[1::2]), strict=True):
        marks = axes.lines[1:]  # the first is the line at 0
        assert [mark.get_xdata()[0] for mark in marks] == [row.difference for row in members]
        filled = [to_hex(mark.get_markerfacecolor()) != "#ffffff" for mark in marks]
        assert filled == [row.verdict in ("better", "worse") for row in members]
        intervals = [segments.get_segments()[0][:, 0].tolist() for segments in axes.collections]
        assert intervals == [[row.ci_low, row.ci_high] for row in members]
        low, high = axes.get_xlim()
        assert low < -0.35 and high > 0.13
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "magnitude-20", "wanda-layerif-50",
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "beside"), [(6, [6]), (7, [4, 3]), (13, [5, 5, 3])])
def test_of_many_budgets_each_has_a_panel_in_one_of_several_lines(count, beside):
    rows = [
        replace(row, budget=budget) for row in COMPARISONS[::2] for budget in range(1, count + 1)
    ]
    figure = drawn(difference_plot.draw_differences, rows)
    assert [axes.get_title() for axes in figure.axes] == [str(n + 1) for n in range(count)]
    heights = [round(axes.get_position().y0, 3) for axes in figure.axes]
    assert [heights.count(height) for height in dict.fromkeys(heights)] == beside
    assert heights == sorted(heights, reverse=True)
    named = [bool(axes.get_yticklabels()[0].get_text()) for axes in figure.axes]
    assert sum(named) == len(beside) and named[0]
    assert_texts_are_inside(figure)


def test_marks_of_differences_are_such_that_filling_shows():
    """A plus or a cross of this size looks the same whether it is filled or not."""
    rows = [replace(COMPARISONS[1], variant=f"{letter}-20") for letter in "abcdefgh"]
    (axes,) = drawn(difference_plot.draw_differences, rows).axes
    marks = [line.get_marker() for line in axes.lines[1:]]
    assert not {"P", "X"} & {*marks} and len({*marks[:7]}) == 7


@pytest.mark.parametrize("length", [80, 100])
def test_names_may_be_as_long_as_a_config_lets_them(length):
    long = "v" * (length - 3) + "-20"
    compared = [replace(COMPARISONS[0], variant=long, budget=budget) for budget in range(1, 8)]
    accuracies = [replace(ROWS[2], variant=long), ROWS[0]]
    shares = [Removal(long, [(0.2, 0.3)] * 36, frozenset())]
    for make, *given in (
        (difference_plot.draw_differences, compared),
        (sparsity_curves.draw_sparsity_curves, accuracies, {long: REMOVED["wanda-20"]}, "dense"),
        (draw_allocation, "m", shares),
    ):
        figure = drawn(make, *given)
        assert_texts_are_inside(figure)
        for axes in figure.axes:
            assert axes.get_position().width * figure.get_figwidth() > 0.5


def test_the_reference_is_black_whatever_it_is_called():
    rows = [replace(row, variant=row.variant.replace("dense", "base")) for row in ROWS]
    figure = drawn(scaling_curves.draw_scaling_curves, rows, "problems", "budget", "base")
    lines = {
        text.get_text(): line.get_color()
        for text, line in zip(figure.axes[0].texts, figure.axes[0].lines, strict=True)
    }
    assert [name for name, colour in lines.items() if colour == "#000000"] == ["base"]


def test_what_took_no_tokens_is_left_out_and_said_to_be():
    rows = [replace(row, tokens=0.0) if row.budget == 6 else row for row in PARALLEL]
    figure = drawn(parallel_plot.draw_parallel, rows)
    sequential, *_ = figure.axes[0].lines
    assert list(sequential.get_xdata()) == [14, 26]
    assert any(
        text.get_text().endswith("; not drawn: what took no tokens") for text in figure.texts
    )
    nothing = drawn(parallel_plot.draw_parallel, [replace(row, tokens=0.0) for row in PARALLEL])
    assert list(nothing.axes[0].lines[0].get_xdata()) == []


def test_parallel_lines_begin_at_the_sequential_ones():
    figure = FIGURES["parallel"]()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["dense", *VARIANTS]
    sequential, *several = figure.axes[0].lines
    assert list(sequential.get_xdata()) == [8, 14, 26]
    assert [list(line.get_xdata()) for line in several] == [[8, 16, 24], [14, 28, 42], [26, 52, 78]]
    for place, line in enumerate(several):
        start = (sequential.get_xdata()[place], sequential.get_ydata()[place])
        assert (line.get_xdata()[0], line.get_ydata()[0]) == start


def test_ways_of_pruning_are_lines_that_begin_at_dense():
    figure = FIGURES["sparsity"]()
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["wanda", "shortgpt"]
    lines = [line for line in axes.lines if len(line.get_xdata()) > 1]
    assert lines[0].get_xdata().tolist() == [0, 20, 50]
    assert lines[0].get_ydata().tolist() == [0.9, 0.85, 0.7]
    assert lines[1].get_xdata().tolist() == [0, 33] and lines[1].get_ydata().tolist() == [0.9, 0.3]


def test_bars_have_the_scores_and_removed_blocks_are_black():
    (axes,) = FIGURES["block scores"]().axes
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == [0.1, -0.2, 0.3, 0.4]
    black = [to_hex(bar.get_facecolor()) == style.INK for bar in axes.patches]
    assert black == [False, True, False, True]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["attention", "MLP"]


def twice(stage, flags, tmp_path):
    """Both files of two runs of a stage."""
    made = []
    for folder in ("one", "two"):
        paths = [tmp_path / folder / f"figure.{form}" for form in ("svg", "png")]
        stage.main([*flags, "--svg", str(paths[0]), "--png", str(paths[1])])
        made.append([path.read_bytes() for path in paths])
    return made


@pytest.mark.parametrize(
    ("stage", "rows", "kind"),
    [(difference_plot, COMPARISONS, ComparisonRow), (parallel_plot, PARALLEL, ParallelRow)],
)
def test_figures_from_tables_are_the_same_bytes_and_need_their_rows(stage, rows, kind, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(csv_text(rows, kind))
    flags = ["--table", str(table), "--model", "m", "--benchmark"]
    one, two = twice(stage, [*flags, "b"], tmp_path)
    assert one == two and b"<dc:date>" not in one[0]
    with pytest.raises(InputError) as caught:
        stage.main([*flags, "c", "--svg", "s", "--png", "p"])
    assert str(caught.value) == f"{table}: no row for m on c"


def test_the_sparsity_figure_is_that_of_the_largest_budget(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(csv_text(ROWS))
    for variant, removed in REMOVED.items():
        write_mask_record(
            tmp_path / "m" / variant / "mask.json",
            method=removed.method, removed_fraction=removed.share,
        )  # fmt: skip
    flags = ["--table", str(table), "--model", "m", "--benchmark", "b"]
    one, two = twice(sparsity_curves, [*flags, "--results", str(tmp_path)], tmp_path)
    assert one == two
    with pytest.raises(InputError) as caught:
        sparsity_curves.main([*flags, "--results", "nowhere", "--svg", "s", "--png", "p"])
    assert str(caught.value) == f"{table}: no pruned variant of m with a mask.json"


def test_block_scores_come_from_statistics_and_influence_files(tmp_path):
    statistics, influence = tmp_path / "s.safetensors", tmp_path / "i.json"
    save_file({"block_influence": np.array([0.5, 0.25], dtype=np.float32)}, statistics)
    write_json(influence, {"format": 1, "blocks": [{"attention": 1, "mlp": 2.5}] * 3})
    assert block_scores_plot.read_block_influence(statistics) == [0.5, 0.25]
    assert block_scores_plot.read_scores(influence) == {
        "attention": [1.0] * 3, "mlp": [2.5] * 3,
    }  # fmt: skip
    record = write_mask_record(tmp_path / "mask.json", removed_blocks=[1])
    about = ["--model", "m", "--set", "chains"]
    marked = ["--variants", "shortgpt-1", "--records", str(record)]
    one, two = twice(
        block_scores_plot, [*about, "--statistics", str(statistics), *marked], tmp_path
    )
    assert one == two
    one, two = twice(block_scores_plot, [*about, "--influence", str(influence)], tmp_path)
    assert one == two


def test_files_that_hold_no_block_scores(tmp_path):
    statistics, influence = tmp_path / "s.safetensors", tmp_path / "i.json"
    save_file({"other": np.zeros(1)}, statistics)
    write_json(influence, {"blocks": [{"attention": 1}]})
    with pytest.raises(InputError, match=r"s\.safetensors: holds no block_influence"):
        block_scores_plot.read_block_influence(statistics)
    with pytest.raises(InputError) as caught:
        block_scores_plot.read_scores(influence)
    assert str(caught.value) == f"{influence}: not influence scores"


def test_the_note_names_what_each_variant_removes():
    removed = {"dense": [], "shortgpt-1": [3], "shortgpt-2": [3, 2]}
    assert block_scores_plot.removed_note(removed) == (
        "black: shortgpt-1 removes 3; shortgpt-2 removes 3, 2"
    )
    assert block_scores_plot.removed_note({"dense": []}) == ""


def test_ticks_are_round_and_hold_zero():
    ticks = difference_plot._ticks(-0.31, 0.12, 1.0)
    assert 0 in ticks and all(-0.31 <= tick <= 0.12 for tick in ticks)
    assert math.isclose(ticks[1] - ticks[0], 0.2)
