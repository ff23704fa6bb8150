"""What a run says on the terminal, from the records that Snakemake logs."""

import io
import logging
import re

import pytest
from snakemake.logging import ColorizingTextHandler, DefaultFormatter
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

from workflow_scripts.jobs.short_log import TERMINAL, ShortLog, shorten_log

PLANNED = {"fetch": 1, "generate": 4, "draw": 2, "all": 1, "total": 8}


class Run:
    """A run that is told of by hand: what it logs at which second, and what is shown of it."""

    def __init__(self, report: str | None = "results/report.html") -> None:
        self.now, self.asked, self._stream = 0.0, 0, io.StringIO()
        self.handler = ColorizingTextHandler(stream=self._stream)
        self.handler.setFormatter(DefaultFormatter(show_failed_logs=True))
        self.planned = PLANNED
        ShortLog(
            self.handler,
            {"generate"},
            lambda: self._where(report),
            lambda: self.planned,
            lambda: self.now,
        )

    def _where(self, report: str | None) -> str | None:
        self.asked += 1
        return report

    def says(self, text: str, event: LogEvent | None = None, level=logging.INFO, **about) -> str:
        """Log one record; what is shown for it."""
        self._stream.seek(0)
        self._stream.truncate()
        record = {"msg": text, "levelno": level, "levelname": logging.getLevelName(level)}
        self.handler.handle(logging.makeLogRecord(record | {"event": event} | about))
        return self._stream.getvalue()

    def starts(self, jobid: int, rule: str, *wildcards: str) -> str:
        about = {"jobid": jobid, "rule_name": rule, "rule_msg": None, "shellcmd": "run it"}
        names = dict(enumerate(wildcards))
        return self.says("a job", LogEvent.JOB_INFO, wildcards=names, output=["o"], **about)

    def ends(self, jobid: int) -> str:
        return self.says("done", LogEvent.JOB_FINISHED, job_id=jobid)


def is_line(shown: str, words: str) -> bool:
    return re.sub(" +", " ", shown.strip()) == words and shown.count("\n") == 1


@pytest.fixture
def run() -> Run:
    run = Run()
    assert run.says("Job stats", LogEvent.RUN_INFO, stats=PLANNED) == "8 jobs to do\n"
    return run


def test_a_job_has_a_line_with_what_is_done_and_its_names(run):
    run.says("Using shell: /bin/bash")
    assert is_line(run.starts(1, "fetch", "reasoner"), "0 of 8 done fetch reasoner")
    assert run.ends(1) == ""
    line = run.starts(2, "generate", "reasoner", "wanda-50")
    assert is_line(line, "1 of 8 done generate reasoner wanda-50")


def test_jobs_that_follow_from_a_checkpoint_count_when_they_are_known(run):
    run.starts(1, "fetch")
    run.ends(1)
    run.planned = PLANNED | {"generate": 6, "total": 10}
    assert run.says("progress", LogEvent.PROGRESS, done=1, total=8) == ""
    assert is_line(run.starts(2, "generate"), "1 of 8 done generate")
    run.ends(2)
    run.says("progress", LogEvent.PROGRESS, done=2, total=10)
    assert "2 of 10 done" in run.starts(3, "generate")


def test_the_time_left_is_told_once_every_slow_rule_has_ended(run):
    run.starts(1, "fetch")
    run.now = 1.0
    run.ends(1)
    run.starts(2, "generate", "a")
    assert "left" not in run.starts(3, "generate", "b")
    run.now = 101.0
    run.ends(2)
    # 3 × 100 s and 3 × 1 s, 100 s of which are over, at 201 s of work in 101 s
    assert "2 of 8 done, about 0:01:43 left " in run.starts(4, "generate", "c")
    run.now = 201.0
    run.ends(3)
    run.ends(4)
    # nothing runs beside the last one, which takes as long as the mean of 100, 200 and 100 s
    assert "4 of 8 done, about 0:02:14 left " in run.starts(5, "generate", "d")


def test_the_last_line_says_where_the_report_is(run):
    for jobid, rule in enumerate(["fetch", *["generate"] * 4, "draw", "draw", "all"]):
        run.starts(jobid, rule)
        run.ends(jobid)
    run.now = 61.2
    assert run.says("Elapsed time: 0:01:01.2") == (
        "8 of 8 done in 0:01:01; the report is results/report.html\n"
    )
    assert run.asked == 1  # it is looked for among all jobs


def test_a_run_that_failed_or_makes_no_report_names_none(run):
    run.now = 5.0
    assert run.says("Elapsed time: 0:00:05") == "0 of 8 done in 0:00:05\n"
    nothing = "Nothing to be done (all requested files are present and up to date)."
    assert Run(report=None).says(nothing) == f"{nothing}\n"
    assert Run().says(nothing) == f"{nothing}\nthe report is results/report.html\n"


def test_what_only_names_targets_has_no_line(run):
    about = {"rule_name": "all", "output": [], "shellcmd": None}
    assert run.says("a job", LogEvent.JOB_INFO, jobid=0, **about) == ""


def test_errors_and_what_is_not_known_here_are_shown_whole(run, tmp_path):
    log = tmp_path / "log"
    log.write_text("on its way\nerror: sums.jsonl: line 3 has no answer\n")
    run.starts(2, "generate", "a")
    shown = run.says(
        "Error in rule", LogEvent.JOB_ERROR, logging.ERROR, rule_name="generate", rule_msg=None,
        jobid=2, input=[], output=["o"], log=[str(log)], conda_env=None, shellcmd="run it", aux={},
    )  # fmt: skip
    assert f"    log: {log} (check log file(s) for error details)\n" in shown
    assert log.read_text() in shown
    assert run.says("Trying to restart job 2.") == "Trying to restart job 2.\n"
    assert is_line(run.starts(2, "generate", "a"), "0 of 8 done generate a")
    assert run.says("Using shell: none", level=logging.WARNING) == "Using shell: none\n"


@pytest.mark.parametrize(
    ("asked", "is_short"),
    [
        ({}, True), ({"printshellcmds": True}, False), ({"verbose": True}, False),
        ({"dryrun": True}, False), ({"quiet": {"rules"}}, False),
    ],
)  # fmt: skip
def test_flags_about_the_log_leave_it_as_it_is(asked, is_short):
    terminal, file = ColorizingTextHandler(stream=io.StringIO()), logging.NullHandler()
    terminal.name = TERMINAL
    terminal.setFormatter(DefaultFormatter())
    logger = logging.Logger("of a run")
    logger.addHandler(terminal)
    logger.addHandler(file)
    shorten_log(logger, OutputSettings(**asked), set(), lambda: None, lambda: {})
    assert isinstance(terminal.formatter, ShortLog) == is_short
    assert not file.filters and file.formatter is None
