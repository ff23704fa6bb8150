"""The smaller figures: what they show, that it can be read, and that their bytes do not change."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from safetensors.numpy import save_file

from tests.tables.sources import OPTIONS, drawn, mask, overlapping, rows_of, shown_texts, source_of
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.tables import plot
from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.drawing import (
    block_choice,
    block_scores,
    calibration_sources,
    differences,
    families,
    parallel,
    scaling_curves,
    sparsity,
    style,
)
from workflow_scripts.tables.drawing.looks import HUES

VARIANTS = ("magnitude-20", "wanda-layerif-50", "shortgpt-2")


def comparison(variant, budget, difference, verdict):
    return (
        "dense of m", "m", "b", budget, variant, 0.2, "dense", 0.0, 30, 3, 0.5, 0.5 - difference,
        difference, 0.02, difference - 0.05, difference + 0.05, 0.01, 0.04, 0.1, verdict,
        0.2, 0.18, 0.0, 0.0, 0.2, 0.0,
    )  # fmt: skip


COMPARISONS = rows_of(
    "comparison",
    [
        comparison("magnitude-20", 6, 0.0, "no difference larger than 0.050"),
        comparison("magnitude-20", 12, 0.08, "better"),
        comparison("wanda-layerif-50", 6, -0.02, "inconclusive"),
        comparison("wanda-layerif-50", 12, -0.3, "worse"),
    ],
)
PARALLEL = rows_of(
    "parallel",
    [
        ("m", variant, "b", budget, k, k * (budget + 2.0), 0.9, 0.8, 0.95, 0.1 * k + 0.01 * budget,
         0.0, 1.0)
        for variant in ("dense", *VARIANTS)
        for budget in (6, 12, 24)
        for k in (1, 2, 3)
    ],
)  # fmt: skip
ACCURACY = rows_of(
    "accuracy",
    [
        ("m", variant, "b", budget, 30, 3, p, 0.03, p - 0.05, p + 0.05, budget, 2)
        for variant, p in (
            ("dense", 0.9), ("wanda-20", 0.85), ("wanda-50", 0.7), ("shortgpt-2", 0.3),
        )
        for budget in (6, 12)
    ],
)  # fmt: skip
MASKS = {
    "dense": mask(0.0), "wanda-20": mask(0.2), "wanda-50": mask(0.5),
    "shortgpt-2": mask(0.33, (1, 2)),
}  # fmt: skip


# more than fit into one panel
LEVELS = {
    f"{method}-{level}": share
    for method in ("wanda", "magnitude", "shortgpt", "sleb", "flap", "slicegpt")
    for level, share in ((20, 0.2), (40, 0.4))
}
MANY = pd.concat(
    [
        ACCURACY[:2],
        *(
            ACCURACY[:2].assign(variant=variant, accuracy=[0.2, 0.9 - share])
            for variant, share in LEVELS.items()
        ),
    ]
)
MANY_MASKS = {"dense": mask(0.0)} | {v: mask(share) for v, share in LEVELS.items()}


def with_scores(folder, **options):
    """A source of block scores in both kinds of files."""
    statistics = folder / "m/statistics/chains.safetensors"
    statistics.parent.mkdir(parents=True)
    save_file({"block_influence": np.array([0.5, 0.25, 0.1, 0.3], np.float32)}, statistics)
    rows = [{"attention": 1, "mlp": 2.5}, {"attention": -0.5, "mlp": 1}]
    write_json(folder / "m/influence/chains.json", {"format": 1, "blocks": rows})
    return source_of(folder, masks={"shortgpt-1": mask(0.25, [1])}, **options)


ROUNDS = [[None, 3.0, 2.5, 2.7, 9.0, None], [None, 3.2, None, 2.9, 30.0, None]]


def chosen(folder, rounds, removed, measure="loss", **options):
    """A source of what a method measured of 6 blocks, for the figure of it."""
    scores = [{"measure": measure, "values": values} for values in rounds]
    record = mask(len(removed) / 6, removed, blocks=6) | {"scores": scores, "options": options}
    return source_of(folder, masks={"v": record}, variant="v")


# of two methods at two levels, on two sets; one of them is better with every set
SETS = {
    f"{method}-{name}-{level}": (title, name, level / 100, 0.9 - loss * level / 100 - 0.1 * number)
    for method, title, loss in (("wanda", "Wanda", 0.4), ("sparsegpt", "SparseGPT", 0.2))
    for number, name in enumerate(("own", "random"))
    for level in (50, 70)
}


def of_sets(folder, **changes):
    """A source of variants that differ in their calibration set, and of one that has no other."""
    rows = pd.concat(
        [
            ACCURACY,
            *(
                ACCURACY[:2].assign(
                    variant=variant,
                    accuracy=[0.2, p],
                    ci_low=[0.1, p - 0.05],
                    ci_high=[0.3, p + 0.05],
                )
                for variant, (*_, p) in SETS.items()
            ),
        ]
    )
    masks = {variant: mask(share) for variant, (*_, share, _) in SETS.items()} | MASKS
    options = {"calibrations": {variant: list(one[:2]) for variant, one in SETS.items()}} | changes
    return source_of(folder, {"accuracy": rows}, masks, **options)


FIGURES = {
    "calibration sources": (calibration_sources, of_sets),
    "a choice in rounds": (block_choice, lambda folder: chosen(folder, ROUNDS, [2, 3])),
    "a choice at once": (
        block_choice,
        lambda folder: chosen(folder, [[5000, 21.5, 23, 22, 24, 25]], [1], plus=True),
    ),
    "differences": (differences, lambda folder: source_of(folder, {"comparison": COMPARISONS})),
    "parallel": (parallel, lambda folder: source_of(folder, {"parallel": PARALLEL})),
    "sparsity": (sparsity, lambda folder: source_of(folder, {"accuracy": ACCURACY}, MASKS)),
    "parameters": (
        sparsity,
        lambda folder: source_of(folder, {"accuracy": ACCURACY}, MASKS, ratio="removed_of_all"),
    ),
    "families": (families, lambda folder: source_of(folder, {"accuracy": ACCURACY}, MASKS)),
    "many families": (families, lambda folder: source_of(folder, {"accuracy": MANY}, MANY_MASKS)),
    "influence": (block_scores, lambda folder: with_scores(folder, influence="chains")),
    "Block Influence": (block_scores, lambda folder: with_scores(folder, calibration="chains")),
}


@pytest.fixture
def figure_of(tmp_path):
    def make(name):
        module, source = FIGURES[name]
        return drawn(module.draw, source(tmp_path))

    return make


@pytest.mark.parametrize("name", FIGURES)
def test_every_text_is_inside_the_figure_and_large_enough_for_print(figure_of, name):
    figure = figure_of(name)
    assert figure.get_figwidth() == pytest.approx(6.5)
    texts = shown_texts(figure)
    assert len(texts) > 5 and overlapping(figure, texts) == []
    assert all(text.get_fontsize() >= 7.9 for text in texts)


@pytest.mark.parametrize("name", FIGURES)
def test_the_files_are_the_same_bytes_when_made_again(tmp_path, name):
    module, source = FIGURES[name]
    read, made = source(tmp_path / "results"), []
    for folder in ("one", "two"):
        paths = [tmp_path / folder / f"figure.{ending}" for ending in ("svg", "pdf", "png")]
        plot.make(module.__name__.rpartition(".")[2], read, paths)
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1] and b"<dc:date>" not in made[0][0]


def test_differences_have_a_panel_for_each_budget_and_filled_marks_for_what_is_found(figure_of):
    figure = figure_of("differences")
    assert [axes.get_title() for axes in figure.axes] == ["6", "12"]
    for axes, members in zip(figure.axes, (COMPARISONS[::2], COMPARISONS[1::2]), strict=True):
        marks = axes.lines[1:]  # the first is the line at 0
        assert [mark.get_xdata()[0] for mark in marks] == list(members["difference"])
        filled = [to_hex(mark.get_markerfacecolor()) != "#ffffff" for mark in marks]
        assert filled == list(members["verdict"].isin(["better", "worse"]))
        low, high = axes.get_xlim()
        assert low < -0.35 and high > 0.13 and 0 in axes.get_xticks()
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["magnitude-20", "wanda-layerif-50"]


@pytest.mark.parametrize(("count", "beside"), [(7, [7]), (8, [4, 4]), (15, [5, 5, 5])])
def test_of_many_budgets_each_has_a_panel_in_one_of_several_lines(tmp_path, count, beside):
    rows = pd.concat([COMPARISONS[::2].assign(budget=n + 1) for n in range(count)])
    figure = drawn(differences.draw, source_of(tmp_path, {"comparison": rows}))
    assert [axes.get_title() for axes in figure.axes] == [str(n + 1) for n in range(count)]
    heights = [round(axes.get_position().y0, 3) for axes in figure.axes]
    assert [heights.count(height) for height in dict.fromkeys(heights)] == beside
    assert overlapping(figure, shown_texts(figure)) == []


def test_marks_of_differences_are_such_that_filling_shows(tmp_path):
    """A plus or a cross of this size looks the same whether it is filled or not."""
    rows = pd.concat([COMPARISONS[1:2].assign(variant=f"{letter}-20") for letter in "abcdefgh"])
    (axes,) = drawn(differences.draw, source_of(tmp_path, {"comparison": rows})).axes
    marks = [line.get_marker() for line in axes.lines[1:]]
    assert not {"P", "X"} & {*marks} and len({*marks[:7]}) == 7


def test_names_may_be_as_long_as_a_config_lets_them(tmp_path):
    long = "v" * 97 + "-20"
    tables = {
        "comparison": pd.concat([COMPARISONS[:1].assign(variant=long, budget=n) for n in range(7)]),
        "accuracy": pd.concat([ACCURACY[2:4].assign(variant=long), ACCURACY[:2]]),
    }
    source = source_of(tmp_path, tables, {long: mask(0.2)})
    for module in (differences, sparsity, scaling_curves):
        figure = drawn(module.draw, source)
        shown_texts(figure)
        for axes in figure.axes:
            assert axes.get_position().width * figure.get_figwidth() > 0.5


def test_what_took_no_tokens_is_left_out_and_said_to_be(tmp_path):
    rows = PARALLEL.assign(tokens=PARALLEL["tokens"].where(PARALLEL["budget"] > 6, 0.0))
    figure = drawn(parallel.draw, source_of(tmp_path, {"parallel": rows}))
    sequential, *_ = figure.axes[0].lines
    assert list(sequential.get_xdata()) == [14, 26]
    assert any("not drawn: what took no tokens" in text.get_text() for text in figure.texts)
    nothing = source_of(tmp_path, {"parallel": PARALLEL.assign(tokens=0.0)})
    assert list(drawn(parallel.draw, nothing).axes[0].lines[0].get_xdata()) == []


def test_one_repeat_has_no_majority_to_draw(tmp_path):
    alone = source_of(tmp_path, {"parallel": PARALLEL[PARALLEL["k"] == 1]})
    with pytest.raises(NoRows):
        parallel.draw(alone)


def test_parallel_lines_begin_at_the_sequential_ones(figure_of):
    figure = figure_of("parallel")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["dense", *VARIANTS]
    sequential, *several = figure.axes[0].lines
    assert list(sequential.get_xdata()) == [8, 14, 26]
    assert [list(line.get_xdata()) for line in several] == [[8, 16, 24], [14, 28, 42], [26, 52, 78]]
    for place, line in enumerate(several):
        start = (sequential.get_xdata()[place], sequential.get_ydata()[place])
        assert (line.get_xdata()[0], line.get_ydata()[0]) == start


def test_of_each_method_every_calibration_set_is_a_line_below_that_of_dense(figure_of):
    figure = figure_of("calibration sources")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Wanda", "SparseGPT"]
    colours = []
    for axes, title in zip(figure.axes, ("Wanda", "SparseGPT"), strict=True):
        assert [text.get_text() for text in axes.texts] == ["own", "random"]
        dense = axes.lines[0]
        assert set(dense.get_ydata()) == {0.9} and dense.get_color() == "#000000"
        for name, drawn_one in zip(("own", "random"), axes.containers, strict=True):
            line = drawn_one.lines[0]
            wanted = [one for one in SETS.values() if one[:2] == (title, name)]
            assert line.get_ydata() == pytest.approx([accuracy for *_, accuracy in wanted])
            # beside each other, and nearer to their own share than to another
            assert line.get_xdata() == pytest.approx([50, 70], abs=1)
            colours.append(line.get_color())
        assert axes.containers[0].lines[0].get_xdata()[0] < 50
        assert axes.containers[1].lines[0].get_xdata()[0] > 50
    assert colours[:2] == colours[2:] and len({*colours}) == 2
    assert figure.texts[0].get_text().startswith("budget 12; ")


def test_sets_without_a_graded_variant_have_no_figure(tmp_path):
    with pytest.raises(NoRows, match="no graded variant of several sets"):
        calibration_sources.draw(of_sets(tmp_path, calibrations={"wanda-own-30": ["Wanda", "own"]}))


def test_levels_of_a_way_are_a_line_from_dense_and_a_single_one_is_a_mark(figure_of):
    (axes,) = figure_of("sparsity").axes
    assert [text.get_text() for text in axes.texts] == ["wanda", "shortgpt"]
    wanda, shortgpt = (container.lines[0] for container in axes.containers)
    assert wanda.get_xdata().tolist() == [0, 20, 50]
    assert wanda.get_ydata().tolist() == [0.9, 0.85, 0.7]
    assert shortgpt.get_xdata().tolist() == [33] and shortgpt.get_ydata().tolist() == [0.3]


def test_against_all_parameters_a_line_has_its_familys_hue_and_follows_what_was_asked(tmp_path):
    """A small model with a tied head is larger when it is sliced a little."""
    masks = {"slicegpt-20": mask(0.2, of_all=-0.1), "slicegpt-40": mask(0.4, of_all=0.1),
             "dense": mask(0.0), "shortgpt-2": mask(0.33, (1, 2), of_all=0.28)}  # fmt: skip
    rows = ACCURACY.replace({"wanda-20": "slicegpt-20", "wanda-50": "slicegpt-40"})
    source = source_of(tmp_path, {"accuracy": rows}, masks, ratio="removed_of_all")
    (axes,) = drawn(sparsity.draw, source).axes
    sliced, shortgpt = (container.lines[0] for container in axes.containers)
    assert sliced.get_xdata().tolist() == [0, -10, 10]
    assert shortgpt.get_xdata() == pytest.approx([28])
    assert axes.get_xlabel() == "removed, % of all parameters"
    assert axes.get_xlim()[0] < -10
    hues = [HUES[number][0] for number in (2, 1)]
    assert [line.get_color() for line in (sliced, shortgpt)] == hues


def test_families_are_told_apart_by_colour_whichever_are_run(figure_of):
    (axes,) = figure_of("families").axes
    labels = {text.get_text(): text.get_color() for text in axes.texts}
    blue, vermillion = HUES[0][1], HUES[1][1]
    assert labels == {
        "dense": "#000000", "wanda-20": blue, "wanda-50": blue, "shortgpt-2": vermillion,
    }  # fmt: skip
    legend = {t.get_text(): to_hex(t.get_color()) for t in axes.get_legend().get_texts()}
    assert legend == {"unstructured": blue, "depth": vermillion}


def test_of_many_variants_each_family_has_a_panel_with_the_others_in_grey(figure_of):
    figure = figure_of("many families")
    titles = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(titles) == [
        "unstructured: single weights", "depth: whole blocks", "width: heads and neurons",
    ]  # fmt: skip
    named = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert named == [[*LEVELS][:4], [*LEVELS][4:8], [*LEVELS][8:]]
    for axes in figure.axes:
        colours = [line.get_color() for line in axes.lines]
        assert colours.count(families.BEHIND) == 8 and colours.count("#000000") == 1
    assert "black: dense with 95 % interval" in figure.texts[0].get_text()


def test_one_family_has_no_figure_of_families(tmp_path):
    alone = ACCURACY[ACCURACY["variant"] != "shortgpt-2"]
    source = source_of(tmp_path, {"accuracy": alone}, MASKS, ratio="removed_of_all")
    for module in (families, sparsity):
        with pytest.raises(NoRows, match="variants of no two families"):
            module.draw(source)


def test_accuracies_without_masks_have_no_sparsity(tmp_path):
    with pytest.raises(NoRows):
        sparsity.draw(source_of(tmp_path, {"accuracy": ACCURACY}))


def test_bars_have_the_scores_and_removed_blocks_are_black(figure_of):
    figure = figure_of("Block Influence")
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.5, 0.25, 0.1, 0.3])
    black = [to_hex(bar.get_facecolor()) == style.INK for bar in axes.patches]
    assert black == [False, True, False, False]
    assert "black: shortgpt-1 removes 1" in figure.texts[0].get_text()


def test_each_round_of_a_choice_is_a_line_with_its_number_at_the_lowest_block(figure_of):
    figure = figure_of("a choice in rounds")
    (axes,) = figure.axes
    first, its_dot, second, other_dot, above = axes.lines
    assert list(first.get_xdata()) == [1, 2, 3, 4] and list(second.get_xdata()) == [1, 3, 4]
    assert list(first.get_ydata()) == [3.0, 2.5, 2.7, 9.0]
    assert (its_dot.get_xydata().tolist(), other_dot.get_xydata().tolist()) == (
        [[2, 2.5]], [[3, 2.9]],
    )  # fmt: skip
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    # block 4 is ten times as far up as the others
    assert list(above.get_xdata()) == [4] and axes.get_ylim()[1] < 9
    assert axes.get_title(loc="right") == "above the scale: block 4 (up to 30)"
    assert "removed: 2, 3" in figure.texts[0].get_text() and axes.get_ylabel() == "loss"


def test_scores_far_from_zero_are_dots_and_others_bars_black_where_they_went(tmp_path):
    dots = drawn(block_choice.draw, chosen(tmp_path / "dots", [[9, 8, 9.5, 8.5, 9, None]], [1, 3]))
    (axes,) = dots.axes
    (marks,) = axes.collections
    assert marks.get_offsets().tolist() == [[0, 9], [1, 8], [2, 9.5], [3, 8.5], [4, 9]]
    black = [to_hex(colour) == style.INK for colour in marks.get_facecolors()]
    assert black == [False, True, False, True, False]
    assert dots.texts[0].get_text() == "removed, in black: 1, 3"
    values = [1, 2, 9, 3, 0.5, 7]
    bars = drawn(block_choice.draw, chosen(tmp_path / "bars", [values], [4], plus=True))
    assert [bar.get_height() for bar in bars.axes[0].patches] == values
    assert bars.axes[0].get_ylim()[0] == 0
    assert "pale: what stays in any case" in bars.texts[0].get_text()
    colours = [to_hex(bar.get_facecolor()) for bar in bars.axes[0].patches]
    assert colours[4] == style.INK and len({*colours[:4], colours[5]}) == 1
    far = drawn(block_choice.draw, chosen(tmp_path / "far", [[90, 1, 2, 1, 3, 5000]], [1]))
    (axes,) = far.axes
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] < 200
    assert axes.get_title(loc="right") == "above the scale: block 5 (5,000)"
    alike = drawn(block_choice.draw, chosen(tmp_path / "alike", [[2, 2, 2, 2, 2, 9]], [0]))
    assert alike.axes[0].get_title(loc="right") == "" and alike.axes[0].get_ylim()[1] > 9


def test_a_mask_without_scores_has_no_figure_of_them(tmp_path):
    with pytest.raises(NoRows, match=r"v/mask\.json: holds no scores of blocks"):
        block_choice.draw(chosen(tmp_path, [], [1]))


def test_influence_has_a_bar_for_attention_and_mlp(figure_of):
    (axes,) = figure_of("influence").axes
    assert [bar.get_height() for bar in axes.patches] == [1, -0.5, 2.5, 1]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["attention", "MLP"]


def test_files_that_hold_no_block_scores(tmp_path):
    statistics, influence = tmp_path / "s.safetensors", tmp_path / "i.json"
    save_file({"other": np.zeros(1)}, statistics)
    write_json(influence, {"blocks": [{"attention": 1}]})
    with pytest.raises(InputError, match=r"s\.safetensors: holds no block_influence"):
        block_scores.read_block_influence(statistics)
    with pytest.raises(InputError, match=r"i\.json: not influence scores"):
        block_scores.read_scores(influence)
    with pytest.raises(NoRows):
        block_scores.draw(source_of(tmp_path, calibration="chains"))


def test_rows_of_another_benchmark_are_not_drawn(tmp_path):
    source = source_of(tmp_path, {"comparison": COMPARISONS}, benchmark="c")
    assert OPTIONS["benchmark"] == "b"
    with pytest.raises(NoRows, match="m is not compared"):
        differences.draw(source)
