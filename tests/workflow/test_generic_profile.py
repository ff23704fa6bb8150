"""The generic profile: what it asks of PBS and SGE, and what it makes of their answers.

Scripts on PATH replace their commands; a test of the whole profile runs jobs through them.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.checkout import PROJECT, Checkout, environment, small_checkout

# a PBS that keeps a job's exit status in a file; it kills the job KILLED, as over its time
QSUB = """#!/bin/sh
cd "$JOBS"
echo "$@" >> asked
job=$(ls -d *.pid 2>/dev/null | wc -l)
for script; do :; done
cp "$script" $job.sh
(sh $job.sh > $job.log 2>&1; echo $? > $job.exit) &
echo $! > $job.pid
if [ $job = $KILLED ]; then
  (sleep 1; echo 271 > $job.exit; pkill -P $(cat $job.pid)) > /dev/null 2>&1 &
fi
echo $job.server
"""
QSTAT = """#!/bin/sh
cd "$JOBS"
for job; do :; done
job=${job%.server}
if [ ! -e $job.exit ]; then echo "    job_state = R"; exit 0; fi
if [ "$1" != -x ]; then echo "qstat: $job.server Job has finished, use -x or -H"; exit 35; fi
echo "    job_state = F"
echo "    Exit_status = $(cat $job.exit)"
"""


def tool(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def with_tools(folder: Path) -> dict[str, str]:
    return environment() | {"PATH": os.pathsep.join([str(folder), os.environ["PATH"]])}


@pytest.mark.parametrize(
    ("said", "status", "of_finished", "result"),
    [
        ("    job_state = R", 0, ("", 1), "running"),
        ("    job_state = Q", 0, ("", 1), "running"),
        ("    job_state = C\n    exit_status = 0", 0, ("", 1), "success"),
        ("    job_state = C\n    exit_status = 271", 0, ("", 1), "failed"),
        ("Job has finished", 35, ("    job_state = F\n    Exit_status = 0", 0), "success"),
        ("Job has finished", 35, ("    job_state = F\n    Exit_status = -11", 0), "failed"),
        ("Job has finished", 35, ("    job_state = F", 0), "failed"),  # deleted while it waited
        ("qstat: Unknown Job Id 7", 153, ("qstat: Unknown Job Id 7", 153), "failed"),
        ("qstat: cannot connect to server", 1, ("qstat: cannot connect to server", 1), "running"),
    ],
)
def test_pbs_says_what_became_of_a_job(tmp_path, said, status, of_finished, result):
    other, other_status = of_finished
    script = f'#!/bin/sh\n[ "$1" = -x ] && echo "{other}" && exit {other_status}\n'
    tool(tmp_path / "bin", "qstat", f'{script}echo "{said}"\nexit {status}\n')
    assert asked("pbs", tmp_path / "bin") == result


@pytest.mark.parametrize(
    ("said", "status", "accounted", "result"),
    [
        ("job_number: 7", 0, "error", "running"),
        ("Following jobs do not exist: 7", 1, "failed       0\nexit_status  0", "success"),
        ("Following jobs do not exist: 7", 1, "failed       0\nexit_status  1", "failed"),
        ("Following jobs do not exist: 7", 1, "failed       37\nexit_status  0", "failed"),
    ],
)
def test_sge_says_what_became_of_a_job(tmp_path, said, status, accounted, result):
    tool(tmp_path / "bin", "qstat", f'#!/bin/sh\necho "{said}"\nexit {status}\n')
    tool(tmp_path / "bin", "qacct", f'#!/bin/sh\necho "{accounted}"\n')
    assert asked("sge", tmp_path / "bin") == result


@pytest.mark.parametrize("scheduler", ["pbs", "sge"])
def test_a_scheduler_that_is_not_there_leaves_jobs_as_they_are(tmp_path, scheduler):
    assert asked(scheduler, tmp_path, PATH=str(tmp_path)) == "running"


def asked(scheduler: str, tools: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "workflow_scripts.jobs.cluster_status", scheduler, "7"],
        cwd=PROJECT, env=with_tools(tools) | variables,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def through_pbs(checkout: Checkout, folder: Path, *arguments: str, killed: str) -> str:
    """Make a mask through a PBS that is put there and kills that job; what is printed."""
    jobs = folder / "jobs"
    jobs.mkdir()
    for name, text in (("qsub", QSUB), ("qstat", QSTAT)):
        tool(folder / "bin", name, text)
    finished = subprocess.run(
        checkout.command(
            "results/reasoner/dense/mask.json", "--workflow-profile", "profiles/generic",
            "--seconds-between-status-checks", "1", *arguments,
        ),
        cwd=checkout.folder,
        env=with_tools(folder / "bin") | {"JOBS": str(jobs), "KILLED": killed},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def test_a_job_goes_through_pbs_and_is_tried_again_with_more(changeable, tmp_path):
    (changeable.folder / "results/reasoner/dense/mask.json").unlink()
    printed = through_pbs(changeable, tmp_path, "--configfile", "small.yaml", killed="0")
    assert "Trying to restart job" in printed
    first, second = [
        {key: int(number) for key, number in re.findall(r"(\w+)=(\d+)", line)}
        for line in (tmp_path / "jobs/asked").read_text().splitlines()
    ]
    assert list(first) == ["walltime", "select", "ncpus", "mem", "ngpus"]
    assert (first["select"], first["ncpus"], first["ngpus"]) == (1, 1, 0)
    assert first["mem"] > 1000 and first["walltime"] >= 600  # MB and seconds
    for key in ("mem", "walltime"):
        assert second[key] == pytest.approx(2 * first[key], rel=0.1)


def test_a_run_with_a_directory_of_its_own_goes_through_pbs(tmp_path):
    """Snakemake calls the profile's commands in that directory, the checkout is elsewhere."""
    arguments = ("--directory", "runs/own", "--configfile", "config/config.yaml")
    through_pbs(small_checkout(tmp_path / "checkout"), tmp_path, *arguments, killed="none")
    assert (tmp_path / "checkout/runs/own/results/reasoner/dense/mask.json").is_file()
    assert (tmp_path / "jobs/0.exit").read_text() == "0\n"


def test_the_lines_for_sge_are_the_other_of_each_pair():
    text = (PROJECT / "profiles/generic/config.yaml").read_text()
    pbs = yaml.safe_load(text)
    lines = re.findall(r"^# (cluster-generic-.*(?:\n#   .*)*)", text, re.MULTILINE)
    sge = yaml.safe_load("\n".join(lines).replace("\n#   ", "\n  "))
    assert set(sge) == {"cluster-generic-submit-cmd", "cluster-generic-status-cmd"} <= set(pbs)
    assert "-terse" in sge["cluster-generic-submit-cmd"]
    assert sge["cluster-generic-status-cmd"].endswith(" sge")
