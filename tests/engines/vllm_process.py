"""vLLM in a process of its own, for tests: it changes settings of torch that do not come back."""

import multiprocessing
import os
import resource
import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.engines.interface import Completion, EngineSettings, Request
from workflow_scripts.engines.start import OneEngine
from workflow_scripts.errors import InputError

SETTINGS = EngineSettings(engine="vllm", device="cpu", dtype="float32", batch_size=8, threads=1)
LARGEST_FILE = 500_000  # bytes that a file may have, less than any of the models here


@dataclass(frozen=True)
class Work:
    """Rounds of requests, one after another through one engine; again with other `variants`.

    `followed_by` says for some requests what comes to the front of the queue when they are done.
    """

    model: Path
    pruned: Pruned
    vocabulary: int
    longest: int
    rounds: list[list[Request]]
    followed_by: dict[Request, Request] = field(default_factory=dict)
    settings: EngineSettings = SETTINGS
    variants: tuple[Pruned, ...] = ()


# per round, requests with their completions in the order in which they ended; or the line with
# which the engine ended
Done = list[list[tuple[Request, Completion]]]


def decode_all(works: Sequence[Work], scratch: Path) -> tuple[list[Done | str], str]:
    """An engine for each work, one after another in one process; what was decoded, and the log.

    Temporary files of the process are in `scratch`; none of its files can hold a model.
    """
    log = scratch / "log"
    spawned = multiprocessing.get_context("spawn")
    with (
        patch.dict(os.environ, {"TMPDIR": str(scratch / "temporary"), "OMP_NUM_THREADS": "1"}),
        ProcessPoolExecutor(1, spawned, _prepare, (log, scratch / "temporary")) as pool,
    ):
        return list(pool.map(_decode, works)), log.read_text()


def _prepare(log: Path, temporary: Path) -> None:
    temporary.mkdir()
    file = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def _decode(work: Work) -> Done | str:
    try:
        return _rounds(work)
    except InputError as error:
        return str(error)


def _rounds(work: Work) -> Done:
    one, rounds = OneEngine(), []
    for pruned in (work.pruned, *work.variants):
        given = work.model, pruned, work.settings, work.vocabulary, work.longest
        engine = one.on(*given, partial(print, file=sys.stderr))
        assert torch.get_num_threads() == work.settings.threads
        for requests in work.rounds:
            queue, ended = deque(requests), []
            for request, completion in engine.generate(queue):
                ended.append((request, completion))
                if request in work.followed_by:
                    queue.appendleft(work.followed_by[request])
            rounds.append(ended)
    return rounds
