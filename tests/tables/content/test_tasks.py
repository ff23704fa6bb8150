"""The table of tasks: numbers against slow references, and words."""

import math

import pytest
from statsmodels.stats.multitest import multipletests

from tests.tables import task_results
from tests.tables.sources import named_ways
from tests.tables.task_results import FAMILIES, KEPT, OPTIONS, PAIR, REMOVED, TASKS
from workflow_scripts.tables.content import tasks_text
from workflow_scripts.tables.content.columns import ALL, MEAN, read_table
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.content.task_scores import FILE, read_task_scores, write_task_scores
from workflow_scripts.tables.content.tasks import compare
from workflow_scripts.tables.table import make
from workflow_scripts.tables.ways import as_lists

AVERAGED = [name for name, made in TASKS.items() if made.kind == "mean" and made.higher_is_better]


@pytest.fixture(scope="module")
def rows(task_source):
    return read_table(task_source.tables, "tasks")


@pytest.fixture(scope="module")
def scores():
    """Values and weights by model, variant and task."""
    return {
        (model, variant, name): (values.tolist(), weights.tolist())
        for model, variant, name, values, weights in task_results.scores()
    }


def slow_number(kind: str, values: list[float], weights: list[float]) -> float:
    of_values = of_weights = 0.0
    for value, weight in zip(values, weights, strict=True):
        of_values += value
        of_weights += weight
    if kind == "perplexity":
        return math.exp(-of_values / of_weights)
    return of_values / of_weights if kind == "mean" else -of_values / of_weights / math.log(2)


def test_every_number_and_difference_is_that_of_a_slow_count(rows, scores):
    of_tasks = rows[rows["task"] != MEAN]
    assert len(of_tasks) == len(PAIR) * len(KEPT) * len(TASKS)
    for row in of_tasks.itertuples():
        made = TASKS[row.task]
        value = slow_number(made.kind, *scores[row.model, row.variant, row.task])
        dense = slow_number(made.kind, *scores[row.model, "dense", row.task])
        assert row.value == pytest.approx(value, abs=1e-6)
        assert row.ci_low < row.value < row.ci_high and row.samples == made.samples
        assert (row.family, row.kind) == (made.family, made.kind)
        assert row.better == ("more" if made.higher_is_better else "less")
        if row.variant == "dense":
            assert math.isnan(row.difference) and math.isnan(row.p) and row.verdict == ""
            continue
        wanted = math.log(value / dense) if made.kind == "perplexity" else value - dense
        assert row.difference == pytest.approx(wanted, abs=1e-6)
        assert row.difference_low <= row.difference <= row.difference_high


def test_means_weigh_tasks_alike_and_leave_out_what_is_no_mean_of_which_more_is_better(
    rows, scores
):
    means = rows[rows["task"] == MEAN].set_index(["model", "variant", "family"])
    wanted = {made.family for name, made in TASKS.items() if name in AVERAGED} | {ALL}
    assert {family for _, _, family in means.index} == wanted == {*FAMILIES[:3], ALL}
    for (model, variant, family), row in means.iterrows():
        members = [n for n in AVERAGED if family in (ALL, TASKS[n].family)]
        numbers, errors = [], []
        for name in members:
            (one,) = rows[
                (rows["model"] == model) & (rows["variant"] == variant) & (rows["task"] == name)
            ].itertuples()
            numbers.append((one.value, one.difference))
            errors.append((one.se, one.difference_se))
        count = len(members)
        assert row["tasks"] == count and row["samples"] == sum(TASKS[n].samples for n in members)
        assert row["value"] == pytest.approx(sum(v for v, _ in numbers) / count, abs=1e-6)
        assert row["se"] == pytest.approx(math.hypot(*(s for s, _ in errors)) / count, abs=2e-6)
        if variant != "dense":
            assert row["difference"] == pytest.approx(sum(d for _, d in numbers) / count, abs=2e-6)
            error = math.hypot(*(s for _, s in errors)) / count
            assert row["difference_se"] == pytest.approx(error, abs=2e-6)


def test_p_values_are_corrected_over_a_models_tasks_and_variants_and_over_its_means(rows):
    compared = rows[rows["variant"] != "dense"]
    for _, family in compared.groupby(["model", compared["task"] == MEAN]):
        wanted = multipletests(family["p"], method="holm")[1]
        assert family["p_holm"].to_numpy() == pytest.approx(wanted, rel=1e-4)
    assert len(compared[compared["task"] != MEAN]) == len(PAIR) * (len(KEPT) - 1) * len(TASKS)


