import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from tests.tables.sources import (
    boxes,
    drawn,
    mask,
    named_ways,
    overlapping,
    plot_flags,
    rows_of,
    shown_texts,
    source_of,
)
from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT
from workflow_scripts.tables import plot
from workflow_scripts.tables.drawing.scaling_curves import draw
from workflow_scripts.tables.entries import FIGURE_FORMATS
from workflow_scripts.tables.ways import Way, as_lists

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


def table_of(accuracy, budgets=BUDGETS, model="m", repeats=3):
    return rows_of(
        "accuracy",
        [
            (model, variant, "b", budget, 240, repeats, p, 0.02, max(p - 0.04, 0),
             min(p + 0.04, 1), budget, 2)
            for variant, curve in accuracy.items()
            for budget, p in zip(budgets, curve, strict=True)
        ],
    )  # fmt: skip


def figure_of(folder, rows, **options):
    return drawn(draw, source_of(folder, {"accuracy": rows}, **options))


def only(figure):
    """The only axes and its labels."""
    (axes,) = figure.axes
    return axes, {text.get_text(): text for text in axes.texts}


def test_every_variant_has_its_own_line_band_and_label(tmp_path):
    figure = figure_of(tmp_path, table_of(MEASURED))
    axes, labels = only(figure)
    for line, band, curve in zip(axes.lines, axes.collections, MEASURED.values(), strict=True):
        assert tuple(line.get_xdata()) == BUDGETS and tuple(line.get_ydata()) == curve
        corners = band.get_paths()[0].vertices
        for budget, p in zip(BUDGETS, curve, strict=True):
            heights = corners[corners[:, 0] == budget, 1]
            interval = max(p - 0.04, 0), min(p + 0.04, 1)
            assert (heights.min(), heights.max()) == pytest.approx(interval)
    assert axes.get_xscale() == "linear" and tuple(axes.get_xticks()) == BUDGETS
    assert axes.get_ylim() == (0, 1) and figure.get_figwidth() == pytest.approx(6.5)
    top_down = sorted(labels, key=lambda name: -labels[name].get_position()[1])
    assert top_down == [
        "dense", "magnitude-20", "wanda-20", "wanda-50", "shortgpt-1", "magnitude-50", "shortgpt-2",
    ]  # fmt: skip
    assert overlapping(figure, list(labels.values())) == []
    for name, label in labels.items():
        assert label.xy == (72, MEASURED[name][-1])
    assert "× 3 repeats; bands: 95 % intervals" in figure.texts[0].get_text()


def test_among_many_variants_only_dense_has_a_band_and_the_subtitle_says_so(tmp_path):
    many = {f"method-{n}": MEASURED["wanda-50"] for n in range(8)} | {"dense": MEASURED["dense"]}
    figure = figure_of(tmp_path, table_of(many, repeats=1))
    axes, _ = only(figure)
    assert [to_hex(band.get_facecolor()[0]) for band in axes.collections] == ["#000000"]
    said = "mean of 240 problems × 1 repeat; band: 95 % interval of dense"
    assert figure.texts[0].get_text() == said


def test_the_reference_is_black_whatever_it_is_called(tmp_path):
    figure = figure_of(
        tmp_path, table_of({"base": (0.5, 0.9), "w-20": (0.4, 0.8)}, (6, 12)), reference="base"
    )
    axes, labels = only(figure)
    colours = [line.get_color() for line in axes.lines]
    assert colours[0] == "#000000" != colours[1] and list(labels) == ["base", "w-20"]


LONG = "a-way-of-pruning-with-long-name"
MANY = {"dense": (0.1, 0.3, 0.5)} | {
    f"{way}-{level}": (0.05, 0.2, 0.4 - level / 100)
    for way in ("magnitude", "wanda-owl", LONG, "wanda", "shortgpt")
    for level in (20, 10)
}


MASKS = {name: mask(int(name[-2:]) / 100) for name in MANY if name != "dense"}


def test_with_many_ways_of_pruning_each_has_a_panel_with_dense(tmp_path):
    figure = figure_of(tmp_path, table_of(MANY, budgets=(6, 12, 24)), masks=MASKS)
    names = [axes.get_title(loc="left") for axes in figure.axes]
    assert names == list(dict.fromkeys(name.rpartition("-")[0] for name in MANY if "-" in name))
    for name, axes in zip(names, figure.axes, strict=True):
        lines = [list(line.get_ydata()) for line in axes.lines]
        expected = [MANY[variant] for variant in ("dense", f"{name}-10", f"{name}-20")]
        assert np.array(lines) == pytest.approx(np.array(expected))
        assert [text.get_text() for text in axes.texts] == ["10", "20"]
        assert len(axes.collections) == 1  # dense alone has a band
        assert axes.get_ylim() == pytest.approx((0, 0.6))
    assert "black: dense, with its 95 % interval" in figure.texts[0].get_text()
    assert overlapping(figure, shown_texts(figure)) == []


def test_a_panel_of_one_variant_without_a_level_names_it_above(tmp_path):
    curves = MANY | {"wanda-2-4": (0.1, 0.2, 0.3)}
    ways = named_ways(curves) | {"wanda-2-4": Way("wanda", "wanda-2-4", "", "unstructured")}
    rows = table_of(curves, budgets=(6, 12, 24))
    figure = figure_of(tmp_path, rows, masks=MASKS, ways=as_lists(ways))
    named = {axes.get_title(loc="left"): len(axes.texts) for axes in figure.axes}
    assert named.pop("wanda-2-4") == 0 and set(named.values()) == {2}


