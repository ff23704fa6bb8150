import math

import pandas as pd
import pytest

from tests.tables.sources import mask, named_ways, source_of, write_masks
from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.artefacts.records import Answer, Grade
from workflow_scripts.tables.content.cells import FILE, read_cells, write_cells
from workflow_scripts.tables.content.columns import read_table, write_table
from workflow_scripts.tables.content.comparison import areas, compare
from workflow_scripts.tables.content.comparison_text import (
    area_sections,
    full_sections,
    short_sections,
)
from workflow_scripts.tables.content.removals import equal_sizes, matched, read_masks
from workflow_scripts.tables.paper.claims import check_claims
from workflow_scripts.tables.statistics.differences import holm
from workflow_scripts.tables.table import make
from workflow_scripts.tables.ways import Way

BUDGETS = (6, 12)
# problems of 30 that each repeat gets right, by variant and budget
RIGHT = {
    "dense": (10, 20),
    "wanda-20": (10, 20),
    "wanda-50": (9, 19),
    "shortgpt-1": (10, 2),
    "shortgpt-2": (2, 2),
}
WAYS = named_ways(RIGHT)
MASKS = {
    "dense": mask(0.0), "wanda-20": mask(0.2), "wanda-50": mask(0.5),
    "shortgpt-1": mask(0.1667, (3,)), "shortgpt-2": mask(0.3333, (3, 2)),
}  # fmt: skip


def graded(right: tuple[int, ...], repeats: int = 2):
    grades, answers = [], []
    for number in range(30):
        for repeat in range(repeats):
            for budget, enough in zip(BUDGETS, right, strict=True):
                at = (f"p-{number:02}", repeat, budget)
                grades.append(Grade(*at, "1", number < enough, "stated"))
                answers.append(Answer(*at, 0, budget, "length", 2, "eos", "1"))
    return grades, answers


@pytest.fixture
def results(write_results):
    for variant, right in RIGHT.items():
        grades, answers = graded(right)
        folder = write_results("m", variant, "b", grades=grades, answers=answers)
    write_masks(folder, MASKS)
    return folder


@pytest.fixture
def run(results):
    return read_cells(results, ["m"], list(RIGHT), ["b"])


@pytest.fixture
def masks(results):
    return read_masks(results, ["m"], list(RIGHT))


def masks_of(folder, records, model="m"):
    write_masks(folder, records, model)
    return read_masks(folder, [model], list(records))


def test_matched_partners_remove_at_least_as_much_and_no_more_than_needed(tmp_path):
    found = masks_of(
        tmp_path,
        {
            "short-1": mask(0.167, [3], blocks=8), "short-2": mask(0.333, [2, 3], blocks=8),
            "short-4": mask(0.667, [0, 1, 2, 3], blocks=8), "dense": mask(0.0),
            "a-20": mask(0.2), "b-20": mask(0.2004), "a-50": mask(0.5),
        },
    )  # fmt: skip
    assert matched(by_variant(found), named_ways(by_variant(found))) == [
        ("a-20", "short-1"), ("b-20", "short-1"), ("a-50", "short-2"),
    ]  # fmt: skip


def by_variant(masks):
    return {variant: one for (_, variant), one in masks.items()}


def test_width_has_unstructured_partners_too_and_dense_is_none(tmp_path):
    shares = {"dense": 0.0, "a-20": 0.2, "flap-20": 0.19, "flap-0": 0.001}
    found = by_variant(masks_of(tmp_path, {name: mask(share) for name, share in shares.items()}))
    assert matched(found, named_ways(found)) == [("a-20", "flap-20"), ("a-20", "flap-0")]


def test_structured_variants_of_two_families_are_paired_by_their_share_of_all_parameters(tmp_path):
    """What is gone of the blocks, 20 % in all of them, plays no part."""
    sizes = {
        "dense": 0.0, "wanda-20": 0.17, "short-1": 0.17, "sleb-1": 0.17, "short-2": 0.34,
        "flap-20": 0.174, "flap-25": 0.2, "flap-40": 0.29, "slicegpt-20": 0.101,
    }  # fmt: skip
    found = by_variant(masks_of(tmp_path, {v: mask(0.2, of_all=s) for v, s in sizes.items()}))
    assert equal_sizes(found, named_ways(found)) == [
        # nearest to each other, flap-25 and flap-40 to the one that is nearest to them
        ("short-1", "flap-20"), ("short-1", "flap-25"),
        ("sleb-1", "flap-20"), ("sleb-1", "flap-25"),
    ]  # fmt: skip
    near = {"short-2": mask(0.3, of_all=0.34), "flap-40": mask(0.4, of_all=0.295)}
    found = by_variant(masks_of(tmp_path / "near", near))
    assert equal_sizes(found, named_ways(found)) == [("short-2", "flap-40")]


