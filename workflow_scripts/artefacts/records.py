"""The records that pass between stages, and their JSONL form: one JSON object a line."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from string import ascii_uppercase
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from workflow_scripts.artefacts.json_files import checked
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import written_atomically
from workflow_scripts.files.checksums import verify_checksum

IN_QUESTION = "ABCD"  # the letters of choices that stand in a question

# how records are checked; frozen is what the decorator says
RECORD = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=RECORD)
class Problem:
    """One benchmark problem. `kind` says how its answer is compared, e.g. `integer`.

    Without `choices` those of a multiple-choice problem stand in its question. `tolerance` is by
    how much a number may differ from the right one, `marks` is `exact` where an answer that names
    some of several right choices gets nothing.
    """

    id: str
    question: str
    answer: str
    kind: str
    choices: list[str] | None = None
    tolerance: float | None = None
    marks: str | None = None

    @property
    def letters(self) -> str:
        """The letters of its choices, one after the other."""
        return ascii_uppercase[: len(self.choices)] if self.choices else IN_QUESTION


@dataclass(frozen=True, config=RECORD)
class Trace:
    """The thinking of one problem and repeat.

    `tokens` counts the thinking tokens without the delimiters; `finish` is `stop` (the model closed
    its thinking), `eos` (it ended its turn inside it) or `length` (the budget cut it). `budget` is
    set only where every budget has a trace of its own. Where tokens skip sublayers, `ran` is the
    part of all pairs of a token and a block that ran, of attention and of the MLP; a token that was
    never put into the model while it decoded, as the last one of a cut trace, is left out.
    """

    id: str
    repeat: int
    seed: int
    tokens: int
    finish: str
    text: str
    budget: int | None = None
    ran: dict[str, float] | None = None


@dataclass(frozen=True, config=RECORD)
class Answer:
    """What is generated after the trace of one problem and repeat under one budget (tokens).

    `trace_tokens` and `trace_finish` describe the trace as this budget cuts it; `answer_finish` is
    `eos` or `length`. `trace_ran` and `ran` are those of that trace and of the answer, as in a
    `Trace`.
    """

    id: str
    repeat: int
    budget: int
    seed: int
    trace_tokens: int
    trace_finish: str
    answer_tokens: int
    answer_finish: str
    text: str
    trace_ran: dict[str, float] | None = None
    ran: dict[str, float] | None = None


@dataclass(frozen=True, config=RECORD)
class Grade:
    """Whether an answer is correct, with what was extracted from it and the reason.

    `score` is the part of full marks that it gets, where there are part marks; `correct` is then
    full marks.
    """

    id: str
    repeat: int
    budget: int
    extracted: str | None
    correct: bool
    reason: str
    score: float | None = None

    @property
    def mark(self) -> float:
        """The part of full marks that the answer gets: 0 or 1 where there are no part marks."""
        return float(self.correct) if self.score is None else self.score


@dataclass(frozen=True, config=RECORD)
class Judgement:
    """What a judge says of an answer, with its reply; None where it was not asked or not read.

    `reason` is `judged`, `compared` (as texts, without the judge) or `unreadable`.
    """

    id: str
    repeat: int
    budget: int
    correct: bool | None
    reply: str | None
    reason: str


@dataclass(frozen=True, config=RECORD)
class TokenSequence:
    """All token ids of one problem and repeat under one budget: what the model saw and wrote.

    Prompt with the opening of the trace, trace, what leads to the answer, and the answer with the
    token that ended it, where one did. Of these, `prompt`, `trace` and `answer` count tokens; to
    the trace belongs the token that closed it, where the model wrote it and it is among the ids.
    """

    id: str
    repeat: int
    budget: int
    ids: list[int]
    prompt: int
    trace: int
    answer: int


Record = TypeVar("Record")  # a class of such records


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records as JSONL, atomically; a field that is None by default is left out."""
    with written_atomically(path) as temporary:
        write_rows(temporary, records)


def write_rows(path: Path, records: Iterable[Record]) -> None:
    """Write records as JSONL to a file that nobody reads before it is whole."""
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(_row(record), ensure_ascii=False) + "\n")


def _row(record: Record) -> dict[str, Any]:
    values = {field: getattr(record, field.name) for field in dataclasses.fields(record)}
    return {
        field.name: value
        for field, value in values.items()
        if value is not None or field.default is dataclasses.MISSING
    }


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Read a JSONL file of one record type, every field checked.

    Raises `InputError` naming the file and line for anything that is not such a record, and for a
    file that is not what its checksum says.
    """
    verify_checksum(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    if lines[-1] == b"":
        lines.pop()
    parse = TypeAdapter(kind).validate_json
    return [checked(parse, line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
