"""The config as settings: what is let in, what the rules take from it, and that nothing else is."""

import copy
import dataclasses
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from tests.config.config_door import (
    DEFAULT,
    GONE,
    HUB_BENCHMARK,
    HUB_MODEL,
    PLAIN_JSON_SCHEMA,
    PROJECT,
    changed,
    make_bundled,
)
from tests.config.config_mutations import KEYS, VALUES, with_mutation
from workflow_scripts.config import sources as config_files
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.stage_options import (
    as_json,
    as_options,
    generation_options,
    leads,
    needs_allocation,
    needs_calibration,
    needs_statistics,
    result_options,
    speed_options,
    trace_options,
)
from workflow_scripts.errors import InputError


@pytest.fixture(autouse=True)
def bundled(tmp_path_factory, monkeypatch) -> Path:
    folder = make_bundled(tmp_path_factory.mktemp("repository"))
    monkeypatch.setattr(config_files, "BUNDLED", folder)
    return folder


# what is let in


def test_the_default_config_becomes_settings():
    settings = load_settings(DEFAULT)
    assert settings.run.models == ("reasoner",)
    assert settings.run.variants[0] == "dense"
    assert len(settings.run.variants) == 9
    assert settings.models["reasoner"].thinking == "think"
    assert settings.benchmarks["chains"].source == {"kind": "bundled", "name": "chains"}
    assert settings.calibration_sets["chains"].samples == 128
    influence = settings.influence_sets["chains"]
    assert (influence.train_samples, influence.validation_samples) == (32, 16)
    assert (influence.length, influence.seed, influence.hessian) == (128, 0, "identity")
    assert settings.thinking_formats["think"].after_cap == "</think>"
    assert settings.generation.budgets == (6, 12, 24, 36, 48, 60, 72)
    wanda, shortgpt = settings.variants["wanda-20"], settings.variants["shortgpt-2"]
    assert (wanda.method, wanda.sparsity, wanda.calibration) == ("wanda", 0.2, "chains")
    assert (wanda.allocation, wanda.scope) == ({"kind": "uniform"}, "all")
    assert (shortgpt.options, shortgpt.sparsity, shortgpt.allocation) == (
        {"remove_blocks": 2},
        None,
        None,
    )


def test_what_the_default_config_names_is_really_bundled(monkeypatch):
    monkeypatch.setattr(config_files, "BUNDLED", PROJECT / "bundled")
    load_settings(DEFAULT)


def test_loading_leaves_the_config_as_it_is():
    config = changed((("generation", "top_p"), GONE), (("generation", "budgets"), [9, 3]))
    before = copy.deepcopy(config)
    load_settings(config)
    assert config == before


def test_settings_share_nothing_with_the_config_and_cannot_be_changed():
    config = changed()
    settings = load_settings(config)
    config["models"]["reasoner"]["source"]["name"] = "other"
    config["generation"]["budgets"].append(1000)
    assert settings == load_settings(DEFAULT)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.generation.seed = 1
    with pytest.raises(TypeError):
        settings.models["other"] = settings.models["reasoner"]
    with pytest.raises(TypeError):
        settings.models["reasoner"].source["name"] = "other"


def test_defaults_fill_what_is_left_out():
    config = changed(
        (("calibration_sets", "chains", "seed"), GONE),
        (("influence_sets", "chains", "seed"), GONE),
        (("influence_sets", "chains", "hessian"), GONE),
        (("variants", "wanda-20", "allocation"), GONE),
        *(
            (("generation", key), GONE)
            for key in ("engine", "device", "seed", "top_p", "top_k", "batch_size", "threads")
        ),
        *((("generation", key), GONE) for key in ("sweep", "seeding", "answer_sampling")),
        (("generation", "answer_beyond_context"), GONE),
        *(
            (("thinking_formats", "think", key), GONE)
            for key in ("newline_before_cap", "extend_with", "extensions")
        ),
    )
    assert load_settings(config) == load_settings(DEFAULT)


def test_budgets_are_put_in_ascending_order():
    settings = load_settings(changed((("generation", "budgets"), [48, 6, 12])))
    assert settings.generation.budgets == (6, 12, 48)


