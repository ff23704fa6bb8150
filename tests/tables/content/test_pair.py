"""What pruning costs the models of a pair: numbers against slow references, and words."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.tables.pair_results import (
    BUDGETS,
    KEPT,
    PAIR,
    PROBLEMS,
    REMOVED,
    WAYS,
    answers,
)
from workflow_scripts.tables.content import pair, pair_text
from workflow_scripts.tables.content.cells import read_cells
from workflow_scripts.tables.content.columns import read_table
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.reporting.findings import of_pair
from workflow_scripts.tables.statistics.differences import holm, paired_difference

MEANS = ["(mean of pruned)", "(mean of recovered)"]


@pytest.fixture
def source(pair_source) -> Source:
    return pair_source


@pytest.fixture
def rows(source):
    return read_table(source.tables, "pair")


@pytest.fixture(scope="module")
def correct():
    """Correct answers by model, variant and budget."""
    return {
        (model, variant, budget): of_budget
        for model, variant, found in answers()
        for budget, of_budget in zip(BUDGETS, found, strict=True)
    }


def test_every_budget_has_every_variant_but_dense_and_the_means_last(rows):
    for budget, members in rows.groupby("budget", sort=False):
        assert list(members["variant"]) == [*[*KEPT][1:], *MEANS], budget
    assert list(rows["budget"].unique()) == [*BUDGETS]
    of_variants = rows[~rows["variant"].isin(MEANS)]
    removed = [REMOVED[name.split("-")[0]] for name in of_variants["variant"]]
    for kind in PAIR:
        assert list(of_variants[f"{kind}_removed"]) == removed
    assert rows.loc[rows["variant"].isin(MEANS), "think_removed"].isna().all()


def test_losses_and_interactions_are_those_of_a_slow_count(rows, correct):
    for row in rows[~rows["variant"].isin(MEANS)].itertuples():
        doubly = []
        for problem in range(row.problems):
            means = {
                (kind, variant): np.mean(correct[model, variant, row.budget][problem], dtype=float)
                for kind, model in PAIR.items()
                for variant in ("dense", row.variant)
            }
            lost = {kind: means[kind, "dense"] - means[kind, row.variant] for kind in PAIR}
            doubly.append(lost["think"] - lost["instruct"])
        assert row.interaction == pytest.approx(np.mean(doubly), abs=1e-6)
        assert row.interaction == pytest.approx(row.think_loss - row.instruct_loss, abs=2e-6)
        for kind, model in PAIR.items():
            of_model = [correct[model, name, row.budget] for name in ("dense", row.variant)]
            loss = paired_difference(*of_model)
            found = [getattr(row, f"{kind}_loss{end}") for end in ("", "_low", "_high")]
            assert found == pytest.approx([loss.difference, loss.low, loss.high], abs=1e-6)
            relative = 1 - of_model[1].mean() / of_model[0].mean()
            assert getattr(row, f"{kind}_relative") == pytest.approx(relative, abs=1e-6)
        difference = row.think_relative - row.instruct_relative
        assert row.more == pytest.approx(difference, abs=2e-6) and row.more_low < row.more_high


def test_p_values_are_scipys_and_corrected_over_the_table(rows, correct):
    of_variants = rows[~rows["variant"].isin(MEANS)]
    assert list(of_variants["p_holm"]) == pytest.approx(holm(of_variants["p"]), rel=1e-4)
    means = rows[rows["variant"].isin(MEANS)]
    assert list(means["p_holm"]) == pytest.approx(holm(means["p"]), rel=1e-4)
    row = of_variants[of_variants["variant"] == "magnitude-70-lora"].iloc[-1]
    doubly = sum(
        sign * correct[model, name, row.budget].sum(axis=1)
        for sign, model, name in (
            (1, row.think, "dense"), (-1, row.think, row.variant),
            (-1, row.instruct, "dense"), (1, row.instruct, row.variant),
        )
    )  # fmt: skip
    drawn = stats.permutation_test(
        (doubly,), np.mean, permutation_type="samples", n_resamples=20_000, rng=0
    )
    # four standard errors of a share of so many draws
    assert row.p == pytest.approx(drawn.pvalue, abs=4 * np.sqrt(row.p / 20_000) + 1e-4)


def test_means_over_variants_are_those_of_each_problems_mean_interaction(rows, correct):
    pruned = [v for v in KEPT if WAYS[v].family != "none" and not WAYS[v].recovery]
    recovered = [v for v in KEPT if WAYS[v].family != "none" and WAYS[v].recovery]
    for row in rows[rows["variant"].isin(MEANS)].itertuples():
        members = pruned if row.variant == MEANS[0] else recovered
        at = rows[(rows["budget"] == row.budget) & rows["variant"].isin(members)]
        assert row.interaction == pytest.approx(at["interaction"].mean(), abs=1e-6)
        assert row.think_loss == pytest.approx(at["think_loss"].mean(), abs=1e-6)
        doubly = np.mean(
            [
                (
                    correct[row.think, "dense", row.budget].astype(int)
                    - _of(correct, row.think, v, row)
                )
                - (correct[row.instruct, "dense", row.budget] - _of(correct, row.instruct, v, row))
                for v in members
            ],
            axis=(0, 2),
        )
        drawn = stats.bootstrap((doubly,), np.mean, rng=0).standard_error
        # at least what resampling tells, at most that with two problems that moved by √2 each
        quantile, count = stats.t.ppf(0.975, PROBLEMS - 1), PROBLEMS + 2
        most = np.sqrt(drawn**2 + 4 / (count * (count - 1)))
        width = row.ci_high - row.ci_low
        assert 0.97 * drawn <= width / 2 / quantile <= 1.03 * most
        assert row.ci_low < row.interaction < row.ci_high


def _of(correct, model, variant, row):
    return correct[model, variant, row.budget].astype(int)


def test_verdicts_say_what_the_corrected_p_does(rows):
    for row in rows.itertuples():
        more = "thinking loses more" if row.interaction > 0 else "thinking loses less"
        assert row.verdict == (more if row.p_holm < 0.05 else "no difference shown")
    assert {*rows["verdict"]} == {"thinking loses more", "no difference shown"}


def test_of_swapped_models_everything_has_the_other_sign(source, rows):
    swapped = dict(zip(PAIR, [*PAIR.values()][::-1], strict=True))
    found = pair.compare(source.cells(), swapped, "dense", {}, WAYS)
    assert list(found["interaction"]) == pytest.approx(list(-rows["interaction"]), abs=1e-6)
    assert list(found["more"]) == pytest.approx(list(-rows["more"]), abs=1e-6)
    assert list(found["p"]) == pytest.approx(list(rows["p"]), rel=1e-4)
    assert {*found["verdict"]} == {"thinking loses less", "no difference shown"}


def test_pages_say_it_in_words_and_percentage_points(source, rows):
    text = (source.tables / "pair.md").read_text(encoding="utf-8")
    mean = rows[rows["variant"] == MEANS[0]].iloc[-1]
    said = (
        f"on average over the pruned variants reasoner loses {100 * mean.think_loss:.1f} and "
        f"answerer {100 * mean.instruct_loss:.1f} percentage points, a difference of +"
    )
    assert said in text and "thinking loses more" in text
    assert "corrected (Holm) over 16 comparisons" in text
    shown = re.search(r"\| flap-20 .*", text)[0].split("|")
    row = rows[rows["variant"] == "flap-20"].iloc[-1]
    assert f"+{100 * row.interaction:.1f} [+{100 * row.ci_low:.1f}" in shown[6]
    (page,) = pair_text.full_sections(rows)
    assert len(page.frame) == len(rows) and list(page.frame.columns[:2]) == ["variant", "budget"]
    sentences = list(of_pair(rows))
    assert len(sentences) == 2 and sentences[0].startswith("chains, with 24 thinking tokens: on av")


def test_a_model_that_is_never_right_has_losses_and_no_relative_ones(write_results, made_cells):
    for model, accuracy in (("answerer", 0.0), ("reasoner", 1.0)):
        for variant, kept in (("dense", 1), ("wanda-50", 0.5)):
            results = write_results(model, variant, "b", accuracy={6: accuracy * kept}, problems=30)
    cells = read_cells(results, [*PAIR.values()], ["dense", "wanda-50"], ["b"])
    rows = pair.compare(cells, PAIR, "dense", {}, WAYS)
    (row,) = rows.itertuples()
    assert row.instruct_loss == 0 and row.verdict == "thinking loses more"
    assert np.isnan([row.instruct_relative, row.more]).all() and row.think_relative > 0.3
    (section,) = pair_text.short_sections(rows)
    assert section.frame["more, relative"].tolist() == ["–"]


def test_what_one_model_lacks_is_not_compared(source):
    cells = source.cells()
    attrs = cells.attrs
    lacking = (cells["model"] == "answerer") & (cells["variant"] == "flap-20")
    cells = cells[~lacking]
    cells.attrs = attrs
    assert "flap-20" not in set(pair.compare(cells, PAIR, "dense", {}, WAYS)["variant"])


def test_dynamic_variants_have_a_mean_of_their_own(source):
    """Whether they were trained or not, which all of them are."""
    ways = {
        name: replace(way, family="dynamic") if way.method in ("shortgpt", "flap") else way
        for name, way in WAYS.items()
    }
    rows = pair.compare(source.cells(), PAIR, "dense", {}, ways)
    largest = rows[rows["budget"] == BUDGETS[-1]].set_index("variant")
    assert [*largest.index][-3:] == [*MEANS, "(mean of dynamic)"]
    for mean, members in (
        ("(mean of dynamic)", ["shortgpt-1", "flap-20", "shortgpt-1-lora"]),
        ("(mean of pruned)", ["wanda-50", "magnitude-70"]),
    ):
        wanted = largest.loc[members, "interaction"].mean()
        assert largest.loc[mean, "interaction"] == pytest.approx(wanted)
    said = list(of_pair(rows))
    assert sum("on average over the dynamic variants" in one for one in said) == 1
