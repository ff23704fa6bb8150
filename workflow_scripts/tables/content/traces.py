"""Every trace as every budget leaves it, with what is measured of it; other tables are made of it.

A row for every answer of `cells`, in its order, with the columns `COLUMNS`: `tokens` and `finish`
of the trace under the budget, `characters` of its text, how many times smaller zlib makes it
(`compression`), distinct n-grams over all n-grams of the repeats of its problem (`distinct`, the
same for each of them), reflection words in it, the longest loop's period in characters and how many
times over it is there, whether the trace ends in a loop (`looping`, 0 or 1), and after how many
tokens it departs from the reference's trace of the same problem, repeat and seed. What is not there
is NaN: the loop of a trace without one, the departure of one that does not depart under the budget,
and of one that has nothing to depart from, of which `unpaired` says why.
"""

from pathlib import Path

import pandas as pd

from workflow_scripts.tables.content.cells import KEY, NAMES
from workflow_scripts.tables.content.gathered import load_gathered, write_gathered

FILE = "traces.parquet"
MEASURES = (
    "characters", "compression", "distinct", "reflections", "loop_period", "loop_times", "looping",
)  # fmt: skip
COLUMNS = [*NAMES, *KEY, "tokens", "finish", *MEASURES, "departure", "unpaired"]
# why a trace has nothing to depart from
IS_REFERENCE = "the reference"
NO_REFERENCE = "no trace of the reference"
OTHER_SEED = "another seed than the reference's"
NO_TRACES = "no traces"


def write_traces(path: Path, traces: pd.DataFrame) -> None:
    """Write the traces, atomically and with the same bytes each time."""
    write_gathered(path, traces)


def load_traces(folder: Path) -> pd.DataFrame:
    """Read the traces below a folder of tables. Raises `InputError` where there are none."""
    return load_gathered(folder / FILE, "traces", "collect_traces", [COLUMNS])
