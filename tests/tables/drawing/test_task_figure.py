"""The figure of tasks: its axes hold the losses of the table, and its texts have their places."""

import pytest
from matplotlib.colors import to_hex

from tests.tables.sources import drawn, overlapping, rows_of, shown_texts, source_of
from tests.tables.task_results import OPTIONS
from workflow_scripts.tables import plot
from workflow_scripts.tables.content.columns import (
    ALL,
    COLUMNS,
    MEAN,
    NoRows,
    read_table,
    write_table,
)
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing.looks import FAMILIES, HUES
from workflow_scripts.tables.drawing.tasks import draw

PLACE = {"model": "reasoner", "title": "a title"}


@pytest.fixture
def source(task_source) -> Source:
    return Source(task_source.results, task_source.tables, OPTIONS | PLACE)


@pytest.fixture
def rows(source):
    rows = read_table(source.tables, "tasks")
    return rows[(rows["model"] == "reasoner") & (rows["task"] == MEAN)]


def test_a_panel_for_every_family_has_each_variants_loss_at_its_share(source, rows):
    figure = drawn(draw, source)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    families = [name for name in rows["family"].unique() if name != ALL]
    assert titles == [f"{family}, 2 tasks" for family in families]
    hues = {family: line for family, (line, _) in zip(FAMILIES, HUES, strict=False)}
    for axes, family in zip(figure.axes, families, strict=True):
        members = rows[(rows["family"] == family) & (rows["variant"] != "dense")]
        wanted = [
            (
                round(100 * row.removed_of_all, 3),
                round(-100 * row.difference, 3),
                hues[source.ways[row.variant].family],
            )
            for row in members.itertuples()
        ]
        found = [
            (round(float(x), 3), round(float(y), 3), to_hex(bars.lines[0].get_color()))
            for bars in axes.containers
            for x, y in zip(*bars.lines[0].get_data(), strict=True)
        ]
        assert sorted(found) == sorted(wanted)
        for bars, row in zip(axes.containers, _in_order(axes, members), strict=True):
            ((_, low), (_, high)) = bars.lines[2][0].get_segments()[0]
            assert (low, high) == pytest.approx(
                (-100 * row.difference_high, -100 * row.difference_low)
            )


def _in_order(axes, members):
    """The rows of the marks, in the order in which they are drawn."""
    for bars in axes.containers:
        y = float(bars.lines[0].get_ydata()[0])
        x = float(bars.lines[0].get_xdata()[0])
        near = (100 * members["removed_of_all"] - x).abs() + (100 * members["difference"] + y).abs()
        yield next(members.loc[[near.idxmin()]].itertuples())


def swept(folder, *, model="reasoner") -> Source:
    """Two levels of one method on one family of tasks, and the reference."""
    rows = [
        dict(zip(COLUMNS["tasks"], (
            model, variant, "classification", MEAN, "", "mean", "more", 1, 50, 0.7, 0.1, 0.5, 0.9,
            *difference, 0.01, 0.02, "worse", share, share, share, share,
        ), strict=True))
        for variant, share, difference in (
            ("dense", 0.0, (float("nan"),) * 4),
            ("wanda-20", 0.2, (-0.1, 0.02, -0.15, -0.05)),
            ("wanda-50", 0.5, (-0.4, 0.05, -0.5, -0.3)),
        )
    ]  # fmt: skip
    frame = rows_of("tasks", [row.values() for row in rows])
    # wanda's levels are one way
    ways = {
        name: [name, "wanda", "wanda", name[-2:], "unstructured"]
        for name in ("wanda-20", "wanda-50")
    }
    options = {"ways": [["dense", "dense", "dense", "", "none"], *ways.values()]}
    return source_of(folder, {"tasks": frame}, **options, **PLACE)


def test_variants_that_differ_in_how_much_they_remove_are_a_line_from_nothing(tmp_path):
    (axes,) = drawn(draw, swept(tmp_path)).axes
    (bars,) = axes.containers
    assert bars.lines[0].get_xdata() == pytest.approx([0, 20, 50])
    assert bars.lines[0].get_ydata() == pytest.approx([0, 10, 40])


def test_with_dynamic_variants_the_share_is_what_a_token_does_not_use(tmp_path):
    source = swept(tmp_path)
    rows = read_table(source.tables, "tasks")
    rows.loc[rows["variant"] == "wanda-50", ["removed", "removed_of_all"]] = -0.001
    write_table(source.tables, "tasks", rows)
    *others, _ = source.options["ways"]
    ways = [*others, ["wanda-50", "skipgpt", "skipgpt", "50", "dynamic"]]
    (axes,) = drawn(
        draw, Source(source.results, source.tables, source.options | {"ways": ways})
    ).axes
    found = [bars.lines[0].get_xdata().tolist() for bars in axes.containers]
    assert found == [pytest.approx([20]), pytest.approx([50])]
    assert axes.get_xlabel() == "not used by a token, % of the linear weights of all blocks"


def test_a_model_of_which_nothing_is_compared_is_not_drawn(tmp_path):
    with pytest.raises(NoRows, match="no mean over a family of reasoner is compared"):
        draw(swept(tmp_path, model="other"))


def test_every_text_is_inside_the_figure_and_none_covers_another(source):
    figure = drawn(draw, source)
    texts = shown_texts(figure)
    assert len(texts) > 10 and overlapping(figure, texts) == []


def test_the_files_are_the_same_bytes_when_made_again(source, tmp_path):
    made = []
    for folder in ("one", "two"):
        paths = [tmp_path / folder / f"figure.{ending}" for ending in ("svg", "png")]
        plot.make("tasks", source, paths)
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1]
