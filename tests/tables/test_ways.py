"""Ways of pruning come from the config's entries; names only name them."""

from workflow_scripts.config.load import load_settings
from workflow_scripts.config.overlays import read_config
from workflow_scripts.tables.ways import ways_of


def ways(**variants):
    config = read_config([])
    config["variants"] = variants
    config["run"]["variants"] = list(variants)
    entries = load_settings(config).variants
    return {name: (way.method, way.name, way.level) for name, way in ways_of(entries).items()}


def wanda(sparsity, **more):
    return {"method": "wanda", "sparsity": sparsity, "calibration": "chains", **more}


def test_variants_that_differ_in_their_amount_alone_are_one_way():
    found = ways(
        dense={"method": "dense"},
        **{"wanda-20": wanda(0.2), "wanda-2-4": wanda(0.5, pattern="2:4"), "wanda-25": wanda(0.25)},
    )
    assert found == {
        "dense": ("dense", "dense", ""),
        "wanda-20": ("wanda", "wanda", "20"),
        "wanda-2-4": ("wanda", "wanda-2-4", ""),
        "wanda-25": ("wanda", "wanda", "25"),
    }


def test_names_that_have_nothing_in_common_are_still_one_way():
    found = ways(mild=wanda(0.2), harsh=wanda(0.7), mlp=wanda(0.2, scope="mlp"))
    assert found["mild"] == ("wanda", "mild", "") and found["harsh"] == ("wanda", "mild", "harsh")
    assert found["mlp"][1] == "mlp"


def test_two_ways_whose_names_begin_alike_are_told_apart():
    found = ways(
        **{
            "wanda-20": wanda(0.2), "wanda-50": wanda(0.5),
            "wanda-mlp20": wanda(0.2, scope="mlp"), "wanda-mlp50": wanda(0.5, scope="mlp"),
        }
    )  # fmt: skip
    assert len({way for _, way, _ in found.values()}) == 2
