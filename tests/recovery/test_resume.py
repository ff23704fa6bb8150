"""A training that is killed, again and again, ends with the bytes of one that never was."""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer

from tests.artefacts.mask_references import run as prune
from tests.artefacts.variants import on_disk, random_keeps
from tests.recovery.recovering import LORA, arguments
from workflow_scripts.artefacts.masks import variant_files
from workflow_scripts.errors import InputError
from workflow_scripts.recovery import recover
from workflow_scripts.recovery.states import States, step_of

KILLS = {"masked": 10, "routed": 4}
TEXTS = [{"text": f"{n}+{n % 7}={n * n}"} for n in range(40)]
OPTIONS = LORA | {
    "steps": 6,
    "dropout": 0.2,
    "validation": 2,
    "evaluate_every": 2,
    "save_every": 1,
}
ROUTERS = {"weight": 5.0, "ramp": "sine", "budget": "token", "temperature": 2.0}
D_LLM = {"method": "d-llm", "skip": 0.2, "width": 8}


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., Path]
) -> Callable[..., list[str]]:
    """The flags of the stage for an output folder."""
    model, place = tiny_model("llama", blocks=2), tmp_path_factory.mktemp("start")
    before = on_disk(place, model, random_keeps(model))
    return lambda output, **keys: arguments(output, model, before, OPTIONS | keys, TEXTS)


@pytest.fixture(scope="module")
def routed_stage(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., Path]
) -> Callable[..., list[str]]:
    """Likewise, where routers are trained together with adapters."""
    model, place = tiny_model("llama", blocks=3), tmp_path_factory.mktemp("start")
    before, options = prune(place, model, D_LLM), OPTIONS | {"routers": ROUTERS}
    return lambda output, **keys: arguments(output, model, before, options | keys, TEXTS)


def outputs(place: Path) -> list[bytes]:
    return [path.read_bytes() for path in (*variant_files(place), place / "recovery.json")]


def child(flags: list[str], log: Path) -> tuple[int, int]:
    """Start the stage in a process of its own, which has all modules already.

    It writes a byte to the other end of what is returned with its number whenever it begins a part
    of a step, a state, or the outputs.
    """
    read, write = os.pipe()
    if process := os.fork():
        os.close(write)
        return process, read

    def telling(function: Callable[..., Any]) -> Callable[..., Any]:
        def told(*given: Any, **keys: Any) -> Any:
            os.write(write, b".")
            return function(*given, **keys)

        return told

    code = 1
    try:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        sys.stderr = os.fdopen(2, "w")
        Trainer.training_step = telling(Trainer.training_step)
        States.written = telling(States.written)
        recover.write_recovered = telling(recover.write_recovered)
        recover.main(flags)
        code = 0
    finally:
        os._exit(code)


def ended(process: int, events: int) -> int:
    """How a process ended; 0 where it did well. Reads what it tells until its end."""
    while os.read(events, 64):
        pass
    os.close(events)
    return os.waitpid(process, 0)[1]


def killed(process: int, events: int, wait: int, seconds: float) -> bool:
    """Kill a process a while after so many events; whether it had not ended before."""
    for _ in range(wait):
        if not os.read(events, 1):
            break
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return os.WIFSIGNALED(ended(process, events))


@pytest.mark.parametrize("kind", KILLS)
def test_killed_at_random_moments(
    tmp_path: Path,
    stage: Callable[..., list[str]],
    routed_stage: Callable[..., list[str]],
    kind: str,
) -> None:
    if kind == "routed":
        stage = routed_stage
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a forked process has none of the others
    log, moments, kills, turn = tmp_path / "log", random.Random(0), 0, 0
    assert ended(*child(stage(tmp_path / "whole"), log)) == 0, log.read_text()
    while kills < KILLS[kind]:
        turn, was_killed = turn + 1, True
        flags = stage(place := tmp_path / f"killed-{turn}")
        while was_killed and kills < KILLS[kind]:
            # a step and its state are two events: some come further, and some do not
            wait, seconds = moments.randint(2, 5), moments.uniform(0, 0.1)
            was_killed = killed(*child(flags, log), wait, seconds)
            kills += was_killed
        if was_killed:
            assert ended(*child(flags, log)) == 0, log.read_text()
        assert outputs(place) == outputs(tmp_path / "whole")
        assert not (place / ".recovery.json.states").exists()
    torch.set_num_threads(threads)
    done = [line for line in log.read_text().splitlines() if "was done before" in line]
    assert len(done) > KILLS[kind] / 2


def test_a_state_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = States(tmp_path / "recovery.json", "a" * 64)
    assert states.last() is None
    with states.written(9) as folder:
        (folder / "tensors").write_text("9")
    with states.written(10) as folder:
        (folder / "tensors").write_text("10")
    with pytest.raises(KeyboardInterrupt), states.written(11) as folder:
        (folder / "tensors").write_text("1")
        raise KeyboardInterrupt
    last = states.last()
    assert last and step_of(last) == 10 and (last / "tensors").read_text() == "10"
    assert not (states.folder / "step-9").exists()
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        states.forget()  # killed while it removes what is in a state
    assert states.last() is None
    assert States(tmp_path / "recovery.json", "b" * 64).last() is None
    states.forget()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kind", ["lora", "full", "routed"])
def test_each_state_leads_to_the_same_end(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: Callable[..., list[str]],
    routed_stage: Callable[..., list[str]],
    kind: str,
) -> None:
    """Stopped right after a state is saved, of whichever step; one with other keys is not used."""
    keys = {"kind": kind, "save_every": 3, "steps": 7}
    if kind == "routed":
        stage, keys["kind"] = routed_stage, "lora"
    if kind == "full":
        keys |= {"learning_rate": 0.002}
        for key in ("rank", "alpha", "dropout"):
            monkeypatch.delitem(OPTIONS, key)
    recover.main(stage(tmp_path / "whole", **keys))
    written = States.written

    @contextmanager
    def stopped(states: States, step: int) -> Iterator[Path]:
        with written(states, step) as folder:
            yield folder
        raise KeyboardInterrupt

    for step in (3, 6):
        with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patched:
            patched.setattr(States, "written", stopped)
            recover.main(stage(tmp_path / "killed", **keys))
        states = (tmp_path / "killed/.recovery.json.states").glob("*/step-*")
        assert [step_of(state) for state in states] == [step]
    recover.main(stage(tmp_path / "killed", **keys | {"save_every": 2}))
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")


def test_states_of_other_keys_are_not_used(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], stage: Callable[..., list[str]]
) -> None:
    with pytest.raises(InputError):
        recover.main(stage(tmp_path / "a", learning_rate=1e30, steps=6))
    recover.main(stage(tmp_path / "a"))
    recover.main(stage(tmp_path / "b"))
    assert "was done before" not in capfd.readouterr().err
    assert outputs(tmp_path / "a") == outputs(tmp_path / "b")
