"""What runs again after a change, and what is decoded for it: docs/guarantees.md has the table.

    python -m benchmarks.reruns

A small experiment is run once; each change is made in a copy of it, followed by two calls of
`snakemake`. The table has the jobs of the first call, and the completions and tokens that it
added to the store. The second must find nothing to do.
"""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.workflow.checkout import SMALL, Checkout, jobs_run, small_checkout, write_config
from workflow_scripts.generation.store.files import read_entry

# the shortest way through all stages; other tables and figures are made from the same files
TARGETS = (
    "results/tables/accuracy.csv",
    "results/figures/scaling_curves/reasoner/small.svg",
)
EXPERIMENT = SMALL | {
    "run": {"models": ["reasoner"], "variants": ["wanda-50"], "benchmarks": ["small"]},
    "generation": {"budgets": [24, 60], "repeats": 2},
}
# in the order of the stages
RULES = (
    "fetch_benchmark",
    "fetch_model",
    "build_calibration_set",
    "collect_statistics",
    "allocate_sparsity",
    "build_mask",
    "generate",
    "grade_answers",
    "collect_cells",
    "accuracy_table",
    "comparison_table",
    "scaling_curves_figure",
)
FILES_OF_SNAKEMAKE = ".snakemake"


@dataclass(frozen=True)
class Change:
    """What a user does: its name in the table, how it is done, and flags of the calls after it.

    `make` gets a finished checkout and returns the one to go on in.
    """

    name: str
    make: Callable[[Checkout], Checkout]
    flags: tuple[str, ...] = ("--cores", "1")


@dataclass(frozen=True)
class Rerun:
    """What the first call after a change did: jobs by rule, completions and tokens decoded.

    `later` are the jobs of the second call; there is none where the first had nothing to do.
    """

    jobs: dict[str, int]
    completions: int
    tokens: int
    later: dict[str, int]


def measure(base: Checkout, folder: Path, change: Change) -> Rerun:
    """Make a change in a copy of a finished checkout, at `folder`, and call snakemake twice."""
    shutil.copytree(base.folder, folder, symlinks=True)
    checkout = change.make(Checkout(folder))
    before = decoded(checkout)
    jobs = jobs_of_call(checkout, change.flags)
    after = decoded(checkout)
    later = jobs_of_call(checkout, change.flags) if jobs else {}
    return Rerun(jobs, after[0] - before[0], after[1] - before[1], later)


def planned_without_notes(base: Checkout, folder: Path, change: Change) -> dict[str, int]:
    """What is planned after a change where Snakemake's own notes are gone: jobs by rule."""
    shutil.copytree(base.folder, folder, symlinks=True)
    checkout = change.make(Checkout(folder))
    shutil.rmtree(checkout.folder / FILES_OF_SNAKEMAKE, ignore_errors=True)
    return checkout.planned(*change.flags, "--configfile", "small.yaml", "--", *TARGETS)


def jobs_of_call(checkout: Checkout, flags: tuple[str, ...] = ("--cores", "2")) -> dict[str, int]:
    """Call snakemake for the targets; the jobs that ran, by rule."""
    printed = checkout.run(*TARGETS, *flags, "--configfile", "small.yaml")
    return dict(jobs_run(printed))


def decoded(checkout: Checkout) -> tuple[int, int]:
    """Completions and tokens that a checkout's store holds, doubles counted."""
    folders = [path for path in (checkout.folder / "store").iterdir() if path.is_dir()]
    records = [r for folder in folders for file in read_entry(folder) for r in file.records]
    return len(records), sum(record.count for record in records)


def prepared(folder: Path) -> Checkout:
    """The experiment, run to its end."""
    checkout = small_checkout(folder)
    write_config(checkout, EXPERIMENT)
    problems = (folder / "bundled/benchmarks/chains.jsonl").read_text().splitlines(keepends=True)
    (folder / "more.jsonl").write_text("".join(problems[1::60]))
    jobs_of_call(checkout)
    return checkout


