"""What the cost command counts, by hand: samples and tokens, sizes, and what it does not know."""

import json
import re
from dataclasses import replace

import pytest

from tests.config.config_door import HUB_MODEL, changed
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.overlays import read_config
from workflow_scripts.config.recoveries import Full, Lora, OnlyRouters, Routers
from workflow_scripts.config.settings import Settings
from workflow_scripts.errors import InputError
from workflow_scripts.estimates.cost import disk, jobs_by_stage, report, searched, trainings
from workflow_scripts.estimates.gpu_hours import (
    CARDS,
    Card,
    fits,
    gpu_jobs,
    pace,
    pruning_hours,
    recovery_hours,
)
from workflow_scripts.estimates.limits import too_long
from workflow_scripts.estimates.screened import jobs_behind_screens
from workflow_scripts.estimates.sizes import Size, Tokens, model_size, problem_count, tokens_of
from workflow_scripts.estimates.training import (
    gpu_memory,
    measured_tokens,
    passed_tokens,
    trained_weights,
)
from workflow_scripts.paths import PROJECT

GENERATED = {"source": {"kind": "generated", "benchmark": "chains"}, "samples": 4, "length": 8}


def settings_of(*changes, **generation) -> Settings:
    """Two variants on `chains`: 2 repeats, budgets 10 and 30, answers of at most 8 tokens."""
    generation = {"budgets": [30, 10], "repeats": 2, "answer_tokens": 8} | generation
    return load_settings(
        changed(
            (("run", "variants"), ["dense", "wanda-50"]),
            *((("generation", key), value) for key, value in generation.items()),
            *changes,
        )
    )


@pytest.mark.parametrize(
    ("sweep", "seeds", "traces", "most", "expected"),
    [
        ("shared", {}, 2, 30, 20),
        ("independent", {}, 4, 40, 30),
        ("independent", {"seeding": "paper", "seed": [7, 11]}, 2, 30, 20),
    ],
)
def test_traces_are_drawn_once_or_for_every_budget(sweep, seeds, traces, most, expected):
    """Of one problem: its repeats, under the largest budget or under each."""
    tokens = tokens_of(settings_of(sweep=sweep, **seeds), {"chains": 5}, (20, 6))
    assert tokens == {
        "traces": Tokens(2 * 5 * traces, 2 * 5 * 2 * expected, 2 * 5 * 2 * most),
        "answers": Tokens(2 * 5 * 4, 2 * 5 * 4 * 6, 2 * 5 * 4 * 8),
    }


def test_a_limit_is_how_many_problems_there_are():
    settings = settings_of((("benchmarks", "chains", "limit"), {"problems": 12}))
    assert problem_count(settings, "chains", PROJECT) == 12


def test_expected_is_never_more_than_at_most():
    tokens = tokens_of(settings_of(), {"chains": 5}, (1000, 1000))
    assert all(part.expected == part.most for part in tokens.values())


@pytest.mark.parametrize(
    ("variants", "calibration"),
    [(["dense", "wanda-50"], None), (["wanda-50"], Tokens(20, 10 * (20 + 6), 10 * (30 + 8)))],
)
def test_texts_for_calibration_are_decoded_where_the_dense_model_is_not_run(variants, calibration):
    settings = settings_of(
        (("calibration_sets", "own"), GENERATED),
        (("variants", "wanda-50", "calibration"), "own"),
        (("run", "variants"), variants),
    )
    assert tokens_of(settings, {"chains": 5}, (20, 6)).get("calibration") == calibration


def test_another_benchmark_for_calibration_is_counted_with_its_own_problems():
    more = {"source": {"kind": "bundled", "name": "chains"}}
    settings = settings_of(
        (("benchmarks", "more"), more),
        (
            ("calibration_sets", "own"),
            GENERATED | {"source": GENERATED["source"] | {"benchmark": "more"}},
        ),
        (("variants", "wanda-50", "calibration"), "own"),
    )
    tokens = tokens_of(settings, {"chains": 5, "more": 100}, (20, 6))
    assert tokens["calibration"] == Tokens(400, 200 * (20 + 6), 200 * (30 + 8))
    assert tokens["traces"].samples == 20


