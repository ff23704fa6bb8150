"""A newcomer's first hour: own models and problems, a sweep, two runs compared, the report."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tests.tables.browser import look, needs_browser, open_figures
from tests.workflow.checkout import Checkout, copy_project, environment, write_config
from workflow_scripts.paths import PROJECT

MODELS = {"my-llama": "llama", "my-qwen": "qwen2"}
SWEEP = ["dense", "magnitude-30", "magnitude-60"]
# of the first run there is what is put side by side with the second, which has everything
RUNS = {"short": ([4, 8], SWEEP[::2]), "long": ([8, 16], SWEEP)}
COMPARED = [f"results/runs/short/{made}" for made in ("tables/accuracy.md", "config.json")]
PROBLEMS = [(f"{a}+{b}=", (a + b) % 10) for a in range(3) for b in range(4)]


def config(name: str) -> dict:
    budgets, variants = RUNS[name]
    source = {"kind": "local", "path": "sums.csv", "answer_kind": "integer"}
    return {
        "run": {"name": name, "models": [*MODELS], "variants": variants, "benchmarks": ["sums"]},
        "models": {
            model: {
                "source": {"kind": "local", "path": f"checkpoints/{model}"},
                "thinking": "think",
            }
            for model in MODELS
        },
        "benchmarks": {
            "sums": {
                "source": source | {"columns": {"question": "sum", "answer": "result"}},
                "prompt": "0+{question}",
                "limit": {"problems": 5},
            }
        },
        "variants": {"magnitude-30": {"method": "magnitude", "sparsity": 0.3}},
        "generation": {"budgets": budgets, "repeats": 2},
    }


def save_model(folder: Path, architecture: str) -> None:
    """A small random model, as `save_pretrained` writes what somebody has trained."""
    tokenizer = AutoTokenizer.from_pretrained(PROJECT / "bundled/models/reasoner")
    sizes = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 128, "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None, "pad_token_id": None,
    }  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **sizes)).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def hour(tmp_path_factory) -> Checkout:
    """Two runs over one sweep, of which the second thinks longer."""
    checkout = copy_project(tmp_path_factory.mktemp("hour") / "prune think")
    for model, architecture in MODELS.items():
        save_model(checkout.folder / "checkpoints" / model, architecture)
    with open(checkout.folder / "sums.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("sum", "result"), *PROBLEMS])
    for name in RUNS:
        write_config(checkout, config(name), f"{name}.yaml")
        targets = COMPARED if name == "short" else []
        checkout.run("--cores", "2", *targets, "--configfile", f"{name}.yaml")
    return checkout


def test_two_runs_stand_side_by_side_and_share_what_they_can(hour):
    runs = hour.folder / "results/runs"
    for name, (_, variants) in RUNS.items():
        table = (runs / name / "tables/accuracy.md").read_text()
        assert "Limited: sums: a sample of 5 problems (seed 0)." in table
        for model in MODELS:
            assert f"**{model} on sums**" in table
        assert all(f"| {variant} " in table for variant in variants)
    assert len(list((hour.folder / "resources/models").iterdir())) == len(MODELS)
    compared = subprocess.run(
        [sys.executable, "-m", "workflow_scripts.tables.compare_runs", *map(str, runs.iterdir())],
        cwd=hour.folder, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    page = next(Path(hour.folder, line) for line in compared.stdout.split() if line.endswith("md"))
    text = page.read_text()
    assert "generation.budgets" in text and "my-llama" in text and "magnitude-60" in text


# What a reader would call cut: text wider than its place, with no way to scroll there.
LOOK_THROUGH = """
for (const fold of document.querySelectorAll("details")) fold.open = true;
const images = [...document.querySelectorAll("figure img")];
for (const image of images) image.loading = "eager";
await Promise.all(images.map(image => image.decode()));
const scrolls = element => {
  for (let at = element; at !== document.body; at = at.parentElement)
    if (/auto|scroll/.test(getComputedStyle(at).overflowX)) return true;
  return false;
};
const shown = [...document.querySelectorAll("h1, h2, h3, p, li, td, th, figcaption, summary, pre")];
return {
  width: document.documentElement.scrollWidth,
  images: images.length,
  loaded: images.filter(image => image.naturalWidth > 100).length,
  cut: shown.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth && !scrolls(e))
    .map(e => e.textContent.trim().slice(0, 60)),
};
"""


@needs_browser
@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
def test_the_report_shows_every_figure_and_cuts_no_text(hour, tmp_path, width, height):
    run = hour.folder / "results/runs/long"
    page = (run / "report.html").read_text()
    found, console = look(page, LOOK_THROUGH, width, height, tmp_path)
    assert console == ""
    assert found["width"] <= width and found["cut"] == []
    drawn = list((run / "figures").rglob("*.svg"))
    assert found["images"] == found["loaded"] >= len(drawn) > 10


@needs_browser
def test_snakemakes_report_reaches_every_figure_of_a_named_run(hour, tmp_path):
    hour.run("--report", "report.html", "--configfile", "long.yaml")
    page = (hour.folder / "report.html").read_text()
    shown = open_figures(page, [*MODELS], tmp_path)
    drawn = list((hour.folder / "results/runs/long/figures").rglob("*.svg"))
    assert len(shown) == len(set(shown.values())) == len(drawn)
