"""What answers cost: against sums token by token, from the files that stages write."""

import math

import pandas as pd
import pytest

from tests.tables.priced import (
    BUDGETS,
    PROBLEMS,
    PROMPTS,
    RECORD,
    SIZES,
    VARIANTS,
    write_run,
)
from workflow_scripts.artefacts.mask_records import read_mask_record
from workflow_scripts.estimates.work import Work, variant_work
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.tables.content.columns import read_table
from workflow_scripts.tables.table import make


@pytest.fixture(scope="module")
def source(tmp_path_factory, tiny_model):
    source = write_run(tmp_path_factory.mktemp("run"), tiny_model("llama", **SIZES))
    make("cost", source)
    return source


def rows_of(source) -> pd.DataFrame:
    return read_table(source.tables, "cost").set_index(["variant", "budget"])


def work_of(source, variant: str) -> Work:
    record = read_mask_record(source.results / "m" / variant / "mask.json")
    return variant_work(open_checkpoint(source.resources / "m"), record)


def token_by_token(work: Work, prompt: int, trace: int, put: int, answer: int) -> dict[str, float]:
    """One answer's prices, every token by itself; two bytes a number."""
    ends = (prompt, prompt + trace, prompt + trace + put, prompt + trace + put + answer)
    flops, moved, cached = [0.0, 0.0, 0.0], 0.0, 0.0
    for place in range(ends[-1]):
        part = 0 if place < ends[0] else 1 if place < ends[1] else 2
        is_decoded = ends[0] <= place < ends[1] or place >= ends[2]
        for block in work.blocks:
            weights = block.attention.products + block.mlp.products
            flops[part] += 2 * (weights + block.pairs * (place + 1))
            cached += 2 * block.cached * (1 + (place + 1 if is_decoded else 0))
        flops[part] += 2 * work.head if is_decoded else 0
        moved += 2 * work.read_weights() if is_decoded else 0
    held = 2 * (work.parameters + ends[-1] * sum(block.cached for block in work.blocks))
    return {
        **dict(zip(("prompt_flops", "trace_flops", "answer_flops"), flops, strict=True)),
        "moved_weight_bytes": moved + 2 * work.read_weights(),  # and once for the prompt
        "moved_cache_bytes": cached,
        "held_bytes": held,
    }


@pytest.mark.parametrize("variant", ["dense", "wanda-50", "shortgpt-1"])
@pytest.mark.parametrize("budget", BUDGETS)
def test_prices_are_means_of_what_every_token_takes(source, variant, budget):
    work, trace = work_of(source, variant), min(budget, 10)
    put = 3 if budget <= 10 else 1
    each = pd.DataFrame(
        token_by_token(work, prompt, trace, put, 2 + repeat)
        for prompt in PROMPTS.values()
        for repeat in range(2)
    )
    row = rows_of(source).loc[variant, budget]
    for name, mean in each.mean().items():
        assert row[name] == round(mean), name
    assert row["flops"] == pytest.approx(
        row[["prompt_flops", "trace_flops", "answer_flops"]].sum(), abs=2
    )
    assert row["moved_bytes"] == pytest.approx(
        row["moved_weight_bytes"] + row["moved_cache_bytes"], abs=2
    )
    assert row["prompt_tokens"] == sum(PROMPTS.values()) / PROBLEMS
    assert (row["trace_tokens"], row["answer_tokens"]) == (trace, 2.5)


def test_keys_are_those_of_accuracies_in_their_order(source):
    make("accuracy", source)
    keys = ["model", "variant", "benchmark", "budget", "problems", "repeats"]
    one, other = (read_table(source.tables, name)[keys] for name in ("accuracy", "cost"))
    assert one.equals(other)


