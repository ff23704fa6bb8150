"""Bring a benchmark from its source into one normalised file of problems.

    python -m workflow_scripts.download.fetch_benchmark \
        --source '{"kind": "local", "path": "mine.jsonl"}' --lock config/hub.lock \
        --output resources/benchmarks/mine.jsonl

A local file (JSONL, CSV or parquet) holds problems as they are (`id`, `question`, `answer`,
`kind`), or rows of any other shape with a `columns` mapping and an `answer_kind`. What comes from
the hub must be as the lock file says. With `--sha256` the normalised file must have exactly that
digest, with `--problems` that number of problems, so that a benchmark that changes at its source
does not change a result unnoticed.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.artefacts.records import write_rows
from workflow_scripts.download.problems.problems import Layout, problems_from_rows
from workflow_scripts.download.problems.rows import (
    Row,
    rows_of_file,
    rows_of_hub,
    rows_of_jsonl,
)
from workflow_scripts.download.sources import Fields, bundled_path, parse_source
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import written_atomically
from workflow_scripts.files.digests import file_digest
from workflow_scripts.jobs.stage import run_stage

LAYOUT = {"columns": dict, "answer_kind": str, "answer_form": str, "choice_order": str}
KINDS = {
    "hub": Fields(
        required={"id": str, "split": str, "columns": dict, "answer_kind": str},
        optional={"revision": str, "config": str, "answer_form": str, "choice_order": str},
    ),
    "local": Fields(required={"path": str}, optional=LAYOUT),
    "bundled": Fields(required={"name": str}, optional={}),
}

SOURCES: dict[str, Callable[[Mapping[str, Any], Path | None], list[Row]]] = {
    "hub": rows_of_hub,
    "local": lambda source, _: rows_of_file(Path(source["path"])),
    "bundled": lambda source, _: rows_of_jsonl(
        bundled_path("benchmarks", source["name"], ".jsonl")
    ),
}


def fetch_benchmark(
    source: Mapping[str, Any],
    output: Path,
    sha256: str | None = None,
    expected: int | None = None,
    lock: Path | None = None,
) -> None:
    """Write the source's problems to `output`, if their file has the digest `sha256` (any if None).

    The benchmark's name, which default ids start with, is the output's stem. `expected` is how many
    problems there must be, `lock` the lock file of the hub. Raises `InputError` for a source that
    cannot be read, a row that is not a problem, another number of problems, or another digest.
    """
    rows = SOURCES[source["kind"]](source, lock)
    layout = Layout(**{key: source[key] for key in LAYOUT if key in source})
    problems = problems_from_rows(rows, output.stem, layout)
    if expected is not None and len(problems) != expected:
        raise InputError(
            f"benchmark {output.stem!r}: has {len(problems)} problems, the config says {expected} "
            f"(benchmarks.{output.stem}.problems)"
        )
    with written_atomically(output) as temporary:
        write_rows(temporary, problems)
        found = file_digest(temporary)
        if sha256 is not None and found != sha256:
            raise InputError(
                f"benchmark {output.stem!r}: its content has changed: sha256 is {found}, the "
                f"config says {sha256}; to accept the new content set "
                f"benchmarks.{output.stem}.sha256 to {found}"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, help="the benchmark's source, as JSON")
    parser.add_argument("--sha256", help="digest that the normalised file must have")
    parser.add_argument("--problems", type=int, help="how many problems there must be")
    parser.add_argument("--lock", type=Path, help="the lock file of the hub")
    parser.add_argument("--output", required=True, type=Path, help="JSONL file to write")
    options = parser.parse_args(arguments)
    sha256 = options.sha256.strip().lower() if options.sha256 else None
    source = parse_source(options.source, KINDS)
    fetch_benchmark(source, options.output, sha256, options.problems, options.lock)


if __name__ == "__main__":
    run_stage(main)
