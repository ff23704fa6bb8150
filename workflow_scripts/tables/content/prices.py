"""What each answer of a run costs: FLOPs, bytes that are moved, bytes that are held.

An answer under a budget costs what it would if it were all that is asked for: its prompt, its
trace as the budget cuts it, what is put behind that, and what follows. That a shared sweep draws
one trace for all budgets, or that an engine computes a trace twice, is a matter of how an
experiment is run.

Each of these tokens passes the blocks once; one that is decoded passes the head as well. The prompt
is read in one go, with the weights read once for it, of experts those of all of its tokens, and
decoded tokens one by one: bytes moved are those of one sequence by itself. In a batch all sequences
share one reading of the weights, except that tokens are sent to different experts.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.artefacts.generation_records import GenerationRecord, read_generation_record
from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.estimates.work import ALL, Run, Work, run_of, variant_work
from workflow_scripts.models.checkpoints import Checkpoint, open_checkpoint
from workflow_scripts.models.file_names import CONFIG
from workflow_scripts.models.routing import PARTS as SUBLAYERS
from workflow_scripts.tables.content.removals import Masks, read_masks
from workflow_scripts.tables.content.source import Source

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}  # of a number, by `generation.dtype`
PARTS = ["prompt_flops", "trace_flops", "answer_flops"]
MOVED = ["moved_weight_bytes", "moved_cache_bytes"]
COLUMNS = ["prompt_tokens", *PARTS, "flops", "kept_flops", *MOVED, "moved_bytes", "held_bytes"]


@dataclass(frozen=True)
class Spending:
    """A variant of a model as far as its answers cost something.

    `work` is None where the model's files or the mask's record are not there; `record` says how it
    was run.
    """

    work: Work | None
    record: GenerationRecord
    mask: MaskRecord | None

    @property
    def item(self) -> float:
        """Bytes of a number, as the variant was run; NaN where that is not known."""
        return BYTES.get(str(self.record.settings.get("dtype")), math.nan)

    def prices(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The price of every answer of this variant, with the index of `rows`; NaN if unknown."""
        prompt = pd.Series(math.nan, rows.index)
        for benchmark, of_it in rows.groupby("benchmark", observed=True):
            known = self.record.prompt_tokens.get(str(benchmark), {})
            prompt.loc[of_it.index] = of_it["id"].map(dict(known)).astype(float)
        found = pd.DataFrame(math.nan, rows.index, COLUMNS).assign(prompt_tokens=prompt)
        if self.work is None:
            return found
        work, before = self.work, prompt.to_numpy()
        trace, answer = (rows[f"{part}_tokens"].to_numpy(float) for part in ("trace", "answer"))
        thinking, answering = (self._run(rows, part) for part in ("trace", "answer"))
        put = rows["trace_finish"].map(dict(self.record.put_between)).to_numpy(float)
        thought = before + trace
        asked, end = thought + put, thought + put + answer

        def in_blocks(kept: bool) -> list[NDArray]:
            """Of prompt, trace, what is put behind it, and answer; what is not decoded runs all."""
            return [
                work.span_flops(0, before, kept),
                work.span_flops(before, trace, kept, thinking),
                work.span_flops(thought, put, kept),
                work.span_flops(asked, answer, kept, answering),
            ]

        head = work.head_flops(trace), work.head_flops(answer)
        of_prompt, of_trace, of_put, of_answer = in_blocks(kept=False)
        found["prompt_flops"], found["trace_flops"] = of_prompt, of_trace + head[0]
        found["answer_flops"] = of_put + of_answer + head[1]
        found["flops"] = found[PARTS].sum(axis=1, skipna=False)
        found["kept_flops"] = sum(in_blocks(kept=True)) + sum(head)
        weights = trace * work.read_weights(thinking) + answer * work.read_weights(answering)
        found["moved_weight_bytes"] = self.item * (work.read_weights(tokens=before) + weights)
        read = work.read_cache(before, trace, thinking) + work.read_cache(asked, answer, answering)
        written = work.written_cache(before + put) + work.written_cache(trace, thinking)
        written = written + work.written_cache(answer, answering)
        found["moved_cache_bytes"] = self.item * (read + written)
        found["moved_bytes"] = found[MOVED].sum(axis=1, skipna=False)
        found["held_bytes"] = self.item * (work.parameters + work.held_cache(end))
        return found

    def _run(self, rows: pd.DataFrame, part: str) -> Run:
        """What each trace or answer runs. One of which no token was put into the model while it was
        decoded counts like the others on average.
        """
        if self.mask is None or self.mask.dynamic is None:
            return ALL
        ran = rows.reindex(columns=[f"{part}_ran_{sublayer}" for sublayer in SUBLAYERS])
        shares = ran.fillna(ran.mean()).to_numpy(float).T
        return run_of(self.mask.dynamic, *shares)


def spendings(source: Source, cells: pd.DataFrame) -> dict[tuple[str, str], Spending]:
    """By model and variant, for all that have answers."""
    run = cells.attrs
    masks = read_masks(source.shared, run["models"], run["variants"])
    places = cells[["model", "variant"]].drop_duplicates().itertuples(index=False, name=None)
    opened = cache(_opened)
    return {
        place: Spending(
            _work(opened(source.resources / place[0]), masks, place),
            _record(source.results.joinpath(*place, "generation.json")),
            masks.get(place),
        )
        for place in places
    }


def answer_prices(cells: pd.DataFrame, known: Mapping[tuple[str, str], Spending]) -> pd.DataFrame:
    """The price of every answer, a row for each of `cells` with the columns COLUMNS."""

    def by_variant() -> Iterator[pd.DataFrame]:
        for place, rows in cells.groupby(["model", "variant"], sort=False, observed=True):
            yield known[place].prices(rows)

    return pd.concat(list(by_variant())).reindex(cells.index)


def _opened(folder: Path) -> Checkpoint | None:
    return open_checkpoint(folder) if (folder / CONFIG).exists() else None


def _work(checkpoint: Checkpoint | None, masks: Masks, place: tuple[str, str]) -> Work | None:
    mask = masks.get(place)
    return variant_work(checkpoint, mask) if checkpoint and mask else None


def _record(path: Path) -> GenerationRecord:
    return read_generation_record(path) if path.exists() else GenerationRecord()
