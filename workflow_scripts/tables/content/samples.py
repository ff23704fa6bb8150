"""Every graded answer with its question and its trace, and a few of them to be read.

A row for every model, benchmark, variant, problem, repeat and budget, with the columns `SCHEMA`.
`trace` is the whole thinking of a problem and repeat, of which a budget takes the first
`trace_tokens` tokens; `looping` says whether these end in a loop. `outcome` says what became of an
answer that the dense model gave under the same budget: `lost`, `won`, `both right`, `both wrong`;
empty where there is none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.artefacts.records import Answer, Grade, Problem, Trace, read_records
from workflow_scripts.files.atomic import written_atomically
from workflow_scripts.tables.content.cells import KEY, NAMES
from workflow_scripts.tables.content.screened_out import dropped

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("model", "benchmark", "variant", "id", "question")),
        ("gold", pa.string()), ("repeat", pa.int64()), ("budget", pa.int64()),
        ("trace", pa.string()), ("trace_tokens", pa.int64()), ("trace_finish", pa.string()),
        ("answer", pa.string()), ("answer_tokens", pa.int64()), ("answer_finish", pa.string()),
        ("extracted", pa.string()), ("correct", pa.bool_()), ("reason", pa.string()),
        ("looping", pa.bool_()), ("outcome", pa.string()),
    ]
)  # fmt: skip
# by the dense model's answer and the variant's
OUTCOMES = {
    (True, True): "both right", (True, False): "lost",
    (False, True): "won", (False, False): "both wrong",
}  # fmt: skip
FILE = "samples.parquet"
SHOWN = ("lost", "won", "cut", "looping")
EACH = 3  # examples of an outcome for each model, benchmark and variant


def read_samples(
    results: Path,
    benchmarks: Path,
    names: Mapping[str, Sequence[str]],
    reference: str,
    traces: pd.DataFrame,
) -> Iterator[pd.DataFrame]:
    """A frame for every model, benchmark and variant that is graded; `names` holds the lists
    `models`, `benchmarks` and `variants` and, in a run that leaves out what it screens out,
    `drops`. `benchmarks` is the folder of the problems, `traces` what `traces.parquet` holds."""
    in_loops = traces.loc[traces["looping"] == 1, [*NAMES, *KEY]].astype(dict.fromkeys(NAMES, str))
    loops = {*in_loops.itertuples(index=False, name=None)}
    out = dropped(results, names["models"], names.get("drops", False))
    for model, benchmark in product(names["models"], names["benchmarks"]):
        problems = {p.id: p for p in read_records(benchmarks / f"{benchmark}.jsonl", Problem)}
        dense = _grades(results / model / reference, benchmark)
        for variant in names["variants"]:
            if (model, variant) in out:
                continue
            is_dense = variant == reference
            grades = dense if is_dense else _grades(results / model / variant, benchmark)
            if grades:
                place = {"model": model, "benchmark": benchmark, "variant": variant}
                rows = _rows(results / model / variant, place, problems, grades)
                frame = pd.DataFrame(rows)
                right = [dense[key].correct if key in dense else None for key in grades]
                pairs = zip(right, frame["correct"], strict=True)
                outcome = ["" if is_dense else OUTCOMES.get(pair, "") for pair in pairs]
                keys = frame[[*NAMES, *KEY]].itertuples(index=False, name=None)
                looping = [key in loops for key in keys]
                yield frame.assign(looping=looping, outcome=outcome)[SCHEMA.names]


Key = tuple[str, int, int]


def _grades(folder: Path, benchmark: str) -> dict[Key, Grade]:
    path = folder / "grades" / f"{benchmark}.jsonl"
    if not path.exists():
        return {}
    return {(g.id, g.repeat, g.budget): g for g in read_records(path, Grade)}


def _rows(
    folder: Path,
    place: Mapping[str, str],
    problems: Mapping[str, Problem],
    grades: Mapping[Key, Grade],
) -> Iterator[dict[str, Any]]:
    name = f"{place['benchmark']}.jsonl"
    answers = {
        (a.id, a.repeat, a.budget): a for a in read_records(folder / "answers" / name, Answer)
    }
    # with its budget where each has a trace of its own
    traces = {
        (t.id, t.repeat, t.budget): t.text for t in read_records(folder / "traces" / name, Trace)
    }
    for key, grade in grades.items():
        answer, problem = answers[key], problems[grade.id]
        own = (grade.id, grade.repeat, grade.budget)
        trace = traces[own] if own in traces else traces[grade.id, grade.repeat, None]
        yield {
            **place,
            "id": grade.id,
            "question": problem.question,
            "gold": problem.answer,
            "repeat": grade.repeat,
            "budget": grade.budget,
            "trace": trace,
            "trace_tokens": answer.trace_tokens,
            "trace_finish": answer.trace_finish,
            "answer": answer.text,
            "answer_tokens": answer.answer_tokens,
            "answer_finish": answer.answer_finish,
            "extracted": grade.extracted,
            "correct": grade.correct,
            "reason": grade.reason,
        }


def write_samples(path: Path, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Write frames as they come, one after the other, and pass them on."""
    with (
        written_atomically(path) as temporary,
        pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer,
    ):
        for frame in frames:
            writer.write_table(pa.Table.from_pandas(frame, SCHEMA, preserve_index=False))
            yield frame


def examples(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The first answers of each outcome that is worth reading, under the largest budget."""
    largest = frame[frame["budget"] == frame["budget"].max()]
    kinds = {
        "lost": largest["outcome"] == "lost",
        "won": largest["outcome"] == "won",
        "cut": (largest["trace_finish"] == "length") & ~largest["looping"],
        "looping": largest["looping"],
    }
    for outcome in SHOWN:
        found = largest[kinds[outcome]].drop_duplicates("id").head(EACH)
        for row in found.astype(object).where(found.notna(), None).to_dict("records"):
            yield {**row, "shown_as": outcome}
