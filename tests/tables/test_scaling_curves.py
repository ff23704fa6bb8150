import itertools
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image

from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT
from workflow_scripts.tables.content.rows import Row, csv_text
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.scaling_curves import draw_scaling_curves, main

# accuracy that was once measured on the demo, by budget
MEASURED = {
    "dense": (0.18, 0.36, 0.51, 0.61, 0.70, 0.83, 1.00),
    "magnitude-20": (0.18, 0.36, 0.51, 0.61, 0.70, 0.83, 1.00),
    "wanda-20": (0.18, 0.36, 0.51, 0.61, 0.70, 0.83, 1.00),
    "wanda-50": (0.18, 0.37, 0.48, 0.57, 0.66, 0.73, 0.88),
    "magnitude-50": (0.19, 0.33, 0.36, 0.39, 0.43, 0.54, 0.64),
    "shortgpt-1": (0.15, 0.35, 0.44, 0.52, 0.63, 0.76, 0.88),
    "shortgpt-2": (0.14, 0.23, 0.22, 0.23, 0.21, 0.25, 0.22),
}
BUDGETS = (6, 12, 24, 36, 48, 60, 72)


def rows_of(accuracy, budgets=BUDGETS, model="reasoner", benchmark="chains", repeats=3):
    return [
        Row(model, variant, benchmark, budget, 240, repeats, p, 0.02, max(p - 0.04, 0),
            min(p + 0.04, 1), budget, 2)
        for variant, curve in accuracy.items()
        for budget, p in zip(budgets, curve, strict=True)
    ]  # fmt: skip


def drawn(rows, **options):
    """The figure, its axes and the labels' texts, laid out."""
    with style.applied():
        figure = draw_scaling_curves(rows, **options)
        FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    labels = {text.get_text(): text for text in axes.texts}
    return figure, axes, labels


def boxes(figure, texts):
    renderer = FigureCanvasAgg(figure).get_renderer()
    # of the words alone, without an annotation's leader
    return [Text.get_window_extent(text, renderer) for text in texts]


def test_a_line_for_every_variant_through_its_own_numbers():
    _, axes, _ = drawn(rows_of(MEASURED))
    assert len(axes.lines) == len(MEASURED)
    for line, curve in zip(axes.lines, MEASURED.values(), strict=True):
        assert tuple(line.get_xdata()) == BUDGETS
        assert tuple(line.get_ydata()) == curve


def test_every_line_has_its_band():
    _, axes, _ = drawn(rows_of(MEASURED))
    for band, curve in zip(axes.collections, MEASURED.values(), strict=True):
        corners = band.get_paths()[0].vertices
        for budget, p in zip(BUDGETS, curve, strict=True):
            heights = corners[corners[:, 0] == budget, 1]
            assert (heights.min(), heights.max()) == pytest.approx(
                (max(p - 0.04, 0), min(p + 0.04, 1))
            )


def test_among_many_variants_only_dense_has_a_band_and_the_subtitle_says_so():
    many = {f"method-{n}": MEASURED["wanda-50"] for n in range(8)} | {"dense": MEASURED["dense"]}
    figure, axes, _ = drawn(rows_of(many))
    assert [to_hex(band.get_facecolor()[0]) for band in axes.collections] == ["#000000"]
    assert figure.texts[1].get_text() == (
        "mean of 240 problems × 3 repeats; band: 95 % interval of dense"
    )


MANY = {"dense": (0.1, 0.3, 0.5)} | {
    f"{way}-{level}": (0.05, 0.2, 0.4 - level / 100)
    for way in ("magnitude", "wanda-owl", "a-way-of-pruning-with-a-long-name", "wanda", "shortgpt")
    for level in (20, 10)
}


def panels():
    with style.applied():
        figure = draw_scaling_curves(rows_of(MANY, budgets=(6, 12, 24)))
        FigureCanvasAgg(figure).draw()
    return figure


