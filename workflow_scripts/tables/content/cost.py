"""What the answers of every variant cost under every budget, beside the table of accuracies.

FLOPs and bytes follow from shapes, masks and counted tokens. Seconds are measured, and differ from
run to run: they are there where the run asks for them (`tables.timed`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.config.methods.base import read_pattern
from workflow_scripts.tables.content import prices
from workflow_scripts.tables.content.cells import NAMES, benchmark_of
from workflow_scripts.tables.content.columns import COUNTS, as_frame
from workflow_scripts.tables.content.decoding import job_speeds
from workflow_scripts.tables.content.formats import Built, Section, design, missing_note, pivoted
from workflow_scripts.tables.content.price_units import three_digits, unit_for
from workflow_scripts.tables.content.prices import Spending
from workflow_scripts.tables.content.source import Source

KEYS = [*NAMES, "budget"]
TOKENS = ["trace_tokens", "answer_tokens"]
OF_PRODUCERS = ("engine", "device", "dtype")
BITS = 8  # of a byte
# the columns that pages show, with their units and what they are called there
SHOWN = {
    "prompt_tokens": ("", "prompt"),
    "trace_tokens": ("", "trace"),
    "answer_tokens": ("", "answer"),
    "flops": ("FLOP", "work"),
    "kept_flops": ("FLOP", "without zeros"),
    "moved_bytes": ("B", "moved"),
    "held_bytes": ("B", "held"),
    "memory_bytes": ("B", "weights"),
    "compressed_bytes": ("B", "n:m weights"),
    "seconds": ("s", "time"),
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


def sections(rows: pd.DataFrame, missing: Sequence[str] = ()) -> Iterator[Section]:
    """For every model and benchmark the work by budget, and all numbers of the largest budget."""
    for place, members in rows.groupby(["model", "benchmark"], sort=False):
        size = design(members.iloc[0])
        lacks = missing_note([name for name in missing if benchmark_of(name) == place])
        unit, symbol = unit_for(members["flops"], "FLOP")
        texts = [three_digits(value / unit) for value in members["flops"]]
        yield Section(
            f"{' on '.join(place)}: work of an answer",
            f"mean {symbol} of a prompt, a trace and an answer, by budget (thinking tokens). "
            f"{size}. {DENSE_KERNEL}{lacks}",
            pivoted(members.assign(text=texts), "budget"),
        )
        budget = members["budget"].max()
        largest = members[members["budget"] == budget]
        frame = largest[["variant", "form"]].assign(**dict(_shown(largest)))
        yield Section(
            f"{' on '.join(place)}: what an answer takes under a budget of {budget}",
            "means over answers: tokens of prompt, trace and answer; work; without zeros: what a "
            "kernel would be left with that skips weights that are zero; bytes that one sequence "
            "by itself moves between memory and processor, and holds at its end; bytes of all "
            "weights in memory, and as kernels for n:m hold them. "
            f"{SECONDS if frame.columns[-1].startswith('time') else ''}{DENSE_KERNEL}{lacks}",
            frame,
            frozenset({"form"}),
        )


def _shown(rows: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Columns of a page, with their units; none of what nothing is known of."""
    for column, (unit, head) in SHOWN.items():
        if rows[column].notna().any():
            size, symbol = unit_for(rows[column], unit) if unit else (1.0, "")
            yield f"{head}, {symbol}" if unit else head, (rows[column] / size).map(three_digits)


DENSE_KERNEL = (
    "Dense kernels multiply with zeros as with other weights: masks of single weights save them no "
    "work. A dash: not known."
)
SECONDS = "Time is an answer's share of the job that decoded it, at the pace of its whole batch. "
