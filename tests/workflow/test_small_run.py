"""The whole workflow on a small config: what it makes, and what runs again."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import yaml

from tests.tables.browser import needs_browser, open_figures
from tests.workflow.checkout import (
    SMALL,
    Checkout,
    copy_project,
    environment,
    jobs_run,
    small_checkout,
    write_config,
)

CONFIG = ("--configfile", "small.yaml")
# the rules that make tables, figures and the report of grades
FROM_GRADES = {
    "collect_cells", "collect_samples", "collect_traces", "accuracy_table", "comparison_table",
    "cost_table", "diagnosis_table", "frontier_table", "parallel_table", "published_table",
    "scaling_curves_figure", "token_curves_figure", "families_figure", "differences_figure",
    "endings_figure", "departures_figure", "parallel_figure", "frontier_figure",
    "frontier_kept_figure", "frontier_moved_figure", "frontier_held_figure", "write_report",
}  # fmt: skip


def test_the_table_holds_every_cell(finished):
    table = pd.read_csv(finished.folder / "results/tables/accuracy.csv")
    assert list(table.columns) == [
        "model", "variant", "benchmark", "budget", "problems", "repeats",
        "accuracy", "se", "ci_low", "ci_high", "trace_tokens", "answer_tokens",
    ]  # fmt: skip
    cells = [(v, b) for v in SMALL["run"]["variants"] for b in SMALL["generation"]["budgets"]]
    assert list(table[["variant", "budget"]].itertuples(index=False, name=None)) == cells
    assert set(table.problems) == {12} and set(table.repeats) == {2}
    dense = table[table.variant == "dense"].set_index("budget")
    assert dense.accuracy[72] > 0.9 > dense.accuracy[6]
    assert dense.trace_tokens[6] == 6


def test_one_core_in_another_clone_makes_the_same_bytes(finished, tmp_path):
    other = small_checkout(tmp_path)
    figure = "results/figures/scaling_curves/reasoner/small.svg"
    other.run("--cores", "1", "results/tables/comparison.csv", figure, *CONFIG)
    tables = finished.tables()
    assert {"results/tables/accuracy.csv", "results/tables/accuracy.md"} < set(tables)
    assert other.tables().items() <= tables.items() and figure in other.tables()
    for made in ("answers/small.jsonl", "traces/small.jsonl", "mask.safetensors", "mask.json"):
        path = f"results/reasoner/wanda-50/{made}"
        assert (other.folder / path).read_bytes() == (finished.folder / path).read_bytes()


def test_what_was_decoded_is_said_on_the_terminal_and_in_the_log(finished):
    printed = (finished.folder / "printed.txt").read_text().splitlines()
    for variant in SMALL["run"]["variants"]:
        said = [line for line in printed if line.startswith(f"reasoner/{variant}: ")]
        log = (finished.folder / f"logs/generate/reasoner/{variant}.log").read_text().splitlines()
        assert said and set(said) <= set(log)
        assert re.search(r": decoded \d+ completions in .+, \d+ tokens/s$", said[-1])


def test_the_log_is_short_on_the_terminal_and_whole_in_its_file(finished):
    printed = (finished.folder / "printed.txt").read_text()
    (file,) = re.findall(r"^Complete log\(s\): (.+)$", printed, re.MULTILINE)
    whole = Path(file).read_text(encoding="utf-8")
    ran = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", whole, re.MULTILINE)
    assert jobs_run(printed) == Counter(ran) - Counter(["all"])
    assert re.search(
        r"^ *\d+ of 45 done, about 0:\d\d:\d\d left +\w+_figure$", printed, re.MULTILINE
    )
    assert "reason:" in whole and "reason:" not in printed
    decoded = [line for line in printed.splitlines() if line.startswith("reasoner/")]
    assert len(printed.splitlines()) < len(ran) + len(decoded) + 10
    last = printed.splitlines()[-1]
    assert re.fullmatch(r"45 of 45 done in 0:\d\d:\d\d; the report is results/report.html", last)
    assert (finished.folder / last.split()[-1]).is_file()


def test_flags_that_ask_for_snakemakes_own_log_have_it(finished):
    flags = ("--cores", "1", "--dry-run", "--forcerun", "write_config", *CONFIG)
    assert "    reason: Forced execution" in finished.run(*flags)


def test_a_second_run_does_nothing(finished):
    start = time.monotonic()
    assert "Nothing to be done" in finished.run("--cores", "all", *CONFIG)
    assert time.monotonic() - start < 30


def test_plain_snakemake_works_through_the_default_profile(finished):
    assert "Nothing to be done" in finished.run(*CONFIG)


def edit(checkout: Checkout, source: str) -> None:
    """Add a statement to a source file."""
    path = checkout.folder / "workflow_scripts" / source
    path.write_text(path.read_text() + "\nEDITED = True\n")


def test_editing_the_grading_code_reruns_grading_and_tables_alone(changeable):
    edit(changeable, "answers/extraction/statements.py")
    assert set(changeable.planned(*CONFIG)) == {"all", "grade_answers", *FROM_GRADES}


def test_editing_a_figure_reruns_figures_alone(changeable):
    edit(changeable, "tables/drawing/scaling_curves.py")
    # against budgets and against tokens
    assert changeable.planned(*CONFIG) == {
        "all": 1, "scaling_curves_figure": 1, "token_curves_figure": 1, "write_report": 1,
    }  # fmt: skip


def test_adding_a_variant_builds_that_variant_alone(changeable):
    variants = SMALL["run"]["variants"]
    run = SMALL["run"] | {"variants": [*variants, "magnitude-20"]}
    write_config(changeable, SMALL | {"run": run})
    assert changeable.planned(*CONFIG) == {
        "all": 1, "allocate_sparsity": 1, "build_mask": 1, "generate": 1, "grade_answers": 1,
        "allocation_figure": 1, "block_influence_figure": 1, "write_config": 1,
        "size_table": 1, **dict.fromkeys(FROM_GRADES, 1),
    }  # fmt: skip


def manage_store(checkout: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workflow_scripts.generation.manage_store", *arguments]
    return subprocess.run(
        command, cwd=checkout.folder, env=environment(), capture_output=True, text=True, check=False
    )


def test_an_entry_of_the_store_that_is_removed_is_generated_again_and_no_other(changeable):
    shown = manage_store(changeable)
    assert shown.returncode == 0, shown.stderr
    rows = {line.split()[1]: line.split() for line in shown.stdout.splitlines()[1:-1]}
    assert set(rows) == {f"reasoner/{variant}" for variant in SMALL["run"]["variants"]}
    every = changeable.decoded()
    gone = rows["reasoner/wanda-50"]
    removed = manage_store(changeable, "--remove", gone[0])
    assert removed.returncode == 0, removed.stderr
    assert changeable.decoded() == every - int(gone[5].replace(",", ""))
    answers = [f"results/{name}/answers/small.jsonl" for name in rows]
    changeable.run("--cores", "2", *answers, *CONFIG, "--forcerun", "generate")
    assert changeable.decoded() == every
    log = (changeable.folder / "logs/generate/reasoner/dense.log").read_text()
    assert "completions are in the store; no engine starts" in log


def test_export_makes_a_checkpoint_that_transformers_opens(changeable):
    from transformers import AutoModelForCausalLM

    target = "results/reasoner/shortgpt-1/checkpoint"
    changeable.run("--cores", "1", target, *CONFIG)
    exported = AutoModelForCausalLM.from_pretrained(changeable.folder / target)
    dense = AutoModelForCausalLM.from_pretrained(changeable.folder / "resources/models/reasoner")
    assert exported.config.num_hidden_layers == dense.config.num_hidden_layers - 1
    card = (changeable.folder / target / "README.md").read_text()
    assert "calibration set chains: length `64`" in card
    assert f"OWNER/reasoner-shortgpt-1 {target}" in card
    biased = target.replace("shortgpt-1", "stade-biased-50")
    failed = changeable.snakemake("--cores", "1", biased, *CONFIG)
    assert failed.returncode != 0
    assert "a checkpoint of qwen3 has no place for the biases" in failed.stdout


@needs_browser
def test_snakemakes_report_shows_every_figure_under_its_own_title(changeable, tmp_path):
    changeable.run("--report", "report.html", *CONFIG)
    page = (changeable.folder / "report.html").read_text()
    assert "accuracy.html" in page
    shown = open_figures(page, ["reasoner"], tmp_path)
    figures = list((changeable.folder / "results/figures").rglob("*.svg"))
    assert len(shown) == len(set(shown.values())) == len(figures) > 5
    assert "reasoner on small: accuracy against thinking budget" in shown


def test_a_run_that_is_not_complete_has_tables_and_says_what_is_missing(changeable):
    (changeable.folder / "results/reasoner/wanda-50/grades/small.jsonl").unlink()
    target = "results/tables/so_far"
    changeable.run("--cores", "1", target, "--forcerun", "tables_so_far", *CONFIG)
    page = (changeable.folder / target / "report.html").read_text()
    assert "<li>grades of reasoner/wanda-50: small</li>" in page
    table = pd.read_csv(changeable.folder / target / "tables/accuracy.csv")
    assert set(table.variant) == {*SMALL["run"]["variants"]} - {"wanda-50"}


def test_traces_of_a_run_are_measured_and_shown(finished):
    """Each of the demo's tokens is one character, so that places are tokens."""
    results = finished.folder / "results"
    traces = pd.read_parquet(results / "tables/traces.parquet")
    cells = pd.read_parquet(results / "tables/cells.parquet")
    key = ["model", "variant", "benchmark", "budget", "id", "repeat"]
    pd.testing.assert_frame_equal(traces[key], cells[key])
    assert (traces["characters"] == traces["tokens"]).all()
    texts = {
        variant: pd.read_json(
            results / f"reasoner/{variant}/traces/small.jsonl", lines=True
        ).set_index(["id", "repeat"])["text"]
        for variant in SMALL["run"]["variants"]
    }
    largest = traces[(traces["budget"] == 72) & (traces["variant"] != "dense")]
    for row in largest.itertuples():
        one, other = (texts[name][row.id, row.repeat] for name in ("dense", row.variant))
        shared = len(os.path.commonprefix([one, other]))
        assert pd.isna(row.departure) if one == other else row.departure == shared
    assert largest["departure"].notna().any()
    lost = largest.merge(cells, on=key).query("not correct")
    page = (results / "departures.html").read_text(encoding="utf-8")
    assert 0 < page.count("<article") <= len(lost)
    assert '<a href="departures.html">' in (results / "report.html").read_text(encoding="utf-8")


def test_the_report_is_written(finished):
    page = (finished.folder / "results/report.html").read_text()
    assert "not complete" not in page
    for said in ("block influence", "shortgpt-1", "transformers", "generate", "Wanda", "STADE"):
        assert said in page


def test_an_overlay_runs_nothing_that_it_does_not_name(finished):
    default = yaml.safe_load((finished.folder / "config/config.yaml").read_text())
    ran = {path.name for path in (finished.folder / "results/reasoner").iterdir()}
    assert ran == {"statistics", *SMALL["run"]["variants"]}
    assert not ran >= set(default["run"]["variants"])


def test_a_path_with_a_typo_is_an_error_before_anything_runs(tmp_path):
    finished = copy_project(tmp_path).snakemake(
        "--cores", "1", "results/reasoner/wanda-21/mask.json"
    )
    assert finished.returncode != 0 and "MissingRuleException" in finished.stdout
    assert not (tmp_path / "results").exists()
