"""What the report says first: sentences, heat maps and cautions."""

import math

import pandas as pd
import pytest

from tests.tables.sources import rows_of
from workflow_scripts.tables.content.columns import COLUMNS, as_frame, read_table
from workflow_scripts.tables.content.removals import read_masks
from workflow_scripts.tables.reporting.cautions import cautions
from workflow_scripts.tables.reporting.findings import (
    ENDINGS,
    heat_maps,
    of_diagnosis,
    of_routes,
    sentences,
)


def row(variant, budget, difference, verdict, detectable=0.05, dense=0.9):
    return (
        "dense of m", "m", "b", budget, variant, 0.5, "dense", 0.0, 40, 3, dense + difference,
        dense, difference, 0.02, difference - 0.01, difference + 0.01, 0.01, 0.04, detectable,
        verdict, 0.5, 0.4, 0.0, 0.0, 0.5, 0.0,
    )  # fmt: skip


COMPARISON = rows_of(
    "comparison",
    [
        row("a", 8, 0.0, "no difference larger than 0.010"), row("a", 64, -0.3, "worse"),
        row("b", 8, -0.02, "worse"), row("b", 64, -0.04, "worse"),
        row("c", 8, 0.0, "inconclusive"), row("c", 64, 0.005, "no difference larger than 0.015"),
        row("d", 8, 0.0, "inconclusive"), row("d", 64, -0.06, "inconclusive"),
        row("e", 8, 0.0, "inconclusive"), row("e", 64, 0.05, "better"),
    ],
)  # fmt: skip
ACCURACY = rows_of(
    "accuracy",
    [
        ("m", "dense", "b", 64, 40, 3, 0.9, 0.02, 0.8, 1.0, 60, 5),
        ("m", "dense", "c", 64, 40, 3, 0.5, 0.02, 0.4, 0.6, 60, 5),
    ],
)


def test_a_sentence_counts_names_and_says_whether_the_damage_grows():
    told, of_c = sentences(COMPARISON, ACCURACY, "dense")
    assert told == (
        "m on b, with 64 thinking tokens: dense is right in 90 %; 2 of 5 pruned variants are worse "
        "(a −0.30, b −0.04), 1 of 5 is better (e +0.05), 1 of 5 is inconclusive, 1 of 5 is "
        "different by at most 0.015. The damage grows with the budget: a 0.00 at 8, −0.30 at 64."
    )
    assert of_c == ("m on c, with 64 thinking tokens: dense is right in 50 %; nothing is compared.")


def test_one_or_all_of_the_variants():
    one = COMPARISON[COMPARISON["variant"] == "a"]
    (told, _) = sentences(one, ACCURACY, "dense")
    assert "the pruned variant is worse (a −0.30)." in told
    both = COMPARISON[COMPARISON["variant"].isin(["a", "b"])]
    assert "all 2 pruned variants are worse" in next(sentences(both, ACCURACY, "dense"))


def test_the_dense_model_with_a_recovery_is_no_pruned_variant():
    control = COMPARISON[COMPARISON["variant"] == "a"].assign(
        variant="dense-lora", removed=0.0, unused=0.0
    )
    rows = pd.concat([COMPARISON, control])
    assert next(sentences(rows, ACCURACY, "dense")) == next(
        sentences(COMPARISON, ACCURACY, "dense")
    )


def diagnosed(variant, lost, won, ways, budget=12):
    row = dict.fromkeys(COLUMNS["diagnosis"], 0.0) | {
        "model": "m", "benchmark": "b", "variant": variant, "budget": budget, "lost": lost,
        "won": won,
    }  # fmt: skip
    return row | dict(zip(ENDINGS, ways, strict=True))


def test_a_sentence_tells_how_lost_answers_thought():
    rows = pd.DataFrame([
        diagnosed("dense", math.nan, math.nan, [math.nan] * 4),
        diagnosed("w", 0.4, 0.4, (0.1, 0.1, 0.1, 0.1)),
        diagnosed("v", 0.2, 0.05, (0.02, 0.12, 0.0, 0.06)),
        diagnosed("v", 0.9, 0.0, (0.9, 0.0, 0.0, 0.0), budget=6),
    ])  # fmt: skip
    assert list(of_diagnosis(rows)) == [
        "m on b, with 12 thinking tokens: of the traces of answers that v loses, 60 % are cut "
        "without a loop, 30 % end by themselves, 10 % end in a loop."
    ]
    assert list(of_diagnosis(rows[rows["variant"] != "v"])) == []
    assert list(of_diagnosis(pd.DataFrame(columns=COLUMNS["diagnosis"]))) == []


