"""What became of a job of PBS or SGE, for snakemake: prints running, success or failed.

    python -m workflow_scripts.jobs.cluster_status pbs 1234.server
    python -m workflow_scripts.jobs.cluster_status sge 1234

A scheduler that does not answer is asked again at the next check, so that job counts as running.
One that answers that it does not know the job has forgotten it: the job counts as failed, and is
tried again. PBS forgets a job at its end unless its history is on (job_history_enable), Torque
after keep_completed seconds.
"""

import re
import subprocess
import sys
import time

SECONDS_TO_ANSWER = 30.0
UNKNOWN = re.compile(r"unknown job|do not exist|not found", re.IGNORECASE)
# SGE writes its accounts a little after a job's end
TRIES, SECONDS_BETWEEN = 5, 3.0


def ask(*command: str) -> tuple[int | None, str]:
    """Exit status and output of a command; no status where it did not answer."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS_TO_ANSWER,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    return done.returncode, done.stdout


def pbs(job: str) -> str:
    status, said = ask("qstat", "-f", job)
    if status:  # the finished jobs of PBS Pro are asked for apart
        status, said = ask("qstat", "-x", "-f", job)
    state = re.search(r"job_state = (\w)", said)
    if status == 0 and state:
        if state[1] not in "CF":
            return "running"
        ended = re.search(r"exit_status = (-?\d+)", said, re.IGNORECASE)
        return "success" if ended and int(ended[1]) == 0 else "failed"
    return "failed" if UNKNOWN.search(said) else "running"


def sge(job: str) -> str:
    status, said = ask("qstat", "-j", job)
    if status is None or not (status or UNKNOWN.search(said)):
        return "running"
    for _ in range(TRIES):
        status, said = ask("qacct", "-j", job)
        if status == 0:
            fields = dict(re.findall(r"^(exit_status|failed)\s+(\d+)", said, re.MULTILINE))
            return "success" if set(fields.values()) == {"0"} else "failed"
        time.sleep(SECONDS_BETWEEN)
    return "failed" if UNKNOWN.search(said) else "running"


if __name__ == "__main__":
    print({"pbs": pbs, "sge": sge}[sys.argv[1]](sys.argv[2]))
