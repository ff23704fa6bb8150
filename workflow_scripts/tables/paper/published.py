"""The published numbers of arXiv 2604.25098, under the names that a run has for the same things.

`config/published/` holds them: what the tables print (origin `exact`) and what was read off figures
(origin `digitised`).
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.paths import CONFIG

FOLDER = CONFIG / "published"
SEEDS = 3  # runs behind every published mean
READING = 0.01  # most that a point which a figure shows only approximately can be off
BENCHMARKS = {"aime": "aime24", "gpqa": "gpqa_diamond", "amc": "amc23", "math": "math500"}
PARTS = {"attn": "attention", "MLP": "mlp"}
PART_FIGURES = {"s1.1-7B": "figure 4", "Qwen3-8B": "figure 5"}
METHODS = {"mag": "magnitude", "wanda": "wanda"}
FILES = ("figures_4_5_digitised", "figure_2_digitised", "tables_1_to_10")


@dataclass(frozen=True)
class Published:
    """One published accuracy; `sd` is the population deviation over seeds, NaN where not known.

    `error` is the standard error of the mean: that of the model's and benchmark's pooled spread
    between seeds, since a spread of three runs alone says little, and of the reading of a figure.
    `place` is the table or figure, `line` where in it; `doubtful` marks what is probably a slip: a
    mean or deviation that another cell has as well.
    """

    mean: float
    sd: float
    error: float
    origin: str
    place: str = ""
    line: int = 0
    doubtful: bool = False


Key = tuple[str, str, str, int]


def key(model: str, variant: str, benchmark: str, budget: int) -> Key:
    """What names are compared by: letters and digits alone, in lower case.

    A variant's `uniform` is left out: a uniform allocation is what there is where none is named.
    """
    names = [re.sub("[^a-z0-9]", "", name.lower()) for name in (model, variant, benchmark)]
    return names[0], names[1].replace("uniform", ""), names[2], budget


def read_published(folder: Path = FOLDER) -> dict[Key, Published]:
    """Every published accuracy by its `key`; what a table prints goes before what a figure shows.

    Raises `InputError` where a file is missing or has other columns.
    """
    try:
        frames = [pd.read_csv(folder / f"{name}.csv", keep_default_na=False) for name in FILES]
        tables = _of_tables(frames[2])
        # population variances of n runs times n / (n - 1), over n, pooled over all arms
        noise = tables.groupby(["model", "benchmark"])["sd"].agg(
            lambda sd: math.sqrt((sd**2).mean() / (SEEDS - 1))
        )
        everything = pd.concat([_of_parts(frames[0]), _of_curves(frames[1]), tables])
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: not the published numbers ({error})") from None
    return {
        key(row.model, row.variant, row.benchmark, int(row.budget)): Published(
            row.mean,
            row.sd,
            math.hypot(noise[row.model, row.benchmark], row.reading),
            row.origin,
            row.place,
            row.Index,
            row.doubtful,
        )
        for row in everything.itertuples()
    }


def _of_tables(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for every arm and benchmark, which are side by side in what is printed."""
    allocation = ("-" + rows["alloc"].str.lower()).where(rows["alloc"] != "Uniform", "")
    variant = rows["method"].str.lower() + allocation + "-" + rows["sparsity"].astype(str)
    place = (
        "table " + rows["table"].astype(str) + ": sparsity " + rows["sparsity"].astype(str) + " %"
    )
    common = rows[["model", "budget", "origin"]].assign(variant=variant, reading=0.0, place=place)
    return pd.concat(
        common.assign(
            benchmark=benchmark,
            mean=rows[name],
            sd=rows[f"{name}_sd"],
            doubtful=rows["doubtful"].str.split().map(lambda names, name=name: name in names),
        )
        for name, benchmark in BENCHMARKS.items()
    )


def _of_curves(rows: pd.DataFrame) -> pd.DataFrame:
    reading = np.where(rows["approximate"] == "yes", READING / math.sqrt(3), 0.0)
    return rows.rename(columns={"accuracy": "mean"}).assign(
        sd=math.nan, reading=reading, place="figure 2", doubtful=False
    )


def _of_parts(rows: pd.DataFrame) -> pd.DataFrame:
    arms = rows["arm"].str.split("-", expand=True)
    levels = rows["sparsity"].astype(str).str.rstrip("%")
    variant = arms[0].map(METHODS) + "-" + arms[1].map(PARTS) + "-" + levels
    benchmark = rows["bench"].str.lower().replace(BENCHMARKS)
    place = rows["model"].map(PART_FIGURES) + ": sparsity " + levels + " %"
    return rows.rename(columns={"snapped": "mean"}).assign(
        variant=variant, benchmark=benchmark, sd=math.nan, reading=0.0, place=place, doubtful=False
    )
