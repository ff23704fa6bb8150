"""Figures of dynamic variants: they show what was counted, and their texts have their places."""

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex

from tests.tables.dynamic_results import DYNAMIC, OPTIONS, SKIPPED, routes_of
from tests.tables.sources import drawn, overlapping, plot_flags, shown_texts
from workflow_scripts.artefacts.routes import Ran, read_routes, write_routes
from workflow_scripts.tables import plot
from workflow_scripts.tables.content.columns import NoRows, read_table
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import (
    dynamic_curves,
    families,
    routes,
    scaling_curves,
    sparsity,
    token_kinds,
)
from workflow_scripts.tables.drawing.looks import FAMILIES, HUES

ORANGE = HUES[FAMILIES.index("dynamic")][0]
MODULES = [dynamic_curves, families, routes, scaling_curves, sparsity, token_kinds]


@pytest.fixture
def source(dynamic_source) -> Source:
    return dynamic_source


def told(source: Source, **options) -> Source:
    return Source(source.results, source.tables, source.options | options)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("few", [1, 3, 4])
def test_every_text_is_inside_the_figure_and_none_covers_another(source, module, few):
    options = {"dynamic": DYNAMIC[:few]} | ({"ratio": "unused"} if module is sparsity else {})
    figure = drawn(module.draw, told(source, **options))
    texts = shown_texts(figure)
    assert len(texts) > 5 and overlapping(figure, texts) == []
    if module is not families:  # its note may be longer than the figure is wide
        assert all(text.get_fontsize() >= 7.9 for text in texts)


@pytest.mark.parametrize("module", [dynamic_curves, routes, token_kinds])
def test_the_files_are_the_same_bytes_when_made_again(source, tmp_path, module):
    made = []
    for folder in ("one", "two"):
        paths = [tmp_path / folder / f"figure.{ending}" for ending in ("svg", "pdf", "png")]
        plot.make(module.__name__.rpartition(".")[2], source, paths)
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1]


def test_every_dynamic_variant_has_a_panel_with_those_that_it_is_compared_with(source):
    figure = drawn(dynamic_curves.draw, source)
    named = {
        axes.get_title(loc="left"): [text.get_text() for text in axes.texts] for axes in figure.axes
    }
    assert named == {
        "skipgpt-20, 16.5 % unused": ["dense", "wanda-20", "flap-20", "shortgpt-1", "skipgpt-20"],
        "skipgpt-40, 33.5 % unused": ["dense", "skipgpt-40"],
        "mod-10, 4.4 % unused": ["dense", "mod-10"],
        "skipgpt-20-lora, 18.0 % unused": ["dense", "flap-20-lora", "skipgpt-20-lora"],
    }
    rows = read_table(source.tables, "accuracy").set_index("variant")
    for axes, names in zip(figure.axes, named.values(), strict=True):
        lines = [line for line in axes.lines if line.get_transform() == axes.transData]
        for line, name in zip(lines, names, strict=True):
            assert [*line.get_ydata()] == [*rows.loc[name, "accuracy"]]
        assert len(axes.collections) == 1  # the band


def test_a_map_shows_the_share_of_tokens_that_run_each_block_at_each_place(source):
    figure = drawn(routes.draw, source)
    maps = [mesh for axes in figure.axes for mesh in axes.collections if isinstance(mesh, QuadMesh)]
    found = [mesh.get_array() for mesh in maps if mesh.get_array().shape == (6, 16)]
    # by lines of two variants: their attentions, then their MLPs
    order = [
        (v, part) for at in (0, 2) for part in ("attention", "mlp") for v in DYNAMIC[at : at + 2]
    ]
    assert len(found) == len(order) == 8
    for shares, (variant, part) in zip(found, order, strict=True):
        places = routes_of(variant).places
        wanted = np.array([[n / one.tokens for n in getattr(one, part)] for one in places]).T
        assert np.array_equal(shares, wanted)
        low, high = maps[0].get_clim()
        assert (low, high) == (0, 1)
    assert {axes.get_title(loc="left") for axes in figure.axes} >= {*DYNAMIC}


