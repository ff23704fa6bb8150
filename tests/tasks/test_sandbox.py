"""Programs that mean harm, or do it, and what is left of the machine after them."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT
from workflow_scripts.tasks.code.judging import RUN_CODE
from workflow_scripts.tasks.sandbox import choice
from workflow_scripts.tasks.sandbox.box import Box, Outcome, run
from workflow_scripts.tasks.sandbox.limits import Limits
from workflow_scripts.tasks.sandbox.modes import Mode

SMALL = Limits(
    cpu_seconds=1,
    wall_seconds=10,
    memory_mb=128,
    processes=8,
    open_files=32,
    file_mb=2,
    scratch_mb=4,
    output_bytes=20_000,
)
NO_BUBBLEWRAP = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
HELPERS = 2


@pytest.fixture(
    scope="module",
    params=[pytest.param(Mode.BUBBLEWRAP, marks=NO_BUBBLEWRAP), Mode.NAMESPACES],
    ids=lambda mode: mode.value,
)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Every sandbox that this machine has; one that the trial finds a hole in runs no program."""
    if missing := choice.missing_in(request.param):
        pytest.skip(f"{request.param.value}: {missing}")
    return request.param


def ran(mode: Mode, program: str, limits: Limits = SMALL, stdin: str = "") -> Outcome:
    return run(textwrap.dedent(program), stdin, limits, mode)


def processes_named(name: str) -> list[psutil.Process]:
    """Living processes that named themselves so."""
    found = psutil.process_iter(["name", "status"])
    return [p for p in found if p.info["name"] == name and p.info["status"] != "zombie"]


def are_gone(name: str) -> bool:
    """Whether processes of this name end; the system takes a moment to end those of a world."""
    end = time.monotonic() + 5
    while processes_named(name) and time.monotonic() < end:
        time.sleep(0.02)
    return not processes_named(name)


@pytest.mark.parametrize(
    ("mode", "by_hand"),
    [
        (
            Mode.NAMESPACES,
            ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--net", "true"],
        ),
        (
            Mode.BUBBLEWRAP,
            ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
        ),
    ],
)
def test_a_machine_that_can_have_a_sandbox_has_it(mode, by_hand):
    if not shutil.which(by_hand[0]) or subprocess.run(by_hand, check=False).returncode:
        pytest.skip(f"{' '.join(by_hand)}: not possible here")
    assert choice.missing_in(mode) == ""


def test_a_harmless_program_reads_computes_and_tells(mode):
    outcome = ran(
        mode, "import math\nprint(math.isqrt(int(input())))\nraise SystemExit(3)", stdin="81"
    )
    assert outcome == Outcome("exit", 3, "9\n", "")
    assert not outcome.passed
    assert ran(mode, "").passed
    failed = ran(mode, "def f():\n    raise KeyError('here')\nf()")
    assert (failed.ended, failed.code) == ("exit", 1)
    assert "KeyError: 'here'" in failed.stderr and 'main.py", line 2' in failed.stderr


def test_installed_packages_can_be_imported(mode):
    program = "import numpy\nprint(numpy.arange(4).sum())"
    assert ran(mode, program, Limits(processes=8)).stdout == "6\n"


def test_the_processes_of_a_fork_bomb_are_counted(mode):
    counting = """
        import os, time
        forked = 0
        while True:
            try:
                if os.fork() == 0:
                    time.sleep(60)
            except OSError:
                break
            forked += 1
        print(forked)
    """
    outcome = ran(mode, counting)
    if outcome.ended == "exit":
        assert 0 < int(outcome.stdout) <= SMALL.processes + HELPERS
    else:  # where the kernel does not count those of this user, the keeper does
        assert outcome.ended == "processes"


def test_a_fork_bomb_ends_and_leaves_nothing(mode):
    bomb = """
        import ctypes, os
        ctypes.CDLL(None).prctl(15, b"bomb-in-a-box")
        while True:
            try:
                os.fork()
            except OSError:
                pass
    """
    outcome = ran(mode, bomb, Limits(cpu_seconds=1, wall_seconds=1.5, processes=8))
    assert outcome.ended in ("time", "processes")
    assert are_gone("bomb-in-a-box")


