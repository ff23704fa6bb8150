"""Ways of pruning come from the config's entries; names only name them."""

from workflow_scripts.config.load import load_settings
from workflow_scripts.config.overlays import read_config
from workflow_scripts.tables.ways import as_lists, from_lists, ways_of


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


def recovered(**variants):
    config = read_config([])
    config["variants"] = variants
    config["run"]["variants"] = list(variants)
    entries = load_settings(config).variants
    return ways_of({name: entries[name] for name in variants})


def test_variants_that_are_trained_after_pruning_are_ways_of_their_own_with_their_base():
    lora = {"recovery": "lora"}
    names = {
        "dense": {"method": "dense"}, "dense-lora": {"method": "dense", **lora},
        "wanda-20-lora": wanda(0.2, **lora), "wanda-50-lora": wanda(0.5, **lora),
        "wanda-20": wanda(0.2), "wanda-50": wanda(0.5), "mlp-lora": wanda(0.2, scope="mlp", **lora),
    }  # fmt: skip
    found = recovered(**names)
    assert list(found) == list(names)
    shown = {name: (way.name, way.level, way.recovery, way.base) for name, way in found.items()}
    assert shown == {
        "dense": ("dense", "", "", "dense"),
        "dense-lora": ("dense-lora", "", "lora", "dense"),
        "wanda-20-lora": ("wanda-lora", "20", "lora", "wanda"),
        "wanda-50-lora": ("wanda-lora", "50", "lora", "wanda"),
        "wanda-20": ("wanda", "20", "", "wanda"),
        "wanda-50": ("wanda", "50", "", "wanda"),
        "mlp-lora": ("mlp-lora", "", "lora", "mlp-lora"),
    }
    assert from_lists(as_lists(found)) == found


def test_two_ways_whose_names_begin_alike_are_told_apart():
    found = ways(
        **{
            "wanda-20": wanda(0.2), "wanda-50": wanda(0.5),
            "wanda-mlp20": wanda(0.2, scope="mlp"), "wanda-mlp50": wanda(0.5, scope="mlp"),
        }
    )  # fmt: skip
    assert len({way for _, way, _ in found.values()}) == 2
