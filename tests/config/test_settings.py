"""The config as settings: what is let in, what the rules take from it, and that nothing else is."""

import copy
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies
from pydantic import ValidationError
from snakemake.utils import update_config

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
from workflow_scripts.config import source_files as config_files
from workflow_scripts.config.entry import as_json, plain
from workflow_scripts.config.generation import Generation
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.uses import answered_in_use, in_use, statistics_in_use
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
    assert len(settings.run.variants) == 13
    assert settings.models["reasoner"].thinking == "think"
    assert plain(settings.benchmarks["chains"].source) == {"kind": "bundled", "name": "chains"}
    assert settings.calibration_sets["chains"].samples == 128
    influence = settings.influence_sets["chains"]
    assert (influence.train_samples, influence.validation_samples) == (32, 16)
    assert (influence.length, influence.seed, influence.hessian) == (128, 0, "identity")
    assert settings.thinking_formats["think"].after_cap == "</think>"
    assert settings.generation.budgets == (6, 12, 24, 36, 48, 60, 72)
    wanda, shortgpt = settings.variants["wanda-20"], settings.variants["shortgpt-2"]
    assert (wanda.method, wanda.sparsity, wanda.calibration) == ("wanda", 0.2, "chains")
    assert (plain(wanda.allocation), wanda.scope) == ({"kind": "uniform"}, "all")
    assert (shortgpt.remove_blocks, shortgpt.calibration) == (2, "chains")


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
    with pytest.raises(ValidationError):
        settings.generation.seed = 1


def test_defaults_fill_what_is_left_out():
    config = changed(
        (("device",), GONE),
        (("calibration_sets", "chains", "seed"), GONE),
        (("influence_sets", "chains", "seed"), GONE),
        (("influence_sets", "chains", "hessian"), GONE),
        (("variants", "wanda-20", "allocation"), GONE),
        *(
            (("generation", key), GONE)
            for key in ("engine", "seed", "top_p", "top_k", "batch_size", "threads")
        ),
        *((("generation", key), GONE) for key in ("sweep", "seeding", "answer_sampling")),
        *((("generation", key), GONE) for key in ("answer_beyond_context", "date")),
        *(
            (("thinking_formats", "think", key), GONE)
            for key in ("newline_before_cap", "extend_with", "extensions")
        ),
    )
    assert load_settings(config) == load_settings(DEFAULT)


def test_one_device_is_that_of_every_stage_that_does_not_say_otherwise():
    def devices(*changes):
        settings = load_settings(changed((("device",), "cuda"), *changes))
        return settings.pruning.device, settings.generation.device

    assert devices() == devices((("pruning",), GONE)) == ("cuda", "cuda")
    assert devices((("pruning",), {"device": "cpu"})) == ("cpu", "cuda")
    assert devices((("generation", "device"), "cpu")) == ("cuda", "cpu")


def test_budgets_are_put_in_ascending_order():
    settings = load_settings(changed((("generation", "budgets"), [48, 6, 12])))
    assert settings.generation.budgets == (6, 12, 48)


def test_a_date_may_be_in_quotes_or_not():
    for written in ("2026-11-27", yaml.safe_load("2026-11-27")):
        assert load_settings(changed((("generation", "date"), written))).generation.date == (
            "2026-11-27"
        )


