"""Show prompts that `write_prompts` wrote: the first of each file, or those of given problems.

    python -m workflow_scripts.generation.show_prompts results/reasoner/prompts/chains.jsonl \\
        --problems chains-7 chains-8
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.files.checksums import verify_checksum
from workflow_scripts.jobs.stage import run_stage


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--problems", nargs="+", metavar="ID", help="the first one without")
    given = parser.parse_args(arguments)
    for path in given.files:
        verify_checksum(path)
        with path.open(encoding="utf-8") as file:
            rows = {row["id"]: row for row in map(json.loads, file)}
        for problem in given.problems or list(rows)[:1]:
            if problem not in rows:
                raise InputError(f"{path}: has no problem {problem!r}")
            row = rows[problem]
            print(f"{path}, problem {problem} ({row['tokens']} tokens):\n{row['text']}\n")


if __name__ == "__main__":
    run_stage(main)
