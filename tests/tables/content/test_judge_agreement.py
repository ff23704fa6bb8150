import csv
from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tables.sources import source_of
from workflow_scripts.artefacts.records import Grade, Judgement, write_records
from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.judge_agreement import agreement
from workflow_scripts.tables.table import make


def verdicts(both_right, grader_only, judge_only, both_wrong, unjudged=0):
    pairs = [
        *[(True, True)] * both_right,
        *[(True, False)] * grader_only,
        *[(False, True)] * judge_only,
        *[(False, False)] * both_wrong,
        *[(True, None)] * unjudged,
    ]
    return pd.DataFrame(pairs, columns=["grader", "judge"], dtype=object)


def test_a_worked_example():
    """Cohen's: p_o = 35/50, p_e = (25 * 30 + 25 * 20) / 50^2 = 0.5, kappa = 0.4."""
    row = agreement(verdicts(20, 5, 10, 15, 3))
    counts = ("both_right", "grader_only", "judge_only", "both_wrong", "answers", "unjudged")
    assert [row[name] for name in counts] == [20, 5, 10, 15, 53, 3]
    assert row["agreement"] == 0.7 and row["kappa"] == pytest.approx(0.4, abs=1e-12)


@given(st.lists(st.integers(0, 40), min_size=4, max_size=4))
def test_kappa_is_agreement_beyond_chance_in_whole_numbers(counts):
    row, total = agreement(verdicts(*counts)), sum(counts)
    right, grader, judge, wrong = counts
    # p_e times the square of the total
    chance = (right + grader) * (right + judge) + (wrong + judge) * (wrong + grader)
    if chance == total**2:
        assert pd.isna(row["kappa"])
    else:
        exact = Fraction((right + wrong) * total - chance, total**2 - chance)
        assert row["kappa"] == pytest.approx(float(exact), abs=1e-12)
        assert row["agreement"] == pytest.approx(float(Fraction(right + wrong, total)))


def write(folder, grades, judgements):
    write_records(
        folder / "m/dense/grades/b.jsonl",
        [Grade(*key, "7", correct, "boxed") for key, correct in grades.items()],
    )
    write_records(
        folder / "m/dense/judgements/b.jsonl",
        [Judgement(*key, correct, "reply", "judged") for key, correct in judgements.items()],
    )


def run(folder):
    source = source_of(folder, models=["m"], variants=["dense"], benchmarks=["b"])
    make("judge_agreement", source)
    return source.tables


GRADES = {("p", 0, 8): True, ("p", 1, 8): False, ("q", 0, 8): True, ("q", 1, 8): True}


def test_the_tables(tmp_path):
    # in another order than the grades
    said = {("q", 1, 8): None, ("q", 0, 8): False, ("p", 0, 8): True, ("p", 1, 8): False}
    write(tmp_path, GRADES, said)
    tables = run(tmp_path)
    rows = list(csv.reader((tables / "judge_agreement.csv").open()))
    assert rows[0] == [
        "model", "variant", "benchmark", "answers", "both_right", "grader_only", "judge_only",
        "both_wrong", "unjudged", "agreement", "kappa",
    ]  # fmt: skip
    assert [row[3:9] for row in rows[1:]] == [["4", "1", "1", "0", "1", "1"]] * 2
    assert [row[:3] for row in rows[1:]] == [["m", "dense", "b"], ["all", "all", "all"]]
    # p_o = 2/3, p_e = (2 * 1 + 1 * 2) / 9 = 4/9
    assert rows[1][9:] == ["0.666667", "0.400000"]
    differing = list(csv.DictReader((tables / "judge_disagreements.csv").open()))
    assert [(row["id"], row["repeat"], row["grader"], row["judge"]) for row in differing] == [
        ("q", "0", "True", "False")
    ]
    assert "0.667" in (tables / "judge_agreement.md").read_text(encoding="utf-8")


def test_nothing_judged_has_no_agreement(tmp_path):
    write(tmp_path, GRADES, dict.fromkeys(GRADES))
    tables = run(tmp_path)
    rows = list(csv.reader((tables / "judge_agreement.csv").open()))
    assert rows[1][8:] == ["4", "nan", "nan"]


@pytest.mark.parametrize(
    "judgements",
    [
        {key: True for key in list(GRADES)[:3]},
        {key: True for key in [*list(GRADES)[:3], ("q", 9, 8)]},
    ],
)
def test_judgements_of_other_answers_are_refused(tmp_path, judgements):
    write(tmp_path, GRADES, judgements)
    path = tmp_path / "m/dense/judgements/b.jsonl"
    with pytest.raises(InputError, match="judge them again") as caught:
        run(tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
