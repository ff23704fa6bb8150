"""What a variant removes, read from its mask's record and drawn."""

import json

import pytest
from matplotlib.patches import Rectangle

from tests.artefacts.records_by_hand import write_mask_record
from tests.files.by_hand import without_checksum
from workflow_scripts.errors import InputError
from workflow_scripts.tables.allocation_plot import Removal, draw_allocation, main, read_removal


def linear(rows, columns, achieved):
    return {"shape": [rows, columns], "requested": achieved, "achieved": achieved}


RECORD = {
    "blocks": 3,
    "removed_blocks": [1],
    "linears": {
        "model.layers.0.self_attn.q_proj.weight": linear(4, 10, 0.5),
        "model.layers.0.self_attn.k_proj.weight": linear(2, 10, 0.2),
        "model.layers.0.mlp.up_proj.weight": linear(8, 10, 0.1),
        "model.layers.2.mlp.down_proj.weight": linear(8, 10, 0.3),
    },
}


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "mask.json"
    return write_mask_record(path, **RECORD)


def test_shares_are_weighted_by_the_sizes_of_the_linears(record):
    removal = read_removal(record, "wanda-20")
    assert removal.shares[0] == (pytest.approx((40 * 0.5 + 20 * 0.2) / 60), 0.1)
    assert removal.shares[1] == (1.0, 1.0) and removal.removed_blocks == {1}
    assert removal.shares[2] == (0.0, 0.3)


@pytest.mark.parametrize(
    "damage",
    [{"blocks": None}, {"linears": None}],
)
def test_a_file_that_is_no_record_is_refused(record, damage):
    content = json.loads(record.read_text()) | damage
    without_checksum(record).write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        read_removal(record, "v")
    assert all(part in str(caught.value) for part in (f"{record}: ", *damage, "None"))


def test_every_variant_has_a_cell_half_for_each_block_and_part():
    removals = [
        Removal("dense", [(0.0, 0.0)] * 4, frozenset()),
        Removal("owl", [(0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (0.2, 0.2)], frozenset()),
        Removal("short", [(0.0, 0.0)] * 3 + [(1.0, 1.0)], frozenset({3})),
    ]
    axes = draw_allocation("m", removals).axes[0]
    cells = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert len(cells) == 3 * 4 * 2
    assert [label.get_text() for label in axes.get_yticklabels()] == ["dense", "owl", "short"]
    numbers = [text.get_text() for text in axes.texts]
    assert numbers == ["0 %"] * 4 + ["10 %", "20 %", "30 %", "20 %"] + ["0 %"] * 3 + ["gone"]
    darkness = [sum(cell.get_facecolor()[:3]) for cell in cells[8:16:2]]
    assert darkness[0] > darkness[1] > darkness[2] and darkness[1] == darkness[3]


def test_the_files_are_the_same_bytes_when_made_again(record, tmp_path):
    made = []
    for folder in ("first", "second"):
        paths = [tmp_path / folder / f"m.{form}" for form in ("svg", "png")]
        main(
            ["--model", "m", "--variants", "a", "b", "--records", str(record), str(record)]
            + ["--svg", str(paths[0]), "--png", str(paths[1])]
        )
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1]