def test_1_and_1_0_are_the_same_settings():
    whole = changed((("generation", "temperature"), 1), (("generation", "top_p"), 1))
    point = changed((("generation", "temperature"), 1.0), (("generation", "top_p"), 1.0))
    options = [as_json(load_settings(c).generation_job("reasoner")) for c in (whole, point)]
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
    assert plain(settings.benchmarks["hub"].source) == (
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
    assert statistics_in_use(load_settings(config)) == []


# what the rules take from settings


def test_what_each_variant_is_made_from():
    original = DEFAULT["variants"]["wanda-20"] | {"propagate": "pruned"}
    variants = load_settings(changed((("variants", "original"), original))).variants
    files = {name: list(variant.files()) for name, variant in variants.items()}
    assert files["dense"] == []
    assert files["magnitude-50"] == ["allocation"]
    assert files["wanda-20"] == ["allocation", "statistics"]
    assert files["original"] == ["allocation", "calibration"]
    assert files["shortgpt-1"] == ["statistics"]
    assert [name for name in variants if variants[name].runs_model] == ["original"]
    owl, layerif = (variants[name].allocation for name in ("wanda-owl-50", "wanda-layerif-50"))
    assert owl.files() == {"statistics": "results/{model}/statistics/chains.safetensors"}
    assert layerif.files() == {"influence": "results/{model}/influence/chains.json"}


def test_the_record_of_a_mask_holds_the_method_s_own_keys_only():
    new = {"method": "wanda", "sparsity": 0.5, "calibration": "chains", "pattern": "2:4"}
    variants = load_settings(changed((("variants", "new"), new | {"scope": "mlp"}))).variants
    assert variants["dense"].own() == {}
    wanda = {"comparison": "row", "propagate": "dense", "selection": "exact"}
    assert variants["wanda-20"].own() == variants["wanda-50"].own() == wanda
    assert variants["magnitude-20"].own() == {"selection": "exact"}
    assert variants["shortgpt-2"].own() == {"remove_blocks": 2}
    assert variants["new"].own() == wanda | {"pattern": "2:4"}


def test_an_allocation_has_its_defaults_and_its_numbers_have_fractions():
    owl = {"kind": "owl", "calibration": "chains", "threshold": 7}
    layerif = {"kind": "layerif", "influence": "chains", "high": 1}
    config = changed(
        (("variants", "magnitude-20", "allocation"), owl),
        (("variants", "wanda-20", "allocation"), layerif),
    )
    variants = load_settings(config).variants
    assert plain(variants["magnitude-20"].allocation) == owl | {"threshold": 7.0, "spread": 0.08}
    assert '"threshold": 7.0' in as_json(variants["magnitude-20"].allocation)
    defaults = {"direction": "protect", "unit": "split", "low": 0.05, "window": 5, "order": 2}
    assert plain(variants["wanda-20"].allocation) == layerif | defaults
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
        (("variants", "magnitude-50", "allocation"), allocation),
    )
    with pytest.raises(InputError) as caught:
        load_settings(config)
    assert str(caught.value) == (
        f"config: {catalogue}.other.source.name: 'nothing' is not in bundled/calibration; there: "
        "chains"
    )


def test_a_generation_job_is_the_settings_and_the_thinking_texts():
    job = plain(load_settings(DEFAULT).generation_job("reasoner"))
    thinking = DEFAULT["thinking_formats"]["think"]
    added = {"device": "cpu", "format": "think", "thinking": thinking}
    assert job == DEFAULT["generation"] | added


def test_options_that_change_speed_alone_stand_apart():
    loaded = load_settings(DEFAULT)
    speed = plain(loaded.generation, include=Generation.SPEED)
    results = plain(loaded.generation_job("reasoner"), exclude=Generation.SPEED)
    assert set(speed) == {"batch_size", "engine_options", "shards", "tensor_parallel", "threads"}
    assert results | speed == plain(loaded.generation_job("reasoner"))


def test_a_generation_job_holds_lists_and_mappings_as_they_are():
    changes = {
        "sweep": "independent",
        "seeding": "paper",
        "seed": [7, 11, 42],
        "answer_sampling": {"temperature": 0.0},
        "budgets": [24, 72, 6],
    }
    waiting = {"stop": ["</think>", "#"], "extend_with": "Wait", "extensions": 2}
    config = changed(
        *((("generation", key), value) for key, value in changes.items()),
        *((("thinking_formats", "think", key), value) for key, value in waiting.items()),
    )
    loaded = load_settings(config)
    job = plain(loaded.generation_job("reasoner"))
    assert {key: job[key] for key in changes} == changes | {"budgets": [6, 24, 72]}
    assert {key: job["thinking"][key] for key in waiting} == waiting
    # calibration traces are those of the run under the largest budget alone
    assert plain(loaded.trace_job("reasoner", "chains")) == job | {"budgets": [72]}


def test_what_a_format_writes_in_front_of_an_answer():
    def written(**texts):
        keys = [(("thinking_formats", "think", key), text) for key, text in texts.items()]
        return plain(load_settings(changed(*keys)).answer_prefix("reasoner"))

    assert written() == {"after_cap": "</think>", "after_stop": "</think>"}
    assert written(after_cap="<|im_start|>answer\nFinal Answer:", after_stop="\n") == {
        "after_cap": "Final Answer:",
        "after_stop": "",
    }
    assert written(after_cap="\nIn short.\nThe answer is \n\n")["after_cap"] == "The answer is"