def test_a_mask_saves_no_work_of_dense_kernels_and_a_block_does(source):
    rows = rows_of(source)
    for budget in BUDGETS:
        dense, masked, short = (rows.loc[name, budget] for name in VARIANTS[:3])
        assert masked["flops"] == dense["flops"] == dense["kept_flops"] > masked["kept_flops"]
        assert masked["held_bytes"] == dense["held_bytes"]
        assert short["flops"] == short["kept_flops"] < dense["flops"]
    # attention and head are as before: of the rest a half
    work, prompt = work_of(source, "wanda-50"), sum(PROMPTS.values()) / PROBLEMS
    linears = 2 * sum(block.attention.products + block.mlp.products for block in work.blocks)
    saved = rows.loc[("wanda-50", 16), "flops"] - rows.loc[("wanda-50", 16), "kept_flops"]
    assert saved == pytest.approx(linears / 2 * (prompt + 10 + 1 + 2.5), abs=2)


def test_sizes_are_of_the_forms_that_there_are(source):
    rows = rows_of(source).xs(16, level="budget")
    work = work_of(source, "dense")
    assert rows["form"].to_dict() == {
        "dense": "dense", "wanda-50": "masked", "shortgpt-1": "fewer blocks",
        "wanda-2-4": "masked 2:4",
    }  # fmt: skip
    assert rows["disk_bytes"].to_dict() == dict.fromkeys(VARIANTS, 2000) | {"shortgpt-1": 1400}
    assert rows.loc["dense", "memory_bytes"] == 2 * work.parameters
    assert rows.loc["shortgpt-1", "memory_bytes"] < 2 * work.parameters
    # 2:4 holds half of the values, each with two bits
    linears = sum(block.attention.products + block.mlp.products for block in work.blocks)
    compressed = 2 * (work.parameters - linears / 2) + linears / 2 * 2 / 8
    assert rows.loc["wanda-2-4", "compressed_bytes"] == round(compressed)
    assert rows["compressed_bytes"].notna().sum() == 1
    assert set(rows["engine"]) == {"transformers"} and set(rows["batch"]) == {"8"}


def test_times_are_there_where_they_are_asked_for(source, tmp_path, tiny_model):
    assert rows_of(source)[["tokens_per_second", "seconds"]].isna().all(axis=None)
    timed = write_run(tmp_path, tiny_model("llama", **SIZES))
    log = tmp_path / "logs/generate/m/dense.log"
    log.parent.mkdir(parents=True)
    log.write_text("m/dense: decoded 72 completions in 0:00:07, 50 tokens/s\n")
    for part, (count, speed) in {"1-of-2": (30, 60), "2-of-2": (10, 20)}.items():
        log = tmp_path / f"logs/generate_shard/m/shortgpt-1/{part}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        said = f"decoded {count} completions in 0:00:01, {speed} tokens/s"
        log.write_text(f"m/shortgpt-1 {part}: {said}\n")
    timed.options["logs"] = str(tmp_path / "logs")
    make("cost", timed)
    rows = rows_of(timed)
    assert rows.loc[("dense", 8), "tokens_per_second"] == 50
    assert rows.loc[("dense", 8), "seconds"] == pytest.approx(10.5 / 50)
    assert rows.loc[("shortgpt-1", 8), "tokens_per_second"] == 40 / (30 / 60 + 10 / 20)
    assert math.isnan(rows.loc[("wanda-50", 8), "seconds"])
    assert "time, s" in (timed.tables / "cost.md").read_text()


def test_what_is_not_known_is_empty(tmp_path, tiny_model):
    """A record without lengths of prompts, and a model whose files are gone."""
    old = write_run(tmp_path / "old", tiny_model("llama", **SIZES),
                    {"settings": {"dtype": "float32"}})  # fmt: skip
    make("cost", old)
    rows = rows_of(old)
    assert rows["flops"].isna().all() and rows["trace_tokens"].notna().all()
    assert rows["memory_bytes"].notna().all()
    gone = write_run(tmp_path / "gone", tiny_model("llama", **SIZES), RECORD)
    (gone.resources / "m").unlink()
    make("cost", gone)
    rows = rows_of(gone)
    assert rows[["flops", "held_bytes", "memory_bytes"]].isna().all(axis=None)
    assert rows["prompt_tokens"].notna().all()
    assert "–" in (gone.tables / "cost.md").read_text()
