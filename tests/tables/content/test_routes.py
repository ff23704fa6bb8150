"""What dynamic variants skip: shares against slow counts, and whom they are compared with."""

import json
import math
from statistics import mean, stdev

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.tables.dynamic_results import (
    BUDGETS,
    DYNAMIC,
    OPTIONS,
    PROBLEMS,
    SKIPPED,
    SPARED,
    WAYS,
    record_of,
    routes_of,
)
from tests.tables.sources import mask
from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.tables.content.cells import COLUMNS, RAN, load_cells
from workflow_scripts.tables.content.columns import read_table
from workflow_scripts.tables.content.comparison_text import full_sections
from workflow_scripts.tables.content.removals import (
    equal_sizes,
    equal_unused,
    matched,
    ratios_of,
    read_masks,
    sizes_of,
    unused_of,
)
from workflow_scripts.tables.content.routes import routes
from workflow_scripts.tables.content.source import Source

PARTS = ("attention", "mlp")


@pytest.fixture
def rows(dynamic_source) -> pd.DataFrame:
    return read_table(dynamic_source.tables, "routes").set_index(["variant", "budget"])


def slowly(source: Source, variant: str, budget: int, field: str) -> list[dict[str, float]]:
    """The skipped shares of each problem, means over its repeats, from the file of answers."""
    path = source.results / "reasoner" / variant / "answers/chains.jsonl"
    found: dict[str, list[dict[str, float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        answer = json.loads(line)
        if answer["budget"] == budget and field in answer:
            found.setdefault(answer["id"], []).append(answer[field])
    return [
        {part: 1 - mean(ran[part] for ran in repeats) for part in PARTS}
        for repeats in found.values()
    ]


@pytest.mark.parametrize("variant", DYNAMIC)
def test_shares_are_means_over_problems_with_students_interval(dynamic_source, rows, variant):
    for budget in BUDGETS:
        row = rows.loc[variant, budget]
        for of, field, size in (("trace", "trace_ran", PROBLEMS - 1), ("answer", "ran", PROBLEMS)):
            problems = slowly(dynamic_source, variant, budget, field)
            assert len(problems) == size  # the first problem has an empty trace
            numbers = {
                "attention": [one["attention"] for one in problems],
                "mlp": [one["mlp"] for one in problems],
                "skipped": [(one["attention"] + one["mlp"]) / 2 for one in problems],
                "unused": [sum(SPARED[part] * one[part] for part in PARTS) for one in problems],
            }
            for what, values in numbers.items():
                name = f"{of}_{what}"
                reach = stats.t.ppf(0.975, size - 1) * stdev(values) / math.sqrt(size)
                wanted = [mean(values), mean(values) - reach, mean(values) + reach]
                assert [*row[[name, f"{name}_low", f"{name}_high"]]] == pytest.approx(
                    wanted, abs=1e-6
                )


def test_beside_them_stand_what_was_asked_and_the_accuracy_of_the_comparison(dynamic_source, rows):
    comparison = read_table(dynamic_source.tables, "comparison")
    against = comparison[comparison["reference"] == "dense"].set_index(["variant", "budget"])
    assert [*rows.index] == [(variant, budget) for variant in DYNAMIC for budget in BUDGETS]
    for place, row in rows.iterrows():
        asked, shares = SKIPPED[place[0]]
        assert (row.asked, row.validation) == (asked, asked)
        unused = sum(SPARED[part] * share for part, share in zip(PARTS, shares, strict=True))
        assert row.validation_unused == pytest.approx(unused)
        other = against.loc[place]
        assert (row.accuracy, row.difference, row.difference_low, row.difference_high) == (
            other.accuracy, other.difference, other.ci_low, other.ci_high,
        )  # fmt: skip
        assert (row.p_holm, row.verdict) == (other.p_holm, other.verdict)


def test_what_was_never_decoded_is_not_known(dynamic_source):
    cells = load_cells(dynamic_source.tables)
    attributes = cells.attrs
    empty = cells.assign(**dict.fromkeys(RAN, np.nan))
    empty.attrs = attributes
    masks = read_masks(dynamic_source.results, ["reasoner"], DYNAMIC)
    found = routes(empty, masks, dynamic_source.table("comparison"), "none")
    shares = [name for name in found if name.startswith(("trace_", "answer_"))]
    assert len(found) == len(DYNAMIC) * len(BUDGETS) and found[shares].isna().all(axis=None)
    assert found["difference"].isna().all() and (found["verdict"] == "").all()


def test_cells_say_what_ran_only_where_tokens_skip(dynamic_source, pair_source):
    assert [*load_cells(dynamic_source.tables).columns] == [*COLUMNS, *RAN]
    assert [*load_cells(pair_source.tables).columns] == COLUMNS
    cells = load_cells(dynamic_source.tables)
    known = cells.loc[cells[RAN[0]].notna(), "variant"]
    assert {*known} == {*DYNAMIC}


@pytest.fixture
def masks() -> dict[str, MaskRecord]:
    return {variant: MaskRecord.model_validate(record_of(variant)) for variant in WAYS}


def test_dynamic_variants_stand_beside_the_nearest_static_ones_of_each_family(masks):
    """0.165 unused; with trained weights 0.18. None is near 0.335 or 0.044."""
    assert equal_unused(masks, WAYS) == [
        ("skipgpt-20", "wanda-20"), ("skipgpt-20", "flap-20"), ("skipgpt-20", "shortgpt-1"),
        ("skipgpt-20-lora", "flap-20-lora"),
    ]  # fmt: skip
    unknown = masks["skipgpt-20"].dynamic.model_copy(update={"unused": None})
    untrained = masks | {"skipgpt-20": masks["skipgpt-20"].model_copy(update={"dynamic": unknown})}
    assert equal_unused(untrained, WAYS) == [("skipgpt-20-lora", "flap-20-lora")]
    assert math.isnan(unused_of(untrained["skipgpt-20"]))


def test_of_a_family_the_nearest_alone_are_partners_and_none_that_is_far(masks):
    near = {"a": 0.21, "b": 0.2, "c": 0.203, "d": 0.12}
    known = {"skipgpt-20": masks["skipgpt-20"]} | {
        name: MaskRecord.model_validate(mask(share)) for name, share in near.items()
    }
    ways = WAYS | dict.fromkeys(near, WAYS["wanda-20"])
    assert equal_unused(known, ways) == [("skipgpt-20", "b"), ("skipgpt-20", "c")]
    far = {"skipgpt-20": masks["skipgpt-20"], "e": MaskRecord.model_validate(mask(0.22))}
    assert equal_unused(far, ways | {"e": WAYS["wanda-20"]}) == []


def test_what_removes_nothing_is_no_structured_variant(masks):
    named = {name for pair in (*matched(masks, WAYS), *equal_sizes(masks, WAYS)) for name in pair}
    assert named and not named & {*DYNAMIC}


def test_the_unused_share_is_what_is_removed_or_what_was_measured(masks):
    of_all = {("m", variant): record for variant, record in masks.items()}
    for variant, record in masks.items():
        found = ratios_of(of_all, "m", variant)
        if variant in DYNAMIC:
            assert found.unused == record.dynamic.unused > 0 > found.removed
        else:
            assert found.unused == found.removed
    assert sizes_of(masks) == {variant: unused_of(record) for variant, record in masks.items()}
    static = {variant: record for variant, record in masks.items() if variant not in DYNAMIC}
    assert sizes_of(static) == {variant: one.removed_of_all for variant, one in static.items()}


def test_the_comparison_has_these_pairs_as_a_family_with_the_share_that_they_are_equal_in(
    dynamic_source,
):
    rows = read_table(dynamic_source.tables, "comparison")
    pairs = rows[rows["family"] == "unused of reasoner"]
    named = [*dict.fromkeys(zip(pairs["variant"], pairs["reference"], strict=True))]
    assert len(pairs) == 4 * len(BUDGETS) and named[-1] == ("skipgpt-20-lora", "flap-20-lora")
    one = pairs.iloc[0]
    assert (one.unused, one.reference_unused) == pytest.approx((0.165, 0.2))
    *_, section = full_sections(rows, "dense")
    assert section.title == (
        "reasoner on chains, dynamic against static of about equal unused weights"
    )
    assert [*section.frame.columns[:5]] == ["dynamic − static", "asked", "blocks", "all", "unused"]
    assert section.frame["unused"].iloc[0] == "16.5 / 20.0"
    assert "Unused: % of the blocks' weights that a token does not use" in section.caption


def test_pages_tell_the_unused_share_only_where_it_is_another_one(dynamic_source, pair_source):
    for name in ("accuracy", "comparison"):
        told, not_told = (
            (source.tables / f"{name}.md").read_text(encoding="utf-8")
            for source in (dynamic_source, pair_source)
        )
        assert "|   unused |" in told and "Unused: %" in told
        assert "unused" not in not_told.lower(), name


def test_blocks_and_kinds_of_tokens_are_those_of_the_routes(dynamic_source):
    blocks = read_table(dynamic_source.tables, "routes_by_block")
    kinds = read_table(dynamic_source.tables, "routes_by_kind")
    for variant in DYNAMIC:
        record = routes_of(variant)
        of_variant = blocks[blocks["variant"] == variant]
        assert [*of_variant["block"]] == [*range(record.blocks)]
        for part in PARTS:
            ran = [count / record.traces.tokens for count in getattr(record.traces, part)]
            assert [*of_variant[part]] == pytest.approx([1 - share for share in ran], abs=1e-6)
            for kind, counted in record.kinds.items():
                (row,) = kinds[(kinds["variant"] == variant) & (kinds["kind"] == kind)].itertuples()
                assert row.tokens == counted.tokens
                wanted = 1 - mean(getattr(counted, part)) / counted.tokens
                assert getattr(row, part) == pytest.approx(wanted, abs=1e-6)
    # in one order, whatever that of the file
    assert [*kinds["kind"].unique()] == ["digit", "delimiter", "word", "special"]


def test_the_page_shows_shares_in_percent_and_then_those_beside_it(dynamic_source):
    text = (dynamic_source.tables / "routes.md").read_text(encoding="utf-8")
    assert "**reasoner on chains: what is skipped**: 30 problems × 2 repeats." in text
    (line,) = [
        one for one in text.splitlines() if one.startswith("| skipgpt-40 ") and " 64 |" in one
    ]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[2:4] == ["40.0", "40.0"] and cells[4].startswith("42.4 [41.4, ")
    assert cells[-1].startswith("−0.650 [") and cells[-1].endswith("†")
    assert "what is skipped by kind of token" in text
    assert "dynamic against static of about equal unused weights" in text
    assert "| skipgpt-20 − shortgpt-1 " in text


def test_of_the_files_that_are_there_a_run_without_some_tells_the_rest(dynamic_source, tmp_path):
    source = Source(tmp_path, dynamic_source.tables, OPTIONS)
    assert source.routes("reasoner", "chains") == {}
    assert [*dynamic_source.routes("reasoner", "chains")] == DYNAMIC
