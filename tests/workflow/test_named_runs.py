"""Runs with names, side by side in one folder: what is their own, and what they share."""

import subprocess
import sys

import pandas as pd

from tests.workflow.checkout import SMALL, environment, write_config

FEW = SMALL | {
    "run": {"name": "few", "variants": ["dense", "wanda-50"], "benchmarks": ["small"]},
    "generation": {"budgets": [6, 24], "repeats": 2},
}
HERE = "results/runs/few"
# tables of answers, of masks, and a figure of statistics
TARGETS = [
    f"{HERE}/{made}"
    for made in (
        "tables/comparison.csv", "figures/block_influence/reasoner/chains.svg", "config.json",
    )
]  # fmt: skip


def test_a_named_run_has_a_folder_of_its_own_and_shares_masks_and_completions(changeable):
    folder = changeable.folder
    masks = {path: path.stat().st_mtime_ns for path in folder.glob("results/*/*/mask.*")}
    before, decoded = changeable.tables(), changeable.decoded()
    write_config(changeable, FEW, "few.yaml")
    printed = changeable.run("--cores", "2", *TARGETS, "--configfile", "few.yaml")
    assert {path: path.stat().st_mtime_ns for path in masks} == masks
    assert changeable.tables() == before and "build_mask" not in printed
    dense = folder / "logs/generate/reasoner/dense.log"
    assert "decoded" in dense.read_text()  # of the run without a name, whose log is kept
    assert "no engine starts" in (folder / HERE / dense.relative_to(folder)).read_text()
    assert changeable.decoded() == decoded
    assert {path.name for path in (folder / HERE).iterdir() if path.name[0] != "."} == {
        "config.json", "figures", "logs", "reasoner", "shared.json", "tables",
    }  # fmt: skip
    removed = pd.read_csv(folder / HERE / "tables/comparison.csv")["removed"]
    assert removed.gt(0.4).all()

    command = [sys.executable, "-m", "workflow_scripts.tables.compare_runs", "results", HERE]
    subprocess.run(command, cwd=folder, env=environment(), check=True)
    rows = pd.read_csv(folder / "results/compare/results/few.csv").dropna(subset="paired")
    # the same answers, out of one store
    assert len(rows) == 4 and set(rows["paired"]) == {"yes"} and (rows["difference"] == 0).all()

    other = FEW | {"run": FEW["run"] | {"name": "other"}}
    other["variants"] = {"wanda-50": {"sparsity": 0.4}}
    write_config(changeable, other, "other.yaml")
    refused = changeable.snakemake("--cores", "1", "--configfile", "other.yaml")
    assert refused.returncode == 1
    assert refused.stdout.splitlines()[-1] == (
        "config: variants.wanda-50.sparsity: 0.4 in run other and 0.5 in run few, and both share "
        "what is made with it; give variants.wanda-50 another name in one of them, or remove "
        f"{HERE}/shared.json if run few is to follow"
    )