def test_problems_are_counted_in_files_else_taken_from_the_config(tmp_path):
    settings = settings_of()
    assert problem_count(settings, "chains", PROJECT) == 240
    assert problem_count(settings, "gpqa-diamond", tmp_path) == 198
    fetched = tmp_path / "resources/benchmarks/gpqa-diamond.jsonl"
    fetched.parent.mkdir(parents=True)
    fetched.write_text('{"id": 1}\n{"id": 2}\n')
    assert problem_count(settings, "gpqa-diamond", tmp_path) == 2
    source = {"kind": "local", "path": "a.csv", "columns": {"question": "q", "answer": "a"}}
    config = changed((("benchmarks", "mine"), {"source": source | {"answer_kind": "integer"}}))
    assert problem_count(load_settings(config), "mine", tmp_path) is None


def test_models_are_measured_else_taken_from_the_config(tmp_path, tiny_model):
    hub = {"source": HUB_MODEL["source"], "thinking": "think"}
    config = changed((("models", "known"), hub | {"parameters": 1000}), (("models", "hub"), hub))
    settings = load_settings(config)
    known = model_size(settings, "known", tmp_path)
    assert (known.checkpoint, known.linear_weights) == (2000, 1000)
    assert model_size(settings, "hub", tmp_path) is None
    # 6 blocks, hidden 128, intermediate 384, 4 heads of 32 and 2 key-value heads
    linear = 6 * (2 * 128 * 128 + 2 * 128 * 64 + 3 * 128 * 384)
    weights = PROJECT / "bundled/models/reasoner/model.safetensors"
    cached = 6 * 2 * 2 * 32
    size = Size(weights.stat().st_size, linear, cached, blocks=6)
    assert model_size(settings, "reasoner") == size
    folder = tmp_path / "resources/models/hub"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").symlink_to(weights)
    assert model_size(settings, "hub", tmp_path) is None  # a download that has not finished
    (folder / "manifest.json").write_text("{}")
    assert model_size(settings, "hub", tmp_path) == size


def test_disk_is_by_weights_variants_and_tokens():
    found = disk(settings_of(), {"reasoner": Size(1000, 800, 16)}, 10)
    assert found == {
        "models": 1000,
        "calibration sets": 4 * 128 * 128,
        "masks": 100,  # of wanda-50 alone
        "trained weights": 0,
        "generation store": 70,
        "traces and answers": 50,
        "a job's, for a while": 1000,
    }


RECOVERED = (
    (("run", "variants"), ["trained", "wanda-trained"]),
    (("recoveries", "lora", "validation"), 4),
    (("recoveries", "lora", "evaluate_every"), 50),
    (("recoveries", "other"), {"kind": "full", "length": 64, "steps": 10, "batch": 2}
     | {"learning_rate": 0.1}),
    (("variants", "trained"), {"method": "dense", "recovery": "lora"}),
    (("variants", "wanda-trained"), {"method": "wanda", "sparsity": 0.25, "calibration": "chains"}
     | {"recovery": "other"}),
)  # fmt: skip


