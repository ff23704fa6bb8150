"""Bring a benchmark from its source into one normalised file of problems.

    python -m workflow_scripts.download.fetch_benchmark \
        --source '{"kind": "local", "path": "mine.jsonl"}' --lock config/hub.lock \
        --output resources/benchmarks/mine.jsonl

A local file (JSONL, CSV or parquet) holds problems as they are (`id`, `question`, `answer`,
`kind`), or rows of any other shape with a `columns` mapping and an `answer_kind`. What comes from
the hub must be as the lock file says. With `--sha256` the normalised file must have exactly that
digest, with `--problems` that number of problems, so that a benchmark that changes at its source
does not change a result unnoticed. Both are of all problems; a limit then leaves some of them.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from workflow_scripts.artefacts.records import Problem, write_rows
from workflow_scripts.config.catalogues import FetchedBenchmark, SampleOfProblems
from workflow_scripts.config.entry import parser_of, plain
from workflow_scripts.config.sources.base import Source
from workflow_scripts.download.hub.rows import rows_of_hub
from workflow_scripts.download.sources import bundled_path
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import written_atomically
from workflow_scripts.files.digests import file_digest, value_digest
from workflow_scripts.inputs.problems.problems import check_count, layout_of, problems_from_rows
from workflow_scripts.inputs.problems.rows import (
    Row,
    rows_of_file,
    rows_of_jsonl,
)
from workflow_scripts.jobs.stage import run_stage

SOURCES: dict[str, Callable[[Source, Path | None], Iterable[Row]]] = {
    "hub": lambda source, lock: rows_of_hub(plain(source), lock),
    "local": lambda source, _: rows_of_file(Path(source.path)),
    "bundled": lambda source, _: rows_of_jsonl(bundled_path("benchmarks", source.name, ".jsonl")),
}


def fetch_benchmark(benchmark: FetchedBenchmark, output: Path, lock: Path | None = None) -> None:
    """Write a benchmark's problems to `output`, if they are what the config says of them.

    The benchmark's name, which default ids start with, is the output's stem. `lock` is the lock
    file of the hub. Raises `InputError` for a source that
    cannot be read, a row that is not a problem, another number of problems or fewer than the limit,
    or another digest.
    """
    source, sha256 = benchmark.source, benchmark.sha256
    rows = list(SOURCES[source.kind](source, lock))
    problems, taken_out = problems_from_rows(rows, output.stem, layout_of(source))
    if taken_out:
        print(
            f"benchmark {output.stem!r}: {taken_out} of {len(rows)} answers were taken out of "
            "boxes, dollar signs or from behind ####",
            file=sys.stderr,
        )
    check_count(len(problems), output.stem, benchmark)
    kept = limited(problems, benchmark)
    with written_atomically(output) as temporary:
        write_rows(temporary, problems)
        found = file_digest(temporary)
        if sha256 is not None and found != sha256:
            raise InputError(
                f"benchmark {output.stem!r}: its content has changed: sha256 is {found}, the "
                f"config says {sha256}; to accept the new content set "
                f"benchmarks.{output.stem}.sha256 to {found}"
            )
        if len(kept) < len(problems):
            write_rows(temporary, kept)


def limited(problems: list[Problem], benchmark: FetchedBenchmark) -> list[Problem]:
    """The problems that a limit leaves, in their order.

    A sample is the first in the order of sha256 over seed and id: a larger one holds a smaller, and
    another version of the data keeps what it can.
    """
    if isinstance(benchmark.limit, SampleOfProblems):
        seed = benchmark.limit.seed
        drawn = sorted(problems, key=lambda problem: value_digest([seed, problem.id]))
        ids = {problem.id for problem in drawn[: benchmark.limit.problems]}
        return [problem for problem in problems if problem.id in ids]
    return problems[: benchmark.limit]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--options", required=True, help="the benchmark's entry, as JSON")
    parser.add_argument("--lock", type=Path, help="the lock file of the hub")
    parser.add_argument("--output", required=True, type=Path, help="JSONL file to write")
    options = parser.parse_args(arguments)
    fetch_benchmark(parser_of(FetchedBenchmark)(options.options), options.output, options.lock)


if __name__ == "__main__":
    run_stage(main)
