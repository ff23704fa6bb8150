"""Chat templates: programs that come with a model, run within limits and told a fixed date.

    with ChatTemplate(load_tokenizer(folder), date="auto") as template:
        prompt = template.render("7+3=?", "benchmark chains, problem 5")

A template runs in a process of its own, which starts when the first text is rendered: one without
an end, or that writes gigabytes, is an error and takes nothing along. Templates that write today's
date (Llama 3, SmolLM3, Granite) would give every day prompts of its own. They are told one day
instead: a given one or, for `auto`, that of the first job that needed it, which a lock file holds.
"""

import fcntl
import multiprocessing
import random
import resource
import signal
from collections.abc import Mapping, Sequence
from datetime import date as Day
from datetime import datetime, time
from pathlib import Path
from typing import Any

import psutil
from pebble import ProcessExpired, ProcessPool
from transformers import PreTrainedTokenizerBase

from workflow_scripts.errors import InputError
from workflow_scripts.models.template_texts import check_template

AUTO = "auto"
DATE_LOCK = Path("config/date.lock")
HEADER = "# What chat templates that write today's date are told, where generation.date is auto.\n"
TELLS_DATE = "strftime_now"  # the only clock that transformers gives to a template
CPU_SECONDS = 10  # for one text; templates take milliseconds
MEMORY = 1 << 30  # bytes beyond those of this process
MAX_CHARACTERS = 10_000_000  # of a prompt; far more than any context holds
MAX_SHOWN = 200  # characters of an error
# with what is written otherwise where a template writes not the text but a list that holds it
PROBE = "Which of 'copper',\n\"lantern\" & <seventeen> is \\text{a number}?"
CHANGED = "leaves out the question or changes its text"


class ChatTemplate:
    """A tokenizer's chat template; `day` is the day it was told, None where it does not ask.

    `arguments` are variables of the template besides, such as `enable_thinking`. To be closed by
    `with`.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        date: str,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.day: str | None = None
        self._date = date
        self._arguments = dict(arguments or {})
        self._pool: ProcessPool | None = None

    def __enter__(self) -> "ChatTemplate":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()

    def render(self, question: str, where: str, system: str | None = None) -> str:
        """The prompt of a question, up to where the model would answer.

        Raises `InputError`, naming the model and `where` the question is from, for a template that
        fails, that takes too much time or memory, that leaves the question out or repeats it, that
        leaves out the system message, or that has no use for an argument.
        """
        if self._pool is None:
            self._start()
            # not the question itself: a short one may stand in any prompt
            times = self._run(_turns(PROBE, system), where).count(PROBE)
            if times != 1:
                raise self._error(f"writes the question {times} times" if times else CHANGED, where)
        prompt = self._run(_turns(question, system), where)
        if question.strip() not in prompt:
            raise self._error(CHANGED, where)
        if system is not None and system.strip() not in prompt:
            raise self._error("leaves out the system message or changes its text", where)
        return prompt

    def render_turns(
        self, turns: Sequence[Mapping[str, str]], where: str, is_open: bool = False
    ) -> str:
        """The prompt of turns with a `role` and `content`, up to where the model would answer.

        Where it `is_open`, the last turn is the beginning of its answer. Raises `InputError` as
        `render` does, but looks for none of the texts in the prompt.
        """
        if self._pool is None:
            self._start()
        return self._run([dict(turn) for turn in turns], where, is_open)

    def _start(self) -> None:
        template, model = self.tokenizer.chat_template, self.tokenizer.name_or_path
        check_template(template, self._arguments, model)
        if TELLS_DATE in str(template):
            self.day = fixed_day(self._date)
        # forked: it needs the tokenizer alone, and importing transformers again takes seconds
        self._pool = ProcessPool(
            max_workers=1,
            initializer=_start_worker,
            initargs=(self.tokenizer, self.day, self._arguments),
            context=multiprocessing.get_context("fork"),
        )

    def _run(self, turns: list[dict[str, str]], where: str, is_open: bool = False) -> str:
        try:
            prompt, failed = self._pool.schedule(_render, [turns, is_open]).result()
        except ProcessExpired as ended:
            took = f"takes more than {CPU_SECONDS} s"
            failed = took if ended.exitcode == -signal.SIGPROF else "ends its process"
        if failed:
            raise self._error(failed, where)
        return prompt

    def _error(self, what: str, where: str) -> InputError:
        return InputError(
            f"{self.tokenizer.name_or_path}: its chat template {what} ({where}); correct "
            "chat_template.jinja"
        )


def fixed_day(date: str, lock: Path = DATE_LOCK) -> str:
    """A date as it is; for `auto` the day in the lock file, which is today's where there is none.

    Raises `InputError` where the file holds something else or cannot be written.
    """
    if date != AUTO:
        return date
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        text = lock.read_text(encoding="utf-8") if lock.exists() else ""
        if not text:
            with lock.open("a+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # another job may write it at this moment
                file.seek(0)
                text = file.read()
                if not text:
                    text = f"{HEADER}{Day.today().isoformat()}\n"
                    file.write(text)
        return Day.fromisoformat(text.splitlines()[-1].strip()).isoformat()
    except OSError as error:
        raise InputError(
            f"{lock}: cannot be read or written ({error.strerror or error}); mend that or set "
            "generation.date to a day"
        ) from None
    except ValueError:
        raise InputError(
            f"{lock}: does not end in a line with a day, such as 2026-11-27; correct or delete it"
        ) from None


def _start_worker(
    tokenizer: PreTrainedTokenizerBase, day: str | None, told: dict[str, Any]
) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + MEMORY
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    if day is not None:
        midnight = datetime.combine(Day.fromisoformat(day), time())
        told = told | {TELLS_DATE: midnight.strftime}  # it goes before the global of its name
    _worker.update(tokenizer=tokenizer, told=told)


_worker: dict[str, Any] = {}  # what the process of a template keeps


def _turns(question: str, system: str | None) -> list[dict[str, str]]:
    before = [] if system is None else [{"role": "system", "content": system}]
    return [*before, {"role": "user", "content": question}]


def _render(turns: list[dict[str, str]], is_open: bool) -> tuple[str, str]:
    """The prompt, or how the template failed. Ends its process by SIGPROF after `CPU_SECONDS`."""
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    random.seed(0)  # jinja's filter `random` and its `lipsum` draw from it
    try:
        prompt = _worker["tokenizer"].apply_chat_template(
            turns,
            add_generation_prompt=not is_open,
            continue_final_message=is_open,
            tokenize=False,
            **_worker["told"],
        )
        if len(prompt) > MAX_CHARACTERS:
            return "", f"writes {len(prompt)} characters"
        prompt.encode()  # half a surrogate is no text
        return prompt, ""
    except MemoryError:
        return "", f"takes more than {MEMORY >> 30} GiB of memory"
    except Exception as error:  # whatever a template raises
        reason = repr(" ".join(str(error).split()))[1:-1][:MAX_SHOWN]
        return "", f"fails ({type(error).__name__}: {reason})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
