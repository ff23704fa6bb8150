"""Figures of a pair of models and of training after pruning: what they show, and how."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.tables.pair_results import KEPT, OPTIONS, WAYS, losses_of
from tests.tables.sources import drawn, overlapping, shown_texts
from workflow_scripts.tables import plot
from workflow_scripts.tables.content.columns import NoRows, read_table
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import (
    families,
    pair,
    recovered,
    recovery_losses,
    scaling_curves,
    sparsity,
)
from workflow_scripts.tables.drawing.looks import HOLLOW

PLACE = {"model": "reasoner", "benchmark": "chains", "title": "a title"}
MODULES = {"pair": pair, "recovered": recovered, "recovery_losses": recovery_losses}


@pytest.fixture
def source(pair_source) -> Source:
    return Source(pair_source.results, pair_source.tables, OPTIONS | PLACE)


@pytest.mark.parametrize("name", MODULES)
def test_every_text_is_inside_the_figure_and_none_covers_another(source, name):
    figure = drawn(MODULES[name].draw, source)
    texts = shown_texts(figure)
    assert len(texts) > 5 and overlapping(figure, texts) == []
    assert all(text.get_fontsize() >= 7.9 for text in texts)


@pytest.mark.parametrize("name", MODULES)
def test_the_files_are_the_same_bytes_when_made_again(source, tmp_path, name):
    made = []
    for folder in ("one", "two"):
        paths = [tmp_path / folder / f"figure.{ending}" for ending in ("svg", "png")]
        plot.make(name, source, paths)
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1]


def test_both_losses_and_the_interaction_stand_in_a_variants_row(source):
    left, right = drawn(pair.draw, source).axes
    rows = read_table(source.tables, "pair")
    rows = rows[rows["budget"] == rows["budget"].max()].set_index("variant")
    names = [label.get_text() for label in left.get_yticklabels()]
    assert sorted(names) == sorted(rows.index) and names[-2:] == [*rows.index[-2:]]
    # what is pruned alike stands together, families in their order
    assert names[:4] == ["wanda-50", "wanda-50-lora", "magnitude-70", "magnitude-70-lora"]
    marks = [line for line in left.lines if line.get_marker() in ("s", "o")]
    rights = [line for line in right.lines if line.get_marker() == "D"]
    for place, (name, y) in enumerate(zip(names, left.get_yticks(), strict=True)):
        instruct, think = marks[2 * place : 2 * place + 2]
        row = rows.loc[name]
        assert instruct.get_xdata()[0] == pytest.approx(100 * row["instruct_loss"])
        assert think.get_xdata()[0] == pytest.approx(100 * row["think_loss"])
        assert instruct.get_ydata()[0] < y < think.get_ydata()[0]
        mark = rights[place]
        assert mark.get_xdata()[0] == pytest.approx(100 * row["interaction"])
        is_filled = to_hex(mark.get_markerfacecolor()) != "#ffffff"
        assert is_filled == (row["p_holm"] < 0.05)
    kinds = [text.get_text() for text in left.texts]
    assert kinds == [
        "unstructured: single weights", "depth: whole blocks", "width: heads and neurons",
        "nothing removed", "means over variants",
    ]  # fmt: skip


def test_a_benchmark_without_rows_has_no_figure_of_the_pair(source):
    other = Source(source.results, source.tables, source.options | {"benchmark": "none"})
    with pytest.raises(NoRows, match="no row for none"):
        pair.draw(other)


def test_start_and_recovered_are_joined_and_dense_and_its_control_are_lines(source):
    (axes,) = drawn(recovered.draw, source).axes
    rows = read_table(source.tables, "recovered")
    rows = rows[(rows["model"] == "reasoner") & (rows["budget"] == rows["budget"].max())]
    rows = rows.set_index("variant")
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["dense-lora", "wanda-50-lora", "magnitude-70-lora", "shortgpt-1-lora"]
    dense, control, *marks = axes.lines
    assert dense.get_xdata()[0] == pytest.approx(rows.loc["dense-lora", "dense_accuracy"])
    assert control.get_xdata()[0] == pytest.approx(rows.loc["dense-lora", "accuracy"])
    for name, start, after in zip(names, marks[::2], marks[1::2], strict=True):
        assert start.get_xdata()[0] == pytest.approx(rows.loc[name, "start_accuracy"])
        assert after.get_xdata()[0] == pytest.approx(rows.loc[name, "accuracy"])
        assert start.get_marker() == after.get_marker()
        assert to_hex(after.get_markerfacecolor()) == HOLLOW != start.get_markerfacecolor()


def test_losses_are_those_of_the_records_and_the_kept_step_is_marked(source):
    figure = drawn(recovery_losses.draw, source)
    assert len(figure.axes) == 4
    for axes in figure.axes:
        name, *kept_loss = axes.get_title(loc="left").split(" (")
        record = losses_of(name)
        trained, *lines, kept = axes.lines
        assert trained.get_xydata().tolist() == [[one.step, one.loss] for one in record.steps]
        assert [*kept.get_xdata()] == [record.kept_step] * 2
        if record.validation:
            (measured,) = lines
            shown = [[one.step, one.loss] for one in record.validation]
            assert measured.get_xydata().tolist() == shown
            (loss,) = [one.loss for one in record.validation if one.step == record.kept_step]
            assert kept_loss == [f"{loss:.2g})"]
        else:
            assert lines == kept_loss == []


@pytest.mark.parametrize(("wide", "scale"), [(1.01, "log"), (1e6, "linear")])
def test_losses_far_apart_have_a_logarithmic_scale(source, monkeypatch, wide, scale):
    monkeypatch.setattr(recovery_losses, "WIDE", wide)
    figure = drawn(recovery_losses.draw, source)
    assert {axes.get_yscale() for axes in figure.axes} == {scale}
    low, top = figure.axes[0].get_ylim()
    measured = [line.get_ydata() for axes in figure.axes for line in axes.lines[1:-1]]
    assert measured and all(low < loss < top for losses in measured for loss in losses)


def test_without_records_there_is_no_figure_of_losses(source, tmp_path):
    with pytest.raises(NoRows, match=r"no variant has a recovery\.json"):
        recovery_losses.draw(Source(tmp_path, source.tables, source.options))


@pytest.mark.parametrize("module", [scaling_curves, families, sparsity])
def test_the_other_figures_show_what_was_trained_hollow_beside_its_start(source, module):
    options = {"ratio": "removed_of_all"} if module is sparsity else {}
    figure = drawn(module.draw, Source(source.results, source.tables, source.options | options))
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_transform() == axes.transData]
    hollow = [line for line in lines if to_hex(line.get_markerfacecolor()) == HOLLOW]
    assert len(hollow) == sum(bool(way.recovery) for way in WAYS.values()) == 4
    if module is not sparsity:
        assert "hollow: trained after pruning" in figure.texts[0].get_text()
    assert {text.get_text() for text in axes.texts} >= {*KEPT} - {"dense"}
    assert overlapping(figure, shown_texts(figure)) == []


def test_a_line_of_recovered_variants_begins_at_the_dense_model_with_the_same_training(source):
    ways = [list(way) for way in source.options["ways"]]
    for way in ways:  # the two are one way, as far as the figure knows
        if way[0] in ("wanda-50-lora", "magnitude-70-lora"):
            way[2] = "some-lora"
    options = source.options | {"ways": ways}
    (axes,) = drawn(sparsity.draw, Source(source.results, source.tables, options)).axes
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 3]
    rows = read_table(source.tables, "accuracy")
    control = rows[(rows["model"] == "reasoner") & (rows["variant"] == "dense-lora")].iloc[-1]
    assert line.get_xydata()[0].tolist() == pytest.approx([0, control.accuracy])
    assert np.all(np.diff(line.get_xdata()) > 0)
