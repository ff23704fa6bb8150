"""Which claims about tasks hold in this run, see `tables.paper.task_claims`."""

from collections.abc import Sequence

import pandas as pd

from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.formats import (
    Built,
    Section,
    missing_note,
    with_percent_bounds,
)
from workflow_scripts.tables.content.removals import read_masks
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.verdicts import RELEVANT


def build(source: Source) -> Built:
    # the report, which only shows claims, does without what testing them takes
    from workflow_scripts.tables.content.task_scores import load_task_scores, tasks_of
    from workflow_scripts.tables.paper.claim_files import read_claims
    from workflow_scripts.tables.paper.task_claims import REASONING, Run, ask, benchmark_tasks

    scores = load_task_scores(source.tables)
    known, options = scores.attrs, source.options
    tasks = [task for task in tasks_of(scores) if task.is_averaged]
    if not any(task.family == REASONING for task in tasks):
        tasks += benchmark_tasks(source.cells())
    run = Run(
        tasks,
        known["models"],
        known["variants"],
        source.ways,
        read_masks(source.shared, known["models"], known["variants"]),
        source.reference,
        options.get("pair", {}),
        options.get("data_pairs", {}),
        {variant: start for variant, start, _ in options.get("recovered", [])},
    )
    rows = [
        {"claim": name, "paper": paper, "says": claim.says, "where": claim.where, **answer}
        for paper, name, claim in read_claims()
        for answer in ask(claim, run)
    ]
    frame = as_frame("task_claims", rows)
    title = "Claims about tasks"
    return Built(title, {"task_claims": frame}, sections(frame, known["missing"]), of_answers=False)


def sections(rows: pd.DataFrame, missing: Sequence[str] = ()) -> list[Section]:
    """The claims of each paper as a table."""
    return [
        Section(
            f"claims of {paper} about tasks, in this run",
            "difference: what is claimed to be above 0, in percentage points with its 95 % "
            "interval, a mean over tasks that weigh the same of pairs of variants, paired by "
            "sample. Supported or contradicted where the interval leaves out 0, or of what is "
            f"said to hardly matter, where all of it is within {100 * RELEVANT:.0f} points or "
            "beyond them; intervals are not corrected for their number. Without a task of "
            "reasoning, benchmarks under their largest budget stand in." + missing_note(missing),
            pd.DataFrame(
                {
                    "claim": members["says"],
                    "where": members["where"],
                    "model": members["model"],
                    "difference": [
                        with_percent_bounds(*values)
                        for values in members[["estimate", "ci_low", "ci_high"]].to_numpy()
                    ],
                    "verdict": members["verdict"],
                    "compared, or what is missing": members["evidence"],
                }
            ),
            frozenset({"where", "model", "verdict", "compared, or what is missing"}),
        )
        for paper, members in rows.groupby("paper", sort=False)
    ]
