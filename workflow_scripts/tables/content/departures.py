"""The page that shows traces of lost problems beside those of the reference."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.artefacts.records import Problem, Trace, read_records
from workflow_scripts.tables.content.cells import KEY, NAMES
from workflow_scripts.tables.content.formats import page
from workflow_scripts.tables.content.traces import (
    IS_REFERENCE,
    NO_REFERENCE,
    NO_TRACES,
    OTHER_SEED,
)
from workflow_scripts.tables.traces.files import Pair

FILE = "departures.html"
# characters of a text that a page shows: before and after the place where traces part, of the end
# of a long trace, and of a question
BEFORE, AFTER, END = 300, 1500, 500
QUESTION = 2000
REASONS = {
    NO_REFERENCE: "there are no traces of {reference}",
    OTHER_SEED: "traces were drawn with other seeds than those of {reference}",
    NO_TRACES: "there are no files of traces",
}


def lost_pairs(
    pairs: Sequence[Pair], cells: pd.DataFrame, reference: str, benchmarks: Path
) -> Iterator[dict[str, Any]]:
    """What the page shows of each pair; `benchmarks` is the folder of the problems."""
    problems: dict[str, dict[str, Problem]] = {}
    dense = cells[cells["variant"] == reference].set_index(["model", "benchmark", *KEY])
    for pair in pairs:
        row = cells.loc[pair.row]
        benchmark = str(row["benchmark"])
        if benchmark not in problems:
            records = read_records(benchmarks / f"{benchmark}.jsonl", Problem)
            problems[benchmark] = {problem.id: problem for problem in records}
        problem = problems[benchmark][row["id"]]
        other = dense.loc[(row["model"], benchmark, *row[KEY])]
        at = pair.place if pair.place is not None else 0
        yield {
            **{name: str(row[name]) for name in [*NAMES, "id"]},
            "repeat": int(row["repeat"]),
            "budget": int(row["budget"]),
            "question": clipped(problem.question, QUESTION, 0),
            "gold": problem.answer,
            "unpaired": pair.unpaired,
            "tokens": pair.tokens,
            "shared": "" if pair.place is None else clipped(pair.trace.text[:at], 0, BEFORE),
            "sides": [
                {"name": name, "finish": trace.finish, "tokens": trace.tokens,
                 "extracted": None if pd.isna(answer["extracted"]) else answer["extracted"],
                 "rest": clipped(trace.text[at:], AFTER, END)}
                for name, trace, answer in (
                    (reference, pair.dense, other), (str(row["variant"]), pair.trace, row)
                )
                if isinstance(trace, Trace)
            ],
        }  # fmt: skip


def clipped(text: str, first: int, last: int) -> str:
    """A text, or its first and last characters and how many are left out between them."""
    if len(text) <= first + last:
        return text
    left_out = f"[… {len(text) - first - last:,} characters …]"
    parts = [text[:first], left_out, text[len(text) - last :]]
    return "\n".join(part for part in parts if part)


def unpaired_notes(traces: pd.DataFrame, reference: str) -> Iterator[str]:
    """For each model, variant and benchmark without anything to depart from, a line that says why.

    Where that is so of all traces, or of some.
    """
    for names, rows in traces.groupby(NAMES, sort=False, observed=True):
        model, variant, benchmark = names
        for reason, members in rows.groupby("unpaired", sort=False, observed=True):
            if reason in ("", IS_REFERENCE):
                continue
            part = "" if len(members) == len(rows) else f" ({len(members)} of {len(rows)})"
            said = REASONS[str(reason)].format(reference=reference)
            yield f"{model} / {variant} on {benchmark}{part}: {said}."


def departures_page(
    shown: Sequence[Mapping[str, Any]], traces: pd.DataFrame, reference: str, most: int
) -> str:
    names = {name: [*map(str, traces[name].unique())] for name in NAMES}
    return page(
        "departures.html.j2",
        pairs=shown,
        notes=[*unpaired_notes(traces, reference)],
        names=names,
        reference=reference,
        most=most,
        is_compared=bool((traces["unpaired"] != NO_REFERENCE).any()),
    )
