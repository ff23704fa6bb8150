"""What jobs ask of a cluster: enough for what was measured, by the size of their model."""

import pytest
import torch

from tests.config.config_door import HUB_MODEL, changed
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.settings import Settings
from workflow_scripts.estimates.jobs import UNKNOWN_WEIGHTS, Job
from workflow_scripts.estimates.resources import MAX_MINUTES, RULES, resources
from workflow_scripts.estimates.sizes import active_share
from workflow_scripts.models.tensors import save_tensors

GB = 1000  # in MB
WANDA_IN_SEQUENCE = {"method": "wanda", "propagate": "pruned"}
NAMES = {
    "model": "big",
    "variant": "wanda-50",
    "engine": "1",
    "benchmark": "chains",
    "calibration": "chains",
    "influence": "chains",
}


def settings_of(weights: float | None, *changes: tuple[tuple, object]) -> Settings:
    """The default config with a model of that size, as 128 x 2,048 tokens are run through it."""
    model = HUB_MODEL | ({} if weights is None else {"parameters": int(weights)})
    return load_settings(
        changed(
            (("models", "big"), model),
            (("calibration_sets", "chains", "samples"), 128),
            (("calibration_sets", "chains", "length"), 2048),
            *changes,
        )
    )


def needs(rule: str, settings: Settings, root, attempt: int = 1, **names: str) -> dict[str, int]:
    return resources(rule, settings, NAMES | names, attempt, root)


@pytest.mark.parametrize(
    ("weights", "width", "blocks", "linear_mb"),
    [(1.54e9, 1536, 28, 55), (7.6e9, 3584, 28, 272), (8.2e9, 4096, 36, 201), (70e9, 8192, 80, 940)],
)
def test_statistics_have_memory_for_hidden_states_and_a_block(
    tmp_path, weights, width, blocks, linear_mb
):
    """By the shapes of real models: two copies of hidden states and a block in fp32."""
    tokens = 128 * 2048
    needed = (2 * tokens * width * 4 + weights / blocks * 4) / 1e6
    asked = needs("collect_statistics", settings_of(weights), tmp_path)["mem_mb"]
    assert needed + 1 * GB < asked < 2 * needed + 4 * GB
    assert needs("build_mask", settings_of(weights), tmp_path)["mem_mb"] > 4 * linear_mb + 500