def test_threads_count_as_processes(mode):
    program = """
        import threading, time
        for started in range(100):
            try:
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            except RuntimeError:
                break
        time.sleep(0.5)
        print(started)
        import os
        os._exit(0)
    """
    outcome = ran(mode, program, Limits(memory_mb=2048, processes=8))
    assert outcome.ended == "processes" or int(outcome.stdout) <= 8 + HELPERS


def test_removing_everything_removes_nothing(mode, tmp_path):
    treasure = tmp_path / "treasure"
    treasure.write_text("gold")
    program = """
        import os, shutil, subprocess, sys
        if os.access("/usr", os.W_OK) or os.access(sys.base_prefix, os.W_OK):
            raise SystemExit("this is no sandbox")
        shutil.rmtree(os.path.dirname(os.__file__) + "/json", ignore_errors=True)
        targets = "/bin /usr/bin /packages/numpy /dev /proc /tmp /"
        command = "timeout 1 rm -rf --no-preserve-root " + targets
        subprocess.run(command, shell=True, stderr=subprocess.DEVNULL)
        import json, numpy
        print(os.path.exists(sys.executable), os.path.exists("/usr/bin/env"), os.listdir())
    """
    assert ran(mode, program, Limits()).stdout == "True True []\n"
    assert treasure.read_text() == "gold"


