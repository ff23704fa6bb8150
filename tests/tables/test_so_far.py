"""All tables, figures and the report of a run whose files are not all of one design."""

import json
from pathlib import Path

import pytest

from tests.tables import dynamic_results, task_results
from tests.tables.sources import mask, named_ways, write_masks
from tests.tables.trace_results import Told, write_run
from workflow_scripts.config.entry import as_json
from workflow_scripts.errors import InputError
from workflow_scripts.tables import everything
from workflow_scripts.tables.all_figures import FIGURES
from workflow_scripts.tables.content.columns import read_table
from workflow_scripts.tables.ways import as_lists

WHOLE = (6, 12, 24)
VARIANTS = ("dense", "wanda-20", "wanda-50")


def build(
    results: Path,
    output: Path,
    resources: Path | None = None,
    diagnosis: dict | None = None,
    workers: int = 1,
    **generation: object,
) -> str:
    """The report of everything that can be made; `generation` is the config's."""
    config = output.parent / f"{output.name}.json"
    config.write_text(json.dumps({"generation": generation}))
    write_masks(results, {variant: mask(int(variant[-2:]) / 100) for variant in VARIANTS[1:]})
    options = {
        "reference": "dense", "models": ["m"], "variants": [*VARIANTS], "benchmarks": ["b"],
        "ways": as_lists(named_ways(VARIANTS)),
        "calibration": [], "influence": [], "variant": [],
    } | ({"diagnosis": diagnosis} if diagnosis else {})  # fmt: skip
    places = {"results": results, "resources": resources or results, "logs": results}
    folders = [word for name, place in places.items() for word in (f"--{name}", str(place))]
    told = ["--config", str(config), "--options", as_json(options), "--output", str(output)]
    everything.main([*folders, *told, "--workers", str(workers)])
    return (output / "report.html").read_text(encoding="utf-8")


def test_budgets_that_a_file_lacks_are_missing_and_it_has_no_area(write_results, tmp_path):
    """Budgets were added to the config, and wanda-20 is not graded under them yet."""
    for variant, budgets in zip(VARIANTS, (WHOLE, WHOLE[:1], WHOLE), strict=True):
        results = write_results("m", variant, "b", accuracy=dict.fromkeys(budgets, 0.5))
    page = build(results, tmp_path / "new", budgets=WHOLE, repeats=2)
    assert "<li>grades of m/wanda-20: b (budgets 12, 24)</li>" in page
    for name in ("accuracy", "comparison", "parallel", "published"):
        text = (tmp_path / f"new/tables/{name}.md").read_text(encoding="utf-8")
        assert "Missing: m/wanda-20: b (budgets 12, 24)." in text, name
    areas = read_table(tmp_path / "new/tables", "areas")
    assert list(zip(areas["variant"], areas["budgets"], strict=True)) == [
        ("dense", 3), ("wanda-50", 3),
    ]  # fmt: skip
    rows = read_table(tmp_path / "new/tables", "comparison")
    assert list(rows.loc[rows["variant"] == "wanda-20", "budget"]) == [6]


def test_files_with_other_repeats_are_missing(write_results, tmp_path):
    for variant, repeats in zip(VARIANTS, (3, 3, 2), strict=True):
        results = write_results("m", variant, "b", repeats=repeats)
    page = build(results, tmp_path / "new", budgets=WHOLE, repeats=3)
    assert "<li>grades of m/wanda-50: b (has repeats 0, 1)</li>" in page
    with pytest.raises(InputError, match=r"holds no grades of m/dense: b \(has repeats 0, 1, 2\)"):
        build(results, tmp_path / "none", budgets=WHOLE, repeats=5)


@pytest.mark.parametrize(("of_dense", "workers"), [((6,), 1), ((24,), 2)])
def test_variants_that_share_no_budget_with_dense_are_drawn_all_the_same(
    write_results, tmp_path, of_dense, workers
):
    write_results("m", "dense", "b", accuracy=dict.fromkeys(of_dense, 0.5))
    results = write_results("m", "wanda-20", "b", accuracy={12: 0.5})
    page = build(results, tmp_path / "new", workers=workers, budgets=WHOLE, repeats=2)
    assert "<li>grades of m/wanda-50: b</li>" in page
    drawn = {path.parts[-3] for path in (tmp_path / "new/figures").rglob("b.svg")}
    assert drawn == {"scaling_curves", "token_curves", "parallel", "sparsity"}


