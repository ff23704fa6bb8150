"""What a run says on the terminal: a line for each job, with what is done and the time left.

     3 of 33 done                          generate reasoner dense
    14 of 33 done, about 0:00:30 left      grade_answers reasoner wanda-50 chains

Warnings and errors stay what Snakemake makes of them, and so do messages that are not known here.
Its file below `.snakemake/log` has everything.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from math import ceil
from statistics import fmean
from typing import Any

from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake.logging import ColorizingTextHandler, DefaultFormatter, get_event
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

TERMINAL = "DefaultStreamHandler"
WIDTH = 38  # of what stands before the name of a job
SILENT = {
    LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED,
    LogEvent.JOB_FINISHED, LogEvent.PROGRESS, LogEvent.SHELLCMD,
}  # fmt: skip
NOISE = (
    "Assuming unrestricted shared filesystem", "Using shell:", "Conda environments: ignored",
    "Select jobs to execute",
)  # fmt: skip
ENDED = "Elapsed time:"


class ShortLog(DefaultFormatter):
    """Formatter and filter of a handler of Snakemake's, for one run.

    `slow` are the rules by whose jobs the time left is told: the others take seconds. `report`
    returns the path of the report where the run is to make it; it is asked when the run ends.
    `plan` counts the jobs by rule; it is asked when a checkpoint has changed how many there are.
    """

    def __init__(
        self,
        handler: ColorizingTextHandler,
        slow: Collection[str],
        report: Callable[[], str | None],
        plan: Callable[[], Mapping[str, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(show_failed_logs=handler.formatter.show_failed_logs)
        handler.addFilter(self)
        handler.setFormatter(self)
        self._handler, self._slow, self._report, self._clock = handler, slow, report, clock
        self._plan, self._total = plan, 0
        self._begin = clock()
        self._planned: Counter[str] = Counter()
        # of jobs that have ended, by rule, seconds; of those that run, by id, rule and begin
        self._took: dict[str, list[float]] = {}
        self._running: dict[int, tuple[str, float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown; what it tells of the run is noted."""
        event = get_event(record)
        if event == LogEvent.RUN_INFO:
            self._note_plan(record.stats)
            self._begin = self._clock()
        elif event == LogEvent.PROGRESS and record.total != self._total:
            self._note_plan(self._plan())
            self._total = record.total
        elif event == LogEvent.JOB_INFO:
            self._running[record.jobid] = (record.rule_name, self._clock())
            self._handler.last_msg_was_job_info = True  # no empty line before this one
            return bool(record.output or record.shellcmd)  # otherwise it only names targets
        elif event == LogEvent.JOB_FINISHED and record.job_id in self._running:
            rule, begin = self._running.pop(record.job_id)
            self._took.setdefault(rule, []).append(self._clock() - begin)
        elif event == LogEvent.JOB_ERROR:
            self._running.pop(record.jobid, None)
        is_noise = event in SILENT or str(record.msg).startswith(NOISE)
        return record.levelno >= logging.WARNING or not is_noise

    def _note_plan(self, stats: Mapping[str, int]) -> None:
        self._planned = Counter(stats)
        self._total = self._planned.pop("total", 0)

    def format(self, record: logging.LogRecord) -> str:
        """A record's text; at the end of a run, where its report is."""
        if record.msg == NOTHING_TO_BE_DONE_MSG:
            return record.msg + self._where("\n")
        if str(record.msg).startswith(ENDED) and self._planned:
            took = timedelta(seconds=round(self._clock() - self._begin))
            is_whole = self._done() == self._planned.total()
            return f"{self._progress()} in {took}" + (self._where("; ") if is_whole else "")
        return super().format(record)

    def _where(self, lead: str) -> str:
        path = self._report()
        return f"{lead}the report is {path}" if path else ""

    def format_run_info(self, msg: dict[str, Any]) -> str:
        return f"{self._planned.total()} jobs to do"

    def format_job_info(self, msg: dict[str, Any]) -> str:
        left = self._seconds_left()
        about = f", about {timedelta(seconds=ceil(left))} left" if left is not None else ""
        name = " ".join([msg["rule_name"], *map(str, msg["wildcards"].values())])
        return f"{self._progress() + about:<{WIDTH}} {name}"

    def _done(self) -> int:
        return sum(map(len, self._took.values()))

    def _progress(self) -> str:
        total = self._planned.total()
        return f"{self._done():>{len(str(total))}} of {total} done"

    def _seconds_left(self) -> float | None:
        """By what the jobs of each rule took so far, on as many at once as there were so far.

        But for no less than the longest job needs alone. None while a slow rule that is still to
        run has not ended once; a quick one that has not is taken to be like the others.
        """
        mean = {rule: sum(took) / len(took) for rule, took in self._took.items()}
        left = self._planned - Counter({rule: len(took) for rule, took in self._took.items()})
        if not mean or any(rule in self._slow and rule not in mean for rule in left):
            return None
        now = self._clock()
        quick = fmean([mean[rule] for rule in mean if rule not in self._slow] or mean.values())
        spent = [(rule, now - begin) for rule, begin in self._running.values()]
        waiting = left - Counter(rule for rule, _ in spent)
        rests = [max(mean.get(rule, quick) - seconds, 0) for rule, seconds in spent]
        rests += [mean.get(rule, quick) for rule in waiting.elements()]
        worked = sum(map(sum, self._took.values())) + sum(seconds for _, seconds in spent)
        at_once = max(worked, 1e-9) / max(now - self._begin, 1e-9)
        return max(sum(rests) / at_once, max(rests, default=0))


def shorten_log(
    logger: logging.Logger,
    settings: OutputSettings,
    slow: Collection[str],
    report: Callable[[], str | None],
    plan: Callable[[], Mapping[str, int]],
) -> None:
    """Shorten what goes to the terminal, unless a flag asks for Snakemake's own log.

    Those are --printshellcmds, --verbose, --debug-dag, --quiet and --dry-run. Another `--logger`
    has no such handler.
    """
    asked = (settings.printshellcmds, settings.verbose, settings.debug_dag, settings.dryrun)
    if any(asked) or settings.quiet:
        return
    for handler in logger.handlers:
        if handler.name == TERMINAL:
            ShortLog(handler, slow, report, plan)
