"""Accuracy for a price: the table, what it leaves out, the figure and the sentence."""

import numpy as np
import pytest

from tests.tables.priced import SIZES, VARIANTS, write_run
from tests.tables.sources import drawn, shown_texts
from workflow_scripts.tables.content.columns import NoRows, read_table
from workflow_scripts.tables.content.formats import signed
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import frontier
from workflow_scripts.tables.reporting.findings import of_prices
from workflow_scripts.tables.table import make

FIGURE = {"model": "m", "benchmark": "b", "title": "a title"}


@pytest.fixture(scope="module")
def source(tmp_path_factory, tiny_model):
    source = write_run(tmp_path_factory.mktemp("run"), tiny_model("llama", **SIZES))
    for table in ("accuracy", "comparison", "cost", "frontier"):
        make(table, source)
    return source


def test_a_row_for_the_price_of_every_budget(source):
    rows, costs = (read_table(source.tables, name) for name in ("frontier", "cost"))
    dense = costs[costs["variant"] == "dense"].set_index("budget")
    assert [*rows["price"].unique()] == ["flops", "kept_flops", "moved_bytes", "held_bytes"]
    for price, members in rows.groupby("price"):
        assert [*members["budget"]] == [4, 8, 16]
        assert members["at"].to_numpy() == pytest.approx(dense[price].to_numpy(), rel=1e-6)
        assert members["reference_accuracy"].to_numpy() == pytest.approx([0.25, 0.5, 1])
    # without a block the model is as accurate, and thinks longer for the same work
    by_work = rows[rows["price"] == "flops"]
    assert set(by_work["variant"]) == {"shortgpt-1"}
    assert (by_work["variant_budget"].iloc[:2] > [4, 8]).all()
    assert by_work["variant_budget"].iloc[2] == 16
    first = by_work.iloc[0]
    assert first["difference"] > 0.05
    assert first["corrected"] == pytest.approx(first["difference"] - first["optimism"], abs=2e-6)
    assert first["ci_low"] <= first["corrected"] <= first["ci_high"]


def test_between_budgets_accuracy_goes_as_the_price_does(source):
    rows, costs = (read_table(source.tables, name) for name in ("frontier", "cost"))
    short = costs[costs["variant"] == "shortgpt-1"]["flops"].to_numpy()
    by_work = rows[rows["price"] == "flops"]
    budgets = np.interp(by_work["at"], short, [4, 8, 16])
    assert 4 < budgets[0] < 16  # what the price of 4 tokens of the dense model buys
    assert by_work["variant_budget"].to_numpy() == pytest.approx(budgets, abs=1e-4)
    accuracies = np.interp(by_work["at"], short, [0.25, 0.5, 1])
    assert by_work["accuracy"].to_numpy() == pytest.approx(accuracies, abs=1e-5)


def test_the_front_is_what_nothing_as_cheap_beats(source):
    points = read_table(source.tables, "front")
    work = points[points["price"] == "flops"]
    assert len(work) == len(VARIANTS) * 3
    front = work[work["on_front"] == "yes"]
    assert [*front.sort_values("at")["variant"]] == ["shortgpt-1"] * 3
    for point in front.itertuples():
        assert not ((work["at"] < point.at) & (work["accuracy"] >= point.accuracy)).any()


def test_a_variant_that_lacks_a_budget_or_a_price_takes_no_part(tmp_path, tiny_model):
    source = write_run(tmp_path, tiny_model("llama", **SIZES))
    (source.results / "m/shortgpt-1/generation.json").unlink()
    for table in ("cost", "frontier"):
        make(table, source)
    rows = read_table(source.tables, "frontier")
    assert "shortgpt-1" not in set(rows["variant"]) and len(rows) == 12
    points = read_table(source.tables, "front")
    assert "shortgpt-1" not in set(points["variant"])


def test_without_the_dense_model_nothing_is_compared(source, tmp_path):
    options = source.options | {"reference": "none"}
    other = Source(source.results, source.tables, options)
    before = (source.tables / "frontier.csv").read_bytes()
    make("frontier", other)
    assert read_table(source.tables, "frontier").empty
    make("frontier", source)
    assert (source.tables / "frontier.csv").read_bytes() == before


@pytest.mark.parametrize("price", ["flops", "held_bytes"])
def test_the_figure_has_every_variant_and_the_front(source, price):
    options = source.options | FIGURE | {"price": price}
    figure = drawn(frontier.draw, Source(source.results, source.tables, options))
    texts = {text.get_text() for text in shown_texts(figure)}
    assert {*VARIANTS} <= texts
    (axes,) = figure.axes
    assert len([line for line in axes.lines if line.get_linewidth() == 5.0]) == 1


def test_a_figure_of_what_is_not_known_is_none(source):
    options = source.options | FIGURE | {"price": "seconds"}
    with pytest.raises(NoRows, match="nothing is known of time"):
        frontier.draw(Source(source.results, source.tables, options))


def test_a_sentence_says_whether_thinking_longer_pays(source):
    rows = read_table(source.tables, "frontier")
    (told,) = of_prices(rows, "dense")
    assert told.startswith("m on b, for the same work: ")
    better = rows.assign(verdict="better", corrected=0.125, variant_budget=10.0, accuracy=0.5)
    (told,) = of_prices(better, "dense")
    assert told == (
        "m on b, for the same work: pruning pays under 3 of 3 budgets: shortgpt-1, which thinks "
        "longer (10 tokens for 4), is right in 50 % and dense in 25 %, +12.5 points without the "
        "luck of the best of several."
    )
    worse = rows.assign(verdict=["worse", "no difference shown", "worse"] * 4)
    (told,) = of_prices(worse, "dense")
    most = 100 * worse.loc[worse["price"] == "flops", "ci_high"].max()
    assert told.endswith(
        "no pruned model that thinks longer is shown to be better than dense; the intervals leave "
        f"at most {signed(most, 1)} points; under 2 of 3 budgets even the best is worse."
    )
    both = better.assign(verdict=["worse", "better", "worse"] * 4)
    (told,) = of_prices(both, "dense")
    assert "pruning pays under 1 of 3 budgets" in told
    assert told.endswith("; under 2 of 3 budgets even the best is worse.")
    none = rows.assign(verdict="no difference shown", ci_high=0.05)
    (told,) = of_prices(none, "dense")
    assert "no pruned model that thinks longer is shown to be better than dense" in told
    assert told.endswith("the intervals leave at most +5.0 points.")
