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

import pytest
import torch

from tests.artefacts.variants import on_disk, random_keeps
from tests.recovery.recovering import LORA, arguments
from workflow_scripts.artefacts.masks import variant_files
from workflow_scripts.errors import InputError
from workflow_scripts.recovery import recover
from workflow_scripts.recovery.states import States, step_of

KILLS = 10
TEXTS = [{"text": f"{n}+{n % 7}={n * n}"} for n in range(40)]
OPTIONS = LORA | {
    "steps": 6,
    "dropout": 0.2,
    "validation": 2,
    "evaluate_every": 2,
    "save_every": 1,
}


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., Path]
) -> Callable[..., list[str]]:
    """The flags of the stage for an output folder."""
    model, place = tiny_model("llama", blocks=2), tmp_path_factory.mktemp("start")
    before = on_disk(place, model, random_keeps(model))
    return lambda output, **keys: arguments(output, model, before, OPTIONS | keys, TEXTS)


def outputs(place: Path) -> list[bytes]:
    return [path.read_bytes() for path in (*variant_files(place), place / "recovery.json")]


def child(flags: list[str], log: Path) -> int:
    """Start the stage in a process of its own, which has all modules already."""
    if process := os.fork():
        return process
    code = 1
    try:
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, 2)
        sys.stderr = os.fdopen(2, "w")
        recover.main(flags)
        code = 0
    finally:
        os._exit(code)


def test_killed_at_random_moments(tmp_path: Path, stage: Callable[..., list[str]]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a forked process has none of the others
    log, moments, kills, turn = tmp_path / "log", random.Random(1), 0, 0
    started = time.monotonic()
    _, status = os.waitpid(child(stage(tmp_path / "whole"), log), 0)
    took = time.monotonic() - started
    torch.set_num_threads(threads)
    assert status == 0, log.read_text()
    while kills < KILLS:
        # half of it is over before the first state
        killed, turn, place = False, turn + 1, tmp_path / f"killed-{turn}"
        for _ in range(KILLS):
            process = child(stage(place), log)
            time.sleep(moments.uniform(0.2, 0.9) * took)
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            if not os.WIFSIGNALED(status):
                break
            killed, kills = True, kills + 1
        if os.WIFSIGNALED(status):
            _, status = os.waitpid(child(stage(place), log), 0)
        assert status == 0, log.read_text()
        assert outputs(place) == outputs(tmp_path / "whole")
        assert not (place / ".recovery.json.states").exists()
        assert killed or turn < KILLS
    assert "was done before" in log.read_text()


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


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_each_state_leads_to_the_same_end(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: Callable[..., list[str]],
    kind: str,
) -> None:
    """Stopped right after a state is saved, of whichever step; one with other keys is not used."""
    keys = {"kind": kind, "save_every": 3, "steps": 7}
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
