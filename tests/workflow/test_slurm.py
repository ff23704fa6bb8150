"""The workflow on a real SLURM: what jobs go through there, and what remains of it."""

import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from tests.workflow.checkout import (
    SMALL,
    Checkout,
    environment,
    jobs_run,
    small_checkout,
    write_config,
)
from tests.workflow.slurm_cluster import NotReady, Slurm, cluster, what_is_missing

RUN = {"variants": ["dense", "wanda-50"], "benchmarks": ["small"]}
TABLE = "results/tables/accuracy.csv"
LOCALLY = ("--cores", "2", "--configfile", "small.yaml")
# accounting is off; and the plugin's patience is for clusters that are asked by many
THROUGH_SLURM = (
    "--workflow-profile", "profiles/slurm", "--configfile", "small.yaml", "--slurm-no-account",
    "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "20",
)  # fmt: skip
SECONDS_IN_ALL = 900.0
UNITS = {"M": 1, "G": 1024}

# kinds of stages: a module, and a part of its command
MASK = ("masking.build_mask", "/dense/")
STATISTICS = ("calibration.collect_statistics", "")
DENSE = ("generation.generate", "/dense/")
PRUNED = ("generation.generate", "/wanda-50/")

Found = TypeVar("Found")


@dataclass(frozen=True)
class Ended:
    """A run that has ended: its exit status, and all that it printed."""

    status: int
    printed: str


@dataclass(frozen=True)
class Asked:
    """What a job asked SLURM for: a partition, GPUs, memory in MB and minutes."""

    partition: str
    gpus: str
    memory: int
    minutes: int


