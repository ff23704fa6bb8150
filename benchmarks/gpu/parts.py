"""Parts of a check: each in a process of its own, with a time limit, telling row by row.

A part that fails, hangs or breaks the GPU's context becomes a row; the others go on. Processes are
forked from one that has imported torch and never used a GPU, so that each starts at once.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.gpu.checkpoint import Shape


@dataclass(frozen=True)
class Row:
    """One measurement: what, its value with a unit, and what it is to be held against."""

    part: str
    what: str
    value: float | str
    unit: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        if isinstance(self.value, str):
            return self.value
        digits = f"{self.value:.4g}" if abs(self.value) < 1000 else f"{self.value:,.0f}"
        return f"{digits} {self.unit}".rstrip()


@dataclass(frozen=True)
class Setting:
    """What every part is given: a folder of its own making, the device, the sizes.

    `measured` holds the values of the rows of earlier parts, by part and what.
    """

    folder: Path
    device: str
    shape: Shape
    samples: int
    length: int
    threads: int
    tokens: int
    measured: Mapping[tuple[str, str], float | str]

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def dtype(self) -> torch.dtype:
        """What blocks and generation are computed in: bf16 on a GPU, as in config/paper.yaml."""
        return torch.bfloat16 if self.device == "cuda" else torch.float32

    @property
    def blocks(self) -> int:
        """The blocks of the checkpoint that was written."""
        return int(self.measured["checkpoint", "blocks"])

    @property
    def matrix_rate(self) -> float:
        """Measured TFLOP/s of a large matrix product."""
        return float(self.measured["card", "matrix product"])

    @property
    def bandwidth(self) -> float:
        """Measured TB/s of a large copy, read and written."""
        return float(self.measured["card", "copy"])


class Report:
    """Sends the rows of one part to the process that started it, and prints them."""

    def __init__(self, part: str, connection: Connection) -> None:
        self._part, self._connection = part, connection

    def row(self, what: str, value: float | str, unit: str = "", note: str = "") -> None:
        row = Row(self._part, what, value, unit, note)
        print(f"  {row.what}: {row.text}{f' ({row.note})' if row.note else ''}", flush=True)
        self._connection.send(row)

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Make an exception inside a row that says so; the part goes on."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            first = (str(error).strip() or "no message").splitlines()[0][:160]
            self.row(what, f"failed: {type(error).__name__}: {first}")


Part = Callable[[Setting, Report], None]


def run_part(name: str, part: Part, setting: Setting, seconds: float) -> list[Row]:
    """Run a part for at most `seconds`; its rows, the last of which says how long it took."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(name, part, setting, sender))
    print(f"{name}:", flush=True)
    start = time.monotonic()
    process.start()
    sender.close()
    rows: list[Row] = []
    try:
        end = _receive(receiver, rows, start + seconds)
        if end is EOFError:
            process.join()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started as well
        process.join()
    if end is EOFError:
        rows.append(Row(name, "part", f"failed: its process ended with {process.exitcode}"))
    elif end is TimeoutError:
        rows.append(Row(name, "part", f"stopped after {seconds:.0f} s: its time was over"))
    rows.append(Row(name, "whole part", time.monotonic() - start, "s"))
    print(f"  {rows[-1].what}: {rows[-1].text}", flush=True)
    return rows


def _receive(
    receiver: Connection, rows: list[Row], deadline: float
) -> type[EOFError] | type[TimeoutError] | None:
    """Take rows until the part says that it is done; what ended it where it never does."""
    while (left := deadline - time.monotonic()) > 0:
        if receiver.poll(min(left, 1)):
            try:
                row = receiver.recv()
            except EOFError:
                return EOFError
            if row is None:
                return None
            rows.append(row)
    return TimeoutError


def _child(name: str, part: Part, setting: Setting, sender: Connection) -> None:
    os.setsid()  # a group of its own, so that what it starts ends with it
    torch.set_num_threads(setting.threads)
    report = Report(name, sender)
    with report.attempt("part"):
        part(setting, report)
    sender.send(None)


def seconds_of(call: Callable[[], object], device: str, repeats: int = 1) -> float:
    """The median wall seconds of a call, the GPU's work included."""
    taken = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        taken.append(time.perf_counter() - start)
    return sorted(taken)[len(taken) // 2]


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def peak_gib(device: str) -> float | str:
    """The most GPU memory that torch has allocated in this process, GiB."""
    return torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else "no GPU"


def as_json(rows: list[Row]) -> list[dict]:
    return [asdict(row) for row in rows]
