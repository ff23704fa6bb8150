import csv
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from workflow_scripts.artefacts.records import Grade, Judgement, write_records
from workflow_scripts.errors import InputError
from workflow_scripts.tables.judge_agreement import agreement_of, main

NAMES = ("m", "dense", "b")


def verdicts(both_right, grader_only, judge_only, both_wrong, unjudged=0):
    return [
        *[(True, True)] * both_right,
        *[(True, False)] * grader_only,
        *[(False, True)] * judge_only,
        *[(False, False)] * both_wrong,
        *[(True, None)] * unjudged,
    ]


def test_a_worked_example():
    """Cohen's: p_o = 35/50, p_e = (25 * 30 + 25 * 20) / 50^2 = 0.5, kappa = 0.4."""
    row = agreement_of(NAMES, verdicts(20, 5, 10, 15, 3))
    assert (row.both_right, row.grader_only, row.judge_only, row.both_wrong) == (20, 5, 10, 15)
    assert (row.answers, row.unjudged) == (53, 3)
    assert row.agreement == 0.7 and row.kappa == pytest.approx(0.4, abs=1e-15)


@given(st.lists(st.integers(0, 40), min_size=4, max_size=4))
def test_kappa_is_that_of_statsmodels(counts):
    row = agreement_of(NAMES, verdicts(*counts))
    total = sum(counts)
    if row.kappa is None:
        shares = [counts[0] + counts[1], counts[0] + counts[2]]
        assert total == 0 or shares in ([0, 0], [total, total])
    else:
        reference = cohens_kappa([counts[:2], counts[2:]], return_results=False)
        assert row.kappa == pytest.approx(float(reference), abs=1e-12)
        assert row.agreement == pytest.approx(Fraction(counts[0] + counts[3], total))


def test_nothing_judged_has_no_agreement():
    row = agreement_of(NAMES, verdicts(0, 0, 0, 0, 4))
    assert (row.answers, row.unjudged, row.agreement, row.kappa) == (4, 4, None, None)


def write(folder, grades, judgements):
    write_records(
        folder / "results/m/dense/grades/b.jsonl",
        [Grade(*key, "7", correct, "boxed") for key, correct in grades.items()],
    )
    write_records(
        folder / "results/m/dense/judgements/b.jsonl",
        [Judgement(*key, correct, "reply", "judged") for key, correct in judgements.items()],
    )


def run(folder):
    names = ("--models", "m", "--variants", "dense", "--benchmarks", "b")
    files = [f"--{kind}={folder / kind}" for kind in ("csv", "markdown", "disagreements")]
    main(["--results", str(folder / "results"), *names, *files])


GRADES = {("p", 0, 8): True, ("p", 1, 8): False, ("q", 0, 8): True, ("q", 1, 8): True}


def test_the_tables(tmp_path):
    # in another order than the grades
    said = {("q", 1, 8): None, ("q", 0, 8): False, ("p", 0, 8): True, ("p", 1, 8): False}
    write(tmp_path, GRADES, said)
    run(tmp_path)
    rows = list(csv.reader((tmp_path / "csv").open()))
    assert rows[0] == [
        "model", "variant", "benchmark", "answers", "both_right", "grader_only", "judge_only",
        "both_wrong", "unjudged", "agreement", "kappa",
    ]  # fmt: skip
    assert [row[3:9] for row in rows[1:]] == [["4", "1", "1", "0", "1", "1"]] * 2
    assert [row[:3] for row in rows[1:]] == [["m", "dense", "b"], ["all", "all", "all"]]
    # p_o = 2/3, p_e = (2 * 1 + 1 * 2) / 9 = 4/9
    assert [float(cell) for cell in rows[1][9:]] == pytest.approx([2 / 3, 0.4])
    differing = list(csv.DictReader((tmp_path / "disagreements").open()))
    assert [(row["id"], row["repeat"], row["grader"], row["judge"]) for row in differing] == [
        ("q", "0", "True", "False")
    ]
    markdown = (tmp_path / "markdown").read_text()
    assert "| 0.667 |" in markdown.replace(" ", "").replace("|", " | ").replace("  ", " ")


@pytest.mark.parametrize(
    "judgements",
    [
        {key: True for key in list(GRADES)[:3]},
        {key: True for key in [*list(GRADES)[:3], ("q", 9, 8)]},
    ],
)
def test_judgements_of_other_answers_are_refused(tmp_path, judgements):
    write(tmp_path, GRADES, judgements)
    with pytest.raises(InputError) as caught:
        run(tmp_path)
    path = tmp_path / "results/m/dense/judgements/b.jsonl"
    assert str(caught.value) == (
        f"{path}: does not hold the answers that are graded; judge them again"
    )
