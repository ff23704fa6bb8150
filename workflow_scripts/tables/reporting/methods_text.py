"""The methods of a run in words, with its numbers filled in, as a paper would say them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader

from workflow_scripts.config.allocations import ALLOCATIONS
from workflow_scripts.config.methods import METHODS
from workflow_scripts.config.references import Citations
from workflow_scripts.tables.content.columns import MEAN
from workflow_scripts.tables.content.formats import TEMPLATES, count
from workflow_scripts.tables.reporting.training_text import (
    own_texts,
    recovery_paragraphs,
    trained_variants,
    ways_to_prune,
)
from workflow_scripts.tables.statistics.verdicts import ALPHA, DRAWS, RELEVANT

MEASURES = {  # of a screen
    "kl": "Kullback-Leibler divergence from the dense model",
    "agreement": "agreement with the dense model on the likeliest token",
    "loss": "cross entropy of the tokens that the dense model wrote",
}


def methods_paragraphs(
    cells: pd.DataFrame,
    config: Mapping[str, Any],
    comparison: pd.DataFrame,
    citations: Citations,
    limits: Mapping[str, str],
    pair: Mapping[str, str] | None = None,
    tasks: pd.DataFrame | None = None,
    has_prices: bool = False,
) -> list[str]:
    """Paragraphs of plain text; the template is `tables/templates/methods.txt.j2`.

    `pair` names the models of a pair, where the run has one; `tasks` is the table of tasks;
    `has_prices` says whether anything was compared at equal price.
    """
    run, generation = cells.attrs, config.get("generation", {})
    used = [config["variants"][v] for v in run["variants"] if v in config.get("variants", {})]
    methods = dict.fromkeys(METHODS[one["method"]] for one in used if one["method"] != "dense")
    kinds = [one["allocation"]["kind"] for one in used if "allocation" in one]
    allocations = dict.fromkeys(ALLOCATIONS[kind] for kind in kinds if kind != "uniform")
    problems = cells.groupby("benchmark", sort=False)["id"].nunique()
    # plain text: what becomes of it is escaped where it is put into a page
    environment = Environment(loader=FileSystemLoader(TEMPLATES))

    def cited(names: Any) -> Any:
        # one after the other where the text comes to them, so that references are numbered in order
        for one in names:
            yield f"{one.title} {citations.cite(one.cites)}" if one.cites else one.title

    text = environment.get_template("methods.txt.j2").render(
        run=run,
        ways=ways_to_prune(config, run["variants"]),
        own=own_texts(config),
        recoveries=trained_variants(config) and recovery_paragraphs(config, citations),
        screen=_screen(config),
        pair=pair,
        tasks=[] if tasks is None else measured(tasks),
        prices=has_prices,
        draws=DRAWS,
        cite=citations.cite,
        methods=methods and cited(methods),
        allocations=allocations and cited(allocations),
        sets=[
            f"{name} ({one['samples']} sequences of {one['length']} tokens, seed {one['seed']})"
            for name, one in sorted(config.get("calibration_sets", {}).items())
        ],
        benchmarks=[
            f"{name} ({limits.get(name) or count(size, 'problem')})"
            for name, size in problems.items()
        ],
        wordings=list(_wordings(config)),
        repeats=cells["repeat"].nunique(),
        budgets=sorted(cells["budget"].unique()),
        generation=generation,
        apart={
            name: value
            for name, value in (generation.get("answer_sampling") or {}).items()
            if value != generation.get(name)
        },
        families=comparison["family"].value_counts(sort=False).tolist(),
        alpha=ALPHA,
        relevant=RELEVANT,
    )
    found = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return [paragraph for paragraph in found if paragraph]


def _screen(config: Mapping[str, Any]) -> dict[str, Any]:
    """How variants are screened, where they are, with the measure in words."""
    screen = config.get("run", {}).get("screen")
    return {**screen, "measure": MEASURES[screen["by"]]} if screen else {}


def measured(tasks: pd.DataFrame) -> list[str]:
    """Each task with its metric and size."""
    of_tasks = tasks[tasks["task"] != MEAN].drop_duplicates("task")
    return [
        f"{row.task} ({row.metric}, {count(row.samples, 'sample')})"
        for row in of_tasks.itertuples()
    ]


def _wordings(config: Mapping[str, Any]) -> Iterator[str]:
    """How problems are put, of benchmarks that say it."""
    for name, entry in config.get("benchmarks", {}).items():
        prompt = entry.get("prompt")
        named = config.get("prompts", {}).get(prompt)
        words = "in words of this experiment" if named is None else f"in the words of {prompt}"
        origin = f" ({named['origin']})" if named and "origin" in named else ""
        if prompt is not None:
            yield f"those of {name} {words}{origin}"
        if "system" in entry:
            yield f"those of {name} after a system message"
