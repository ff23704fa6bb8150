"""A program in a world of its own, talked to over its standard input and output.

outcome = run(program, stdin, limits, mode)

with Box(program, limits, mode) as box:
    answer = box.ask(question, seconds=5)  # a line each
"""

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

from workflow_scripts.errors import InputError
from workflow_scripts.tasks.sandbox import world
from workflow_scripts.tasks.sandbox.limits import Limits
from workflow_scripts.tasks.sandbox.modes import Mode, command

Ending = Literal["exit", "signal", "time", "memory", "processes", "output", "killed"]

SECONDS_TO_END = 5.0  # for a keeper to end its program at the limit of time, and tell
CHUNK = 1 << 16


@dataclass(frozen=True)
class Outcome:
    """How a program ended, and what it wrote.

    `ended`: `exit` with `code`, its exit status; `signal`, with `code` the signal's number; for a
    limit that it broke (`time`, `memory`, `processes`, `output`); or, without a sandbox, `killed`
    together with its keeper. stdout and stderr are cut at the limit of output.
    """

    ended: Ending
    code: int
    stdout: str
    stderr: str

    @property
    def passed(self) -> bool:
        """Whether the program ended by itself, and said that all went well."""
        return self.ended == "exit" and self.code == 0


def run(program: str, stdin: str, limits: Limits, mode: Mode) -> Outcome:
    """Run Python source to its end.

    Raises InputError where its world cannot be made, or is ended from outside.
    """
    with Box(program, limits, mode) as box:
        return box.finish(stdin.encode())


class Box:
    """A running program, which ends with the `with` that it was made in."""

    def __init__(self, program: str, limits: Limits, mode: Mode) -> None:
        self._limits, self._mode = limits, mode
        self._deadline = time.monotonic() + limits.wall_seconds + SECONDS_TO_END
        self._broken: Ending | None = None
        self._has_ended = False
        self._bytes = 0  # of stdout and stderr so far
        self._folder = None
        if mode is Mode.UNSAFE:
            self._folder = tempfile.TemporaryDirectory(prefix="box-", ignore_cleanup_errors=True)
        self._process, self._status = self._start(program)
        self._out, self._err, self._told = bytearray(), bytearray(), bytearray()
        self._streams = {
            self._process.stdout.fileno(): self._out,
            self._process.stderr.fileno(): self._err,
            self._status: self._told,
        }
        self._selector = selectors.DefaultSelector()
        for stream in self._streams:
            os.set_blocking(stream, False)
            self._selector.register(stream, selectors.EVENT_READ)
        os.set_blocking(self._process.stdin.fileno(), False)

    def _start(self, program: str) -> tuple[subprocess.Popen[bytes], int]:
        """The process that makes the world, and where the keeper tells how the program ended."""
        scratch = self._folder.name if self._folder else "/tmp"
        packages = world.packages() if self._folder else world.PACKAGES
        environment = world.environment(scratch, packages)
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as file:
            file.write(program.encode(errors="replace"))
            file.seek(0)
            order = {
                "command": [world.python(), "-s", "-P", "-u", "main.py"],
                "environment": environment,
                "limits": self._limits.as_keeper_reads(),
                "has_world": self._mode is not Mode.UNSAFE,
                "program": file.fileno(),
                "status": writing,
            }
            try:
                process = subprocess.Popen(
                    command(self._mode, order, self._limits),
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=(file.fileno(), writing),
                    cwd=scratch if self._folder else "/",
                    env=environment,
                    start_new_session=True,
                )
            except BaseException:
                os.close(reading)
                raise
            finally:
                os.close(writing)
        return process, reading

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:  # only the keeper knows the program's group
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(SECONDS_TO_END)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        os.close(self._status)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            stream.close()
        if self._folder:
            self._folder.cleanup()

    def ask(self, line: bytes, seconds: float) -> bytes | None:
        """The line that the program answers one with; None where it ended or was late.

        `line` is one without its end.
        """
        end = min(self._deadline, time.monotonic() + seconds)
        self._exchange(line + b"\n", end, for_line=True)
        answer, has_end, rest = self._out.partition(b"\n")
        if not has_end:
            return None
        self._out[:] = rest
        return bytes(answer)

    def finish(self, stdin: bytes = b"") -> Outcome:
        """How the program ends, given the rest of its input, and the rest of what it wrote.

        Raises InputError where its world could not be made, or was ended from outside.
        """
        self._exchange(stdin, self._deadline, for_line=False)
        texts = [
            bytes(stream[: self._limits.output_bytes]).decode(errors="replace")
            for stream in (self._out, self._err)
        ]
        return Outcome(*self._ending(), *texts)

    def _ending(self) -> tuple[Ending, int]:
        """How the program ended, and with which number."""
        if not self._told:
            if self._broken or self._mode is Mode.UNSAFE:
                return self._broken or "killed", 0
            last = bytes(self._err).decode(errors="replace").strip().rpartition("\n")[2]
            raise InputError(f"harness.run_code: the sandbox was ended: {last or 'no word why'}")
        told = json.loads(self._told)
        if "failed" in told:
            raise InputError(f"harness.run_code: the sandbox could not be made: {told['failed']}")
        if self._broken or told["broken"]:
            return self._broken or told["broken"], 0
        code = os.waitstatus_to_exitcode(told["status"])
        if code >= 0:
            return "exit", code
        is_late = -code == signal.SIGXCPU or told["seconds"] >= self._limits.cpu_seconds
        return ("time", 0) if is_late else ("signal", -code)

    def _exchange(self, data: bytes, end: float, for_line: bool) -> None:
        """Write data and read what comes, up to the end of a line or of the program."""
        entrance = self._process.stdin
        if not entrance.closed:
            self._selector.register(entrance, selectors.EVENT_WRITE)
        has_line = for_line and b"\n" in self._out
        while not (has_line or self._has_ended or self._broken):
            events = self._selector.select(max(0.0, end - time.monotonic()))
            if not events and time.monotonic() >= end:
                self._broken = "time"
            for key, _ in events:
                if key.fd in self._streams:
                    chunk = self._receive(key.fd)
                    has_line |= for_line and b"\n" in chunk and self._streams[key.fd] is self._out
                else:
                    data = self._send(data, is_last=not for_line)
        # all that it wrote is there when the keeper tells; what an escaped process may still hold
        # open is not waited for
        while self._has_ended and not self._broken and any(map(self._receive, self._open())):
            pass
        if not entrance.closed and entrance.fileno() in self._selector.get_map():
            self._selector.unregister(entrance)

    def _open(self) -> list[int]:
        """The streams that may bring more."""
        return [stream for stream in self._streams if stream in self._selector.get_map()]

    def _send(self, data: bytes, is_last: bool) -> bytes:
        """Write what the program's input takes now, and give back what is left."""
        entrance = self._process.stdin
        try:
            data = data[os.write(entrance.fileno(), data[:CHUNK]) :] if data else data
            is_open = True
        except BrokenPipeError:  # it reads no more, which is its own affair
            data, is_open = b"", False
        if not data:
            self._selector.unregister(entrance)
            if is_last or not is_open:
                entrance.close()
        return data

    def _receive(self, stream: int) -> bytes:
        """Read what is there, up to a chunk."""
        try:
            chunk = os.read(stream, CHUNK)
        except BlockingIOError:
            return b""
        self._streams[stream] += chunk
        if stream != self._status:
            self._bytes += len(chunk)
            if self._bytes > self._limits.output_bytes:
                self._broken = "output"
        if not chunk:
            self._selector.unregister(stream)
            self._has_ended |= stream == self._status
        return chunk