@pytest.mark.parametrize(
    ("rule", "tokens", "peak", "seconds"),
    [("collect_statistics", 2048, 1203, 0), ("build_mask", 2048, 516, 0)],
)
def test_what_was_measured_is_enough(tmp_path, rule, tokens, peak, seconds):
    """MiB, random checkpoints of Qwen2.5-1.5B's shape (README, how fast pruning is)."""
    settings = settings_of(
        1.5e9,
        (("calibration_sets", "chains", "samples"), tokens // 512),
        (("calibration_sets", "chains", "length"), 512),
    )
    assert 1.2 * peak < needs(rule, settings, tmp_path)["mem_mb"] < 6 * peak


def test_the_passes_that_were_measured_have_time(tmp_path):
    """SmolLM2-135M, 64 x 512 tokens, 2 threads: 67 s; the original sequential Wanda twice that."""
    settings = settings_of(
        135e6,
        (("calibration_sets", "chains", "samples"), 64),
        (("calibration_sets", "chains", "length"), 512),
        (("generation", "threads"), 2),
        (("variants", "wanda-50", "propagate"), "pruned"),
    )
    assert 10 + 67 / 60 <= needs("collect_statistics", settings, tmp_path)["runtime"] <= 15
    assert 10 + 135 / 60 <= needs("build_mask", settings, tmp_path)["runtime"] <= 20


def test_sequential_pruning_needs_what_statistics_do(tmp_path):
    pruned = settings_of(8e9, (("variants", "wanda-50", "propagate"), "pruned"))
    statistics = needs("collect_statistics", pruned, tmp_path)
    for key, amount in needs("build_mask", pruned, tmp_path).items():
        assert amount >= statistics[key]
    alone = needs("build_mask", settings_of(8e9), tmp_path)
    assert alone["mem_mb"] < statistics["mem_mb"] / 2


def test_slicing_needs_bases_as_well(tmp_path):
    """Llama-3.1-8B: two bases a block, each of 4,096 directions; the embedding, twice."""
    sliced = {"method": "slicegpt", "slicing": 0.2, "calibration": "chains"}
    pruned = settings_of(8e9, (("variants", "wanda-50", "propagate"), "pruned"))
    without = needs("build_mask", pruned, tmp_path)
    settings = settings_of(8e9, (("variants", "sliced"), sliced))
    needed = needs("build_mask", settings, tmp_path, variant="sliced")
    assert needed["mem_mb"] > without["mem_mb"] + 3 * 4096**2 * 8 / 1e6 + 2 * 128_256 * 4096 * 2e-6
    assert needed["runtime"] >= without["runtime"]
    on_gpu = settings_of(8e9, (("variants", "sliced"), sliced), (("pruning",), {"device": "cuda"}))
    assert needs("build_mask", on_gpu, tmp_path, variant="sliced")["runtime"] < needed["runtime"]


@pytest.mark.parametrize(
    ("weights", "width", "inner"),
    [(1.54e9, 1536, 8960), (7.6e9, 3584, 18944), (8.2e9, 4096, 12288), (70e9, 8192, 28672)],
)
def test_sparsegpt_has_memory_for_the_hessians_of_a_block(tmp_path, weights, width, inner):
    """By the shapes of real models, in fp32: those of q, k, v; of o; of gate, up; of down."""
    new = {"method": "sparsegpt", "sparsity": 0.5, "calibration": "chains"}
    pruned = settings_of(weights, (("variants", "wanda-50"), new))
    wanda = settings_of(weights, (("variants", "wanda-50"), new | WANDA_IN_SEQUENCE))
    asked, without = (needs("build_mask", one, tmp_path) for one in (pruned, wanda))
    needed = 4 * (3 * width**2 + inner**2) / 1e6
    assert needed < asked["mem_mb"] - without["mem_mb"] < 6 * needed + GB
    assert asked["runtime"] > without["runtime"] or asked["runtime"] == MAX_MINUTES


@pytest.mark.parametrize(
    ("device", "dtype", "item"), [("cpu", "float32", 4), ("cpu", "bfloat16", 2)]
)
def test_generation_has_memory_for_weights_and_the_cache(tmp_path, device, dtype, item):
    """Qwen3-8B: 36 blocks with 8 heads of 128 for keys and values; 32 sequences at once."""
    settings = settings_of(
        8.2e9,
        (("generation", "dtype"), dtype),
        (("generation", "device"), device),
        (("generation", "budgets"), [512, 8192]),
        (("generation", "answer_tokens"), 1024),
    )
    cache = 32 * (8192 + 1024) * 36 * 2 * 8 * 128 * item
    needed = (8.2e9 * item + cache) / 1e6
    assert needed < needs("generate", settings, tmp_path)["mem_mb"] < 2 * needed


def test_on_a_gpu_the_machine_holds_the_weights_and_no_cache(tmp_path):
    cuda = (("generation", "device"), "cuda"), (("generation", "dtype"), "bfloat16")
    asked = [
        needs("generate", settings_of(8e9, *cuda, (("generation", "batch_size"), size)), tmp_path)[
            "mem_mb"
        ]
        for size in (1, 256)
    ]
    assert asked[0] == asked[1] and 16 * GB < asked[0] < 40 * GB


def test_generation_has_time_for_every_token_up_to_its_cap(tmp_path):
    """SmolLM2-135M decoded 192 tokens a second with 2 threads."""
    settings = settings_of(
        135e6,
        (("generation", "threads"), 2),
        (("generation", "budgets"), [500]),
        (("generation", "answer_tokens"), 100),
        (("generation", "repeats"), 2),
        (("benchmarks", "chains"), BENCHMARK | {"problems": 10}),
    )
    tokens = 10 * 2 * (500 + 100)
    minutes = needs("generate", settings, tmp_path)["runtime"]
    assert tokens / 192 / 60 + 5 < minutes < 2 * tokens / 192 / 60 + 15


BENCHMARK = {
    "source": {
        "kind": "hub", "id": "a/b", "split": "test", "answer_kind": "integer",
        "columns": {"question": "q", "answer": "a"},
    }
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_more_is_asked_when_a_job_is_tried_again_up_to_a_day(tmp_path, rule):
    changes = [(("influence_sets", "chains", "hessian"), "datainf")]
    if rule == "recover":
        changes.append((("variants", "wanda-50", "recovery"), "lora"))
    if rule == "generate_variants":
        changes.append((("run", "variants_per_engine"), 2))
    first, second, third = (
        needs(rule, settings_of(70e9, *changes), tmp_path, attempt) for attempt in (1, 2, 3)
    )
    assert second["mem_mb"] == pytest.approx(2 * first["mem_mb"], abs=2)
    assert third["mem_mb"] == pytest.approx(3 * first["mem_mb"], abs=3)
    assert first["mem_mb"] >= 1 * GB and first["runtime"] >= 10
    assert second["runtime"] in (pytest.approx(2 * first["runtime"], abs=2), MAX_MINUTES)
    assert third["runtime"] <= MAX_MINUTES == 1440


def test_a_larger_model_asks_for_more_of_both(tmp_path):
    for rule in ("collect_statistics", "score_influence", "allocate_sparsity", "build_mask"):
        small, large = (needs(rule, settings_of(size), tmp_path) for size in (0.1e9, 1e9))
        assert small["mem_mb"] < large["mem_mb"] and small["runtime"] < large["runtime"], rule


def test_files_tell_the_size_before_the_config_does(tmp_path):
    """The config's number, or none, until the model is fetched; then what it really is."""
    unknown, said = settings_of(None), settings_of(1e9)
    default = needs("allocate_sparsity", settings_of(UNKNOWN_WEIGHTS), tmp_path)
    assert needs("allocate_sparsity", unknown, tmp_path) == default
    assert needs("allocate_sparsity", said, tmp_path) != default
    folder = tmp_path / "resources/models/big"
    folder.mkdir(parents=True)
    for shard in ("model-1.safetensors", "model-2.safetensors"):
        with (folder / shard).open("wb") as file:
            file.truncate(30_000_000_000)  # without a byte on the disk
    assert needs("allocate_sparsity", unknown, tmp_path) == default  # a download goes on
    (folder / "manifest.json").write_text("{}")
    known = needs("allocate_sparsity", settings_of(30e9), tmp_path / "elsewhere")
    for settings in (unknown, said):
        assert needs("allocate_sparsity", settings, tmp_path) == known


def test_a_link_into_nowhere_is_no_error(tmp_path):
    folder = tmp_path / "resources/models/big"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "model.safetensors").symlink_to(tmp_path / "gone")
    assert needs("build_mask", settings_of(1e9), tmp_path)["mem_mb"] > 1 * GB


def computed(rule: str, root, *changes: tuple[tuple, object], weights: float = 2e9) -> float:
    """Minutes of a job beside the ten that it takes to start."""
    return needs(rule, settings_of(weights, *changes), root)["runtime"] - 10


def test_more_threads_take_less_time(tmp_path):
    four = (("generation", "threads"), 4)
    for rule in ("collect_statistics", "generate"):
        size = {"collect_statistics": 0.5e9, "generate": 0.3e9}[rule]
        alone, together = (computed(rule, tmp_path, *c, weights=size) for c in ((), (four,)))
        assert 2 < alone / together < 4.5 and alone < MAX_MINUTES - 10, rule


def test_on_a_gpu_the_machine_holds_no_gradient(tmp_path):
    gpu = (("pruning", "device"), "cuda")
    cpu, cuda = (needs("score_influence", settings_of(8e9, *c), tmp_path) for c in ((), (gpu,)))
    assert 16 * GB < cuda["mem_mb"] < 30 * GB < 2 * cpu["mem_mb"] / 3
    assert cuda["runtime"] < cpu["runtime"]


def test_datainf_goes_over_the_train_rows_three_times(tmp_path):
    rows = [
        (("influence_sets", "chains", f"{kind}_samples"), 64) for kind in ("train", "validation")
    ]
    once, thrice = (
        computed("score_influence", tmp_path, *rows, (("influence_sets", "chains", "hessian"), how))
        for how in ("identity", "datainf")
    )
    assert once > 5 and thrice == pytest.approx((3 + 1) / (1 + 1) * once, rel=0.1)


def test_a_search_holds_the_whole_model_on_a_cpu_and_not_in_the_machine_of_a_gpu(tmp_path):
    drop = {"method": "evopress-drop", "remove_parts": 8, "calibration": "chains"}
    evolved = {"allocation": {"kind": "evolved", "calibration": "chains"}}
    wanda = {"method": "wanda", "sparsity": 0.5, "calibration": "chains"}
    variants = ((("variants", "drop"), drop), (("variants", "evolved"), wanda | evolved))
    on_cpu = settings_of(8e9, *variants)
    on_gpu = settings_of(8e9, *variants, (("device",), "cuda"))
    for rule, variant, bytes_each in (
        ("build_mask", "drop", 4),
        ("allocate_sparsity", "evolved", 6),
    ):
        cpu = needs(rule, on_cpu, tmp_path, variant=variant)
        gpu = needs(rule, on_gpu, tmp_path, variant=variant)
        assert 8e3 * bytes_each < cpu["mem_mb"] < 1.6 * 8e3 * bytes_each + 8 * GB
        assert gpu["mem_mb"] < 12 * GB
        assert gpu["runtime"] <= cpu["runtime"] == 24 * 60
    assert 5 * 60 < needs("build_mask", on_gpu, tmp_path, variant="drop")["runtime"] < 8 * 60


def test_spectra_have_time_for_every_matrix(tmp_path):
    """An 8B model's would take some 40 minutes of one core at what was measured of its shapes."""
    kind = {"method": "magnitude", "sparsity": 0.5, "allocation": {"kind": "alphapruning"}}
    for threads, most in ((1, 180), (4, 60)):
        settings = settings_of(
            8e9, (("variants", "alpha"), kind), (("generation", "threads"), threads)
        )
        asked = needs("allocate_sparsity", settings, tmp_path, variant="alpha")
        assert 40 / threads < asked["runtime"] < most
        assert asked["mem_mb"] < 12 * GB


def test_a_benchmark_of_unknown_size_is_taken_for_a_large_one(tmp_path):
    unknown = (("benchmarks", "chains"), BENCHMARK)
    known = (("benchmarks", "chains"), BENCHMARK | {"problems": 100})
    for rule in ("generate", "grade_answers"):
        assert computed(rule, tmp_path, unknown) > computed(rule, tmp_path, known) > 0


def test_texts_for_calibration_have_answers_under_one_budget(tmp_path):
    long = (("generation", "answer_tokens"), 64)
    all_budgets = computed("generate", tmp_path, long, weights=1e7)
    assert (
        1 < computed("generate_calibration_traces", tmp_path, long, weights=1e7) < all_budgets / 3
    )


def test_a_small_model_has_a_millisecond_for_a_token(tmp_path):
    """The demo reasoner decoded 33,468 tokens in 33 s with one thread."""
    many = (("benchmarks", "chains"), BENCHMARK | {"problems": 10_000})
    tokens = 10_000 * 3 * (72 + 7 * 8)
    assert (
        tokens * 1e-3 / 60 <= computed("generate", tmp_path, many, weights=1e6) < tokens * 2e-3 / 60
    )


def test_a_shard_has_time_for_its_part_and_what_gathers_them_holds_no_model(tmp_path):
    whole, parts = (
        settings_of(70e9, (("generation", "shards"), n), (("generation", "batch_size"), 1))
        for n in (1, 4)
    )
    undivided, part = needs("generate", whole, tmp_path), needs("generate_shard", parts, tmp_path)
    assert part["mem_mb"] == undivided["mem_mb"]
    short = (settings_of(1e6, (("generation", "shards"), n)) for n in (1, 4))
    undivided, quarter = (needs("generate_shard", s, tmp_path)["runtime"] - 10 for s in short)
    assert 4 * (quarter - 1) <= undivided <= 4 * quarter
    assert needs("generate", parts, tmp_path)["mem_mb"] < 20 * GB


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_screen_has_a_block_two_heads_and_hidden_states_and_time_for_two_passes(tmp_path, device):
    """Of an 8B model: 36 blocks, a width of 4,096, 152k tokens."""
    problems, tokens = 50, 200 + 8192 + 1024
    settings = settings_of(
        8.2e9,
        (("device",), device),
        (("generation", "budgets"), [8192]),
        (("generation", "answer_tokens"), 1024),
        (("run", "screen"), {"problems": problems}),
    )
    asked = needs("screen_variant", settings, tmp_path)
    held = 8.2e9 / 36 * 4
    if device == "cpu":
        held += (2 * 152_000 * 4096 + 2 * tokens * 4096) * 4
    assert held / 1e6 + 1 * GB < asked["mem_mb"] < 1.5 * held / 1e6 + 9 * GB
    few = (("run", "screen"), {"problems": 1})
    more, less = (
        computed(
            "screen_variant",
            tmp_path,
            (("generation", "budgets"), [8192]),
            (("generation", "answer_tokens"), 1024),
            change,
        )
        for change in ((("run", "screen"), {"problems": problems}), few)
    )
    # 2e9 weights, 0.05e12 operations a second, both models
    assert less == pytest.approx(2 * 2 * 2e9 * tokens / 0.05e12 / 60, abs=2)
    assert more == pytest.approx(min(problems * less, MAX_MINUTES - 10), rel=0.1)


def test_variants_that_share_an_engine_have_time_for_each(tmp_path):
    engines, variants = (("run", "variants_per_engine"), 4), (("run", "variants"), ["dense", "m"])
    catalogue = (("variants", "m"), {"method": "magnitude", "sparsity": 0.5})
    alone, shared = (settings_of(1e6, catalogue, variants, *more) for more in ((), (engines,)))
    one = needs("generate", alone, tmp_path, variant="m")
    two = needs("generate_variants", shared, tmp_path, engine="1")
    assert two["mem_mb"] == one["mem_mb"]
    assert abs((two["runtime"] - 10) - 2 * (one["runtime"] - 10)) <= 1
    assert needs("generate", shared, tmp_path, variant="m")["runtime"] == 60


def test_every_gpu_has_a_process_of_its_own(tmp_path):
    cuda = (("generation", "device"), "cuda"), (("generation", "engine"), "vllm")
    one, two = (
        needs("generate", settings_of(8e9, *cuda, (("generation", "tensor_parallel"), n)), tmp_path)
        for n in (1, 2)
    )
    assert two["mem_mb"] > one["mem_mb"] + 4 * GB and two["runtime"] <= one["runtime"]


def test_a_token_passes_the_experts_that_it_is_sent_to(tmp_path):
    """One of four; and all of the rest."""
    attention, expert = "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.experts"
    names = [
        f"{expert}.{n}.{role}_proj.weight" for n in range(4) for role in ("gate", "up", "down")
    ]
    tensors = {attention: torch.zeros(12, 10)} | {name: torch.zeros(6, 5) for name in names}
    path = tmp_path / "model.safetensors"
    save_tensors(path, tensors, {})
    (tmp_path / "config.json").write_text('{"num_experts_per_tok": 1}')
    assert active_share((path,)) == pytest.approx((120 + 90) / (120 + 360))


def depth(method: str) -> tuple[tuple, object]:
    entry = {"method": method, "remove_blocks": 3, "calibration": "chains"}
    return (("variants", "wanda-50"), entry)


def test_losses_have_time_for_half_of_as_many_passes(tmp_path):
    """32 blocks: 30, 29 and 28 losses, fewer blocks in each; of every block alone, 32."""
    few = (("calibration_sets", "chains", "samples"), 16)
    once = computed("collect_statistics", tmp_path, few, weights=1e9)
    for method, losses in (("sleb", 30 + 29 + 28), ("shortened-ppl", 32)):
        minutes = computed("build_mask", tmp_path, few, depth(method), weights=1e9)
        assert 0.45 * losses < minutes / once < 0.6 * losses, method
    pruner = {"method": "llm-pruner", "sparsity": 0.5, "calibration": "chains"}
    for change in (depth("shortened-taylor"), (("variants", "wanda-50"), pruner)):
        gradients = computed("build_mask", tmp_path, few, change, weights=1e9)
        assert 3 < gradients / once < 6


def test_losses_hold_a_batch_and_gradients_what_enters_every_block(tmp_path):
    """Llama-3.1-8B with 128 x 2,048 tokens: a block, the head, 30 states of a batch; 32 of all."""
    block, head, state = 8e9 / 32 * 4, 128256 * 4096 * 4, 4096 * 4
    for method, held in (
        ("sleb", head + block + 30 * 2048 * state),
        ("shortened-taylor", head + 3 * block + 32 * 128 * 2048 * state),
    ):
        asked = needs("build_mask", settings_of(8e9, depth(method)), tmp_path)["mem_mb"]
        assert held / 1e6 + 1 * GB < asked < 2 * held / 1e6 + 3 * GB, method
    gpu = (("pruning", "device"), "cuda")
    for method in ("sleb", "shortened-taylor"):
        asked = needs("build_mask", settings_of(8e9, depth(method), gpu), tmp_path)["mem_mb"]
        assert 8 * GB <= asked < 10 * GB


def test_blocks_are_counted_in_files(tmp_path):
    folder = tmp_path / "resources/models/big"
    folder.mkdir(parents=True)
    names = [f"model.layers.{block}.self_attn.q_proj.weight" for block in range(7)]
    save_tensors(folder / "model.safetensors", {name: torch.zeros(4, 4) for name in names}, {})
    (folder / "manifest.json").write_text("{}")
    job = Job(settings_of(1e9), NAMES, tmp_path)
    assert job.layers == 7
    assert Job(settings_of(1e9), NAMES, tmp_path / "elsewhere").layers == 32


def test_training_has_time_for_its_passes_and_memory_for_what_it_holds(tmp_path):
    """Adapters of an 8B model: on a CPU the weights in fp32, on a GPU they only pass through."""
    keys = {"length": 1024, "steps": 10, "batch": 4, "micro_batch": 1}
    changes = [(("recoveries", "lora", key), number) for key, number in keys.items()]
    changes.append((("variants", "wanda-50", "recovery"), "lora"))
    asked = needs("recover", settings_of(8e9, *changes), tmp_path)
    logits = 1024 * 128_256 * 4
    assert (8e9 * 4 + 3 * logits) / 1e6 < asked["mem_mb"] < 1.6 * (8e9 * 4 + 3 * logits) / 1e6
    assert asked["runtime"] - 10 == pytest.approx(3 * 2 * 8e9 * 10 * 4 * 1024 / 0.05e12 / 60, abs=1)
    on_gpu = needs("recover", settings_of(8e9, *changes, (("pruning", "device"), "cuda")), tmp_path)
    assert 16 * GB < on_gpu["mem_mb"] < 32 * GB and on_gpu["runtime"] < asked["runtime"] / 10
    full = (("recoveries", "lora"), {"kind": "full", "learning_rate": 0.1} | keys)
    whole = needs("recover", settings_of(8e9, full, changes[-1]), tmp_path)
    assert 8e9 * 16 / 1e6 < whole["mem_mb"] < 1.5 * 8e9 * 16 / 1e6
    assert whole["runtime"] > asked["runtime"]
