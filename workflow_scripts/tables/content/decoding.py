"""How fast jobs decoded, by what they say of it at their end in their logs.

That depends on the machine and on what else it did, so that no artefact holds it.
"""

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

# as `generation.progress` says it
DECODED = re.compile(
    r"^(?P<model>[^/\s]+)/(?P<variant>\S+)(?: (?P<part>\d+-of-\d+))?: decoded "
    r"(?P<completions>\d+) completions in (?P<time>.+), (?P<speed>\d+) tokens/s$",
    re.MULTILINE,
)
DECODING = ("generate", "generate_shard", "generate_variants")  # the rules that decode for one run


def decoded_by_jobs(logs: Path, run: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """What each job of a run's models and variants said in its log, in their order.

    Jobs that took everything from the store said nothing.
    """
    found = [
        match.groupdict()
        for rule in DECODING
        for path in sorted((logs / rule).rglob("*.log"))
        for match in DECODED.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    order = [*product(run["models"], run["variants"])]
    rows = [row for row in found if (row["model"], row["variant"]) in order]
    return sorted(rows, key=lambda row: order.index((row["model"], row["variant"])))


def job_speeds(logs: Path, run: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """Tokens/s of one job by model and variant.

    Of several jobs that each decoded a part, the harmonic mean by completions: what their tokens
    took altogether, were completions of equal length.
    """
    parts: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in decoded_by_jobs(logs, run):
        of_job = int(row["completions"]), int(row["speed"])
        parts.setdefault((row["model"], row["variant"]), []).append(of_job)
    return {
        place: sum(count for count, _ in jobs) / sum(count / speed for count, speed in jobs)
        for place, jobs in parts.items()
        if all(speed for _, speed in jobs)
    }