def test_a_recovered_variant_costs_its_start_once_and_its_training():
    """Wanda's statistics of the start; 3 passes a token for adapters, 4 for all, 1 measured."""
    settings = settings_of(*RECOVERED, (("device",), "cuda"), **GPU)
    assert gpu_jobs(settings) == {"generation": 2, "pruning": 1, "recovery": 2}
    size = Size(2_000_000, 800_000, 1)
    once = 1e6 * 2 * 128 * 128 / 0.3e14 / 3600
    assert pruning_hours(settings, {"a": size}, CARD) == pytest.approx(once)
    passes = 3 * 100 * 16 * 128 + 4 * 128 * (1 + 100 // 50) + 4 * 10 * 2 * 64
    hours = 1e6 * 2 * passes / 0.3e14 / 3600
    assert recovery_hours(trainings(settings, "reasoner"), size, CARD) == pytest.approx(hours)
    # both recovered variants and the start of the one have a mask for every weight
    assert disk(settings, {"reasoner": size}, 10)["masks"] == 2 * 100_000
    # dense weights that are trained do not write the dense model's own traces
    generated = (("calibration_sets", "chains"), GENERATED)
    assert "calibration" in tokens_of(settings_of(*RECOVERED, generated), {"chains": 5}, (20, 6))


def test_training_tokens_and_hours_are_said_and_summed():
    model = {"source": HUB_MODEL["source"], "thinking": "think", "trained_on": "chains"}
    settings = settings_of(
        *RECOVERED,
        (("models", "big"), model | {"parameters": 8_000_000_000}),
        (("run", "models"), ["reasoner", "big"]),
        (("recoveries", "lora", "steps"), 10_000),
        (("device",), "cuda"),
        **GPU,
    )
    told = list(report(settings, {}, (20, 6), 100.0))
    at = next(n for n, line in enumerate(told) if line.startswith("training, "))
    each = 10_000 * 16 * 128 + 10 * 2 * 64
    assert [line.split() for line in told[at + 1 : at + 4]] == [
        ["reasoner", f"{each:,}"],
        ["big", f"{each:,}"],
        ["all", "models", f"{2 * each:,}"],
    ]
    rows = {line[:42].strip(): line[42:].split() for line in told if re.search(r"\d\.\d$", line)}
    assert rows["recovery, big"][0] == rows["recovery, big"][1] != "0.0"
    parts = [float(numbers[1]) for what, numbers in rows.items() if what != "all"]
    jobs = next(numbers for what, numbers in rows.items() if "jobs at once" in what)
    total = float(rows["all"][1])
    assert total == pytest.approx(sum(parts) - float(jobs[1]), abs=0.3)
    said = [line for line in told if "does not fit" in line]
    assert said == [
        "recovery of big by other does not fit into one H100: some 128 GB; a smaller micro_batch "
        "or length of recoveries.other, or kind: lora"
    ]


LLAMA = 8_030_261_248  # of 32 blocks, 4,096 wide, with MLPs of 14,336 and 8 heads of 128 for keys


def lora(**keys) -> Lora:
    of_all = {"rank": 16, "alpha": 32, "length": 4096, "steps": 3000, "batch": 16}
    return Lora(kind="lora", learning_rate=4e-4, **of_all | keys)


def test_adapters_have_the_rank_times_both_sides_of_their_linears():
    q, k, gate = 2 * 4096, 4096 + 1024, 4096 + 14336
    of_all = 2 * q + 2 * k + 3 * gate
    some = {"targets": ("q_proj", "v_proj", "gate_proj")}
    for targets, sides in ((some, q + k + gate), ({}, of_all)):
        exact = 16 * 32 * sides
        assert exact <= trained_weights(lora(**targets), LLAMA) < 1.2 * exact
    full = Full(kind="full", length=8, steps=1, batch=1, learning_rate=0.1)
    assert trained_weights(full, LLAMA) == LLAMA


def test_routers_are_few_weights_and_their_rows_are_measured_again_and_again():
    """SkipGPT's, with a hidden layer of a quarter of 4,096, for each sublayer of 32 blocks."""
    keys = {"length": 4096, "steps": 100, "batch": 16, "learning_rate": 1e-3, "validation": 8}
    keys |= {"evaluate_every": 50, "micro_batch": 1}
    alone = OnlyRouters(kind="routers", **keys)
    exact = 64 * (4096 * 1024 + 1024 + 2 * 1024 + 2)
    assert exact <= trained_weights(alone, LLAMA) < 1.2 * exact
    measured = {"validation": 8, "evaluate_every": 50}
    more = trained_weights(lora(routers=Routers(), **measured), LLAMA)
    more -= trained_weights(lora(**measured), LLAMA)
    assert exact <= more < 1.2 * exact
    parts = gpu_memory(alone, LLAMA, 32)
    assert parts["base"] == 2 * LLAMA and parts["trained"] == 16 * trained_weights(alone, LLAMA)
    assert fits(alone, Size(2 * LLAMA, LLAMA, 1, blocks=32), CARDS["h100"])
    stays = alone.model_copy(update={"routers": Routers(exact_share=False)})
    assert measured_tokens(stays) == 3 * 8 * 4096
    assert measured_tokens(alone) - measured_tokens(stays) == 24 * 8 * 4096
    assert passed_tokens(stays) == 3 * 100 * 16 * 4096 + 3 * 8 * 4096


def test_a_card_of_80_gb_trains_adapters_of_an_8b_model_and_not_the_model():
    """By real shapes: bf16 weights, what enters 32 blocks, 128,256 logits in fp32 three times."""
    size = Size(2 * LLAMA, LLAMA, 1, blocks=32)
    card = CARDS["h100"]
    one = gpu_memory(lora(micro_batch=1), LLAMA, 32)
    assert one["base"] == 2 * LLAMA
    states = 4096 * 4096 * 2 * 32
    assert states < one["states"] < 3 * states
    assert 4096 * 128_256 * 3 * 4 < one["logits"] < 2.1 * 4096 * 128_256 * 3 * 4
    assert fits(lora(micro_batch=1), size, card) and fits(lora(micro_batch=2), size, card)
    assert not fits(lora(micro_batch=8), size, card)
    assert not fits(lora(micro_batch=1), size, CARDS["rtx4090"])
    full = Full(kind="full", length=128, steps=1, batch=1, learning_rate=0.1)
    assert not fits(full, size, card) and fits(full, size, CARDS["h200"])
    assert fits(full, Size(2 * 10**9, 10**9, 1), card)


def lines(settings: Settings, speed: float | None = None) -> list[str]:
    return list(report(settings, {"masking": 2}, (20, 6), speed))


def test_what_is_not_known_is_said():
    hub = HUB_MODEL["source"] | {"id": "a/b"}
    unknown = {"kind": "hub", "id": "a/b", "split": "test", "answer_kind": "math"}
    settings = settings_of(
        (("models", "hub"), {"source": hub, "thinking": "think"}),
        (("run", "models"), ["reasoner", "hub"]),
        (
            ("benchmarks", "hub"),
            {"source": unknown | {"columns": {"question": "q", "answer": "a"}}},
        ),
        (("run", "benchmarks"), ["chains", "hub"]),
    )
    assert lines(settings)[-3:] == [
        "not counted: benchmark hub, its size is unknown (benchmarks.hub.problems)",
        "not counted: model hub, its size is unknown (models.hub.parameters)",
        "not counted: what runs on the CPU, corpora that calibration sets are drawn from",
    ]
    assert "hours of generation: say how fast a job decodes, --tokens-per-second" in lines(settings)


@pytest.mark.parametrize(
    ("device", "gpus", "unit"), [("cpu", 1, "hours"), ("cuda", 4, "GPU hours")]
)
def test_hours_are_tokens_at_a_speed(device, gpus, unit):
    settings = settings_of(device=device, tensor_parallel=gpus, engine="vllm")
    told = lines(settings, speed=0.5)
    (line,) = [line for line in told if "generation, at 0.5 tokens a second" in line]
    assert told[told.index(line) - 1].startswith(unit)
    # 240 problems, 2 repeats, 2 variants: a trace of 20 (30), two answers of 6 (8)
    expected, most = 240 * 2 * 2 * (20 + 12), 240 * 2 * 2 * (30 + 16)
    hours = [f"{tokens / 0.5 / 3600 * gpus:,.1f}" for tokens in (expected, most)]
    assert line.split()[-2:] == hours
    # two variants' jobs on all GPUs, of two minutes each
    starts = [line.split()[-1] for line in told if "starts of 2 jobs" in line]
    assert starts == ([f"{2 * gpus * 2 / 60:.1f}"] if device == "cuda" else [])


GPU = {"device": "cuda", "engine": "vllm", "dtype": "bfloat16"}
CARD = Card("made up", memory=10e9, bandwidth=1e12, rate=1e14, sequences=50)


@pytest.mark.parametrize(
    ("changes", "gpus", "sequences"),
    [
        ({}, 1, 39),  # what fits: (10 GB * 0.92 - 3 GB - 2 GB) / (213 tokens of 0.5 MB)
        ({"engine_options": {"gpu_memory_utilization": 0.7}}, 1, 18),
        ({"tensor_parallel": 2}, 2, 50),  # the card's own most
        ({"tensor_parallel": 2, "batch_size": 60}, 2, 60),
        ({"batch_size": 8}, 1, 8),
        ({"gpu": "too small"}, 1, None),
    ],
)
def test_a_step_reads_the_weights_and_every_sequence(changes, gpus, sequences):
    """Behind prompts of 200: a trace of 20 tokens, and answers of 6 behind 10 and 20 of it."""
    card = replace(CARD, memory=5.5e9) if changes.pop("gpu", None) else CARD
    settings = settings_of(**GPU | changes)
    context = 200 + (20 * 10 + 6 * (10 + 3) + 6 * (20 + 3)) / (20 + 6 + 6)
    assert context == 213
    size = Size(2_000_000_000, 0, 250_000)  # of bytes: a billion weights
    found = pace(settings, size, (20, 6), card)
    if sequences is None:
        assert found is None
        return
    assert (found.sequences, found.context) == (sequences, context)
    seconds = 0.005 + (2e9 + sequences * context * 500_000) / (0.7 * 1e12 * gpus)
    assert found.speed == pytest.approx(sequences / seconds)


def test_pruning_is_passes_over_the_model():
    """Statistics twice the weights for a token, sequential Wanda four times, gradients eight."""
    settings = settings_of(
        (("run", "variants"), ["wanda-50", "wanda-20", "wanda-layerif-50"]),
        (("variants", "wanda-20", "propagate"), "pruned"),
        **GPU,
    )
    rows = settings.influence_sets["chains"]
    flop = (2 + 4) * 128 * 128 + 8 * (rows.train_samples + rows.validation_samples) * rows.length
    sizes = {"a": Size(2_000_000, 0, 1), "b": None}
    assert pruning_hours(settings, sizes, CARD) == pytest.approx(1e6 * flop / 0.3e14 / 3600)


def test_sleb_is_as_many_passes_as_its_blocks_run():
    """Of 6 blocks 2: 4 losses, then 3; a block runs 4 + 10 and 3 + 6 times, 6 times in a pass."""
    entry = {"method": "sleb", "remove_blocks": 2, "calibration": "chains"}
    settings = settings_of(
        (("run", "variants"), ["sleb-2"]), (("variants", "sleb-2"), entry), **GPU
    )
    sizes = {"a": Size(2_000_000, 0, 1, blocks=6)}
    hours = 1e6 * 2 * (4 + 10 + 3 + 6) / 6 * 128 * 128 / 0.3e14 / 3600
    assert pruning_hours(settings, sizes, CARD) == pytest.approx(hours)


SEARCHES = (
    (("run", "variants"), ["dense", "drop", "evolved"]),
    (
        ("variants", "drop"),
        {"method": "evopress-drop", "remove_parts": 8, "calibration": "chains"},
    ),
    (
        ("variants", "evolved"),
        {
            "method": "magnitude",
            "sparsity": 0.5,
            "allocation": {"kind": "evolved", "calibration": "chains"},
        },
    ),
    (("calibration_sets", "chains", "samples"), 128),
    (("calibration_sets", "chains", "length"), 1024),
)


def test_searches_are_counted_by_what_they_measure_and_the_dense_model_in_every_round():
    """EvoPress's own numbers for Llama-3-8B: 8 of 32 blocks, and 400 generations."""
    on_gpu = (("device",), "cuda")
    settings, size = settings_of(*SEARCHES, on_gpu, **GPU), Size(16_000_000_000, 0, 1)
    drop = 65 * 2048 + 128 * (33 * 2048 + 4 * 32768)
    evolved = 2 * 2048 + 400 * (65 * 2048 + 9 * 16384 + 4 * 65536)
    assert [*searched(settings, {"a": size, "b": None})][1:] == [
        f"  {'a, drop':<40}{64 + 128 * 35:>20,}{drop:>20,}",
        f"  {'a, evolved':<40}{1 + 400 * 75:>20,}{evolved:>20,}",
    ]
    hours = pruning_hours(settings, {"a": size}, CARD)
    assert hours == pytest.approx(2 * 8e9 * (drop + evolved) / 0.3e14 / 3600)
    assert gpu_jobs(settings)["pruning"] == 2
    assert [*searched(settings_of(), {"a": size})] == []


@pytest.mark.parametrize(("name", "most"), [("paper", 50), ("strict", 160)])
def test_the_paper_s_experiment_takes_two_days_of_an_h100(name, most):
    """At what is assumed; every variant within reach of a job."""
    settings = load_settings(read_config([PROJECT / f"config/{name}.yaml"]))
    told = list(report(settings, {}, (4000, 1000), None))
    (hours,) = [line.split()[1] for line in told if re.match(r"  all +[\d.,]+ +[\d.,]+$", line)]
    assert most - 5 < float(hours) < most
    assert any("s1.1-7b: 10,356 tokens a second, 363 sequences at once" in line for line in told)
    assert any("assumed: vLLM on 1 x H100 (80 GB, 3.35 TB/s; --card), 70%" in line for line in told)
    assert not list(too_long(settings))


def test_a_model_that_does_not_fit_is_not_counted():
    settings = load_settings(read_config([PROJECT / "config/paper.yaml"]))
    told = list(report(settings, {}, (4000, 1000), None, CARDS["rtx4090"]))
    assert any("generation of qwen3-8b, which does not fit into 1 x RTX 4090" in x for x in told)
    assert not any(line.startswith("  generation, qwen3-8b") for line in told)


def test_shards_are_jobs_that_run_at_once():
    told = lines(settings_of(shards=4), speed=0.5)
    most = 240 * 2 * (30 + 16) / 4 / 0.5 / 3600
    (line,) = [line for line in told if "8 jobs at once (shards: 4)" in line]
    assert line.endswith(f" {most:,.1f}")


def test_variants_that_share_an_engine_are_one_job_and_one_start():
    shared = (("run", "variants_per_engine"), 2)
    told = lines(settings_of(shared, shards=4, device="cuda", engine="vllm"), speed=0.5)
    (line,) = [line for line in told if "4 jobs at once (shards: 4)" in line]
    assert line.endswith(f" {240 * 2 * 2 * (30 + 16) / 4 / 0.5 / 3600:,.1f}")
    assert any("starts of 4 jobs" in line for line in told)


def test_a_screened_run_decodes_with_those_that_go_on_and_reads_with_all():
    """Three variants of three others: the dense model, and one of two."""
    variants = (("run", "variants"), ["dense", "wanda-50", "wanda-60"])
    screen = (("run", "screen"), {"keep": 1, "problems": 5})
    plain, screened = (settings_of(variants, *more) for more in ((), (screen,)))
    of_each = {"chains": 7}
    whole, kept = (tokens_of(one, of_each, (20, 6)) for one in (plain, screened))
    assert {what: 2 * t.most for what, t in whole.items()} == {
        what: 3 * t.most for what, t in kept.items()
    }
    tokens = 5 * (200 + 30 + 8)  # prompt, largest budget, answer
    told = lines(screened)
    start = told.index(next(line for line in told if line.startswith("screens, 1 models x 3")))
    assert told[start].endswith("2 variants of a model go on")
    assert [line.split()[1] for line in told[start + 1 : start + 3]] == [
        f"{tokens:,}", f"{3 * tokens:,}",
    ]  # fmt: skip
    size = {"m": Size(checkpoint=16_000_000_000, linear_weights=7, cached=1.0)}
    more = pruning_hours(screened, size, CARDS["h100"]) - pruning_hours(plain, size, CARDS["h100"])
    passes = 3 * 2 * tokens * 2 * 8e9  # both models, two operations a weight
    assert more == pytest.approx(passes / (0.3 * CARDS["h100"].rate) / 3600)


def test_every_job_is_counted_under_a_rule_file():
    found = jobs_by_stage([PROJECT / "config/dynamic.yaml"])
    files = {file.stem for file in (PROJECT / "rules").glob("*.smk")}
    assert found.pop("all") == 1 and found.keys() <= files
    assert found["generation"] > 28 and found["tables"] > 20


def test_jobs_behind_a_screen_are_counted_where_a_dry_run_cannot_show_them():
    variants = (("run", "variants"), ["dense", "wanda-50", "wanda-60", "wanda-70"])
    keep = (("run", "screen"), {"keep": 2})
    assert jobs_behind_screens(settings_of(variants)) == {}
    assert jobs_behind_screens(settings_of(variants, (("run", "screen"), {}))) == {}
    assert jobs_behind_screens(settings_of(variants, keep)) == {"generation": 3, "grading": 3}
    sharded = jobs_behind_screens(settings_of(variants, keep, shards=4))
    assert sharded == {"generation": 3 + 3 * 4, "grading": 3}
    more = ((("run", "variants_per_engine"), 2), (("run", "tasks"), ["chains-result"]))
    shared = jobs_behind_screens(settings_of(variants, keep, *more, shards=4))
    assert shared == {"generation": 3 + 2 * 4, "grading": 3, "tasks": 1 + 3}


def test_configs_that_are_none_are_one_line(tmp_path):
    for content, said in [
        (b"[1]", ": not a config, which is a mapping"),
        (b"a: 1\nb: [1}", ":2: not YAML (expected ',' or ']', but got '}')"),
        (b"a: 1\nb: 2001-02-30", ": not YAML (day is out of range for month)"),
        (b"a: \xff", ": not YAML ('utf-8' codec can't decode byte 0xff"),
    ]:
        path = tmp_path / "a.yaml"
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_config([path])
        assert str(caught.value).startswith(f"{path}{said}") and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="No such file"):
        read_config([tmp_path / "b.yaml"])


def test_configs_are_merged_as_snakemake_does_it(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(json.dumps({"run": {"variants": ["dense"]}, "generation": {"repeats": 7}}))
    config = read_config([path])
    assert config["run"] == {
        "models": ["reasoner"], "variants": ["dense"], "benchmarks": ["chains"], "tasks": [],
    }  # fmt: skip
    assert config["generation"]["repeats"] == 7 and config["generation"]["dtype"] == "float32"
