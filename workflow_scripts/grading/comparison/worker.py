"""A process that compares answers, each comparison in a copy of itself with limits of its own.

    python -m workflow_scripts.grading.comparison.worker

Says `{"ready": true}` once the library is loaded; then reads one JSON line `{"gold": ...,
"answer": ...}` after the other from stdin and writes one JSON line `{"equal": bool, "note": str}`
for each to stdout. Every
comparison starts from that same state, in a forked copy that is ended where it takes too much
time or memory. So no comparison can hang, crash or change another one, and its verdict does not
depend on what was compared before. `note` says why a comparison came to nothing: a reason of
`expressions.Refused`, `out of time`, `out of memory` or `crashed`; it is empty otherwise.

The limit on time is one on processor time, so that a busy machine changes no verdict.
"""

import json
import os
import resource
import select
import signal
import sys
from typing import Any

from workflow_scripts.grading.comparison.answers import equal
from workflow_scripts.grading.comparison.expressions import (
    Refused,
    expressions_equal,
    prepare,
    settle,
)

CPU_SECONDS = 3
WALL_SECONDS = 60  # for a copy that sleeps, which takes no processor time
MEMORY = 2 << 30  # bytes of address space, of which the library takes about 0.3 GB


def compare(gold: str, answer: str) -> dict[str, Any]:
    """The verdict on one answer, from a copy of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run_copy(writing, gold, answer)
    os.close(writing)
    try:
        return _verdict_of(child, reading)
    finally:
        os.close(reading)


def _run_copy(writing: int, gold: str, answer: str) -> None:
    """What the copy does: compare within its limits, say so, and end without ever returning."""
    verdict = {"equal": False, "note": "crashed"}
    try:
        # a copy must not read the requests or write among the verdicts of its parent
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        settle()
        verdict = {"equal": bool(equal(gold, answer, expressions_equal)), "note": ""}
    except Refused as refused:
        verdict["note"] = str(refused)
    except MemoryError:
        verdict["note"] = "out of memory"
    except BaseException:  # whatever a library raises on a strange answer is a verdict too
        pass
    finally:
        try:
            os.write(writing, json.dumps(verdict).encode())
        finally:
            os._exit(0)


def _verdict_of(child: int, reading: int) -> dict[str, Any]:
    """Wait for a copy's verdict; end it where none comes in time."""
    ready, _, _ = select.select([reading], [], [], WALL_SECONDS)
    said = os.read(reading, 1 << 16) if ready else b""
    if not said:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if said:
        return json.loads(said)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if not ready or ended_by == signal.SIGXCPU:
        return {"equal": False, "note": "out of time"}
    # the system kills what takes the last of its memory
    return {"equal": False, "note": "out of memory" if ended_by == signal.SIGKILL else "crashed"}


def main() -> None:
    prepare()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(compare(request["gold"], request["answer"])), flush=True)


if __name__ == "__main__":
    main()