def test_every_variant_is_compared_with_dense_and_blocks_with_weights(run, masks):
    rows = compare(run, "dense", masks, WAYS)
    dense = rows[rows["family"] == "dense of m"].set_index(["variant", "budget"])
    assert list(dense.index) == [(v, budget) for v in list(RIGHT)[1:] for budget in BUDGETS]
    others = rows[rows["family"] == "structured of m"]
    assert list(zip(others["variant"], others["reference"], others["budget"], strict=True)) == [
        (*pair, budget)
        for pair in (("wanda-20", "shortgpt-1"), ("wanda-50", "shortgpt-2"))
        for budget in BUDGETS
    ]
    verdicts = dense["verdict"]
    assert verdicts["shortgpt-1", 12] == verdicts["shortgpt-2", 12] == "worse"
    assert verdicts["wanda-20", 6].startswith("no difference larger than 0.0")
    assert list(others["verdict"])[1] == "better"
    lost = dense.loc["shortgpt-1", 12]
    assert lost.difference == pytest.approx(-0.6) and lost.p == pytest.approx(2 / 2**18)
    assert (lost.accuracy, lost.reference_accuracy) == (pytest.approx(2 / 30), pytest.approx(2 / 3))
    assert (lost.removed, lost.reference_removed) == (0.1667, 0.0)
    assert (lost.requested, lost.removed_of_all) == (0.1667, 0.9 * 0.1667)
    pair = others.iloc[0]
    assert (pair.removed, pair.reference_removed) == (0.2, 0.1667)
    assert (pair.removed_of_all, pair.reference_removed_of_all) == (0.9 * 0.2, 0.9 * 0.1667)


def test_depth_and_width_of_about_the_same_size_are_compared(run, masks, tmp_path):
    """wanda-50 under another name: as good, but of heads and neurons."""
    other = masks | masks_of(tmp_path, {"wanda-50": mask(0.4, of_all=0.31)})
    ways = WAYS | {"wanda-50": named_ways(["flap-40"])["flap-40"]}
    rows = compare(run, "dense", other, ways)
    pairs = rows[rows["family"] == "size of m"]
    assert list(zip(pairs["variant"], pairs["reference"], pairs["budget"], strict=True)) == [
        ("wanda-50", "shortgpt-2", budget) for budget in BUDGETS
    ]
    assert pairs.iloc[1].verdict == "better" and pairs.iloc[1].removed_of_all == 0.31
    assert list(pairs["p_holm"]) == holm(list(pairs["p"]))
    *_, section = short_sections(rows, "dense")
    assert section.title == "m on b, structured variants of about equal size"
    assert list(section.frame.iloc[0, :4]) == [
        "wanda-50 − shortgpt-2", "40.0 / 33.3", "40.0 / 33.3", "31.0 / 30.0",
    ]  # fmt: skip
    claim = "unstructured pruning is better than removing blocks with as many weights"
    assert asked(run, rows, other, ways)[claim] == "holds"


def test_p_values_are_corrected_within_their_family(run, masks):
    for _, members in compare(run, "dense", masks, WAYS).groupby("family"):
        assert list(members["p_holm"]) == holm(list(members["p"]))


def test_without_the_reference_or_masks_what_can_be_compared_is(run):
    assert compare(run, "none", {}, WAYS).empty
    rows = compare(run, "dense", {}, WAYS)
    assert set(rows["family"]) == {"dense of m"} and rows["removed"].isna().all()


def test_a_repeat_that_says_the_same_makes_no_difference_surer(run, masks):
    once = run[run["repeat"] == 0]
    rows, others = compare(run, "dense", masks, WAYS), compare(once, "dense", masks, WAYS)
    pd.testing.assert_frame_equal(rows, others.assign(repeats=2))
    pd.testing.assert_frame_equal(areas(run, "dense"), areas(once, "dense"))


