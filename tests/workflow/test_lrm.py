"""The experiment of arXiv 2601.18091 can be planned, and its cost told, before it is fetched."""

from collections import Counter

import pytest

from tests.workflow.checkout import copy_project, job_counts
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.overlays import read_config
from workflow_scripts.config.settings import Settings
from workflow_scripts.estimates.cost import report
from workflow_scripts.estimates.sizes import Size
from workflow_scripts.paths import PROJECT

FILES = ("config/lrm.yaml", "config/overlays/lrm-slicegpt.yaml")
DYNAMIC = ("config/lrm.yaml", "config/overlays/lrm-dynamic.yaml")
METHODS = {"shortgpt", "sleb", "shortened-ppl", "shortened-taylor", "llm-pruner", "slicegpt"}


def settings_of(*files: str) -> Settings:
    return load_settings(read_config([PROJECT / file for file in files]))


def test_every_static_arm_is_there_twice_with_and_without_recovery():
    """The two files together: each of six methods at two amounts, and a control in both."""
    for files in (FILES[:1], FILES):
        settings = settings_of(*files)
        run = [settings.variants[name] for name in settings.run.variants]
        arms = Counter((v.method, bool(v.recovery)) for v in run if v.method in METHODS)
        assert {*arms.values()} == {2} and {True, False} == {recovered for _, recovered in arms}
        methods = {method for method, _ in arms}
        assert methods == ({"slicegpt"} if files == FILES else METHODS - {"slicegpt"})
        assert {"dense", "dense-recovered"} <= {*settings.run.variants}
        # nothing is pruned only to be trained: whatever is recovered is also run as it was
        assert {settings.start_of(name) for name in settings.run.variants} <= {
            None, *settings.run.variants,
        }  # fmt: skip


def test_every_dynamic_arm_is_there_at_three_shares():
    """(paper) MoD, D-LLM and SkipGPT as its code has them; two more that skip as published."""
    settings = settings_of(*DYNAMIC)
    run = [settings.variants[name] for name in settings.run.variants]
    dynamic = [v for v in run if v.family == "dynamic"]
    assert {"dense", "dense-recovered"} == {*settings.run.variants} - {
        name for name in settings.run.variants if settings.variants[name].family == "dynamic"
    }
    arms = Counter((v.method, v.form) for v in dynamic)
    in_code = {("mod", "lrm"), ("d-llm", "lrm"), ("skipgpt", "published")}
    assert arms.keys() == in_code | {("mod", "threshold"), ("d-llm", "published")}
    assert {*arms.values()} == {3} and {v.skip for v in dynamic} == {0.2, 0.4, 0.6}
    assert not [said for variant in dynamic for said in variant.unfit(32)]
    trained = {name: settings.recovery_of(name, "llm-think") for name in settings.run.variants[2:]}
    alone = {name for name, recovery in trained.items() if recovery.kind == "routers"}
    assert alone == {"mod-threshold-20", "mod-threshold-40", "mod-threshold-60"}
    assert {trained[f"skipgpt-{skip}"].trained_routers for skip in (20, 40, 60)} == {None}
    first = settings.recovery_of("skipgpt-20+routers", "llm-think")
    assert (first.kind, first.routers.weight, first.steps) == ("routers", 8.0, 10_000)


def test_each_model_is_pruned_and_trained_with_its_own_texts():
    settings = settings_of(FILES[0])
    instruct, think = settings.run.models
    for model, texts in ((instruct, "tulu-3"), (think, "openthoughts-r1")):
        assert settings.texts_of(settings.calibration_sets["own"], model) == texts
        assert settings.texts_of(settings.recovery_of("sleb-20-recovered", model), model) == texts
    steps = [settings.recovery_of("dense-recovered", model).steps for model in (instruct, think)]
    assert steps == [10_000, 3_000]


def test_its_cost_is_said_with_training_tokens_and_hours():
    """11 recoveries of each model: 10,000 and 3,000 steps of 16 rows of 4,096 tokens."""
    told = list(report(settings_of(FILES[0]), {}, (4000, 1000), None))
    numbers = {line[:26].strip(): line.split()[-1] for line in told}
    assert numbers["llm-instruct"] == f"{11 * 10_000 * 16 * 4096:,}"
    assert numbers["llm-think"] == f"{11 * 3_000 * 16 * 4096:,}"
    hours = {line[:42].strip(): line.split()[-1] for line in told}
    weights = Size(2 * 8_030_326_784, 0, 0).checkpoint / 2
    passed = 3 * 11 * 10_000 * 16 * 4096 * 2 * weights
    assert float(hours["recovery, llm-instruct"]) == pytest.approx(
        passed / (0.3 * 989e12) / 3600, abs=0.06
    )
    assert not any("does not fit" in line or "unknown" in line for line in told)


def test_it_is_planned_without_a_network(tmp_path):
    checkout = copy_project(tmp_path)
    # of dynamic arms none is run without training, and SkipGPT's are trained twice
    plans = ((FILES[:1], 15, 11, 26), (FILES, 3, 3, 6), (DYNAMIC, 16, 19, 17))
    for files, masks, recovered, run in plans:
        said = checkout.run("--dry-run", "--quiet", "rules", "--configfile", *files)
        planned = job_counts(said)
        assert planned["build_mask"] == 2 * masks and planned["recover"] == 2 * recovered
        assert planned["generate"] == 2 * run
        assert planned["grade_answers"] == 4 * planned["generate"]
        assert planned["fetch_task"] == 19 and planned["run_tasks"] == planned["generate"]