def test_nothing_of_the_user_is_seen(mode, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_sesame")
    (tmp_path / "key").write_text("sesame")
    program = """
        import os, sys
        seen = dict(os.environ)
        for place in sys.stdin.read().splitlines():
            try:
                seen[place] = os.listdir(place) if os.path.isdir(place) else open(place).read()
            except OSError as error:
                seen[place] = type(error).__name__
        for process in filter(str.isdecimal, os.listdir("/proc")):
            for name in ("environ", "cmdline", "cwd/key", "root/etc/passwd", "fd/0"):
                try:
                    path = f"/proc/{process}/{name}"
                    seen[path] = open(path).read()
                except OSError:
                    pass
        print(os.listdir("."), len(list(filter(str.isdecimal, os.listdir("/proc")))))
        print(seen)
    """
    places = [
        tmp_path / "key",
        PROJECT,
        PROJECT / "Snakefile",
        Path.cwd(),
        "/etc/passwd",
        "/etc/shadow",
    ]
    places += ["/sys", "/home", "/run", "/var", "/proc/1/root", "/proc/1/cwd", "/proc/1/fd/0"]
    stdout = ran(mode, program, stdin="\n".join(map(str, places))).stdout
    first, seen = stdout.splitlines()
    assert first == "['main.py'] 2"  # itself and the keeper
    assert "sesame" not in stdout
    variables = eval(seen)
    for place in map(str, places):
        assert variables[place] in ("FileNotFoundError", "PermissionError"), place
    assert "/proc/1/environ" not in variables
    names = [name for name in variables if not name.startswith("/")]
    assert set(names) - {"LD_LIBRARY_PATH", "LC_CTYPE"} == {
        "HOME", "LANG", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH",
        "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONPATH", "TMPDIR",
    }  # fmt: skip


def test_there_is_no_network(mode):
    listening = socket.create_server(("127.0.0.1", 0))
    hidden = socket.socket(socket.AF_UNIX)
    hidden.bind("\0prunethink-test-" + str(os.getpid()))
    hidden.listen()
    with listening, hidden:
        program = f"""
            import socket
            def attempt(family, address):
                with socket.socket(family) as s:
                    s.settimeout(2)
                    try:
                        s.connect(address)
                        print("connected to", address)
                    except OSError as error:
                        print(type(error).__name__, error.errno)
            attempt(socket.AF_INET, {listening.getsockname()!r})
            attempt(socket.AF_INET, ("192.0.2.1", 80))
            attempt(socket.AF_INET6, ("::1", 80))
            attempt(socket.AF_UNIX, {hidden.getsockname()!r})
            try:
                print(socket.getaddrinfo("example.org", 80))
            except OSError as error:
                print(type(error).__name__)
        """
        outcome = ran(mode, program)
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    lines = outcome.stdout.splitlines()
    # the box's own loopback may be up, with nobody there
    assert lines[0] in ("OSError 101", "ConnectionRefusedError 111")
    assert lines[1:2] + lines[3:] == ["OSError 101", "ConnectionRefusedError 111", "gaierror"]
    assert "connected" not in outcome.stdout


def test_ten_gigabytes_are_not_to_be_had(mode):
    outcome = ran(mode, "bytearray(10 << 30)")
    assert (outcome.ended, outcome.code) == ("exit", 1)
    assert outcome.stderr.rstrip().endswith("MemoryError")


def test_memory_is_counted_over_all_processes(mode):
    program = """
        import os, time
        for _ in range(5):
            if os.fork() == 0:
                kept = bytearray(60 << 20)
                time.sleep(60)
        time.sleep(60)
    """
    assert ran(mode, program).ended == "memory"


def test_memory_that_no_process_has_is_not_to_be_had(mode):
    program = """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            os.memfd_create("hoard")
            print("memfd")
        except PermissionError:
            pass
        print(libc.shmget(0, 1 << 20, 0o1600), ctypes.get_errno())
    """
    assert ran(mode, program).stdout == "-1 1\n"


def test_files_are_small_and_few(mode):
    program = """
        import os
        def fill(name):
            written = 0
            try:
                with open(name, "wb", buffering=0) as file:
                    while True:
                        written += file.write(bytes(1 << 16))
            except OSError:
                return written
        print([fill(f"file{n}") >> 20 for n in range(4)])
        print(sum(os.path.getsize(name) for name in os.listdir()) <= 4 << 20)
        try:
            files = [open("main.py") for _ in range(100)]
        except OSError as error:
            print(error.errno)
    """
    sizes, is_within, error = ran(mode, program).stdout.splitlines()
    assert sizes.startswith("[2, 1, 0, 0") or sizes.startswith("[2, 2, 0, 0")
    assert (is_within, error) == ("True", "24")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_ends(mode, stream):
    outcome = ran(mode, f"import sys\nwhile True:\n    sys.{stream}.write('spam' * 1000)")
    assert outcome.ended == "output"
    assert len(getattr(outcome, stream)) == SMALL.output_bytes


def test_endless_loops_and_sleep_end(mode):
    assert ran(mode, "while True: pass").ended == "time"
    heedless = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    assert ran(mode, heedless).ended == "time"
    started = time.monotonic()
    outcome = ran(mode, "import time\ntime.sleep(1000)", Limits(wall_seconds=0.5))
    assert outcome.ended == "time"
    assert time.monotonic() - started < 5


def test_killing_parents_and_everybody_kills_nobody_else(mode):
    program = """
        import os, signal
        def attempt(kill, *arguments):
            try:
                kill(*arguments)
                print("sent", flush=True)
            except OSError as error:
                print(type(error).__name__, flush=True)
        attempt(os.kill, os.getppid(), signal.SIGKILL)
        attempt(os.kill, -1, signal.SIGKILL)
        attempt(os.kill, int(input()), signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        attempt(os.killpg, 0, signal.SIGTERM)
        for signum in set(signal.Signals) - {signal.SIGCHLD, signal.SIGCONT}:
            attempt(os.kill, 1, signum)
        print("alive")
        raise SystemExit(7)
    """
    outcome = ran(mode, program, stdin=str(os.getpid()))
    assert (outcome.ended, outcome.code) == ("exit", 7)
    assert outcome.stdout.splitlines()[-1] == "alive"
    assert "ProcessLookupError" in outcome.stdout  # this process is none that it could name


def test_an_end_cannot_be_made_up(mode):
    program = """
        import os
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, b'{"status": 0, "seconds": 0, "broken": ""}')
                print(descriptor)
            except OSError:
                pass
        raise SystemExit(9)
    """
    outcome = ran(mode, program)
    assert (outcome.ended, outcome.code, outcome.stdout) == ("exit", 9, "")


def test_a_daemon_does_not_outlive_its_program(mode):
    program = """
        import ctypes, os, time
        ctypes.CDLL(None).prctl(15, b"daemon-of-box")
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(60)
            os._exit(0)
        time.sleep(0.2)
        print("left")
    """
    started = time.monotonic()
    assert ran(mode, program).stdout == "left\n"
    assert time.monotonic() - started < 8
    assert are_gone("daemon-of-box")


def test_the_walls_cannot_be_taken_down(mode):
    program = """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        def attempt(name, *arguments):
            print(name, getattr(libc, name)(*arguments), ctypes.get_errno())
        attempt("ptrace", 16, 1, 0, 0)
        attempt("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None)
        attempt("mount", b"none", b"/", None, 32 | 4096, None)
        attempt("umount2", b"/tmp", 2)
        attempt("chroot", b"/tmp")
        attempt("unshare", 0x10000000)
        attempt("unshare", 0x00020000)
        attempt("sethostname", b"other", 5)
        attempt("setuid", 0)
        attempt("syscall", 56 if os.uname().machine == "x86_64" else 220, 0x10000011, 0, 0, 0, 0)
        attempt("open", b"/proc/1/mem", 2)
        attempt("open", b"/proc/sys/kernel/hostname", 2)
        attempt("mknod", b"/tmp/disk", 0o60600, 0xFE00)
    """
    for line in ran(mode, program).stdout.splitlines():
        name, result, error = line.split()
        # refused; no such user in here; read-only
        assert (result, error) in (("-1", "1"), ("-1", "13"), ("-1", "22"), ("-1", "30")), line
        assert error in ("1", "13") or name in ("setuid", "open"), line


def test_a_box_answers_line_by_line(mode):
    program = """
import sys
for line in sys.stdin:
    print(line.strip()[::-1], flush=True)
print("end")
"""
    with Box(program, SMALL, mode) as box:
        assert [box.ask(word, seconds=5) for word in (b"abc", b"", b"\xc3\xa4")] == [
            b"cba",
            b"",
            b"\xc3\xa4",
        ]
        assert box.finish() == Outcome("exit", 0, "end\n", "")
    with Box("import time\ntime.sleep(60)", SMALL, mode) as box:
        assert box.ask(b"x" * (1 << 20), seconds=0.3) is None
        assert box.finish().ended == "time"
    with Box("raise SystemExit(2)", SMALL, mode) as box:
        assert box.ask(b"anyone?", seconds=5) is None
        assert box.finish().code == 2


def test_a_box_that_is_left_ends():
    program = """
        import ctypes, sys, time
        ctypes.CDLL(None).prctl(15, b"left-in-a-box")
        sys.stdin.readline()
        print("ready", flush=True)
        time.sleep(60)
    """
    for mode in (Mode.UNSAFE, choice.sandbox_for(os.environ.get(RUN_CODE, choice.SANDBOXED))):
        with Box(textwrap.dedent(program), SMALL, mode) as box:
            assert box.ask(b"", seconds=5) == b"ready"
            assert len(processes_named("left-in-a-box")) == 1
        assert are_gone("left-in-a-box")


def test_a_box_ends_with_the_process_that_opened_it():
    opener = """
        import sys
        from workflow_scripts.tasks.sandbox.box import Box
        from workflow_scripts.tasks.sandbox.limits import Limits
        from workflow_scripts.tasks.sandbox.modes import Mode
        program = "import ctypes, time\\nctypes.CDLL(None).prctl(15, b'orphan-in-a-box')\\n"
        program += "print('ready', flush=True)\\ntime.sleep(60)"
        with Box(program, Limits(), Mode(sys.argv[1])) as box:
            print(box.ask(b"", 10), flush=True)
            box.finish()
    """
    for mode in (Mode.UNSAFE, choice.sandbox_for(os.environ.get(RUN_CODE, choice.SANDBOXED))):
        command = [sys.executable, "-c", textwrap.dedent(opener), mode.value]
        with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"b'ready'\n"
            assert processes_named("orphan-in-a-box")
            process.kill()
        assert are_gone("orphan-in-a-box")


def test_a_sandbox_that_is_ended_is_no_verdict(mode):
    """As the system may where memory runs out."""
    program = """
        import ctypes, sys, time
        ctypes.CDLL(None).prctl(15, b"ended-in-a-box")
        print("ready", flush=True)
        time.sleep(60)
    """
    with Box(textwrap.dedent(program), SMALL, mode) as box:
        assert box.ask(b"", seconds=5) == b"ready"
        (inside,) = processes_named("ended-in-a-box")
        inside.parent().kill()
        with pytest.raises(InputError, match="harness.run_code: the sandbox was ended"):
            box.finish()


def test_unsafe_has_limits_and_an_empty_folder_though_no_walls(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_sesame")
    mode = choice.sandbox_for("unsafe")
    assert mode is Mode.UNSAFE
    assert ran(mode, "while True: pass").ended == "time"
    assert ran(mode, "while True: print('spam' * 100)").ended == "output"
    assert ran(mode, "bytearray(10 << 30)").stderr.rstrip().endswith("MemoryError")
    program = """
        import os, time
        is_first = os.getpgid(0) == os.getpid()
        print(os.listdir("."), os.getcwd(), os.environ.get("HF_TOKEN"), is_first)
        if os.fork() == 0:
            time.sleep(60)
    """
    started = time.monotonic()
    listed, folder, *rest = ran(mode, program).stdout.split()
    assert time.monotonic() - started < 8  # what it left behind in its group went with it
    assert (listed, rest) == ("['main.py']", ["None", "True"])
    assert not Path(folder).exists()


def test_where_nothing_walls_programs_in_none_is_run(monkeypatch):
    monkeypatch.setattr(choice, "missing_in", lambda mode: "unshare: Operation not permitted")
    with pytest.raises(InputError) as caught:
        choice.sandbox_for.__wrapped__("sandboxed")
    assert str(caught.value) == (
        "harness.run_code: bubblewrap cannot be used (unshare: Operation not permitted) and user "
        "namespaces cannot be used (unshare: Operation not permitted); install bubblewrap, allow "
        "user namespaces, or set harness.run_code: unsafe"
    )
    with pytest.raises(InputError, match="harness.run_code: careful is not allowed"):
        choice.sandbox_for.__wrapped__("careful")


WITHOUT_NAMESPACES = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "$1"'


def test_a_machine_that_forbids_namespaces_is_told_in_a_line():
    code = textwrap.dedent("""
        from workflow_scripts.errors import InputError
        from workflow_scripts.tasks.sandbox.choice import sandbox_for
        try:
            print(sandbox_for("sandboxed"))
        except InputError as error:
            print(error)
    """)
    command = ["unshare", "-U", "-r", "sh", "-c", WITHOUT_NAMESPACES, sys.executable, code]
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no namespace to forbid others in: {done.stderr}")
    (line,) = done.stdout.splitlines()
    assert line.startswith("harness.run_code: bubblewrap cannot be used (")
    assert "unshare: No space left on device" in line  # as the kernel says it
    assert line.endswith("or set harness.run_code: unsafe") and not done.stderr


def test_a_world_that_cannot_be_made_is_told(mode, monkeypatch):
    if mode is not Mode.NAMESPACES:
        pytest.skip("bubblewrap speaks for itself")
    monkeypatch.setattr(
        "workflow_scripts.tasks.sandbox.world.binds", lambda: [("/no/such", "/usr")]
    )
    with pytest.raises(
        InputError, match="harness.run_code: the sandbox could not be made: .*no/such"
    ):
        ran(mode, "print('in')")
    assert "no/such" in choice.missing_in(mode)


# the system's interpreter, as another user may not be let to this one
SYSTEM_PYTHON = "/usr/bin/python3"
AS_NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", SYSTEM_PYTHON]


def test_an_ordinary_user_has_the_same_sandbox():
    version = [SYSTEM_PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if (
        os.geteuid()
        or not shutil.which("setpriv")
        or subprocess.run(version, check=False).returncode
        or choice.missing_in(Mode.NAMESPACES)
    ):
        pytest.skip("needs namespaces, root, setpriv and a system-wide Python of at least 3.11")
    program = """
        import os, sys
        from workflow_scripts.tasks.sandbox.box import run
        from workflow_scripts.tasks.sandbox.choice import missing_in
        from workflow_scripts.tasks.sandbox.limits import Limits
        from workflow_scripts.tasks.sandbox.modes import Mode
        counting = '''
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        print(os.getuid(), os.access("/usr", os.W_OK), flush=True)
        forked = 0
        while True:
            try:
                if os.fork() == 0:
                    time.sleep(60)
            except OSError:
                break
            forked += 1
        print(forked)
        '''
        print(os.getuid(), repr(missing_in(Mode.NAMESPACES)))
        import textwrap
        print(run(textwrap.dedent(counting), "", Limits(processes=8), Mode.NAMESPACES).stdout)
    """
    command = [*AS_NOBODY, "-B", "-c", textwrap.dedent(program)]
    done = subprocess.run(
        command,
        cwd="/",
        env={"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("another user cannot read the project here")
    who, missing, inside, is_writable, forked = done.stdout.split()
    assert (who, missing, inside, is_writable) == ("65534", "''", "1000", "False"), done.stderr
    assert 0 < int(forked) <= 8 + HELPERS