@pytest.mark.parametrize("ends", [[1.0] * 8, [0.0] * 8, [0.5] * 23])
def test_labels_of_lines_that_coincide_do_not_touch(tmp_path, ends):
    many = {f"some-method-{n}": (0.1, end) for n, end in enumerate(ends)}
    figure = figure_of(tmp_path, table_of(many, budgets=(6, 12)))
    _, labels = only(figure)
    assert overlapping(figure, list(labels.values())) == []
    shown_texts(figure)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("m", "short"),
        ("a-rather-long-variant-name-with-everything-in-it-and-more-20", "long " * 30),
    ],
)
def test_every_text_is_inside_the_figure_and_large_enough_to_be_read(tmp_path, name, title):
    rows = table_of({"dense": (0.1, 0.9), name: (0.1, 0.5)}, (6, 72))
    figure = figure_of(tmp_path, rows)
    axes, labels = only(figure)
    shown_texts(figure)
    assert all(text.get_fontsize() >= 8 for text in [*labels.values(), *axes.get_xticklabels()])
    assert axes.get_position().width * figure.get_figwidth() > 2


def test_budgets_that_double_are_at_equal_distances(tmp_path):
    budgets = (512, 1024, 2048, 4096, 8192)
    axes, _ = only(figure_of(tmp_path, table_of({"dense": (0.1, 0.2, 0.3, 0.4, 0.5)}, budgets)))
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(b) for b in budgets]
    across = axes.transData.transform([(budget, 0) for budget in budgets])[:, 0]
    assert np.diff(across) == pytest.approx(np.diff(across)[0])


def test_numbers_of_budgets_do_not_touch(tmp_path):
    budgets = (1000, 1010, 1020, 4000, 9000)
    figure = figure_of(tmp_path, table_of({"dense": (0.1, 0.2, 0.3, 0.4, 0.5)}, budgets))
    axes, _ = only(figure)
    shown = [tick for tick in axes.get_xticklabels() if tick.get_text()]
    assert [tick.get_text() for tick in shown] == ["1020", "4000", "9000"]
    assert set(axes.get_xticks()) == set(budgets)
    assert overlapping(figure, shown) == [] and len(boxes(figure, shown)) == 3


def test_against_tokens_a_point_is_at_what_was_used(tmp_path):
    rows = table_of(MEASURED)
    rows = rows.assign(trace_tokens=0.7 * rows["budget"], answer_tokens=3)
    axes, labels = only(figure_of(tmp_path, rows, against="tokens"))
    for line, curve in zip(axes.lines, MEASURED.values(), strict=True):
        assert list(line.get_xdata()) == pytest.approx([0.7 * budget + 3 for budget in BUDGETS])
        assert tuple(line.get_ydata()) == curve
    assert axes.get_xlabel() == "tokens used for a problem (trace and answer, mean)"
    assert set(labels) == set(MEASURED)
    assert all(6 <= tick <= 53.4 for tick in axes.get_xticks())


def test_one_budget_is_drawn_as_points_with_their_intervals(tmp_path):
    axes, labels = only(figure_of(tmp_path, table_of({"dense": (0.9,), "wanda-20": (0.5,)}, (6,))))
    (segment,) = axes.collections[1].get_segments()
    assert segment.tolist() == [[6, 0.46], [6, 0.54]]
    assert set(labels) == {"dense", "wanda-20"}


def test_a_variant_that_lacks_a_budget_runs_from_neighbour_to_neighbour(tmp_path):
    rows = table_of(MEASURED)
    rows = rows[(rows["variant"] != "wanda-50") | (rows["budget"] != 24)]
    axes, _ = only(figure_of(tmp_path, rows))
    assert tuple(axes.lines[3].get_xdata()) == (6, 12, 36, 48, 60, 72)


def flags(folder: Path, output: Path, model: str = "m") -> list[str]:
    source = source_of(folder, {"accuracy": table_of(MEASURED)})
    return plot_flags("scaling_curves", source, output, model=[model], benchmark=["b"])


def test_the_files_are_the_same_bytes_whatever_surrounds_them(tmp_path):
    """In another process, with another seed of hashes, and with a user's own settings."""
    subprocess.run(
        [sys.executable, "-m", "workflow_scripts.tables.plot", *flags(tmp_path, tmp_path / "one")],
        cwd=PROJECT,
        env={"PYTHONHASHSEED": "1", "HOME": str(tmp_path / "home"), "SOURCE_DATE_EPOCH": "1"},
        check=True,
    )
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "none"}):
        plot.main(flags(tmp_path, tmp_path / "two"))
    for form in FIGURE_FORMATS:
        name = f"m/b.{form}"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    svg = (tmp_path / "two" / "m/b.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "dc:date" not in svg and str(tmp_path) not in svg
    with Image.open(tmp_path / "two" / "m/b.png") as image:
        assert image.size[0] == 1300
        assert set(image.info) == {"Title", "dpi"}


def test_a_model_that_is_not_in_the_table(tmp_path):
    with pytest.raises(InputError, match="no row for reasoners on b"):
        plot.main(flags(tmp_path, tmp_path, model="reasoners"))