def test_a_row_of_a_panel_is_a_kind_of_token_with_a_mark_for_each_kind_of_sublayer(source):
    figure = drawn(token_kinds.draw, source)
    for axes, variant in zip(figure.axes, DYNAMIC, strict=True):
        assert axes.get_title(loc="left") == variant
        all_tokens, marks, *_ = axes.lines  # of attentions; then of MLPs
        record, kinds = routes_of(variant), ["digit", "delimiter", "word", "special"]
        assert [*all_tokens.get_xdata()] == pytest.approx(
            [np.mean(record.traces.attention) / record.traces.tokens] * 2
        )
        assert all_tokens.get_xdata()[0] == pytest.approx(1 - SKIPPED[variant][1][0], abs=0.01)
        ran = [record.kinds[kind] for kind in kinds]
        wanted = [np.mean(one.attention) / one.tokens for one in ran]
        assert [*marks.get_xdata()] == pytest.approx(wanted)
        assert [text.get_text() for text in axes.texts] == ["30.0", "15.0", "50.0", "5.0"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["digit", "delimiter", "word", "special"]


def test_against_unused_weights_dynamic_variants_stand_among_the_others(source):
    (axes,) = drawn(sparsity.draw, told(source, ratio="unused")).axes
    lines = {
        text.get_text(): container.lines[0]
        for text, container in zip(axes.texts, axes.containers, strict=True)
    }
    assert lines["skipgpt"].get_xdata() == pytest.approx([16.5, 33.5])
    assert lines["flap"].get_xdata() == pytest.approx([20])
    assert to_hex(lines["mod"].get_color()) == ORANGE
    assert axes.get_xlabel() == "not used by a token, % of the linear weights of all blocks"


@pytest.mark.parametrize("ratio", ["removed_fraction", "removed_of_all"])
def test_against_what_is_removed_they_are_left_out(source, ratio):
    (axes,) = drawn(sparsity.draw, told(source, ratio=ratio)).axes
    assert {text.get_text() for text in axes.texts} == {"wanda", "flap", "shortgpt", "flap-lora"}
    assert axes.get_xlim()[0] < 0 < axes.get_xlim()[1]


def test_a_family_of_its_own_has_a_hue_and_darker_is_more_unused(source):
    figure = drawn(families.draw, source)
    (axes,) = figure.axes
    legend = {text.get_text() for text in axes.get_legend().get_texts()}
    assert legend == {"unstructured", "depth", "width", "dynamic"}
    assert "darker: more unused" in figure.texts[0].get_text()


@pytest.mark.parametrize("module", [routes, token_kinds])
def test_without_routes_there_is_no_figure(source, tmp_path, module):
    with pytest.raises(NoRows, match="no routes of chains"):
        module.draw(Source(tmp_path, source.tables, OPTIONS))


@pytest.mark.parametrize("figure", ["routes", "token_kinds"])
def test_a_model_that_thinks_nothing_has_a_figure_that_says_so(source, tmp_path, figure):
    for path in source.results.glob("reasoner/*/routes/chains.json"):
        record = read_routes(path)
        nothing = dict.fromkeys(("attention", "mlp"), (0,) * record.blocks) | {"tokens": 0}
        empty = {"traces": Ran(**nothing), "places": (), "kinds": {}}
        target = tmp_path / path.relative_to(source.results)
        write_routes(target, record.model_copy(update=empty))
    of = {"model": ["reasoner"], "benchmark": ["chains"]}
    without = Source(tmp_path, source.tables, OPTIONS)
    plot.main(plot_flags(figure, without, tmp_path / figure, **of))
    said = "Nothing to show: reasoner thinks nothing on chains: no token of a trace."
    assert said in (tmp_path / figure / "reasoner/chains.svg").read_text(encoding="utf-8")


def test_without_a_graded_dynamic_variant_there_are_no_curves(source):
    with pytest.raises(NoRows, match="no row of a dynamic variant"):
        dynamic_curves.draw(told(source, dynamic=["other"]))
