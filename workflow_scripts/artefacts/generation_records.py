"""`generation.json`: what a variant's traces and answers come from, and what was put to it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, NonNegativeInt

from workflow_scripts.artefacts.json_files import STRICT, read_model_file


class GenerationRecord(BaseModel):
    """What a generation job says of one variant. Equal for equal configs: it holds no times.

    `generator` is what completions depend on beside their requests, `settings` the options,
    `producers` the fingerprints of what computed the completions; `prompts` shows the first prompt
    of each benchmark, and `prompt_tokens` has the length of every one by benchmark and problem,
    what opens the trace included. `put_between` are the tokens that are put between a trace and its
    answer, by how the trace ended: at most, where a newline depends on the trace. `date` is what
    chat templates were told is today, None where none asked.
    """

    model_config = STRICT
    generator: Mapping[str, Any] = {}
    settings: Mapping[str, Any] = {}
    producers: Sequence[Mapping[str, str]] = ()
    prompts: Mapping[str, Mapping[str, Any]] = {}
    prompt_tokens: Mapping[str, Mapping[str, NonNegativeInt]] = {}
    put_between: Mapping[str, NonNegativeInt] = {}
    date: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What stands in the file."""
        return self.model_dump(mode="json", exclude={"date"} if self.date is None else None)


def read_generation_record(path: Path) -> GenerationRecord:
    """Read a `generation.json`. Raises `InputError`, naming the key, where it is none."""
    return read_model_file(path, GenerationRecord, "record")