def test_with_many_ways_of_pruning_each_has_a_panel_with_dense():
    figure = panels()
    names = [axes.texts[0].get_text() for axes in figure.axes]
    assert names == list(dict.fromkeys(name.rpartition("-")[0] for name in MANY if "-" in name))
    for name, axes in zip(names, figure.axes, strict=True):
        lines = [tuple(line.get_ydata()) for line in axes.lines]
        assert lines == [MANY["dense"], MANY[f"{name}-10"], MANY[f"{name}-20"]]
        assert [text.get_text() for text in axes.texts[1:]] == ["10", "20"]
        assert len(axes.collections) == 1  # dense alone has a band
        assert axes.get_ylim() == pytest.approx((0, 0.6))
    assert "black: dense, with its 95 % interval" in figure.texts[-1].get_text()


def test_texts_of_panels_do_not_touch_and_are_inside():
    figure = panels()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    found = boxes(figure, texts)
    for box in found:
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    for one, other in itertools.combinations(found, 2):
        assert not one.overlaps(other)


def test_labels_name_the_lines_in_their_order_without_touching():
    figure, axes, labels = drawn(rows_of(MEASURED))
    assert set(labels) == set(MEASURED)
    for one, other in itertools.combinations(boxes(figure, labels.values()), 2):
        assert not one.overlaps(other)
    top_down = sorted(labels, key=lambda name: -labels[name].get_position()[1])
    assert top_down == [
        "dense", "magnitude-20", "wanda-20", "wanda-50", "shortgpt-1", "magnitude-50", "shortgpt-2",
    ]  # fmt: skip
    for label in labels.values():
        assert label.xy == (72, MEASURED[label.get_text()][-1])


@pytest.mark.parametrize("ends", [[1.0] * 8, [0.0] * 8, [0.5] * 23])
def test_labels_of_lines_that_coincide_do_not_touch(ends):
    many = {f"some-method-{n}": (0.1, end) for n, end in enumerate(ends)}
    figure, axes, labels = drawn(rows_of(many, budgets=(6, 12)))
    for one, other in itertools.combinations(boxes(figure, labels.values()), 2):
        assert not one.overlaps(other)


@pytest.mark.parametrize(
    "name", ["m", "a-rather-long-variant-name-with-everything-in-it-and-more-of-it-20"]
)
@pytest.mark.parametrize(
    "model", ["reasoner", "an-organisations-very-long-model-name-32B-thinking"]
)
def test_every_text_is_inside_the_figure_and_large_enough_to_be_read(name, model):
    figure, axes, labels = drawn(rows_of({"dense": (0.1, 0.9), name: (0.1, 0.5)}, (6, 72), model))
    texts = [*labels.values(), *figure.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]
    for text, box in zip(texts, boxes(figure, texts), strict=True):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text
    assert all(text.get_fontsize() >= 8 for text in [*labels.values(), *axes.get_xticklabels()])


def test_a_figure_of_ordinary_names_is_as_wide_as_a_page_of_text():
    figure, _, _ = drawn(rows_of(MEASURED))
    assert figure.get_figwidth() == pytest.approx(6.5)


def test_the_axes_show_the_real_budgets_and_all_of_the_accuracy():
    _, axes, _ = drawn(rows_of(MEASURED))
    assert axes.get_xscale() == "linear"
    assert tuple(axes.get_xticks()) == BUDGETS
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(b) for b in BUDGETS]
    assert axes.get_ylim() == (0, 1)


def test_budgets_that_double_stand_at_equal_distances():
    budgets = (512, 1024, 2048, 4096, 8192)
    _, axes, _ = drawn(rows_of({"dense": (0.1, 0.2, 0.3, 0.4, 0.5)}, budgets))
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(b) for b in budgets]
    across = axes.transData.transform([(budget, 0) for budget in budgets])[:, 0]
    assert np.diff(across) == pytest.approx(np.diff(across)[0])


def test_numbers_of_budgets_do_not_touch():
    budgets = (1000, 1010, 1020, 4000, 9000)
    figure, axes, _ = drawn(rows_of({"dense": (0.1, 0.2, 0.3, 0.4, 0.5)}, budgets))
    shown = [tick for tick in axes.get_xticklabels() if tick.get_text()]
    assert [tick.get_text() for tick in shown] == ["1020", "4000", "9000"]
    assert tuple(axes.get_xticks()) == budgets
    for one, other in itertools.combinations(boxes(figure, shown), 2):
        assert not one.overlaps(other)