def test_the_bounds_of_a_calibration_set_of_traces_may_meet():
    bounds = {"min_tokens": 8, "max_tokens": 8, "min_accuracy": 0.5, "max_accuracy": 0.5}
    bounds |= {"min_tokens_quantile": 0.5, "max_tokens_quantile": 0.5}
    source = {"kind": "generated", "benchmark": "chains"} | bounds
    own = {"source": source, "samples": 1, "length": 8}
    loaded = load_settings(changed((("calibration_sets", "own"), own))).calibration_sets["own"]
    assert plain(loaded.source) == source | {"correct_only": False, "hardest": 1.0}
    assert (loaded.sampling, loaded.token_order, loaded.seed) == ("packed", "given", 0)


def test_a_set_of_each_models_own_draws_from_what_that_was_trained_on(monkeypatch):
    monkeypatch.setattr(config_files, "BUNDLED", PROJECT / "bundled")
    both = load_settings(changed((("run", "models"), ["reasoner", "answerer"])))
    bundled = {"kind": "bundled", "name": "chains-with-steps"}
    of_reasoner, files = both.calibration_set("own", "reasoner")
    assert (plain(of_reasoner.source), files) == (bundled, {})
    of_answerer, _ = both.calibration_set("own", "answerer")
    assert of_answerer.source.name == "chains-without-steps"
    # what else the sets say is one thing for both
    assert of_reasoner.model_copy(update={"source": of_answerer.source}) == of_answerer
    # nothing is fetched for a set that no variant of the run names
    assert in_use(both)["texts"] == []
    variant = {"method": "wanda", "sparsity": 0.5, "calibration": "own"}
    fetched = load_settings(
        changed(
            (("models", "reasoner", "trained_on"), "openthoughts"),
            (("variants", "new"), variant),
            (("run", "variants"), ["new"]),
        )
    )
    assert in_use(fetched)["texts"] == ["openthoughts"]
    manifest = {"corpus": "resources/texts/openthoughts/manifest.json"}
    assert fetched.calibration_set("own", "reasoner")[1] == manifest


def test_every_public_text_is_a_pinned_file_or_said_not_to_be():
    public = {name: e.source for name, e in load_settings(DEFAULT).texts.items()}
    public = {name: source for name, source in public.items() if source.kind == "hub"}
    assert {n for n, source in public.items() if source.revision is None} == {"s1k"}
    forms = {name: next(iter(source.form())) for name, source in public.items()}
    assert forms == {
        "tulu-3": "turns", "openthoughts": "turns", "s1k": "pair", "alpaca": "pair",
        "c4": "column", "wikitext-2": "column", "ptb": "column",
    }  # fmt: skip


def test_what_a_run_uses_is_what_it_names_and_what_that_needs():
    own = {"source": {"kind": "generated", "benchmark": "math500"}, "samples": 1, "length": 8}
    layerif = {"kind": "layerif", "influence": "chains"}
    variant = {"method": "wanda", "sparsity": 0.5, "calibration": "own", "propagate": "pruned"}
    settings = load_settings(
        changed(
            (("calibration_sets", "own"), own),
            (("variants", "new"), variant | {"allocation": layerif}),
            (("run", "variants"), ["dense", "new"]),
            (("benchmarks", "math500", "prompt"), "boxed"),
            (("benchmarks", "chains", "prompt"), "{question}"),
        )
    )
    assert in_use(settings) == {
        "models": ["reasoner"],
        "benchmarks": ["chains", "math500"],
        "tasks": [],
        "prompts": ["boxed"],
        "texts": [],
        "calibration_sets": ["own"],
        "influence_sets": ["chains"],
        "thinking_formats": ["think"],
        "recoveries": [],
        "variants": ["dense", "new"],
    }
    assert statistics_in_use(settings) == []  # the method runs the model itself
    assert answered_in_use(settings) == ["math500"]


def test_flags_do_not_depend_on_the_order_of_keys():
    turned = changed(
        (("variants", "shortgpt-1"), dict(reversed(DEFAULT["variants"]["shortgpt-1"].items()))),
        (("generation",), dict(reversed(DEFAULT["generation"].items()))),
    )
    for one in ("generation", "variants"):
        found = [getattr(load_settings(config), one) for config in (DEFAULT, turned)]
        found = [entry["shortgpt-1"] if one == "variants" else entry for entry in found]
        assert as_json(found[0]) == as_json(found[1])


