"""Where the files are that variants, allocations and sets are made from.

Each function gives the flag under which a stage takes such a file, and its path: a rule's input,
with the rule's wildcards in braces.
"""

from typing import Any

from workflow_scripts.errors import InputError

RUNS = "results/runs"  # a folder for each named run


def run_folder(name: str | None) -> str:
    """Where what depends on all of a run's settings is: answers, grades, tables, figures, report.

    Masks, statistics and allocations, which the definition of a variant alone decides, are in
    `results` for every run.
    """
    return f"{RUNS}/{name}" if name else "results"


def run_logs(name: str | None) -> str:
    """Where the logs of the jobs are that make these."""
    return f"{RUNS}/{name}/logs" if name else "logs"


ALLOCATION = {"allocation": "results/{model}/{variant}/allocation.json"}


def statistics(calibration: str) -> dict[str, str]:
    """The activation statistics of a calibration set."""
    return {"statistics": f"results/{{model}}/statistics/{calibration}.safetensors"}


def calibration_set(calibration: str) -> dict[str, str]:
    """The token ids of a calibration set, for a method that runs the model on them itself."""
    return {"calibration": f"resources/calibration/{{model}}/{calibration}.safetensors"}


def fetched_texts(texts: str, kind: str) -> dict[str, str]:
    """What is fetched of an entry of `texts` with a source of that kind."""
    return {"corpus": f"resources/texts/{texts}/manifest.json"} if kind == "hub" else {}


def variant_of(start: str) -> dict[str, str]:
    """What a variant does to a model, for its recovery."""
    folder = f"results/{{model}}/{start}"
    files = {"mask": "mask.safetensors", "weights": "weights.safetensors", "record": "mask.json"}
    return {f"pruned-{flag}": f"{folder}/{file}" for flag, file in files.items()}


def influence(influence_set: str) -> dict[str, str]:
    """The influence of every block, scored on an influence set."""
    return {"influence": f"results/{{model}}/influence/{influence_set}.json"}


def calibration_traces(benchmark: str) -> dict[str, str]:
    """The dense model's own traces on a benchmark, with their grades and token ids."""
    folder = "results/{model}/calibration_traces"
    return {
        kind: f"{folder}/{kind}/{benchmark}.jsonl" for kind in ("traces", "grades", "sequences")
    }


def check_given(entry: Any, given: Any) -> None:
    """Raise `InputError` where a stage is not given a file that an entry is made from.

    `given` has the stage's flags as attributes.
    """
    for flag in entry.files():
        if getattr(given, flag) is None:
            raise InputError(f"--{flag} is missing; {type(entry).__name__} is made from it")
