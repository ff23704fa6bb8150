"""What the report says of methods, times and tokens."""

import json
import shutil

import pytest

from workflow_scripts.config.references import Citations
from workflow_scripts.generation.progress import Progress, message_writer
from workflow_scripts.tables.all_tables import TABLES
from workflow_scripts.tables.content.cells import cells_of, read_cells
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.parallel import rows_of_cell, sections
from workflow_scripts.tables.reporting.methods_text import methods_paragraphs
from workflow_scripts.tables.reporting.provenance import prompts, run_times, speeds, tokens
from workflow_scripts.tables.statistics.parallel import majority_at_every_k

GENERATION = {
    "temperature": 0.6, "top_p": 1.0, "top_k": 0, "seed": 17, "dtype": "float32",
    "engine": "transformers", "answer_tokens": 8,
}  # fmt: skip


@pytest.fixture
def run(write_results):
    results = write_results("m", "dense", "b", accuracy={6: 0.5, 12: 0.5}, problems=10, repeats=3)
    return read_cells(results, ["m"], ["dense"], ["b"])


def test_times_are_added_by_rule(tmp_path):
    for name, seconds in (("a", "10"), ("b", "20.4")):
        path = tmp_path / "generate" / "m" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tmax_rss\tcpu_time\n{seconds}\t100\t36\n")
    (tmp_path / "build_mask").mkdir()
    (tmp_path / "build_mask" / "x.tsv").write_text("s\tmax_rss\tcpu_time\n1\t-\tNA\n")
    (tmp_path / "build_mask" / "x.log").write_text("not a time")
    found = run_times([tmp_path], gpus=2).frame
    assert found.to_numpy().tolist() == [
        ["build_mask", "1", "1", "1", "0.00", "0.00", "0"],
        ["generate", "2", "30", "20", "0.02", "0.02", "100"],
    ]
    (tmp_path / "generate").rename(tmp_path / "generate_shard")
    shutil.copytree(tmp_path / "generate_shard", tmp_path / "generate")
    hours = run_times([tmp_path], gpus=2, is_shared=True).frame.set_index("rule")["GPU hours"]
    assert hours.to_dict() == {"build_mask": "0.00", "generate": "0.00", "generate_shard": "0.02"}
    # of a run with a name, whose own logs come last
    own = tmp_path.with_name(f"{tmp_path.name}-own")
    shutil.copytree(tmp_path / "build_mask", own / "generate")
    (own / "generate/y.tsv").write_text("s\tmax_rss\tcpu_time\n5\t1\t1\n")
    rows = run_times([tmp_path, own], 0).frame.set_index("rule")
    assert rows["longest job"].to_dict() == {"build_mask": "1", "generate": "5"}
    assert run_times([tmp_path / "none"], 0).caption == "no times were measured."


def test_speeds_are_those_that_jobs_say_of_what_they_decoded(tmp_path, capsys):
    def log(rule, name, label, tokens):
        clock = iter([0.0, 1.0, 90.0, 90.0])
        progress = Progress(message_writer(label), lambda: next(clock))
        if tokens:
            progress(tokens, 3)
            progress.finish()
        else:
            message_writer(label)("all 12 completions are in the store; no engine starts")
        path = tmp_path / rule / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(capsys.readouterr().err)

    log("generate", "m/wanda-20", "m/wanda-20", 9000)
    log("generate", "m/dense", "m/dense", 0)
    log("generate_shard", "m/dense/2-of-4", "m/dense 2-of-4", 1800)
    log("generate", "other/dense", "other/dense", 90)
    run = {"models": ["m"], "variants": ["dense", "wanda-20"]}
    frame = speeds(tmp_path, run).frame
    assert list(frame.columns) == ["model", "variant", "part", "completions", "time", "tokens/s"]
    assert frame.to_numpy().tolist() == [
        ["m", "dense", "2-of-4", "1", "0:01:30", "20"],
        ["m", "wanda-20", "", "1", "0:01:30", "100"],
    ]
    assert speeds(tmp_path / "none", run).caption == "no log says how fast anything was decoded."


@pytest.mark.parametrize(
    ("sampling", "said"),
    [({}, "; answers have at most 8"), ({"temperature": 0.6}, "; answers have at most 8"),
     ({"top_k": 5, "temperature": 0.0},
      "; answers, sampled with temperature 0.0, top-k 5, have at most 8")],
)  # fmt: skip
def test_the_methods_say_where_answers_are_sampled_otherwise(run, sampling, said):
    config = {"generation": GENERATION | {"answer_sampling": sampling}}
    assert said in methods_paragraphs(run, config, as_frame("comparison", []), Citations(), {})[1]


def test_the_methods_and_the_page_say_how_problems_are_put_and_limited(run, tmp_path):
    config = {
        "benchmarks": {"b": {"prompt": "boxed", "system": "Be brief."}},
        "prompts": {"boxed": {"text": "{question} ...", "origin": "README"}},
    }
    limits = {"b": "the first 10 problems"}
    said = methods_paragraphs(run, config, as_frame("comparison", []), Citations(), limits)[1]
    assert "answers b (the first 10 problems), 3 times each" in said
    assert said.endswith(
        " Problems are put to the models as they are, but those of b in the words of boxed "
        "(README) and those of b after a system message."
    )
    noted = {"id": "p0", "tokens": 3, "text": "<user>...<model>"}
    place = tmp_path / "m" / "dense" / "generation.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"prompts": {"b": noted}}))
    (shown,) = prompts({"variants": ["gone", "dense"], "models": ["m"], "benchmarks": ["b"]},
                       tmp_path, config)  # fmt: skip
    assert shown == {"model": "m", "benchmark": "b", "origin": "README", **noted}


def test_majorities_are_said_to_be_upper_bounds(run):
    """Where a wrong answer is written in several ways, its votes are split between them."""
    correct = [True, True, False, False, False]
    apart = majority_at_every_k(correct, ["3", "3", r"\frac{1}{2}", "1/2", "0.5"])
    assert apart[4] > majority_at_every_k(correct, ["3", "3", "1/2", "1/2", "1/2"])[4]
    rows = as_frame("parallel", (row for cell in cells_of(run) for row in rows_of_cell(cell)))
    (section,) = sections(rows)
    methods = methods_paragraphs(run, {}, as_frame("comparison", []), Citations(), {})
    for text in (section.caption, methods[2], TABLES["parallel"].caption):
        assert "told apart as they are written, so that majority@k is an upper bound" in text


@pytest.mark.parametrize(
    ("options", "traces"),
    [({}, 12), ({"sweep": "shared"}, 12), ({"sweep": "independent"}, 6 + 12),
     ({"sweep": "independent", "seeding": "per-sample"}, 6 + 12),
     ({"sweep": "independent", "seeding": "paper"}, 12)],
)  # fmt: skip
def test_traces_count_once_or_for_each_budget(run, options, traces):
    section = tokens(run, options)
    budgets = 2 if traces == 18 else 1
    # every second problem's traces are a token shorter; answers have 2, 3 and 4 tokens
    assert section.frame.to_numpy().tolist() == [
        ["m", "60", f"{30 * traces - 15 * budgets}", "180"]
    ]
