import math
from dataclasses import replace

import pandas as pd
import pytest

from tests.artefacts.records_by_hand import write_mask_record
from workflow_scripts.artefacts.records import Answer, Grade
from workflow_scripts.tables.comparison_table import areas, compare, main
from workflow_scripts.tables.content.cell_files import write_cells
from workflow_scripts.tables.content.cells import read_cells
from workflow_scripts.tables.content.comparison_text import full_sections, short_sections, signed
from workflow_scripts.tables.content.removals import Removed, matched, read_removed
from workflow_scripts.tables.content.rows import ComparisonRow, csv_text, read_rows
from workflow_scripts.tables.paper.claims import check_claims
from workflow_scripts.tables.statistics.differences import holm

BUDGETS = (6, 12)
# problems of 30 that each repeat gets right, by variant and budget
RIGHT = {
    "dense": (10, 20),
    "wanda-20": (10, 20),
    "wanda-50": (9, 19),
    "shortgpt-1": (10, 2),
    "shortgpt-2": (2, 2),
}
REMOVED = {
    "dense": (0.0, ()), "wanda-20": (0.2, ()), "wanda-50": (0.5, ()),
    "shortgpt-1": (0.1667, (3,)), "shortgpt-2": (0.3333, (3, 2)),
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
        share, blocks = REMOVED[variant]
        write_mask_record(
            folder / "m" / variant / "mask.json",
            method=variant.split("-")[0], removed_fraction=share,
            removed_blocks=sorted(blocks), blocks=40,
        )  # fmt: skip
    return folder


@pytest.fixture
def run(results):
    return read_cells(results, ["m"], list(RIGHT), ["b"])


@pytest.fixture
def removals(results):
    return read_removed(results, ["m"], list(RIGHT))


def test_matched_partners_remove_at_least_as_much_and_no_more_than_needed():
    def one(share, *blocks):
        return Removed(share, blocks, "", "")

    variants = {
        "short-1": one(0.167, 3), "short-2": one(0.333, 3, 2), "short-4": one(0.667, 0, 1, 2, 3),
        "dense": one(0.0), "a-20": one(0.2), "b-20": one(0.2004), "a-50": one(0.5),
    }  # fmt: skip
    assert matched(variants) == [
        ("a-20", "short-1"), ("b-20", "short-1"), ("a-50", "short-2"),
    ]  # fmt: skip


def test_every_variant_is_compared_with_dense_and_blocks_with_weights(run, removals):
    rows = compare(run, "dense", removals)
    dense = [row for row in rows if row.family == "dense of m"]
    assert [(row.variant, row.budget) for row in dense] == [
        (variant, budget) for variant in list(RIGHT)[1:] for budget in BUDGETS
    ]
    others = [row for row in rows if row.family == "structured of m"]
    assert [(row.variant, row.reference, row.budget) for row in others] == [
        (*pair, budget)
        for pair in (("wanda-20", "shortgpt-1"), ("wanda-50", "shortgpt-2"))
        for budget in BUDGETS
    ]
    verdicts = {(row.variant, row.budget): row.verdict for row in dense}
    assert verdicts["shortgpt-1", 12] == verdicts["shortgpt-2", 12] == "worse"
    assert verdicts["wanda-20", 6].startswith("no difference larger than 0.0")
    assert [row.verdict for row in others][1] == "better"
    lost = next(row for row in dense if (row.variant, row.budget) == ("shortgpt-1", 12))
    assert lost.difference == pytest.approx(-0.6) and lost.p == pytest.approx(2 / 2**18)
    assert (lost.accuracy, lost.reference_accuracy) == (pytest.approx(2 / 30), pytest.approx(2 / 3))
    assert (lost.removed, lost.reference_removed) == (0.1667, 0.0)


def test_p_values_are_corrected_within_their_family(run, removals):
    rows = compare(run, "dense", removals)
    for family in ("dense of m", "structured of m"):
        members = [row for row in rows if row.family == family]
        assert [row.p_holm for row in members] == holm([row.p for row in members])


def test_without_the_reference_or_masks_what_can_be_compared_is(run):
    assert compare(run, "none", {}) == []
    rows = compare(run, "dense", {})
    assert {row.family for row in rows} == {"dense of m"}
    assert all(math.isnan(row.removed) for row in rows)


def test_a_repeat_that_says_the_same_makes_no_difference_surer(run, removals):
    alone = [
        replace(
            cell,
            repeats=cell.repeats[:1],
            correct={problem: right[:1] for problem, right in cell.correct.items()},
        )
        for cell in run.cells
    ]
    once = replace(run, cells=alone)
    for row, other in zip(
        compare(run, "dense", removals), compare(once, "dense", removals), strict=True
    ):
        assert row == replace(other, repeats=2)
    # NaN is the difference of the reference to itself
    assert str(areas(run, "dense")) == str(areas(once, "dense"))


def test_areas_and_their_differences(run):
    rows = {row.variant: row for row in areas(run, "dense")}
    assert rows["dense"].area == pytest.approx(0.5) and math.isnan(rows["dense"].difference)
    assert rows["shortgpt-1"].area == pytest.approx((10 + 2) / 60)
    assert rows["shortgpt-1"].difference == pytest.approx(-18 / 60)
    assert rows["shortgpt-1"].difference_low < -0.3 < rows["shortgpt-1"].difference_high < 0
    assert rows["wanda-20"].difference_low < 0 < rows["wanda-20"].difference_high


def test_several_benchmarks_give_one_area_for_each_variant(write_results):
    pairs = {"dense": ((10, 20), (20, 28)), "wanda-50": ((10, 20), (14, 22))}
    for variant, rights in pairs.items():
        for benchmark, right in zip("bc", rights, strict=True):
            grades, answers = graded(right)
            folder = write_results("m", variant, benchmark, grades=grades, answers=answers)
    grades, answers = graded((1, 1))
    write_results("m", "partial", "b", grades=grades, answers=answers)
    rows = areas(read_cells(folder, ["m"], ["dense", "wanda-50", "partial"], ["b", "c"]), "dense")
    means = {row.variant: row for row in rows if row.benchmark == "(mean)"}
    assert set(means) == {"dense", "wanda-50"}
    assert means["dense"].area == pytest.approx((0.5 + 0.8) / 2)
    assert math.isnan(means["dense"].difference)
    assert means["wanda-50"].difference == pytest.approx(-0.1)
    parts = {row.benchmark: row for row in rows if row.variant == "wanda-50"}
    below = [parts[name].difference - parts[name].difference_low for name in "bc"]
    assert means["wanda-50"].difference_low == pytest.approx(-0.1 - math.hypot(*below) / 2)
    assert means["wanda-50"].ci_low < means["wanda-50"].area < means["wanda-50"].ci_high


def test_areas_over_other_budgets_are_left_out(write_results):
    for variant, budgets in {"dense": 3, "wanda-20": 2, "wanda-50": 3}.items():
        accuracy = dict.fromkeys((6, 12, 24)[:budgets], 0.5)
        folder = write_results("m", variant, "b", accuracy=accuracy)
    variants = ["dense", "wanda-20", "wanda-50"]
    known = [
        (row.variant, row.budgets)
        for row in areas(read_cells(folder, ["m"], variants, ["b"]), "dense")
    ]
    assert known == [("dense", 3), ("wanda-50", 3)]
    asked = read_cells(folder, ["m"], variants, ["b"], [6, 12])
    assert [row.budgets for row in areas(asked, "dense")] == [2, 2, 2]
    assert areas(read_cells(folder, ["m"], variants, ["b"], [6, 12, 24, 48]), "dense") == []


def test_the_short_form_marks_what_differs_and_what_cannot_be_told(run, removals):
    rows = compare(run, "dense", removals)
    against, blocks, area = short_sections(rows, areas(run, "dense"), "dense")
    assert against.header == ["variant", "6", "12", "detectable"]
    lines = {line[0]: line[1:] for line in against.lines}
    assert lines["shortgpt-1"][1].startswith("−0.60 ±") and lines["shortgpt-1"][1].endswith("†")
    assert not lines["wanda-20"][0].endswith(("†", "?"))
    assert "correction over 8 comparisons" in against.caption
    assert blocks.lines[0][0] == "wanda-20 − shortgpt-1"
    assert "over 4 comparisons" in blocks.caption
    assert [line[0] for line in area.lines] == list(RIGHT)
    full = full_sections(rows, [], "dense", ["m/x: b"])
    assert full[0].lines[0][-1] == rows[0].verdict
    assert full[0].caption.endswith("Missing: m/x: b.")


def test_signs():
    texts = [signed(value, 2) for value in (0.1, -0.1, 0.001, -0.001)]
    assert texts == ["+0.10", "−0.10", "0.00", "0.00"]


def test_claims_are_judged_by_the_verdicts(run, removals):
    rows = compare(run, "dense", removals)
    claims = {one.claim: one.result for one in check_claims(run, rows, removals, "dense")}
    assert claims == {
        "dense is better with its largest budget than with its smallest": "holds",
        "removing whole blocks costs accuracy": "holds",
        "unstructured pruning is better than removing blocks with as many weights": "holds",
        "unstructured pruning of up to 20% costs no accuracy": "holds",
        "unstructured pruning of up to 20% is better than dense somewhere": "does not hold",
    }


@pytest.mark.parametrize(("benchmark", "result"), [("AIME24", "holds"), ("b", "not in this run")])
def test_the_gain_that_the_paper_names_is_asked_of_its_model(run, removals, benchmark, result):
    better = replace(
        compare(run, "dense", removals)[0],
        model="qwen3-8b", benchmark=benchmark, budget=2048, verdict="better",
    )  # fmt: skip
    named = run.__class__(("qwen3-8b",), ("dense",), ("b",), (), ())
    found = {one.claim: one.result for one in check_claims(named, [better], {}, "dense")}
    assert found["such a gain on aime24 with budgets of 1024 to 4096"] == result


def test_a_mild_variant_that_loses_once_breaks_the_claim_that_none_does(run, removals):
    """shortgpt-1 under another name: as bad, but of single weights."""
    removals["m", "shortgpt-1"] = Removed(0.1667, (), "wanda", "0")
    rows = compare(run, "dense", removals)
    claims = {one.claim: one.result for one in check_claims(run, rows, removals, "dense")}
    assert claims["unstructured pruning of up to 20% costs no accuracy"] == "does not hold"


@pytest.mark.parametrize(("blocks", "result"), [((17, 16), "holds"), ((16, 18), "does not hold")])
def test_the_blocks_that_the_paper_names(run, blocks, result):
    named = run.__class__(("S1.1-7b",), ("dense",), ("b",), (), ())
    removals = {("S1.1-7b", "shortgpt-2"): Removed(0.07, blocks, "shortgpt", "0")}
    found = check_claims(named, [], removals, "dense")[-1]
    assert (found.claim, found.result) == ("ShortGPT removes blocks 16 and 17", result)


def test_a_small_p_is_read_back_from_the_csv_as_what_it_is(run, removals, tmp_path):
    """The report is made from the CSV, comparison.html from the rows themselves: they agree."""
    rows = [
        replace(row, p=row.p / 1e6, p_holm=row.p_holm / 1e6)
        for row in compare(run, "dense", removals)
    ]
    (tmp_path / "comparison.csv").write_text(csv_text(rows, ComparisonRow))
    found = read_rows(tmp_path / "comparison.csv", ComparisonRow)
    assert full_sections(found, [], "dense") == full_sections(rows, [], "dense")
    assert [row.p for row in found] == pytest.approx([row.p for row in rows], rel=1e-5)
    assert min(row.p for row in found) < 1e-11


def test_all_files_are_the_same_bytes_when_made_again(run, results, tmp_path):
    write_cells(tmp_path / "cells.jsonl", run)
    made = []
    for folder in ("one", "two"):
        names = ("csv", "areas", "markdown", "latex", "html")
        paths = {name: tmp_path / folder / f"table.{name}" for name in names}
        flags = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
        main(["--cells", str(tmp_path / "cells.jsonl"), "--results", str(results), *flags])
        made.append({name: path.read_bytes() for name, path in paths.items()})
    assert made[0] == made[1]
    table = pd.read_csv(paths["csv"])
    assert list(table.columns[:5]) == ["family", "model", "benchmark", "budget", "variant"]
    assert len(table) == 12 and set(table.verdict) >= {"better", "worse"}