# any config at all


@settings(
    max_examples=300,
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
            assert 0 < getattr(variant, "sparsity", 0.5) < 1
            assert getattr(variant, "calibration", "chains") in loaded.calibration_sets
            json.loads(as_json(variant))
        assert list(loaded.generation.budgets) == sorted(config["generation"]["budgets"])
        json.loads(as_json(loaded.generation_job(loaded.run.models[0])))
    assert repr(config) == before


def test_numbers_of_the_command_line_are_read_by_what_their_keys_hold():
    """As Snakemake hands them on from `--config 'generation={repeats: 3, ...}'`."""
    given = {
        "generation": {"repeats": "3", "temperature": "1e-1", "budgets": ["4", "9"]},
        "variants": {"wanda-20": {"sparsity": "0.25"}},
        "judge": {"enabled": "true"},
        "models": {"reasoner": {"source": {"name": "reasoner"}}},
    }
    config = changed()
    update_config(config, given)
    settings = load_settings(config, command_line=given)
    generation = settings.generation
    assert (generation.repeats, generation.temperature) == (3, 0.1)
    assert generation.budgets == (4, 9)
    assert settings.variants["wanda-20"].sparsity == 0.25 and settings.judge.enabled is True
    assert config["generation"]["repeats"] == "3"


def test_text_that_is_no_number_and_text_of_a_file_stay_mistakes():
    given = {"generation": {"repeats": "many"}}
    config = changed((("generation", "repeats"), "many"), (("generation", "temperature"), "0.5"))
    with pytest.raises(InputError) as caught:
        load_settings(config, command_line=given)
    assert str(caught.value).splitlines() == [
        "config: generation.repeats: 'many' is not allowed; must be a whole number of at least 1",
        "config: generation.temperature: '0.5' is not allowed; must be a number of at least 0 "
        "and at most 100; write 0.5, without quotes",
    ]


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


def test_a_judge_s_job_is_the_judge_without_what_was_left_out():
    job = load_settings(DEFAULT).judge_job("reasoner")
    assert job.benchmarks is None and job.model == "judge"
    named = load_settings(changed((("judge", "benchmarks"), ["chains"])))
    assert named.judge_job("reasoner").benchmarks == ("chains",)


OWN = (("models", "reasoner", "trained_on"), "chains")


def test_a_recovery_by_model_is_there_for_every_model_that_is_run():
    each = (("recoveries", "each"), {"kind": "by-model", "models": {"reasoner": "lora"}})
    recovered = (("variants", "recovered"), {"method": "dense", "recovery": "each"})
    run = (("run", "variants"), ["recovered"])
    settings = load_settings(changed(OWN, each, recovered, run))
    assert settings.recovery_of("recovered", "reasoner") is settings.recoveries["lora"]
    assert in_use(settings)["recoveries"] == ["each", "lora"]
    assert in_use(settings)["texts"] == ["chains"]
    more = (("models", "more"), DEFAULT["models"]["reasoner"])
    config = changed(OWN, each, recovered, run, more, (("run", "models"), ["reasoner", "more"]))
    with pytest.raises(InputError) as caught:
        load_settings(config)
    said = "config: recoveries.each.models.more: missing; the run has this model: a name from "
    assert str(caught.value) == f"{said}recoveries"


GRADUAL = {
    "method": "sleb",
    "remove_blocks": 4,
    "calibration": "chains",
    "recovery": "lora",
    "schedule": {"kind": "gradual", "rounds": 3},
}


def test_a_schedule_is_a_chain_of_variants_that_each_go_on_from_the_one_before():
    run = (("run", "variants"), ["g"])
    settings = load_settings(changed(OWN, (("variants", "g"), GRADUAL), run))
    chain, name = [], "g"
    while name:
        start, entry = settings.start_of(name), settings.variants[name]
        before = settings.variants[start or name]
        chain.append((name, entry.remove_blocks, entry.recovery, before.after))
        assert before.remove_blocks == entry.remove_blocks and before.recovery is None
        assert not before.schedule and before.calibration == "chains"
        name = before.after
    assert chain == [
        ("g", 4, "lora", "g+round-2"),
        ("g+round-2", 3, "lora", "g+round-1"),
        ("g+round-1", 1, "lora", None),
    ]
    used = in_use(settings)["variants"]
    ends = [f"g{place}" for place in ("", "+round-1", "+round-2")]
    assert sorted(used) == sorted([*ends, *(f"{end}+pruned" for end in ends)])
    # what it is made from is all there is beside the usual: the three files of the one before
    files = settings.variants["g+pruned"].start_files()
    assert files["pruned-record"] == "results/{model}/g+round-2/mask.json" and len(files) == 3
    assert settings.variants["g+round-1+pruned"].start_files() == {}


def test_rounds_of_a_share_end_at_the_share_and_start_from_what_has_a_name():
    entry = {"method": "magnitude", "sparsity": 0.6, "recovery": "lora"}
    config = changed((("variants", "g"), entry | {"schedule": {"kind": "gradual", "rounds": 3}}))
    settings = load_settings(config)
    shares = [settings.variants[f"g+round-{n}"].sparsity for n in (1, 2)]
    assert shares == [0.2, 0.4] and settings.variants["g+pruned"].sparsity == 0.6
    assert settings.start_of("g+round-1") == "magnitude-20"


SMALL = DEFAULT["recoveries"]["lora"] | {"penalty": {"norm": "l1", "weight": 2.0}}
PENALTY = (("recoveries", "small"), SMALL)


def test_what_goes_may_be_penalised_before_it_goes_and_the_rest_trained_after():
    entry = {"method": "magnitude", "sparsity": 0.5, "recovery": "lora"}
    dress = entry | {"schedule": {"kind": "penalised", "recovery": "small"}}
    settings = load_settings(changed(PENALTY, (("variants", "d"), dress)))
    assert settings.start_of("d") == "d+penalised"
    assert settings.variants["d+penalised"].recovery == "small"
    assert settings.start_of("d+penalised") == "magnitude-50"
    # where nothing is trained after it, the recovery is all
    settings = load_settings(changed(PENALTY, (("variants", "d"), entry | {"recovery": "small"})))
    assert settings.start_of("d") == "magnitude-50"


@pytest.mark.parametrize(
    ("variant", "place", "said"),
    [
        ({"method": "dense"}, "recovery", "'small' is not allowed with method dense: its penalty"),
        (
            {"method": "magnitude", "sparsity": 0.7, "after": "magnitude-50"},
            "recovery",
            "'small' is not allowed with after: it has a penalty, and weights have gone before",
        ),
        (
            {"method": "magnitude", "sparsity": 0.7, "schedule": {"kind": "gradual", "rounds": 2}},
            "recovery",
            "'small' is not allowed with schedule",
        ),
        (
            {"method": "slicegpt", "slicing": 0.2, "calibration": "chains", "recovery": "lora"}
            | {"schedule": {"kind": "penalised", "recovery": "small"}},
            "schedule",
            "not allowed with method slicegpt, by which no weight goes",
        ),
    ],
)
def test_a_penalty_is_on_weights_that_are_there_and_will_go(variant, place, said):
    with pytest.raises(InputError) as caught:
        load_settings(changed(PENALTY, (("variants", "d"), {"recovery": "small"} | variant)))
    assert str(caught.value).startswith(f"config: variants.d.{place}: {said}")


COURSE = {"length": 8, "steps": 2, "batch": 2, "learning_rate": 0.1}
MEASURED = COURSE | {"validation": 2, "evaluate_every": 1}
ADAPTERS = {"kind": "lora", "rank": 2, "alpha": 4}
TRAINS = (("recoveries", "routers"), {"kind": "routers"} | MEASURED)
FIRST = {"method": "skipgpt", "skip": 0.25, "schedule": {"kind": "routers-first"}}
FIRST["schedule"]["recovery"] = "routers"


def test_routers_are_trained_first_and_once_for_all_that_go_on_from_them():
    after = (("recoveries", "after"), ADAPTERS | MEASURED)
    first = FIRST | {"recovery": "after"}
    settings = load_settings(changed(TRAINS, after, (("variants", "d"), first)))
    assert settings.start_of("d") == "d+routers"
    assert settings.variants["d+routers"].recovery == "routers"
    assert settings.start_of("d+routers") == "d+routers+pruned"
    alone = {"method": "skipgpt", "skip": 0.25, "recovery": "routers"}
    variants = [(("variants", "d"), first), (("variants", "e"), alone)]
    settings = load_settings(changed(TRAINS, after, *variants))
    assert settings.start_of("d") == "e"


def test_routers_that_are_trained_first_are_trained():
    after = (("recoveries", "after"), ADAPTERS | MEASURED)
    schedule = {"kind": "routers-first", "recovery": "after"}
    variant = FIRST | {"recovery": "after", "schedule": schedule}
    with pytest.raises(InputError) as caught:
        load_settings(changed(after, (("variants", "d"), variant)))
    assert str(caught.value) == (
        "config: variants.d.schedule.recovery: 'after' is not allowed; must be one that trains "
        "routers"
    )


@pytest.mark.parametrize(
    ("recovery", "said"),
    [
        ("routers", "'routers' is not allowed with schedule; must be one that trains no routers"),
        ("short", "'short' is not allowed with method skipgpt; must be one with validation rows"),
        ("each", "'each' is not allowed with method skipgpt; must be one with validation rows"),
    ],
)
def test_what_comes_after_routers_trains_none_and_measures_what_is_skipped(recovery, said):
    short = (("recoveries", "short"), ADAPTERS | COURSE)
    each = (("recoveries", "each"), {"kind": "by-model", "models": {"reasoner": "short"}})
    with pytest.raises(InputError) as caught:
        load_settings(
            changed(TRAINS, short, each, (("variants", "d"), FIRST | {"recovery": recovery}))
        )
    assert str(caught.value).startswith(f"config: variants.d.recovery: {said}")


PLAIN = (("recoveries", "plain"), ADAPTERS | MEASURED)


@pytest.mark.parametrize("is_first", [False, True])
def test_a_recovery_that_trains_the_routers_of_some_models_alone_is_refused(is_first):
    models = {"reasoner": "plain", "answerer": "routers"}
    each = (("recoveries", "each"), {"kind": "by-model", "models": models})
    variant = {"method": "skipgpt", "skip": 0.25, "recovery": "plain" if is_first else "each"}
    if is_first:
        variant["schedule"] = {"kind": "routers-first", "recovery": "each"}
    with pytest.raises(InputError) as caught:
        load_settings(changed(TRAINS, PLAIN, each, (("variants", "d"), variant)))
    assert str(caught.value) == (
        "config: recoveries.each.models.reasoner: 'plain' trains no routers; must be one that "
        "does, for variant d"
    )


@pytest.mark.parametrize("place", ["method", "after"])
def test_a_recovery_that_trains_the_routers_of_some_models_is_none_that_trains_none(place):
    models = {"reasoner": "plain", "answerer": "routers"}
    each = (("recoveries", "each"), {"kind": "by-model", "models": models})
    variant = {"method": "dense"} if place == "method" else FIRST
    with pytest.raises(InputError, match=r"variants\.d\.recovery: 'each' is not allowed with"):
        load_settings(
            changed(TRAINS, PLAIN, each, (("variants", "d"), variant | {"recovery": "each"}))
        )


@pytest.mark.parametrize(
    ("method", "routers", "key"),
    [
        ({}, {"final_temperature": 1.0}, "final_temperature"),
        ({}, {"temperature": 1.0, "weight": 8.0}, "temperature"),
        ({"form": "lrm"}, {"exact_share": True}, "exact_share"),
        ({"form": "expert-choice"}, {"weight": 1.0, "budget": "token"}, "budget"),
        ({"form": "expert-choice"}, {"ramp": "sine"}, "ramp"),
    ],
)
def test_keys_of_routers_without_effect_are_refused(method, routers, key):
    variant = {"method": "mod", "skip": 0.2, "recovery": "idle"} | method
    if method:
        variant["decode_densely"] = True
    idle = (("recoveries", "idle"), {"kind": "routers", "routers": routers} | MEASURED)
    with pytest.raises(InputError) as caught:
        load_settings(changed(idle, (("variants", "d"), variant)))
    form = method.get("form", "threshold")
    assert str(caught.value) == (
        f"config: variants.d.recovery: 'idle' is not allowed with method mod, form {form}: "
        f"routers.{key} has no effect there"
    )
