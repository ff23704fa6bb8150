"""What a variant removes, read from its mask's record and drawn."""

import pytest

from tests.tables.sources import drawn, mask, shown_texts, source_of
from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.drawing.allocation import GONE, draw, shares_of


def linear(rows, columns, achieved):
    return {"shape": [rows, columns], "requested": achieved, "achieved": achieved}


def uneven(*shares):
    """Linears of blocks whose attention and MLP have these shares removed."""
    return {
        f"model.layers.{block}.{part}.weight": linear(4, 4, share)
        for block, share in enumerate(shares)
        for part in ("self_attn.q_proj", "mlp.up_proj")
    }


def test_shares_are_weighted_by_the_sizes_of_the_linears(tmp_path):
    linears = {
        "model.layers.0.self_attn.q_proj.weight": linear(4, 10, 0.5),
        "model.layers.0.self_attn.k_proj.weight": linear(2, 10, 0.2),
        "model.layers.0.mlp.up_proj.weight": linear(8, 10, 0.1),
        "model.layers.2.mlp.down_proj.weight": linear(8, 10, 0.3),
    }
    source = source_of(tmp_path, masks={"w": mask(0.2, [1], linears, blocks=3)})
    attention, mlp = shares_of(source.masks()["w"])
    assert list(attention) == [pytest.approx((40 * 0.5 + 20 * 0.2) / 60), GONE, 0.0]
    assert list(mlp) == [pytest.approx(0.1), GONE, pytest.approx(0.3)]


def test_every_variant_has_a_half_cell_for_each_block_and_part(tmp_path):
    masks = {
        "dense": mask(0.0),
        "owl": mask(0.2, linears=uneven(0.1, 0.2, 0.3, 0.2)),
        "short": mask(0.25, [3]),
    }
    figure = drawn(draw, source_of(tmp_path, masks=masks))
    axes = figure.axes[0]
    shades = axes.collections[0].get_facecolors().reshape(-1, 4, 4)
    assert len(shades) == 3 * 3 - 1  # two halves and the gap to the next row
    assert [label.get_text() for label in axes.get_yticklabels()] == list(masks)
    numbers = [text.get_text() for text in axes.texts]
    assert numbers == ["0 %"] * 4 + ["10 %", "20 %", "30 %", "20 %"] + ["0 %"] * 3 + ["gone"]
    darkness = shades[3][:, :3].sum(axis=1)
    assert darkness[0] > darkness[1] > darkness[2] and darkness[1] == darkness[3]
    assert shades[6][3][:3].sum() < 0.5
    shown_texts(figure)


def test_many_blocks_have_shades_and_no_numbers(tmp_path):
    figure = drawn(draw, source_of(tmp_path, masks={"w" * 90: mask(0.0, blocks=36)}))
    assert not figure.axes[0].texts
    shown_texts(figure)
    assert figure.axes[0].get_position().width * figure.get_figwidth() > 2


def test_a_model_without_masks_has_no_figure(tmp_path):
    with pytest.raises(NoRows):
        draw(source_of(tmp_path, variants=["dense"]))