def test_areas_and_their_differences(run):
    rows = areas(run, "dense").set_index("variant")
    assert rows.area["dense"] == pytest.approx(0.5) and math.isnan(rows.difference["dense"])
    short, wanda = rows.loc["shortgpt-1"], rows.loc["wanda-20"]
    assert short.area == pytest.approx((10 + 2) / 60)
    assert short.difference == pytest.approx(-18 / 60)
    assert short.difference_low < -0.3 < short.difference_high < 0
    assert wanda.difference_low < 0 < wanda.difference_high


def test_several_benchmarks_give_one_area_for_each_variant(write_results):
    pairs = {"dense": ((10, 20), (20, 28)), "wanda-50": ((10, 20), (14, 22))}
    for variant, rights in pairs.items():
        for benchmark, right in zip("bc", rights, strict=True):
            grades, answers = graded(right)
            folder = write_results("m", variant, benchmark, grades=grades, answers=answers)
    grades, answers = graded((1, 1))
    write_results("m", "partial", "b", grades=grades, answers=answers)
    rows = areas(read_cells(folder, ["m"], ["dense", "wanda-50", "partial"], ["b", "c"]), "dense")
    means = rows[rows["benchmark"] == "(mean)"].set_index("variant")
    assert set(means.index) == {"dense", "wanda-50"}
    assert means.area["dense"] == pytest.approx((0.5 + 0.8) / 2)
    assert math.isnan(means.difference["dense"])
    mean = means.loc["wanda-50"]
    assert mean.difference == pytest.approx(-0.1)
    parts = rows[(rows["variant"] == "wanda-50") & (rows["benchmark"] != "(mean)")]
    below = parts["difference"] - parts["difference_low"]
    assert mean.difference_low == pytest.approx(-0.1 - math.hypot(*below) / 2)
    assert mean.ci_low < mean.area < mean.ci_high


def test_areas_over_other_budgets_are_left_out(write_results):
    for variant, budgets in {"dense": 3, "wanda-20": 2, "wanda-50": 3}.items():
        accuracy = dict.fromkeys((6, 12, 24)[:budgets], 0.5)
        folder = write_results("m", variant, "b", accuracy=accuracy)
    variants = ["dense", "wanda-20", "wanda-50"]
    found = areas(read_cells(folder, ["m"], variants, ["b"]), "dense")
    assert list(zip(found["variant"], found["budgets"], strict=True)) == [
        ("dense", 3), ("wanda-50", 3),
    ]  # fmt: skip
    asked = read_cells(folder, ["m"], variants, ["b"], [6, 12])
    assert list(areas(asked, "dense")["budgets"]) == [2, 2, 2]
    assert areas(read_cells(folder, ["m"], variants, ["b"], [6, 12, 24, 48]), "dense").empty


def test_the_short_form_marks_what_differs_and_what_cannot_be_told(run, masks):
    rows = compare(run, "dense", masks, WAYS)
    against, blocks = short_sections(rows, "dense")
    columns = ["variant", "asked", "blocks", "all", "6", "12", "detectable"]
    assert list(against.frame.columns) == columns
    assert list(against.frame.iloc[1, 1:4]) == ["50.0", "50.0", "45.0"]
    at_12 = against.frame.set_index("variant")["12"]
    assert at_12["shortgpt-1"].startswith("−0.60 ±") and at_12["shortgpt-1"].endswith("†")
    assert not at_12["wanda-20"].endswith(("†", "?"))
    assert "correction over 8 comparisons" in against.caption
    assert list(blocks.frame.iloc[0, :4]) == [
        "wanda-20 − shortgpt-1", "20.0 / 16.7", "20.0 / 16.7", "18.0 / 15.0",
    ]  # fmt: skip
    assert "over 4 comparisons" in blocks.caption
    (area,) = area_sections(areas(run, "dense"), "dense")
    assert list(area.frame["variant"]) == list(RIGHT)
    full, _ = full_sections(rows, "dense", ["m/x: b"])
    assert rows["verdict"].iloc[0] == "no difference larger than 0.092"
    assert full.frame.iloc[0, -1] == "≤ 0.092"
    assert full.caption.endswith("Missing: m/x: b.")