def test_verdicts_follow_what_is_better(rows):
    def said(model, variant, task):
        (row,) = rows[
            (rows["model"] == model) & (rows["variant"] == variant) & (rows["task"] == task)
        ].itertuples()
        return row.difference, row.verdict

    difference, verdict = said("answerer", "wanda-50", "toxic")
    assert difference < 0 and verdict == "better"
    difference, verdict = said("reasoner", "wanda-50", "words")
    assert difference > 0 and verdict == "worse"
    assert said("reasoner", "shortgpt-1", "words") == (0.0, "no difference shown")
    assert said("reasoner", "shortgpt-1", "ifeval")[1] == "worse"
    # of 120 samples none changed: as far as two made-up ones make the interval, 0.02305
    assert said("answerer", "shortgpt-1-lora", "hellaswag")[1] == "no difference larger than 0.024"


def test_every_row_has_the_four_ratios(rows):
    for row in rows.itertuples():
        share = REMOVED.get(row.variant, 0.1667)
        assert (row.requested, row.removed, row.unused) == pytest.approx((share,) * 3)
        assert row.removed_of_all == pytest.approx(0.9 * share)


def test_the_pages_say_what_was_measured(task_source):
    text = (task_source.tables / "tasks.md").read_text(encoding="utf-8")
    assert "**reasoner: tasks by family**: unweighted means over the tasks of a family" in text
    assert "classification: 2 tasks, 200 samples" in text
    assert "jee: exact_match,boxed, %, 40 samples" in text
    assert "toxic: toxicity, %, 40 samples, less is better" in text
    tests = len(TASKS) * (len(KEPT) - 1)
    assert f"corrected (Holm) over {tests} comparisons on tasks and 20 of means" in text
    assert "|   asked |   blocks |   all |   unused |" in text
    page = (task_source.tables / "tasks.html").read_text(encoding="utf-8")
    assert "×1." in page and "reasoner: language" in page


def test_limits_are_told(rows):
    limits = {"boolq": 80}
    for sections in (tasks_text.short_sections, tasks_text.full_sections):
        for section in sections(rows, "dense", limits, ["reasoner/x: boolq"]):
            assert "Limited: boolq: the first 80 samples. Missing: reasoner/x: boolq." in (
                section.caption
            )


def test_the_files_are_the_same_bytes_when_made_again(task_source):
    before = {path.name: path.read_bytes() for path in task_source.tables.glob("task*")}
    for table in ("tasks", "task_claims"):
        make(table, task_source)
    assert {path.name: path.read_bytes() for path in task_source.tables.glob("task*")} == before


@pytest.fixture(scope="module")
def incomplete(task_source, tmp_path_factory):
    """One model, without a variant's results of a family and the reference's of another."""
    folder = tmp_path_factory.mktemp("incomplete")
    for variant, families in {
        "dense": ("classification",), "wanda-50": ("classification", "generation"),
        "flap-20": ("generation",),
    }.items():  # fmt: skip
        for family in families:
            for ending in ("json", "scores.jsonl"):
                name = f"reasoner/{variant}/tasks/{family}.{ending}"
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((task_source.results / name).read_bytes())
    variants = ["dense", "wanda-50", "flap-20"]
    tasks = [[name, family] for name, family in OPTIONS["tasks"] if family in FAMILIES[:2]]
    return read_task_scores(folder, ["reasoner"], variants, tasks), folder


def test_no_mean_is_made_of_what_happens_to_be_there(incomplete):
    frame, _ = incomplete
    rows = compare(frame, "dense", {})
    means = rows[rows["task"] == MEAN]
    assert [*zip(means["family"], means["variant"], strict=True)] == [
        ("classification", "dense"), ("classification", "wanda-50"),
        ("generation", "wanda-50"), ("generation", "flap-20"), (ALL, "wanda-50"),
    ]  # fmt: skip
    compared = rows[rows["difference"].notna()]
    assert {*compared["variant"]} == {"wanda-50"}
    assert {*compared["family"]} == {"classification"}
    assert frame.attrs["missing"] == [
        "reasoner/dense: generation",
        "reasoner/flap-20: classification",
    ]


def test_a_run_of_which_nothing_is_there_has_empty_tables(tmp_path):
    nothing = read_task_scores(tmp_path, ["m"], ["dense"], {"piqa": "classification"})
    write_task_scores(tmp_path / "tables" / FILE, nothing)
    options = {"reference": "dense", "ways": as_lists(named_ways(["dense"])), "tasks": []}
    make("tasks", Source(tmp_path, tmp_path / "tables", options))
    assert read_table(tmp_path / "tables", "tasks").empty