@dataclass
class Site:
    """A checkout on a machine with SLURM.

    While `holding` lasts, stages of the kinds in `held`, each a module and a part of its command,
    are stopped as soon as they run; `caught` are the ids of their SLURM jobs.
    """

    checkout: Checkout
    slurm: Slurm
    started: list[subprocess.Popen] = field(default_factory=list)
    held: set[tuple[str, str]] = field(default_factory=set)
    caught: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    deadline: float = field(default_factory=lambda: time.monotonic() + SECONDS_IN_ALL)

    @contextmanager
    def holding(self, *kinds: tuple[str, str]) -> Iterator[None]:
        over = threading.Event()
        self.held |= set(kinds)
        watcher = threading.Thread(target=self._hold, args=(over,))
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _hold(self, over: threading.Event) -> None:
        seen: set[psutil.Process] = set()
        while not over.wait(0.05):
            for kind in list(self.held):
                for process in self.stages(*kind):
                    with suppress(psutil.Error):
                        if process not in seen:
                            process.send_signal(signal.SIGSTOP)
                            job = process.environ()["SLURM_JOB_ID"]
                            self.caught.setdefault(kind, []).append(job)
                    seen.add(process)
        for process in seen:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    def job(self, kind: tuple[str, str], nth: int = 1) -> str:
        """The SLURM job of the stage that is caught for the n-th time."""
        return self.wait_for(lambda: self.caught.get(kind, [])[nth - 1 : nth], f"{kind}")[0]

    def start(self, *arguments: str) -> subprocess.Popen:
        with (self.checkout.folder / "printed.txt").open("w") as printed:
            process = subprocess.Popen(
                self.checkout.command(*arguments, *THROUGH_SLURM),
                cwd=self.checkout.folder,
                env=environment() | self.slurm.variables,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def end(self, process: subprocess.Popen) -> Ended:
        status = process.wait(max(self.deadline - time.monotonic(), 1))
        return Ended(status, (self.checkout.folder / "printed.txt").read_text())

    def run(self, *arguments: str) -> Ended:
        return self.end(self.start(*arguments))

    def processes(self) -> list[psutil.Process]:
        """All that run in this checkout."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == str(self.checkout.folder):
                    found.append(process)
        return found

    def stages(self, module: str = "", named: str = "") -> list[psutil.Process]:
        """The stages of a kind that run in this checkout now."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                command = " ".join(process.cmdline()[1:])
                if command.startswith(f"-m workflow_scripts.{module}") and named in command:
                    found.append(process)
        return found

    def wait_for(self, look: Callable[[], Found], what: str) -> Found:
        """What a look finds at last."""
        while not (found := look()):
            in_time = time.monotonic() < self.deadline
            assert in_time, f"waited in vain for {what}; there are {self.processes()}"
            time.sleep(0.1)
        return found

    def kill(self) -> None:
        """Kill a run that a failed test has left."""
        for process in self.started:
            process.kill()
            process.wait()

    def asked(self, job: str) -> Asked:
        told = self.slurm.ask("scontrol", "show", "job", job)
        fields = dict(re.findall(r"(\w+)=(\S+)", told))
        hours, minutes, _ = map(int, fields["TimeLimit"].split(":"))
        memory = int(fields["MinMemoryNode"].removesuffix("M"))
        return Asked(
            fields["Partition"], fields.get("TresPerJob", ""), memory, 60 * hours + minutes
        )


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[Slurm]:
    """A cluster of one node; where SLURM cannot be had, what it is for is skipped."""
    if reason := what_is_missing():
        pytest.skip(reason)
    with ExitStack() as stack:
        try:
            running = stack.enter_context(cluster(tmp_path_factory.mktemp("slurm")))
        except NotReady as error:  # nothing of ours has run yet
            pytest.skip(str(error))
        yield running


@dataclass(frozen=True)
class Story:
    """What became of one checkout on a site; see `story`.

    `disturbed` is the run that was, `failed` are its SLURM jobs that came to harm, by rule. `asked`
    is what attempts at a job asked for, by its stage, `left` the jobs that snakemake left behind.
    """

    site: Site
    disturbed: Ended
    failed: dict[str, str]
    asked: dict[tuple[str, str], list[Asked]]
    left: dict[str, str]
    locked: Ended
    last: Ended
    local: dict[str, bytes]


@pytest.fixture(scope="module")
def story(tmp_path_factory, slurm, finished) -> Iterator[Story]:
    """A run that meets everything, until it is complete.

    A job is cancelled, a step is killed, a job exceeds its time, and the node is lost with jobs on
    it; all are tried again. At last the node is lost once more, and snakemake itself is killed
    while its jobs wait in the queue, so that the next one must not begin; they are cancelled, a
    person unlocks, and the one after it makes the table. Of the small run, which knows no SLURM, a
    copy keeps what these variants need, and makes the same table.
    """
    checkout = small_checkout(tmp_path_factory.mktemp("site"), run=RUN)
    copy = Checkout(tmp_path_factory.mktemp("local") / "checkout")
    shutil.copytree(finished.folder, copy.folder, symlinks=True)
    needed = {copy.folder / "results/reasoner" / name for name in ("statistics", *RUN["variants"])}
    for path in [*copy.folder.glob("results/*"), *copy.folder.glob("results/reasoner/*")]:
        if path not in needed and path.name != "reasoner":
            (shutil.rmtree if path.is_dir() else Path.unlink)(path)
    write_config(copy, SMALL | {"run": RUN})
    as_a_site_would(checkout.folder / "profiles/slurm/config.yaml")
    site, failed = Site(checkout, slurm), {}
    with ThreadPoolExecutor() as beside, ExitStack() as stack:
        stack.callback(site.kill)
        local = beside.submit(copy.run, TABLE, *LOCALLY)
        with site.holding(MASK, STATISTICS, DENSE, PRUNED):
            run = site.start(TABLE)
            failed["build_mask"] = site.job(MASK)
            asked = {MASK: [site.asked(failed["build_mask"])]}
            site.held.remove(MASK)
            slurm.ask("scancel", failed["build_mask"])
            failed["collect_statistics"] = site.job(STATISTICS)
            site.held.remove(STATISTICS)
            slurm.ask("scancel", "--signal=KILL", failed["collect_statistics"] + ".0")
            failed["generate"] = site.job(DENSE)
            asked[DENSE] = [site.asked(failed["generate"])]
            slurm.ask("scontrol", "update", f"jobid={failed['generate']}", "EndTime=now+5seconds")
            asked[DENSE].append(site.asked(site.job(DENSE, nth=2)))
            site.held.remove(DENSE)
            slurm.lose_node()
            slurm.return_node()
            site.wait_for(lambda: site.stages(*PRUNED), "the last job")
            slurm.lose_node()
            run.kill()
            disturbed = site.end(run)
        left = slurm.jobs("pending")
        locked = site.run(TABLE)
        slurm.ask("scancel", "--user=root")
        slurm.return_node()
        checkout.run("--unlock", *LOCALLY)
        last = site.run(TABLE)
        local.result()
        yield Story(site, disturbed, failed, asked, left, locked, last, made(copy))


def as_a_site_would(profile: Path) -> None:
    """Put the profile's lines for partitions and GPUs into force, and let masks have a GPU."""
    lines = r"^# (slurm-partition-config|set-resources|  \w+: \{)"
    text, count = re.subn(lines, r"\1", profile.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 6
    profile.write_text(text.replace("build_mask: {", "build_mask: {gpu: 1, "), encoding="utf-8")


def made(checkout: Checkout) -> dict[str, bytes]:
    """All that a run makes, but for its records: they hold times."""
    results = checkout.folder / "results"
    files = [path for path in results.rglob("*") if path.is_file()]
    files = [path for path in files if not path.name.endswith(".made.json")]
    return {str(path.relative_to(results)): path.read_bytes() for path in files}


def test_a_run_through_slurm_ends_with_the_bytes_of_a_local_one(story):
    assert story.last.status == 0, story.last.printed
    files = made(story.site.checkout)
    assert {"tables/accuracy.csv", "reasoner/wanda-50/mask.safetensors"} < set(files)
    assert files == story.local


def test_what_is_large_goes_to_slurm_and_what_is_quick_stays(story):
    printed = story.disturbed.printed + story.last.printed
    sent = set(re.findall(r"slurm_logs/rule_(\w+)/", printed))
    assert sent == {
        "build_calibration_set", "collect_statistics", "allocate_sparsity", "build_mask",
        "generate", "grade_answers",
    }  # fmt: skip
    assert jobs_run(printed).keys() - sent == {
        "fetch_model", "fetch_benchmark", "collect_cells", "accuracy_table",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "state"),
    [("build_mask", "CANCELLED"), ("collect_statistics", "FAILED"), ("generate", "TIMEOUT")],
)
def test_a_job_that_came_to_harm_is_reported_with_its_log_and_tried_again(story, rule, state):
    job = story.failed[rule]
    (report,) = re.findall(
        rf"Error in rule {rule}:\n    message: SLURM-job '{job}' .*?external_jobid",
        story.disturbed.printed,
        re.DOTALL,
    )
    assert f"SLURM status is: '{state}'" in report
    (stage, slurm) = re.search(r"^    log: (\S+), (\S+) ", report, re.MULTILINE).groups()
    assert stage.startswith(f"logs/{rule}/") and slurm.endswith(f"/{job}.log")
    assert Path(slurm).exists()
    number = re.search(r"    jobid: (\d+)\n", report)[1]
    assert f"Trying to restart job {number}." in story.disturbed.printed


def test_what_is_tried_again_asks_for_more(story):
    first, second = story.asked[DENSE]
    assert first.minutes >= 10 and first.memory > 1000
    assert second.minutes == pytest.approx(2 * first.minutes, rel=0.1)
    assert second.memory == pytest.approx(2 * first.memory, rel=0.1)


def test_jobs_go_to_the_partitions_of_the_site_and_get_its_gpus(story):
    (mask,) = story.asked[MASK]
    assert (mask.partition, mask.gpus) == ("gpu", "gres:gpu:h100:1")
    for generate in story.asked[DENSE]:
        assert (generate.partition, generate.gpus) == ("cpu", "gres:gpu:h100:0")


def test_the_jobs_of_a_lost_node_run_again_without_a_new_attempt(story):
    """SLURM does it, so that snakemake sees no failure."""
    printed = story.disturbed.printed
    assert printed.count("Trying to restart job") == len(story.failed) == 3
    assert "NODE_FAIL" not in printed


def test_the_jobs_of_a_killed_snakemake_keep_the_next_one_out(story):
    """Those that only wait in the queue too."""
    assert "rule_generate_wildcards_reasoner_wanda-50" in story.left.values()
    assert story.locked.status == 1
    assert "Error: Directory cannot be locked." in story.locked.printed


def test_once_a_person_has_unlocked_the_run_is_completed_and_nothing_is_left(story):
    assert not story.site.processes()
    assert (story.site.checkout.folder / ".snakemake/runs.lock").read_text() == ""
    assert story.site.checkout.planned("--configfile", "small.yaml", "--", TABLE) == {}