def asked(run, rows, masks, ways=WAYS):
    return check_claims(run, rows, masks, ways, "dense").set_index("claim")["result"]


def test_claims_are_judged_by_the_verdicts(run, masks):
    assert asked(run, compare(run, "dense", masks, WAYS), masks).to_dict() == {
        "dense is better with its largest budget than with its smallest": "holds",
        "removing whole blocks costs accuracy": "holds",
        "unstructured pruning is better than removing blocks with as many weights": "holds",
        "unstructured pruning of up to 20% costs no accuracy": "holds",
        "unstructured pruning of up to 20% is better than dense somewhere": "does not hold",
    }


def named(run, model):
    """A run of a model of which nothing is graded."""
    nothing = run[:0].copy()
    nothing.attrs = run.attrs | {"models": [model]}
    return nothing


@pytest.mark.parametrize(("benchmark", "result"), [("AIME24", "holds"), ("b", "not in this run")])
def test_the_gain_that_the_paper_names_is_asked_of_its_model(run, masks, benchmark, result):
    better = compare(run, "dense", masks, WAYS)[:1].assign(
        model="qwen3-8b", benchmark=benchmark, budget=2048, verdict="better"
    )
    found = asked(named(run, "qwen3-8b"), better, {})
    assert found["such a gain on aime24 with budgets of 1024 to 4096"] == result


def test_a_mild_variant_that_loses_once_breaks_the_claim_that_none_does(run, masks, tmp_path):
    """shortgpt-1 under another name: as bad, but of single weights."""
    other = masks | masks_of(tmp_path, {"shortgpt-1": mask(0.1667)})
    ways = WAYS | {"shortgpt-1": WAYS["wanda-20"]}
    found = asked(run, compare(run, "dense", other, ways), other, ways)
    assert found["unstructured pruning of up to 20% costs no accuracy"] == "does not hold"


def test_a_small_p_is_read_back_from_the_csv_as_what_it_is(run, masks, tmp_path):
    """The report is made from the CSV, comparison.html from the rows themselves: they agree."""
    rows = compare(run, "dense", masks, WAYS)
    rows = rows.assign(p=rows["p"] / 1e6, p_holm=rows["p_holm"] / 1e6)
    write_table(tmp_path, "comparison", rows)
    found = read_table(tmp_path, "comparison")
    for one, other in zip(full_sections(found, "dense"), full_sections(rows, "dense"), strict=True):
        pd.testing.assert_frame_equal(one.frame, other.frame)
    assert list(found["p"]) == pytest.approx(list(rows["p"]), rel=1e-5)
    assert found["p"].min() < 1e-11


def test_all_files_are_the_same_bytes_when_made_again(run, results):
    source = source_of(results, variants=RIGHT)
    write_cells(source.tables / FILE, run)
    made = []
    for _ in range(2):
        make("comparison", source)
        make("parallel", source)
        make("published", source)
        made.append({path.name: path.read_bytes() for path in source.tables.iterdir()})
    assert made[0] == made[1]
    table = pd.read_csv(source.tables / "comparison.csv")
    assert list(table.columns[:5]) == ["family", "model", "benchmark", "budget", "variant"]
    assert len(table) == 12 and set(table.verdict) >= {"better", "worse"}


def test_what_was_trained_after_pruning_is_matched_with_what_was_trained_likewise():
    names = ("wanda-50", "shortgpt-2", "wanda-50-lora", "shortgpt-2-lora", "flap-20-lora")
    families = ("unstructured", "depth", "unstructured", "depth", "width")
    ways = {
        name: Way(name.split("-")[0], name, "", family, "lora" if "lora" in name else "", name)
        for name, family in zip(names, families, strict=True)
    }
    shares = {name: 0.5 if name.startswith("wanda") else 0.3 for name in names}
    masks = {name: MaskRecord(**mask(share)) for name, share in shares.items()}
    assert matched(masks, ways) == [
        ("wanda-50", "shortgpt-2"),
        ("wanda-50-lora", "shortgpt-2-lora"),
        ("wanda-50-lora", "flap-20-lora"),
    ]
    assert equal_sizes(masks, ways) == [("shortgpt-2-lora", "flap-20-lora")]