def edited(file: str, old: str, new: str) -> Callable[[Checkout], Checkout]:
    """The change of a text in a file. Raises where it is not there once."""

    def make(checkout: Checkout) -> Checkout:
        path = checkout.folder / file
        text = path.read_text()
        if text.count(old) != 1:
            raise ValueError(f"{file}: {old!r} stands there {text.count(old)} times and not once")
        path.write_text(text.replace(old, new))
        return checkout

    return make


def configured(**sections: dict) -> Callable[[Checkout], Checkout]:
    """The change of keys in sections of the config; the others stay as they are."""

    def make(checkout: Checkout) -> Checkout:
        merged = {name: EXPERIMENT.get(name, {}) | keys for name, keys in sections.items()}
        write_config(checkout, EXPERIMENT | merged)
        return checkout

    return make


def in_turn(*changes: Callable[[Checkout], Checkout]) -> Callable[[Checkout], Checkout]:
    def make(checkout: Checkout) -> Checkout:
        for change in changes:
            checkout = change(checkout)
        return checkout

    return make


def as_it_is(checkout: Checkout) -> Checkout:
    return checkout


def touched(checkout: Checkout) -> Checkout:
    """Every file of the checkout gets a new time, in an order that has nothing to do with theirs.

    The weights among them: 2.4 MB. Links are followed.
    """
    files = [p for p in checkout.folder.rglob("*") if p.is_file()]
    files = sorted(p for p in files if FILES_OF_SNAKEMAKE not in p.parts)
    random.Random(0).shuffle(files)
    start = time.time() - len(files) / 1000
    for number, path in enumerate(files):
        os.utime(path, (start + number / 1000, start + number / 1000))
    return checkout


def replaced(checkout: Checkout) -> Checkout:
    """One problem of the benchmark is another one, in a file that is older than all results."""
    path, other = checkout.folder / "small.jsonl", checkout.folder / "more.jsonl"
    problems = path.read_text().splitlines(keepends=True)[:-1]
    path.write_text("".join([*problems, other.read_text().splitlines(keepends=True)[0]]))
    os.utime(path, (0, 0))
    return checkout


def moved(checkout: Checkout) -> Checkout:
    place = checkout.folder.with_name(f"{checkout.folder.name} moved")
    return Checkout(checkout.folder.rename(place))


def cloned(checkout: Checkout) -> Checkout:
    """A fresh checkout with nothing of the old one but a link to its store."""
    clone = small_checkout(checkout.folder / "clone")
    write_config(clone, EXPERIMENT)
    (clone.folder / "store").symlink_to(checkout.folder / "store")
    return clone


def shuffled(checkout: Checkout) -> Checkout:
    """The same config: keys in another order, a default written out, numbers in another form."""
    generation = {"repeats": 2, "top_p": 1, "temperature": 6e-1, "budgets": [60, 24]}
    write_config(checkout, EXPERIMENT | {"generation": generation})
    path = checkout.folder / "small.yaml"
    path.write_text("# what we run\n" + path.read_text())
    return checkout


WANDA = "weight.float().abs() * sum_squares.float().sqrt()"
KERNELS = "workflow_scripts/pruning/kernels.py"
DENSE = EXPERIMENT["run"] | {"variants": ["wanda-50", "dense"]}
MORE = EXPERIMENT["run"] | {"benchmarks": ["small", "more"]}
MORE_FILE = {"more": {"source": {"kind": "local", "path": "more.jsonl"}}}
ALMOST_HALF = {"method": "wanda", "sparsity": 0.500001, "calibration": "chains"}

