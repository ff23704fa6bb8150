"""What the answers of every variant cost under every budget, beside the table of accuracies.

FLOPs and bytes follow from shapes, masks and counted tokens. Seconds are measured, and differ from
run to run: they are there where the run asks for them (`tables.timed`).
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.config.methods.base import read_pattern
from workflow_scripts.tables.content import prices
from workflow_scripts.tables.content.cells import NAMES
from workflow_scripts.tables.content.columns import COUNTS, as_frame
from workflow_scripts.tables.content.decoding import job_speeds
from workflow_scripts.tables.content.formats import Built, Section, design, missing_note, pivoted
from workflow_scripts.tables.content.prices import Spending
from workflow_scripts.tables.content.source import Source

KEYS = [*NAMES, "budget"]
TOKENS = ["trace_tokens", "answer_tokens"]
OF_PRODUCERS = ("engine", "device", "dtype")
BITS = 8  # of a byte
# the columns that pages show, with what they are divided by and called there
SHOWN = {
    "prompt_tokens": (1, "prompt"),
    "trace_tokens": (1, "trace"),
    "answer_tokens": (1, "answer"),
    "flops": (1e9, "GFLOP"),
    "kept_flops": (1e9, "without zeros"),
    "moved_bytes": (1e6, "MB moved"),
    "held_bytes": (1e6, "MB held"),
    "seconds": (1, "seconds"),
}


def build(source: Source) -> Built:
    cells = source.cells()
    speeds = job_speeds(source.logs, cells.attrs) if source.logs else {}
    rows = cost_rows(cells, prices.spendings(source, cells), speeds)
    return Built("Cost", {"cost": rows}, list(sections(rows, cells.attrs["missing"])))


def cost_rows(
    cells: pd.DataFrame,
    known: Mapping[tuple[str, str], Spending],
    speeds: Mapping[tuple[str, str], float],
) -> pd.DataFrame:
    """A row for every cell, in their order; `speeds` are tokens/s by model and variant."""
    answers = pd.concat(
        [cells[[*KEYS, "id", "repeat", *TOKENS]], prices.answer_prices(cells, known)], axis=1
    )
    grouped = answers.groupby(KEYS, sort=False, observed=True)
    rows = grouped[[*TOKENS, *prices.COLUMNS]].mean()
    rows = rows.assign(problems=grouped["id"].nunique(), repeats=grouped["repeat"].nunique())
    rows = rows.reset_index().astype(dict.fromkeys(NAMES, str))
    places = [*zip(rows["model"], rows["variant"], strict=True)]
    of_variants = {place: _of_variant(known[place]) for place in dict.fromkeys(places)}
    rows = pd.concat([rows, pd.DataFrame([of_variants[place] for place in places])], axis=1)
    rows["tokens_per_second"] = [speeds.get(place, math.nan) for place in places]
    rows["seconds"] = rows[TOKENS].sum(axis=1) / rows["tokens_per_second"]
    counts = [column for column in COUNTS if column in rows]
    return as_frame("cost", rows.assign(**rows[counts].round()).to_dict("records"))


def _of_variant(spent: Spending) -> dict[str, Any]:
    """What is the same for all answers of a variant: its sizes, and what decoded it."""
    record, work, mask = spent.record, spent.work, spent.mask
    export = mask.export if mask else None
    produced = {
        key: "; ".join(sorted({one[key] for one in record.producers if key in one}))
        for key in OF_PRODUCERS
    }
    return {
        "form": form_of(mask) if mask else "",
        "disk_bytes": export.bytes if export else math.nan,
        "memory_bytes": spent.item * work.parameters if work else math.nan,
        "compressed_bytes": compressed_bytes(spent),
        **produced,
        "batch": str(record.settings.get("batch_size", "")),
    }


def form_of(mask: MaskRecord) -> str:
    """How a variant's weights are stored: `masked` ones as dense ones, with zeros among them."""
    forms = ["sliced"] if mask.sliced_width is not None else []
    forms += ["fewer blocks"] if mask.removed_blocks else []
    if mask.export and mask.export.units:
        forms.append("narrow")
    elif mask.linears:
        forms.append(" ".join(["masked", *filter(None, [mask.options.get("pattern")])]))
    return ", ".join(forms) or "dense"


def compressed_bytes(spent: Spending) -> float:
    """Bytes in memory as kernels for n:m hold them: of masked linears the kept values, each with
    its place among the m as a number of whole bits. NaN for other masks, of which none is run so.
    """
    mask, work = spent.mask, spent.work
    pattern = mask.options.get("pattern") if mask else None
    if pattern is None or work is None:
        return math.nan
    _, group = read_pattern(pattern)
    masked = sum(linear.weights for linear in mask.linears.values())
    kept = sum(linear.weights * (1 - linear.achieved) for linear in mask.linears.values())
    places = kept * math.ceil(math.log2(group)) / BITS
    return spent.item * (work.parameters - masked + kept) + places


def sections(rows: pd.DataFrame, missing: list[str] = ()) -> Iterator[Section]:
    """For every model and benchmark FLOPs by budget, and all numbers of the largest budget."""
    for (model, benchmark), members in rows.groupby(["model", "benchmark"], sort=False):
        size, lacks = design(members.iloc[0]), missing_note(missing)
        texts = [_number(value / 1e9) for value in members["flops"]]
        yield Section(
            f"{model} on {benchmark}: GFLOP of an answer",
            f"mean work of a prompt, a trace and an answer by budget (thinking tokens). {size}. "
            f"{DENSE_KERNEL}{lacks}",
            pivoted(members.assign(text=texts), "budget"),
        )
        budget = members["budget"].max()
        largest = members[members["budget"] == budget]
        shown = {
            head: (largest[column] / unit).map(_number)
            for column, (unit, head) in SHOWN.items()
            if largest[column].notna().any()
        }
        named = largest[["variant", "form"]].reset_index(drop=True)
        weights = (largest["memory_bytes"] / 1e6).map(_number)
        frame = pd.DataFrame({**shown, "MB of weights": weights}).reset_index(drop=True)
        yield Section(
            f"{model} on {benchmark}: what an answer takes under budget {budget}",
            f"means over answers: tokens; work; without zeros: what a kernel would take that skips "
            "weights that are zero; bytes that one sequence by itself moves between memory and "
            "processor, and holds at its end. "
            f"{SECONDS if 'seconds' in shown else ''}{DENSE_KERNEL}{lacks}",
            pd.concat([named, frame], axis=1),
            frozenset({"form"}),
        )


DENSE_KERNEL = (
    "A dense kernel multiplies with zeros as with other weights, so that masks of single weights "
    "save no work. Dashes: not known."
)
SECONDS = "Seconds are the share of a job that an answer takes, at the pace of its batch. "


def _number(value: float) -> str:
    """Three digits, and no exponent."""
    if math.isnan(value):
        return "–"
    digits = 2 - int(math.floor(math.log10(abs(value)))) if value else 0
    return f"{np.round(value, digits):,.{max(digits, 0)}f}"
