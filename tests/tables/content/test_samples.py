"""Every answer with its question and trace, and those that are shown."""

import pandas as pd
import pytest

from tests.tables.browser import look, needs_browser
from workflow_scripts.artefacts.records import Answer, Grade, Problem, Trace, write_records
from workflow_scripts.config.entry import as_json
from workflow_scripts.tables import collect_samples, collect_traces
from workflow_scripts.tables.content.cells import FILE, read_cells, write_cells
from workflow_scripts.tables.content.samples import examples, read_samples
from workflow_scripts.tables.content.traces import load_traces

LISTS = {"models": ["m"], "variants": ["dense", "w-50"], "benchmarks": ["b"]}
LOOP = "so far. " + "Wait, let me check. " * 5
# whether the dense model's and the variant's answers are right, and the variant's trace
PROBLEMS = {
    "p0": (True, False, "2 + 2"), "p1": (False, True, "3 + 3"), "p2": (True, True, LOOP),
    "p3": (False, False, "</script> & <b>"),
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    problems = [Problem(name, f"What is {name}?", "4", "integer") for name in PROBLEMS]
    write_records(tmp_path / "benchmarks/b.jsonl", problems)
    for place, variant in enumerate(LISTS["variants"]):
        folder = tmp_path / "results/m" / variant
        keys = [(name, 0, budget) for name in PROBLEMS for budget in (6, 12)]
        grades = [
            Grade(*key, "4" if PROBLEMS[key[0]][place] else None, PROBLEMS[key[0]][place], "stated")
            for key in keys
        ]
        answers = [Answer(*key, 0, key[2], "length", 2, "eos", "so 4") for key in keys]
        traces = [Trace(name, 0, 0, 12, "length", told[2]) for name, told in PROBLEMS.items()]
        for name, records in (("grades", grades), ("answers", answers), ("traces", traces)):
            write_records(folder / name / "b.jsonl", records)
    write_cells(tmp_path / "tables" / FILE, read_cells(tmp_path / "results", **LISTS))
    options = {"reference": "dense", "diagnosis": {"shown": 0}}
    folders = [f"--{name}={tmp_path / name}" for name in ("results", "resources", "tables")]
    outputs = [f"--output={tmp_path / 'tables/traces.parquet'}", f"--page={tmp_path / 'd.html'}"]
    collect_traces.main([*folders, "--options", as_json(options), *outputs])
    return tmp_path


def collect(run):
    collect_samples.main(
        [
            "--results", str(run / "results"), "--benchmarks", str(run / "benchmarks"),
            "--tables", str(run / "tables"), "--options", as_json({**LISTS, "reference": "dense"}),
            "--output", str(run / "tables/samples.parquet"), "--page", str(run / "samples.html"),
        ]
    )  # fmt: skip
    return pd.read_parquet(run / "tables/samples.parquet")


def test_a_row_for_every_answer_with_its_outcome(run):
    frame = collect(run)
    assert len(frame) == 2 * 4 * 2
    of_variant = frame[(frame["variant"] == "w-50") & (frame["budget"] == 12)].set_index("id")
    assert of_variant["outcome"].to_dict() == {
        "p0": "lost", "p1": "won", "p2": "both right", "p3": "both wrong",
    }  # fmt: skip
    assert of_variant["looping"].to_dict() == {"p0": False, "p1": False, "p2": True, "p3": False}
    assert not frame.loc[frame["budget"] == 6, "looping"].any(), "cut before it goes in circles"
    assert list(of_variant["extracted"].isna()) == [True, False, False, True]
    assert "nothing (stated, wrong)" in (run / "samples.html").read_text()
    one = of_variant.loc["p0"]
    assert (one.question, one.gold, one.trace) == ("What is p0?", "4", "2 + 2")
    assert set(frame.loc[frame["variant"] == "dense", "outcome"]) == {""}


def test_examples_are_of_the_largest_budget_and_one_of_a_problem(run):
    (_, frame) = read_samples(
        run / "results", run / "benchmarks", LISTS, "dense", load_traces(run / "tables")
    )
    shown = [(one["shown_as"], one["id"], one["budget"]) for one in examples(frame)]
    cut = [("cut", name, 12) for name in ("p0", "p1", "p3")]
    assert shown == [("lost", "p0", 12), ("won", "p1", 12), *cut, ("looping", "p2", 12)]


@needs_browser
def test_samples_can_be_filtered_and_searched_and_nothing_in_them_runs(run, tmp_path):
    collect(run)
    probe = """
    const shown = () => [...document.querySelectorAll("article")]
      .filter(one => !one.hidden).map(one => one.querySelector("pre").textContent);
    const set = async (selector, value) => {
      const field = document.querySelector(selector);
      field.value = value; field.dispatchEvent(new Event("input", {bubbles: true})); await wait(20);
    };
    const found = {all: shown().length};
    await set("[name=variant]", "w-50"); await set("[name=outcome]", "lost"); found.lost = shown();
    await set("[name=outcome]", ""); await set("input", "WHAT p3"); found.words = shown();
    found.width = document.documentElement.scrollWidth;
    return found;
    """
    found, console = look((run / "samples.html").read_text(), probe, 390, 844, tmp_path)
    assert console == "" and found["width"] <= 390
    assert found["all"] > 6 and found["lost"] == ["What is p0?"]
    assert set(found["words"]) == {"What is p3?"}