CHANGES = (
    Change("nothing", as_it_is),
    Change("touch every file, weights and results too", touched),
    Change("another `--cores`", as_it_is, ("--cores", "2")),
    Change("move the checkout to another folder", moved),
    Change(
        "a comment or a docstring in a stage, a comment in the rules",
        in_turn(
            edited(KERNELS, '"""|W|, fp32, of', '"""The magnitude |W|, fp32, of'),
            edited(KERNELS, "    # Of the entries equal", "    # Among entries equal"),
            edited("rules/masking.smk", "# What a variant removes, as", "# What goes, as"),
        ),
    ),
    Change("the order of the config's keys, a default written out, a comment", shuffled),
    Change("`generation.batch_size`", configured(generation={"batch_size": 4})),
    Change(
        "a figure's colour",
        edited("workflow_scripts/tables/drawing/looks.py", "#0072b2", "#003355"),
    ),
    Change(
        "the grader",
        edited(
            "workflow_scripts/grading/grade_answers.py", "Verdict(mark == 1)", "Verdict(mark != 1)"
        ),
    ),
    Change("the formula of Wanda's scores", edited(KERNELS, WANDA, WANDA.replace(".sqrt()", ""))),
    Change(
        "the formula of magnitude's scores, which no variant uses",
        edited(
            KERNELS, "    return weight.float().abs()\n", "    return weight.float().square()\n"
        ),
    ),
    Change(
        "a variant's sparsity, by so little that its mask stays",
        configured(variants={"wanda-50": ALMOST_HALF}),
    ),
    Change("a variant more (`dense`): its jobs alone, and the table", configured(run=DENSE)),
    Change("a problem of a benchmark, in a file with an old time (`cp -p`)", replaced),
    Change(
        "a benchmark more, of 4 problems",
        configured(run=MORE, benchmarks=SMALL["benchmarks"] | MORE_FILE),
    ),
    Change("a repeat more", configured(generation={"repeats": 3})),
    Change("a smaller budget (12)", configured(generation={"budgets": [12, 24, 60]})),
    Change("a budget between (36)", configured(generation={"budgets": [24, 36, 60]})),
    Change("a larger budget (72)", configured(generation={"budgets": [24, 60, 72]})),
    Change("`generation.threads`", configured(generation={"threads": 2})),
    Change("clone again, with the same `store/`", cloned),
)


def measure_all(base: Checkout, folder: Path, processes: int = 2) -> Iterator[tuple[str, Rerun]]:
    """Every change with what it led to, in order; so many at a time."""
    with ThreadPoolExecutor(processes) as pool:
        places = [folder / f"change-{number}" for number in range(len(CHANGES))]
        reruns = pool.map(lambda change, place: measure(base, place, change), CHANGES, places)
        yield from zip((change.name for change in CHANGES), reruns, strict=True)


def first_run(base: Checkout) -> str:
    completions, tokens = decoded(base)
    return f"The run before the changes decoded {completions} completions, {tokens} tokens."


def row(name: str, rerun: Rerun) -> str:
    """A line of the table."""
    return f"| {name} | {in_words(rerun.jobs)} | {rerun.completions} | {rerun.tokens} |"


def in_words(jobs: dict[str, int]) -> str:
    """Which rules ran, in the order of the stages; those that ran twice are named as well."""
    ran = [rule for rule in RULES if rule in jobs]
    if len(ran) < len(jobs):
        raise ValueError(f"no such rules were expected: {jobs.keys() - set(RULES)}")
    tail = len(RULES)
    while tail and RULES[tail - 1] in jobs:
        tail -= 1
    words = [f"`{rule}`" for rule in ran if RULES.index(rule) < tail]
    if tail < len(RULES):
        words.append(f"`{RULES[tail]}`" + " and all after it" * (tail + 1 < len(RULES)))
    words += [f"`{rule}` ×{times}" for rule, times in jobs.items() if times > 1]
    return ", ".join(words) or "nothing"


HEAD = (
    "| you change | what runs again | completions decoded | tokens decoded |",
    "|:--|:--|--:|--:|",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        base = prepared(Path(scratch, "base"))
        print(first_run(base), end="\n\n")
        print(*HEAD, sep="\n", flush=True)
        for name, rerun in measure_all(base, Path(scratch)):
            print(row(name, rerun), flush=True)
            if rerun.later:
                print(f"\nNOT OVER after one call, the second ran {rerun.later}\n")


if __name__ == "__main__":
    main()
