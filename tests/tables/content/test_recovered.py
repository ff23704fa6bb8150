"""What training after pruning gives back: numbers against slow references, dashes and words."""

import math
import re

import numpy as np
import pytest

from tests.tables.pair_results import BUDGETS, PAIR, RECOVERED, answers
from workflow_scripts.tables.content import recovered
from workflow_scripts.tables.content.columns import read_table
from workflow_scripts.tables.content.removals import read_masks
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.differences import holm, paired_difference


@pytest.fixture
def source(pair_source) -> Source:
    return pair_source


@pytest.fixture
def rows(source):
    return read_table(source.tables, "recovered")


def test_every_recovered_variant_has_a_row_for_each_model_and_budget(rows):
    wanted = [(m, b, *names) for m in PAIR.values() for b in BUDGETS for names in RECOVERED]
    columns = ["model", "budget", "variant", "start", "control"]
    assert list(rows[columns].itertuples(index=False, name=None)) == wanted


def test_gains_and_shares_are_those_of_a_slow_count(rows):
    correct = {
        (model, variant, budget): of_budget
        for model, variant, found in answers()
        for budget, of_budget in zip(BUDGETS, found, strict=True)
    }
    for row in rows.itertuples():
        dense, start, after, control = (
            correct[row.model, name, row.budget]
            for name in ("dense", row.start, row.variant, row.control)
        )
        gain = paired_difference(after, start)
        assert row.gain == pytest.approx(after.mean() - start.mean(), abs=1e-6)
        found = [row.ci_low, row.ci_high, row.p]
        assert found == pytest.approx([gain.low, gain.high, gain.p], rel=1e-4, abs=1e-6)
        if row.variant == row.control:
            assert row.reason == recovered.DENSE and math.isnan(row.net)
            continue
        net = np.mean(
            [
                (after[p].mean() - start[p].mean()) - (control[p].mean() - dense[p].mean())
                for p in range(row.problems)
            ]
        )
        assert row.net == pytest.approx(net, abs=1e-6)
        assert row.control_gain == pytest.approx(control.mean() - dense.mean(), abs=1e-6)
        loss = paired_difference(dense, start)
        if loss.low > 0:
            share = (after.mean() - start.mean()) / (dense.mean() - start.mean())
            assert row.regained == pytest.approx(share, abs=1e-6)
            assert row.regained_low < share < row.regained_high and row.reason == ""
        else:
            assert math.isnan(row.regained) and row.reason == recovered.NO_LOSS
    assert rows["regained"].notna().any() and rows["reason"].eq(recovered.NO_LOSS).any()


def test_p_values_are_corrected_over_each_models_gains_and_net_gains(rows):
    for _, members in rows.groupby("model"):
        assert list(members["p_holm"]) == pytest.approx(holm(members["p"]), rel=1e-4)
        tested = members[members["net_p"].notna()]
        assert list(tested["net_p_holm"]) == pytest.approx(holm(tested["net_p"]), rel=1e-4)
        for row in members.itertuples():
            said = ("gains" if row.gain > 0 else "loses") if row.p_holm < 0.05 else "no gain shown"
            assert row.verdict == said


def test_a_start_that_is_not_run_leaves_the_accuracies(source):
    alone = {"wanda-50-lora": ("", "")}
    rows = recovered.compare(source.cells(), alone, "dense", {})
    assert rows["reason"].eq(recovered.NOT_RUN).all()
    assert rows[["gain", "net", "regained"]].isna().all(axis=None)
    assert rows[["accuracy", "dense_accuracy"]].notna().all(axis=None)
    section, _ = recovered.sections(rows, "dense")
    assert section.frame["regained, %"].tolist() == ["– (its start is not run)"] * 2


def test_what_has_routers_has_no_start(dynamic_source):
    masks = read_masks(dynamic_source.results, ["reasoner"], ["skipgpt-20"])
    rows = recovered.compare(dynamic_source.cells(), {"skipgpt-20": ("", "")}, "dense", masks)
    assert rows["reason"].eq("nothing was pruned, its routers were trained").all() and len(rows)


def test_pages_have_the_shares_in_percent_or_a_dash_with_its_reason(source, rows):
    text = (source.tables / "recovered.md").read_text(encoding="utf-8")
    row = rows[(rows["model"] == "reasoner") & (rows["variant"] == "magnitude-70-lora")].iloc[-1]
    line = re.findall(r"\| magnitude-70-lora .*", text)[-1]
    assert f"+{100 * row.regained:.1f} [+{100 * row.regained_low:.1f}, " in line
    assert "– (no loss shown)" in text and "– (starts from the dense model)" in text
    for ending in ("tex", "html"):
        assert (source.tables / f"recovered.{ending}").exists()
