"""Pairs of variants that differ in nothing but texts."""

import pytest

from workflow_scripts.config.load import load_settings
from workflow_scripts.config.overlays import read_config
from workflow_scripts.tables.data_pairs import data_pairs


def settings_of(variants, sets=(), recoveries=()):
    """The demo's settings with other variants, which are run, sets and recoveries."""
    config = read_config([])
    config["calibration_sets"] |= dict(sets)
    config["recoveries"] = config.get("recoveries", {}) | dict(recoveries)
    config["variants"] = {"dense": {"method": "dense"}, **variants}
    config["run"] |= {"models": ["reasoner", "answerer"], "variants": [*config["variants"]]}
    return load_settings(config)


WANDA = {"method": "wanda", "sparsity": 0.5}
SET = {"samples": 16, "length": 64, "seed": 1}
SETS = {
    "mine": SET | {"source": {"kind": "own"}},
    "theirs": SET | {"source": {"kind": "texts", "name": "chains-without-steps"}},
    "noise": SET | {"source": {"kind": "random"}},
    "longer": SET | {"length": 128, "source": {"kind": "texts", "name": "chains-without-steps"}},
    "more": SET | {"samples": 32, "source": {"kind": "own"}},
}


def test_calibrated_on_its_own_texts_and_on_others():
    variants = {name: WANDA | {"calibration": name} for name in ("mine", "theirs", "noise")}
    variants["other-share"] = WANDA | {"sparsity": 0.6, "calibration": "theirs"}
    variants["other-length"] = WANDA | {"calibration": "longer"}
    # what answerer was trained on are not other texts
    assert data_pairs(settings_of(variants, SETS)) == {
        "calibration": [["reasoner", "mine", "theirs"]]
    }


def test_more_samples_of_the_same_texts_and_fewer():
    variants = {name: WANDA | {"calibration": name} for name in ("mine", "more")}
    assert data_pairs(settings_of(variants, SETS)) == {
        "samples": [["reasoner", "more", "mine"], ["answerer", "more", "mine"]]
    }


@pytest.mark.parametrize("steps", [10, 20])
def test_trained_on_its_own_texts_and_on_others(steps):
    lora = {
        "kind": "lora", "rank": 2, "alpha": 4.0, "length": 64, "steps": 10, "batch": 4,
        "learning_rate": 0.001,
    }  # fmt: skip
    recoveries = {
        "own": lora,
        "other": lora | {"texts": "chains-without-steps", "steps": steps},
    }
    pruned = {"method": "magnitude", "sparsity": 0.5}
    variants = {"a": pruned, "b": pruned | {"recovery": "own"}, "c": pruned | {"recovery": "other"}}
    found = data_pairs(settings_of(variants, recoveries=recoveries))
    assert found == ({"recovery": [["reasoner", "b", "c"]]} if steps == 10 else {})
