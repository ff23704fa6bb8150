"""vLLM in a process of its own, for tests: it changes settings of torch that do not come back.

python -m tests.generation.engines.vllm_process JOB.json DONE.json
"""

import json
import os
import subprocess
import sys
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from tests.artefacts.variants import in_memory
from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.generation.engines.interface import Completion, EngineSettings, Request
from workflow_scripts.generation.engines.sampling import Sampling
from workflow_scripts.generation.engines.start import start_vllm
from workflow_scripts.models.checkpoints import linears, load_tensor, open_checkpoint
from workflow_scripts.paths import PROJECT

SETTINGS = EngineSettings(engine="vllm", device="cpu", dtype="float32", batch_size=8, threads=1)


@dataclass(frozen=True)
class Work:
    """Rounds of requests, one after another through one engine.

    `followed_by` says for some requests what comes to the front of the queue when they are done.
    """

    model: Path
    vocabulary: int
    longest: int
    rounds: list[list[Request]]
    removed: tuple[int, ...] | None = None  # blocks; None is the dense model
    followed_by: dict[Request, Request] = field(default_factory=dict)
    settings: EngineSettings = SETTINGS


@dataclass(frozen=True)
class Done:
    """Per round, requests with their completions in the order in which they ended."""

    rounds: list[list[tuple[Request, Completion]]]
    producer: dict[str, str]
    folders_left: list[str]
    log: str = ""


def pruned(model: Path, removed: tuple[int, ...] | None) -> Pruned:
    """Half of the weights of every linear go, and whole blocks; nothing where `removed` is None."""
    checkpoint = open_checkpoint(model)
    if removed is None:
        return in_memory(model)
    keeps = {}
    for linear in linears(checkpoint):
        if linear.block not in removed:
            weight = load_tensor(checkpoint, linear.name).float().abs()
            keeps[linear.name] = weight > weight.median()
    return in_memory(model, keeps, removed)


def decode(work: Work, scratch: Path) -> Done:
    """Run vLLM in another process, with its temporary files in `scratch`."""
    scratch.mkdir(parents=True, exist_ok=True)
    job, done = scratch / "job.json", scratch / "done.json"
    # an object's keys are texts, so requests that are keys go as pairs
    followed_by = [[asdict(one), asdict(other)] for one, other in work.followed_by.items()]
    job.write_text(
        json.dumps(
            {
                **asdict(replace(work, followed_by={})),
                "model": str(work.model),
                "followed_by": followed_by,
            }
        )
    )
    variables = {"PYTHONPATH": str(PROJECT), "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.generation.engines.vllm_process", str(job), str(done)]
    ended = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(done.read_text())
    rounds = [
        [(_request(request), _completion(completion)) for request, completion in pairs]
        for pairs in said["rounds"]
    ]
    return Done(rounds, said["producer"], said["folders_left"], ended.stdout + ended.stderr)


def _request(values: dict[str, Any]) -> Request:
    lists = {key: tuple(values[key]) for key in ("prompt", "stop")}
    return Request(**{**values, **lists, "sampling": Sampling(**values["sampling"])})


def _completion(values: dict[str, Any]) -> Completion:
    return Completion(tuple(values["tokens"]), values["stopped_by"])


def _work(values: dict[str, Any]) -> Work:
    removed = values["removed"]
    parsed = {
        "model": Path(values["model"]),
        "rounds": [[_request(request) for request in one] for one in values["rounds"]],
        "removed": None if removed is None else tuple(removed),
        "followed_by": {_request(one): _request(other) for one, other in values["followed_by"]},
        "settings": EngineSettings(**values["settings"]),
    }
    return Work(**{**values, **parsed})


def main() -> None:
    work = _work(json.loads(Path(sys.argv[1]).read_text()))
    engine = start_vllm(
        work.model, pruned(work.model, work.removed), work.settings, work.vocabulary, work.longest
    )
    scratch = Path(os.environ["TMPDIR"])
    left = [str(p) for base in scratch.glob("prunethink-*") for p in base.iterdir() if p.is_dir()]
    assert torch.get_num_threads() == work.settings.threads
    rounds = []
    for requests in work.rounds:
        queue, ended = deque(requests), []
        for request, completion in engine.generate(queue):
            ended.append((request, completion))
            if request in work.followed_by:
                queue.appendleft(work.followed_by[request])
        rounds.append(ended)
    Path(sys.argv[2]).write_text(json.dumps(asdict(Done(rounds, engine.producer, left))))


if __name__ == "__main__":
    main()