def test_1_and_1_0_are_the_same_settings():
    whole = changed((("generation", "temperature"), 1), (("generation", "top_p"), 1))
    point = changed((("generation", "temperature"), 1.0), (("generation", "top_p"), 1.0))
    options = [as_json(generation_options(load_settings(c), "reasoner")) for c in (whole, point)]
    assert options[0] == options[1]


def test_every_kind_of_source_is_let_in(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").touch()
    (tmp_path / "mine" / "model-00001-of-00002.safetensors").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "problems.jsonl").touch()
    (tmp_path / "data" / "texts.txt").touch()
    local = {"kind": "local", "path": "data/problems.jsonl"}
    texts = {"kind": "local", "path": str(tmp_path / "data" / "texts.txt")}
    mapped = local | {"columns": {"question": "q", "answer": "a"}, "answer_kind": "integer"}
    config = changed(
        (("models", "mine"), {"source": {"kind": "local", "path": "mine"}, "thinking": "think"}),
        (("models", "hub"), HUB_MODEL),
        (("benchmarks", "mine"), {"source": local}),
        (("benchmarks", "mapped"), {"source": mapped}),
        (("benchmarks", "hub"), {"source": HUB_BENCHMARK | {"config": "main"}}),
        (("calibration_sets", "chains"), {"source": texts, "samples": 1, "length": 1}),
        (("run", "models"), ["mine", "hub"]),
        (("run", "benchmarks"), ["hub", "mapped", "mine"]),
    )
    settings = load_settings(config, tmp_path)
    assert settings.run.benchmarks == ("hub", "mapped", "mine")
    assert json.loads(as_json(settings.benchmarks["hub"].source)) == (
        HUB_BENCHMARK | {"config": "main", "answer_form": "cell", "choice_order": "given"}
    )


def test_files_are_looked_for_only_where_they_are_run():
    elsewhere = {"kind": "local", "path": "nowhere"}
    load_settings(
        changed(
            (("models", "other"), {"source": elsewhere, "thinking": "think"}),
            (("benchmarks", "other"), {"source": {"kind": "bundled", "name": "nothing"}}),
            (
                ("calibration_sets", "other"),
                {"source": {"kind": "bundled", "name": "nothing"}, "samples": 1, "length": 1},
            ),
            (("variants", "other"), {"method": "wanda", "sparsity": 0.3, "calibration": "other"}),
        )
    )


def test_a_config_without_calibration_runs_what_needs_none():
    config = changed(
        (("calibration_sets",), {}),
        (
            ("variants",),
            {"dense": {"method": "dense"}, "m": {"method": "magnitude", "sparsity": 0.1}},
        ),
        (("run", "variants"), ["dense", "m"]),
    )
    assert not any(map(needs_statistics, load_settings(config).variants.values()))


# what the rules take from settings


def test_what_each_variant_needs():
    original = DEFAULT["variants"]["wanda-20"] | {"propagate": "pruned"}
    variants = load_settings(changed((("variants", "original"), original))).variants
    needs = {name: (needs_statistics(v), needs_allocation(v)) for name, v in variants.items()}
    assert [name for name in variants if needs_calibration(variants[name])] == ["original"]
    assert needs["original"] == (False, True)
    assert needs["dense"] == (False, False)
    assert needs["magnitude-50"] == (False, True)
    assert needs["wanda-20"] == (True, True)
    assert needs["shortgpt-1"] == (True, False)


def test_mask_options_hold_the_method_and_its_own_keys_only():
    variants = load_settings(DEFAULT).variants
    assert as_options(variants["dense"]) == {"method": "dense"}
    wanda = {
        "method": "wanda",
        "comparison": "row",
        "propagate": "dense",
        "selection": "exact",
    }
    assert as_options(variants["wanda-20"]) == as_options(variants["wanda-50"]) == wanda
    assert as_options(variants["magnitude-20"]) == {"method": "magnitude", "selection": "exact"}
    assert (
        as_json(as_options(variants["shortgpt-2"])) == '{"method": "shortgpt", "remove_blocks": 2}'
    )


