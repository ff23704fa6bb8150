"""A run costs what was said; and the paper's experiment can be planned before it is paid for."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.workflow.checkout import (
    SMALL,
    Checkout,
    copy_project,
    environment,
    job_counts,
    small_checkout,
    write_config,
)
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.overlays import read_config
from workflow_scripts.estimates.sizes import model_size

RUN = {"variants": ["dense", "wanda-50"], "benchmarks": ["small"]}


def cost(checkout: Checkout, *arguments: str) -> dict[str, list[int]]:
    """The numbers of each line, by the words before them."""
    done = subprocess.run(
        [sys.executable, "-m", "workflow_scripts.estimates.cost", *arguments],
        cwd=checkout.folder, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^ *(\S.*?) +((?:[\d.,]+ *)+)$", done.stdout, re.MULTILINE)
    return {what: [float(n.replace(",", "")) for n in numbers.split()] for what, numbers in rows}


def rows(checkout: Checkout, kind: str) -> list[dict]:
    files = sorted(checkout.folder.glob(f"results/*/*/{kind}/*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("sweep", ["shared", "independent"])
def test_a_run_costs_what_was_said(changeable, tmp_path, sweep):
    generation = SMALL["generation"] | {"sweep": sweep}
    nothing_yet = small_checkout(tmp_path / "new", run=RUN, generation=generation)
    said = cost(nothing_yet, "small.yaml", "--mean-trace", "30", "--mean-answer", "1")
    config = ("--configfile", "small.yaml")
    planned = nothing_yet.planned(*config)
    assert said["jobs"] == [sum(planned.values())] and "size_table" in planned
    assert not planned.keys() & said.keys() - {"all"}  # named by stage
    # masks are there, and of a shared sweep the completions
    checkout = changeable
    write_config(checkout, SMALL | {"run": RUN, "generation": generation})
    for variant in {*SMALL["run"]["variants"]} - {*RUN["variants"]}:
        shutil.rmtree(checkout.folder / "results/reasoner" / variant)
    made = [f"results/reasoner/{variant}/answers/small.jsonl" for variant in RUN["variants"]]
    checkout.run("--cores", "2", *made, *config)
    traces, answers = rows(checkout, "traces"), rows(checkout, "answers")
    assert said["traces"][0] == len(traces) == (48 if sweep == "shared" else 144)
    assert said["answers"][0] == len(answers) == 144
    for kind, found in (("traces", traces), ("answers", answers)):
        tokens = sum(row["tokens" if kind == "traces" else "answer_tokens"] for row in found)
        assert tokens <= said[kind][2]
        assert said[kind][1] / 2 < tokens < said[kind][1] * 2
    again = cost(checkout, "small.yaml", "--mean-trace", "30", "--mean-answer", "1")
    assert again == said  # also of what is there already
    size = model_size(load_settings(read_config([])), "reasoner", checkout.folder)
    mask = checkout.folder / "results/reasoner/wanda-50/mask.safetensors"
    header = int.from_bytes(mask.read_bytes()[:8], "little") + 8
    assert mask.stat().st_size - header == size.linear_weights // 8


@pytest.mark.parametrize("name", ["paper", "strict"])
def test_the_whole_experiment_is_planned_without_a_network(tmp_path, name):
    checkout = copy_project(tmp_path)
    device = {"paper": "cpu", "strict": "cuda"}[name]
    said = checkout.run(
        "--dry-run", "--quiet", "rules", "--configfile", f"config/{name}.yaml",
        "--config", f"device={device}",
    )  # fmt: skip
    assert ("warning: results/qwen3-8b/influence/s1k.json: some 415 hours" in said) == (
        device == "cpu"
    )
    planned = job_counts(said)
    guide = (checkout.folder / "docs/reproducing.md").read_text(encoding="utf-8")
    assert f"it costs: {sum(planned.values())} jobs," in guide
    assert planned["generate"] == planned["build_mask"] == 2 * (1 + 12 + 8 + 2)
    assert planned["grade_answers"] == 2 * 23 * 4
    assert planned["fetch_benchmark"] == 4 and planned["fetch_model"] == 2
