"""A real SLURM of one node, from Debian's packages, in a folder of its own.

    with cluster(folder) as slurm:
        slurm.ask("squeue")

It has its own ports, keys, spool and state, so that it disturbs no other SLURM of the machine.
Accounting is off. Root is needed: SLURM's daemons start jobs as other users, if only in principle.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun", "scancel", "scontrol")
# no server is waited for: a machine without one is to say so soon
APT = ("apt-get", "-q", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=15")
INSTALL = (*APT, "install", "-y", "--no-install-recommends", "slurm-wlm", "munge")
SECONDS_TO_INSTALL = 180.0  # in all
SECONDS_TO_START = 60.0
SECONDS_TO_ANSWER = 30.0
NODE = "node"

# linuxproc and none: neither cgroups nor a kernel's module are asked for
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=0
GresTypes=gpu
KillWait=1
JobRequeue=0
MinJobAge=600
NodeName=DEFAULT CPUs={cpus} RealMemory=1000000 Gres=gpu:h100:2
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1
PartitionName=other Nodes={node} Default=YES MaxTime=UNLIMITED State=UP
PartitionName=cpu Nodes={node} MaxTime=UNLIMITED State=UP
PartitionName=gpu Nodes={node} MaxTime=UNLIMITED State=UP
""".lstrip()


class NotReady(Exception):
    """The daemons of a cluster do not start, or do not find each other."""


@dataclass(frozen=True)
class Slurm:
    """A running cluster; `variables` are what its commands need in their environment."""

    variables: dict[str, str]
    daemons: ExitStack = field(repr=False)

    def ask(self, *command: str) -> str:
        """Run one of SLURM's commands, which must succeed; what it printed."""
        return subprocess.run(
            command,
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS_TO_ANSWER,
        ).stdout.strip()

    def jobs(self, *states: str) -> dict[str, str]:
        """The comments of jobs, which name their rules, by the jobs' ids."""
        wanted = ",".join(states) or "all"
        listed = self.ask("squeue", "--noheader", f"--states={wanted}", "--format=%i %k")
        return dict(line.split(maxsplit=1) for line in listed.splitlines())

    def start_node(self) -> None:
        self.daemons.enter_context(_daemon(["slurmd", "-D", "-N", NODE], self))

    def lose_node(self) -> None:
        """The node is gone, with all that ran on it; its jobs wait."""
        while running := self._daemons_of_node() + self._jobs():  # one may start another meanwhile
            for process in running:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.1)
        self.ask("scontrol", "update", f"nodename={NODE}", "state=down", "reason=lost")

    def return_node(self) -> None:
        """The node that was lost is back, with nothing."""
        self.start_node()
        self.ask("scontrol", "update", f"nodename={NODE}", "state=resume")

    def _daemons_of_node(self) -> list[psutil.Process]:
        log = str(Path(self.variables["SLURM_CONF"]).with_name("slurmd.log"))
        return _processes(lambda process: log in [file.path for file in process.open_files()])

    def _jobs(self) -> list[psutil.Process]:
        def is_in_job(process: psutil.Process) -> bool:
            variables = process.environ()
            is_ours = variables.get("SLURM_CONF") == self.variables["SLURM_CONF"]
            return is_ours and "SLURM_JOB_ID" in variables

        return _processes(is_in_job)


def _processes(are_looked_for: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if are_looked_for(process):
                found.append(process)
    return found


def what_is_missing() -> str:
    """Why there can be no cluster here, in a line; "" where there can be one.

    Installs SLURM where that is possible and it is not there.
    """
    if not _missing_commands():
        return "" if os.geteuid() == 0 else "SLURM's daemons need root"
    if os.geteuid() != 0 or not shutil.which(APT[0]):
        return f"SLURM is not installed: no {_missing_commands()[0]} (Debian: slurm-wlm, munge)"
    end = time.monotonic() + SECONDS_TO_INSTALL
    try:
        if not _succeeds(INSTALL, end) and _succeeds((*APT, "update"), end):
            _succeeds(INSTALL, end)
    except subprocess.TimeoutExpired:
        return f"SLURM could not be installed within {SECONDS_TO_INSTALL:.0f} s"
    missing = _missing_commands()
    return f"SLURM could not be installed: no {missing[0]}" if missing else ""


def _succeeds(command: Sequence[str], end: float) -> bool:
    """Run a command until a time of `time.monotonic()`. Raises TimeoutExpired."""
    return not subprocess.run(
        command,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=max(end - time.monotonic(), 0),
    ).returncode


def _missing_commands() -> list[str]:
    return [command for command in COMMANDS if not shutil.which(command)]


@contextmanager
def cluster(folder: Path) -> Iterator[Slurm]:
    """A cluster that has started; it ends with the block, and its jobs with it.

    Raises NotReady where it does not start, with the daemons' logs.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    ports = _free_ports(2)
    config = folder / "slurm.conf"
    config.write_text(
        CONFIG.format(
            host=socket.gethostname().partition(".")[0],
            folder=folder,
            node=NODE,
            cpus=os.cpu_count(),
            controller_port=ports[0],
            node_port=ports[1],
        )
    )
    # GPUs that can be asked for, though there are none
    for name in ("gpu0", "gpu1"):
        (folder / name).touch()
    gpus = f"NodeName={NODE} Name=gpu Type=h100 File={folder}/gpu[0-1]\n"
    (folder / "gres.conf").write_text(gpus)
    # inside a job the plugin forgets SLURM_CONF, which srun then misses
    step = folder / "bin/srun"
    step.parent.mkdir()
    step.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which("srun")} "$@"\n')
    step.chmod(0o755)
    path = os.pathsep.join([str(step.parent), os.environ["PATH"]])
    with ExitStack() as stack:
        daemons = stack.enter_context(ExitStack())
        slurm = Slurm({"SLURM_CONF": str(config), "PATH": path}, daemons)
        munge = ["munged", "--foreground", "--force", f"--key-file={key}"]
        munge += [f"--{kind}-file={folder}/munge.{kind}" for kind in ("pid", "log", "seed")]
        daemons.enter_context(_daemon([*munge, f"--socket={folder}/munge.socket"], slurm))
        _wait(lambda: (folder / "munge.socket").exists(), folder)
        daemons.enter_context(_daemon(["slurmctld", "-D"], slurm))
        slurm.start_node()
        _wait(lambda: _state(slurm) == "idle", folder)
        stack.callback(slurm.lose_node)
        yield slurm


@contextmanager
def _daemon(command: list[str], slurm: Slurm) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        env=os.environ | slurm.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(SECONDS_TO_ANSWER)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _state(slurm: Slurm) -> str:
    try:
        return slurm.ask("sinfo", "--noheader", "--partition=cpu", "--format=%t")
    except subprocess.SubprocessError:
        return ""  # the controller does not listen yet


def _wait(condition: Callable[[], bool], folder: Path) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not condition():
        if time.monotonic() > end:
            logs = [file.read_text(errors="replace")[-2000:] for file in folder.glob("*.log")]
            raise NotReady("\n".join(["SLURM does not start on this machine", *logs]))
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