def test_the_titles_say_what_is_shown():
    figure, _, _ = drawn(rows_of(MEASURED, repeats=1), problems="chains of 2 to 12 operations")
    assert [text.get_text() for text in figure.texts] == [
        "reasoner on chains: accuracy against thinking budget",
        "mean of 240 chains of 2 to 12 operations × 1 repeat; bands: 95 % intervals",
    ]


def test_against_tokens_a_point_stands_at_what_was_used():
    rows = [
        replace(row, trace_tokens=0.7 * row.budget, answer_tokens=3) for row in rows_of(MEASURED)
    ]
    figure, axes, labels = drawn(rows, against="tokens")
    for line, curve in zip(axes.lines, MEASURED.values(), strict=True):
        assert list(line.get_xdata()) == pytest.approx([0.7 * budget + 3 for budget in BUDGETS])
        assert tuple(line.get_ydata()) == curve
    assert axes.get_xlabel() == "tokens used for a problem (trace and answer, mean)"
    assert figure.texts[0].get_text() == "reasoner on chains: accuracy against tokens used"
    assert set(labels) == set(MEASURED)
    assert all(7.2 <= tick <= 53.4 for tick in axes.get_xticks())


def test_one_budget_is_drawn_as_points_with_their_intervals():
    _, axes, labels = drawn(rows_of({"dense": (0.9,), "wanda-20": (0.5,)}, (6,)))
    (segment,) = axes.collections[1].get_segments()
    assert segment.tolist() == [[6, 0.46], [6, 0.54]]
    assert set(labels) == {"dense", "wanda-20"}


def test_a_variant_that_lacks_a_budget_runs_from_neighbour_to_neighbour():
    rows = [row for row in rows_of(MEASURED) if (row.variant, row.budget) != ("wanda-50", 24)]
    _, axes, _ = drawn(rows)
    assert tuple(axes.lines[3].get_xdata()) == (6, 12, 36, 48, 60, 72)


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "accuracy.csv"
    other = rows_of({"dense": (0.1,) * 7}, model="other")
    path.write_text(csv_text([*rows_of(MEASURED), *other]))
    return path


def flags(table: Path, folder: Path, model: str = "reasoner") -> list[str]:
    return [
        "--table", str(table), "--model", model, "--benchmark", "chains",
        "--svg", str(folder / "curves.svg"), "--png", str(folder / "curves.png"),
    ]  # fmt: skip


def test_both_files_are_the_same_bytes_in_another_process(table, tmp_path):
    for folder, seed in (("one", "1"), ("two", "2")):
        subprocess.run(
            [sys.executable, "-m", "workflow_scripts.tables.scaling_curves",
             *flags(table, tmp_path / folder)],
            cwd=PROJECT,
            env={"PYTHONHASHSEED": seed, "HOME": str(tmp_path / folder), "SOURCE_DATE_EPOCH": seed},
            check=True,
        )  # fmt: skip
    for name in ("curves.svg", "curves.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_users_own_matplotlib_settings_change_nothing(table, tmp_path):
    import matplotlib

    main(flags(table, tmp_path / "one"))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "none"}):
        main(flags(table, tmp_path / "two"))
    for name in ("curves.svg", "curves.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_files_are_an_svg_and_a_png_that_tell_no_date_and_no_place(table, tmp_path):
    main(flags(table, tmp_path))
    svg = (tmp_path / "curves.svg").read_text()
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "dc:date" not in svg and str(tmp_path) not in svg
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size[0] == 1300
        assert set(image.info) == {"Title", "dpi"}


def test_a_model_that_is_not_in_the_table(table, tmp_path):
    with pytest.raises(InputError) as caught:
        main(flags(table, tmp_path, model="reasoners"))
    assert str(caught.value) == f"{table}: no row for reasoners on chains"