def test_scope_is_the_allocations_and_pattern_the_masks():
    new = {"method": "wanda", "sparsity": 0.5, "calibration": "chains"}
    new |= {"pattern": "2:4", "scope": "mlp", "comparison": "row"}
    variant = load_settings(changed((("variants", "new"), new))).variants["new"]
    assert (variant.scope, as_options(variant)["pattern"]) == ("mlp", "2:4")
    assert "scope" not in as_options(variant)


def test_an_allocation_has_its_defaults_and_its_numbers_have_fractions():
    owl = {"kind": "owl", "calibration": "chains", "threshold": 7}
    layerif = {"kind": "layerif", "influence": "chains", "high": 1}
    config = changed(
        (("variants", "magnitude-20", "allocation"), owl),
        (("variants", "wanda-20", "allocation"), layerif),
    )
    variants = load_settings(config).variants
    assert json.loads(as_json(variants["magnitude-20"].allocation)) == (
        owl | {"threshold": 7.0, "spread": 0.08}
    )
    assert '"threshold": 7.0' in as_json(variants["magnitude-20"].allocation)
    defaults = {"direction": "protect", "unit": "split", "low": 0.05, "window": 5, "order": 2}
    assert json.loads(as_json(variants["wanda-20"].allocation)) == layerif | defaults
    assert '"high": 1.0, ' in as_json(variants["wanda-20"].allocation)


@pytest.mark.parametrize(
    ("allocation", "catalogue"),
    [
        ({"kind": "owl", "calibration": "other"}, "calibration_sets"),
        ({"kind": "layerif", "influence": "other"}, "influence_sets"),
    ],
)
def test_the_files_of_an_allocation_are_looked_for(allocation, catalogue):
    missing = DEFAULT[catalogue]["chains"] | {"source": {"kind": "bundled", "name": "nothing"}}
    config = changed(
        ((catalogue, "other"), missing),
        (("variants", "magnitude-20", "allocation"), allocation),
    )
    with pytest.raises(InputError) as caught:
        load_settings(config)
    assert str(caught.value) == (
        f"config: {catalogue}.other.source.name: 'nothing' is not in bundled/calibration; there: "
        "chains"
    )


def test_generation_options_are_the_settings_and_the_thinking_texts():
    options = generation_options(load_settings(DEFAULT), "reasoner")
    thinking = DEFAULT["thinking_formats"]["think"] | {"name": "think"}
    assert options == DEFAULT["generation"] | {"thinking": thinking}
    assert json.loads(as_json(options)) == options


def test_options_that_change_speed_alone_stand_apart():
    loaded = load_settings(DEFAULT)
    options, speed = generation_options(loaded, "reasoner"), speed_options(loaded)
    results = result_options(options)
    assert set(speed) == {"batch_size", "engine_options", "tensor_parallel", "threads"}
    assert results | speed == options and not results.keys() & speed.keys()


def test_generation_options_hold_lists_and_mappings_as_they_are():
    changes = {
        "sweep": "independent",
        "seeding": "paper",
        "seed": [7, 11, 42],
        "answer_sampling": {"temperature": 0.0},
    }
    waiting = {"stop": ["</think>", "#"], "extend_with": "Wait", "extensions": 2}
    config = changed(
        *((("generation", key), value) for key, value in changes.items()),
        *((("thinking_formats", "think", key), value) for key, value in waiting.items()),
    )
    loaded = load_settings(config)
    assert loaded.generation.seed == (7, 11, 42)
    options = json.loads(as_json(generation_options(loaded, "reasoner")))
    assert {key: options[key] for key in changes} == changes
    assert {key: options["thinking"][key] for key in waiting} == waiting
    assert trace_options(loaded, "reasoner") == options | {"budgets": [72]}


def test_what_a_format_writes_in_front_of_an_answer():
    def written(**texts):
        keys = [(("thinking_formats", "think", key), text) for key, text in texts.items()]
        return leads(load_settings(changed(*keys)), "reasoner")

    assert written() == {"after_cap": "</think>", "after_stop": "</think>"}
    assert written(after_cap="<|im_start|>answer\nFinal Answer:", after_stop="\n") == {
        "after_cap": "Final Answer:",
        "after_stop": "",
    }
    assert written(after_cap="\nIn short.\nThe answer is \n\n")["after_cap"] == "The answer is"