def test_what_tokens_skip_is_told_of_the_variants_that_are_there(tmp_path, monkeypatch):
    drawn = {name: figure for name, figure in FIGURES.items() if figure.part == "routes"}
    assert len(drawn) == 4
    monkeypatch.setattr(everything, "FIGURES", drawn)
    results, output = tmp_path / "results", tmp_path / "new"
    dynamic_results.write_run(results)
    (results / "reasoner/mod-10/routes/chains.json").unlink()
    rest = {"calibration": [], "influence": [], "variant": []}
    known = dict(dynamic_results.OPTIONS)
    for key in ("model", "benchmark", "title"):
        del known[key]
    everything.build(results, results, [results], {}, known | rest, output)
    page = (output / "report.html").read_text(encoding="utf-8")
    assert '<div class="part routes" id="routes"><h2>What tokens skip</h2>' in page
    for name, figure in drawn.items():
        assert (output / f"figures/{name}/reasoner/chains.svg").exists()
        assert figure.title.format(model="reasoner", benchmark="chains") in page.replace(
            "&#39;", "'"
        )
    words = " ".join(page.split())
    assert "reasoner on chains: what is skipped by kind of token" in words
    assert "<li>reasoner: skipgpt-40 was to skip 40 % of tokens × sublayers and skips" in words
    blocks = read_table(output / "tables", "routes_by_block")
    assert "mod-10" not in {*blocks["variant"]} and len(blocks) == 3 * dynamic_results.BLOCKS
    assert "mod-10" in {*read_table(output / "tables", "routes")["variant"]}


def test_traces_are_told_of_where_there_are_some(tmp_path):
    steps = "7+3=0;0+6=6;6+1=7;"
    right, wrong = Told(steps), Told(f"{steps[:6]}0+6=5;" + "9+9=8;" * 12, False, "length")
    told = {
        "dense": {"p": [right] * 2, "q": [right] * 2},
        "wanda-50": {"p": [wrong] * 2, "q": [right] * 2},
    }
    run = write_run(tmp_path, told, (6, 72))
    (run / "results/m/wanda-20").mkdir()  # which is not run yet
    page = build(
        run / "results", tmp_path / "new", resources=run / "resources",
        diagnosis={"reflection_words": {}, "shown": 1}, budgets=[6, 72], repeats=2,
    )  # fmt: skip
    assert "<h2>Where accuracy is lost</h2>" in page and 'href="departures.html"' in page
    assert "of the traces of answers that wanda-50 loses, 100 % end in a loop." in page
    assert "m on b: how traces end" in page and "m on b: where traces depart from dense" in page
    pairs = (tmp_path / "new/departures.html").read_text(encoding="utf-8")
    assert "The first 6 tokens are the same." not in pairs
    assert "The first 10 tokens are the same." in pairs
    rows = read_table(tmp_path / "new/tables", "diagnosis")
    assert rows["reflections"].isna().all() and set(rows["variant"]) == {"dense", "wanda-50"}


def test_tasks_are_told_of_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(everything, "FIGURES", {"tasks": FIGURES["tasks"]})
    results, output = tmp_path / "results", tmp_path / "new"
    task_results.write_run(results)
    for ending in ("json", "scores.jsonl"):
        (results / f"reasoner/flap-20/tasks/generation.{ending}").unlink()
    few = {"models": ["reasoner"], "variants": ["dense", "shortgpt-1", "flap-20"]}
    rest = {"calibration": [], "influence": [], "variant": []}
    known = {key: value for key, value in task_results.OPTIONS.items() if key != "pair"}
    options = known | few | rest | {"recovered": []}
    everything.build(results, results, [results], {"generation": {}}, options, output)
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "<li>results of tasks of reasoner/flap-20: generation</li>" in page
    assert '<div class="part tasks" id="tasks"><h2>Tasks</h2>' in page
    assert "claims of arXiv 2601.18091 about tasks, in this run" in page
    assert "reasoner: loss by family of tasks" in page
    words = " ".join(page.split())
    assert (
        "<li>reasoner on 6 tasks: dense has 61 % on average; the pruned variant is worse "
        "(shortgpt-1 −0.35).</li>"
    ) in words
    assert "measures boolq (acc, 80 samples), hellaswag (acc_norm, 120 samples)," in words
    assert "The Language Model Evaluation Harness" in words
    for name in ("tasks", "task_claims"):
        text = (output / f"tables/{name}.md").read_text(encoding="utf-8")
        assert "Missing: reasoner/flap-20: generation." in text, name
    claims = read_table(output / "tables", "task_claims").set_index(["claim", "model"])
    row = claims.loc[("width-generation", "reasoner")]
    assert row["verdict"] == "not tested"
    assert row["evidence"] == "results of these variants are missing"
    assert claims.loc[("depth-classification", "reasoner"), "verdict"] == "supported"
