"""What the paper says of single blocks, asked of masks."""

from collections.abc import Mapping, Sequence

import pytest

from tests.tables.sources import mask
from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.tables.paper.blocks import block_claims, most_pruned


def shortgpt(*removed: int) -> MaskRecord:
    return MaskRecord.model_validate(mask(0.07, removed, blocks=36, method="shortgpt"))


def pruned_at(*blocks: int, attention: Mapping[int, float] | None = None) -> MaskRecord:
    """A mask of 28 blocks that prunes 30 % of these blocks' MLPs and 10 % of all others."""
    linears = {}
    for block in range(28):
        for part, shape in (("self_attn.q_proj", (4, 4)), ("mlp.up_proj", (4, 20))):
            share = 0.3 if block in blocks else 0.1
            if "attn" in part:
                share = (attention or {}).get(block, 0.1)
            name = f"model.layers.{block}.{part}.weight"
            linears[name] = {"shape": shape, "requested": share, "achieved": share}
    return MaskRecord.model_validate(mask(0.1, linears=linears, blocks=28))


def asked(model: str, masks: Mapping[str, MaskRecord]) -> dict[str, tuple[str, str]]:
    return {claim: (result, said) for claim, result, said in block_claims(model, masks)}


@pytest.mark.parametrize(
    ("model", "removed", "results"),
    [
        ("Qwen3_8b", [(20,), (17, 20)], ["holds", "holds"]),
        ("Qwen3-8B", [(17,), (17, 20)], ["does not hold", "holds"]),
        ("Qwen3-8B", [(20,), (20, 21)], ["holds", "does not hold"]),
        ("s1.1-7b", [(17,), (16, 17)], ["holds", "holds"]),
        ("S1.1-7B", [(16,)], ["holds", "not in this run"]),
        ("s1.1-7B", [(15,), (15, 16)], ["does not hold", "does not hold"]),
    ],
)
def test_the_blocks_that_shortgpt_removes_and_their_order(
    model: str, removed: Sequence[tuple[int, ...]], results: Sequence[str]
) -> None:
    masks = {f"v{number}": shortgpt(*blocks) for number, blocks in enumerate(removed)}
    found = asked(model, masks)
    one, two = ("20", "17 and 20") if model.startswith("Q") else ("16 or 17", "16 and 17")
    claims = [f"ShortGPT first removes block {one} (section 6)",
              f"ShortGPT removes blocks {two} (section 6)"]  # fmt: skip
    assert [found[claim][0] for claim in claims] == results
    assert found[claims[0]][1] == f"v0: {removed[0][0]}"


def test_the_blocks_that_allocations_prune_most() -> None:
    masks = {"wanda-owl-20": pruned_at(10, 11), "magnitude_OWL_10": pruned_at(11, 10),
             "wanda-layerif-20": pruned_at(12, 13), "mine-owl-20": pruned_at(1, 2)}  # fmt: skip
    found = asked("s1.1-7B", masks)
    assert found["OWL prunes most at blocks 10 and 11 (section 6)"] == (
        "holds", "wanda-owl-20: 10, 11; magnitude_OWL_10: 10, 11",
    )  # fmt: skip
    claim = "LayerIF prunes most at blocks 11 and 12 (section 6)"
    assert found[claim] == ("does not hold", "wanda-layerif-20: 12, 13")
    other = asked("Qwen3-8B", {"wanda-layerif-10": pruned_at(0, 4)})
    assert other["LayerIF prunes most at blocks 0 and 4 (section 6)"][0] == "holds"
    assert other["OWL prunes most at blocks 8 and 11 (section 6)"] == ("not in this run", "")
    assert asked("reasoner", masks) == {}


def test_attention_and_mlp_weigh_by_their_weights() -> None:
    """All of a small attention is less than some more of a large MLP."""
    mask_of = pruned_at(3, 5, attention={7: 0.95, 5: 0.2})
    assert most_pruned(mask_of, 2) == (3, 5)
    assert most_pruned(mask_of, 1) == (5,)