def test_the_bounds_of_a_calibration_set_of_traces_may_meet():
    bounds = {"min_tokens": 8, "max_tokens": 8, "min_accuracy": 0.5, "max_accuracy": 0.5}
    source = {"kind": "generated", "benchmark": "chains"} | bounds
    own = {"source": source, "samples": 1, "length": 8}
    loaded = load_settings(changed((("calibration_sets", "own"), own))).calibration_sets["own"]
    assert loaded.source == source | {"correct_only": False}
    assert (loaded.sampling, loaded.seed) == ("packed", 0)


def test_calibration_traces_are_generated_as_the_run_s_but_for_the_largest_budget_alone():
    mixed = changed((("generation", "budgets"), [24, 72, 6]))
    options = generation_options(load_settings(mixed), "reasoner")
    assert options["budgets"] == [6, 24, 72]
    assert trace_options(load_settings(mixed), "reasoner") == options | {"budgets": [72]}


def test_flags_do_not_depend_on_the_order_of_keys():
    turned = changed(
        (("models", "reasoner", "source"), {"name": "reasoner", "kind": "bundled"}),
        (
            ("variants", "shortgpt-1"),
            {"calibration": "chains", "remove_blocks": 1, "method": "shortgpt"},
        ),
        (("generation",), dict(reversed(DEFAULT["generation"].items()))),
        (
            ("benchmarks", "hub"),
            {"source": HUB_BENCHMARK | {"columns": {"answer": "a", "question": "q"}}},
        ),
    )
    there = changed(
        (
            ("benchmarks", "hub"),
            {"source": HUB_BENCHMARK | {"columns": {"question": "q", "answer": "a"}}},
        ),
    )

    def flags(s: Settings) -> list[str]:
        return [
            as_json(s.models["reasoner"].source),
            as_json(s.benchmarks["hub"].source),
            as_json(as_options(s.variants["shortgpt-1"])),
            as_json(generation_options(s, "reasoner")),
        ]

    assert flags(load_settings(turned)) == flags(load_settings(there))


# any config at all


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=strategies.integers(0, 2**32),
    mutations=strategies.lists(strategies.tuples(VALUES, KEYS), min_size=1, max_size=4),
)
def test_a_mutated_config_is_refused_in_lines_or_really_valid(tmp_path, seed, mutations):
    config, draw = copy.deepcopy(DEFAULT), random.Random(seed)
    for value, key in mutations:
        with_mutation(config, draw, value, key)
    before = repr(config)
    try:
        loaded = load_settings(config, tmp_path)
    except InputError as error:
        lines = str(error).split("\n")
        assert 1 <= len(lines) <= 11
        for line in lines:
            assert line.startswith("config: ") and line.isprintable()
            assert len(line) < 1000
    else:
        assert PLAIN_JSON_SCHEMA.is_valid(config)
        assert set(loaded.run.models) <= set(config["models"])
        for model in loaded.models.values():
            assert model.thinking in loaded.thinking_formats
        for variant in loaded.variants.values():
            assert variant.sparsity is None or 0 < variant.sparsity < 1
            assert variant.calibration is None or variant.calibration in loaded.calibration_sets
            json.loads(as_json(as_options(variant)))
        assert list(loaded.generation.budgets) == sorted(config["generation"]["budgets"])
        json.dumps(generation_options(loaded, loaded.run.models[0]), allow_nan=False)
    assert repr(config) == before


def test_the_door_imports_nothing_heavy():
    """The Snakefile imports it, in the driver and again in every job of a cluster."""
    heavy = [
        "torch",
        "transformers",
        "numpy",
        "pandas",
        "safetensors",
        "datasets",
        "matplotlib",
        "requests",
    ]
    loaded = f"print([m for m in {heavy} if m in sys.modules])"
    code = f"import sys, workflow_scripts.config.load; {loaded}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