def test_of_each_dynamic_variant_a_sentence_says_how_much_it_skips_and_where(dynamic_source):
    rows, blocks = (read_table(dynamic_source.tables, n) for n in ("routes", "routes_by_block"))
    masks = read_masks(dynamic_source.results, ["reasoner"], dynamic_source.dynamic)
    told = list(of_routes(rows, blocks, masks))
    assert len(told) == 4
    assert told[0] == (
        "reasoner: skipgpt-20 was to skip 20 % of tokens × sublayers and skips 22 % while it "
        "thinks (1 benchmark): 30 % of attentions and 14 % of MLPs; most in the attention of "
        "block 3 (54 %), least in the MLP of block 0 (3 %)."
    )
    # its MLPs have no routers
    assert told[2].endswith(
        "most in the attention of block 3 (40 %), least in the attention of block 0 (4 %)."
    )
    (nothing, *_) = of_routes(rows.assign(trace_skipped=float("nan")), blocks, masks)
    assert nothing.endswith("of tokens × sublayers; it put no token of a trace into the model.")
    assert next(of_routes(rows, blocks[:0], masks)).endswith("and 14 % of MLPs.")
    others = rows.assign(benchmark="other", trace_skipped=rows["trace_skipped"] + 0.1)
    both = next(of_routes(pd.concat([rows, others]), blocks, masks))
    assert "skips 22 to 32 % while it thinks (2 benchmarks): 30 %" in both


def test_a_heat_map_has_a_tile_for_each_comparison_and_signs_for_verdicts():
    other = COMPARISON[COMPARISON["variant"] == "a"].assign(benchmark="c", budget=32)
    (made,) = heat_maps(pd.concat([COMPARISON, other]))
    assert made.benchmarks == ["b", "c"] and [name for name, _ in made.rows] == [*"abcde"]
    texts = {name: [tile and tile.text for tile in tiles] for name, tiles in made.rows}
    assert texts["a"] == ["−0.30 ▼", "−0.30 ▼"] and texts["b"] == ["−0.04 ▼", None]
    assert texts["c"] == ["+0.01", None]
    assert texts["d"][0] == "−0.06 ?" and texts["e"][0] == "+0.05 ▲"
    shades = {name: tiles[0].colour for name, tiles in made.rows}
    assert shades["a"] == "#ec9a63" and len({*shades.values()}) == 5
    assert "95 % interval −0.310 to −0.290, budget 64" in made.rows[0][1][0].title
    assert list(heat_maps(COMPARISON[:0])) == []


def cells(finish="stop", correct=(True, False), extracted="1"):
    return pd.DataFrame(
        {
            "model": "m", "variant": "dense", "benchmark": "b", "budget": [8, 64],
            "correct": correct, "trace_finish": ["length", finish], "extracted": extracted,
        }
    )  # fmt: skip


def loops(*shares: float, **place: str) -> pd.DataFrame:
    rows = [{"model": "m", "benchmark": "b", "variant": "w", "budget": 64, "looping": share}
            for share in shares]  # fmt: skip
    return as_frame("diagnosis", [row | place for row in rows])


NO_LOOPS = loops()


@pytest.mark.parametrize(
    ("of", "comparison", "diagnosis", "said"),
    [
        (cells("length"), COMPARISON, NO_LOOPS, "64, cuts 100 % of the traces of dense"),
        (cells(), COMPARISON, NO_LOOPS, "every answer of dense is wrong"),
        (cells(correct=(False, True)), COMPARISON, NO_LOOPS, "every answer of dense is right"),
        (cells(extracted=None), COMPARISON, NO_LOOPS, "extracted from 100 % of the answers"),
        (cells(), COMPARISON.assign(verdict="inconclusive"), NO_LOOPS, "no comparison says"),
        (cells(), COMPARISON.assign(detectable=0.31), NO_LOOPS, "differences smaller than 0.31"),
        (cells(), COMPARISON, loops(0.4), "40 % of the traces of w end in"),
    ],
)  # fmt: skip
def test_what_a_reader_must_know(of, comparison, diagnosis, said):
    found = list(cautions(of, comparison, diagnosis, "dense"))
    assert sum(said in one for one in found) == 1
    assert all(one.startswith("m on b: ") for one in found)


def test_nothing_is_said_where_nothing_needs_to_be():
    sound = pd.concat([cells(correct=(False, True)), cells(correct=(False, False))])
    few = pd.concat([loops(0.05), loops(0.9, benchmark="other"), loops(0.9).assign(budget=32)])
    assert list(cautions(sound, COMPARISON, few, "dense")) == []
