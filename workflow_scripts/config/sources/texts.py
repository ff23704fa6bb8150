"""Where texts come from: rows of files, what a model was trained on, what it writes itself."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from workflow_scripts.config.entry import Said, absent
from workflow_scripts.config.places import calibration_traces
from workflow_scripts.config.sources.base import Hub, Source
from workflow_scripts.config.types import (
    Count,
    Fraction,
    Name,
    Text,
    Whole,
    file_in_repository,
    file_name,
    matching,
    named,
)

TEXT_FILES = tuple(f"{kind}{zip}" for kind in ("jsonl", "json", "txt") for zip in ("", ".gz"))
PAIR_FILES = tuple(f"{kind}{zip}" for kind in ("jsonl", "json") for zip in ("", ".gz"))
TEXT_WORDS = "a .jsonl, .json, .txt (each also .gz) or .parquet file"
PAIR_WORDS = "a .jsonl, .json (both also .gz) or .parquet file"

TextColumn = Annotated[
    Text, Field(description="The field or column that holds the text; others are ignored.")
]
Template = Annotated[
    matching(
        r"[\s\S]*\{[^{}]+\}[\s\S]*",
        'text with the name of a field or column in braces, such as "{question}"',
    ),
    Field(
        description="What it is made of, with the names of fields or columns in braces. "
        "`{NAME|LEAD}` is stripped of space, and put after LEAD where it lacks that."
    ),
]
Turns = Annotated[
    Text,
    Field(
        description="The field or column that holds a conversation, a list of turns with `role` "
        "and `content` or `from` and `value`; its first question and the answer to it are taken."
    ),
]
PAIR = ("prompt", "completion")
FORMS = ("text", "prompt", "turns")  # keys that say what a row is made of; one of them is given


class Texts(Source):
    """Rows of a file: texts, or prompts and completions."""

    def form(self) -> dict[str, Any]:
        """What a row is made of, where the source says it, for `inputs.text_files`."""
        return {}


class BundledTexts(Texts):
    """Texts that come with the project."""

    kind: Literal["bundled"]
    name: Name
    """A file in bundled/calibration/, without .jsonl."""


class FormedTexts(Texts):
    """Rows of any shape: which field or column holds what."""

    text: TextColumn = absent()
    prompt: Template = absent()
    completion: Template = absent()
    turns: Turns = absent()

    def form(self) -> dict[str, Any]:
        pair = {key: getattr(self, key) for key in PAIR if getattr(self, key) is not None}
        said = {"column": self.text, "pair": pair or None, "turns": self.turns}
        return {key: value for key, value in said.items() if value is not None}

    def contradictions(self) -> Iterator[Said]:
        yield from self._both(*PAIR)
        given = [key for key in FORMS if getattr(self, key) is not None]
        if len(given) > 1:
            yield (given[1],), f"not allowed with {given[0]}"


class LocalTexts(FormedTexts):
    """A file of texts of yours."""

    kind: Literal["local"]
    path: file_name(*TEXT_FILES, "parquet", allowed=TEXT_WORDS)
    """A file of texts, one a line or row; a .txt file has no other fields."""


class HubFile(Hub):
    """One file of a data set on the Hugging Face hub: what fetching it takes."""

    file: file_in_repository(*TEXT_FILES, "parquet", allowed=TEXT_WORDS)
    """One file of the data set on the hub."""


class HubTexts(HubFile, FormedTexts):
    """A file of texts on the Hugging Face hub."""

    def files(self) -> dict[str, str]:
        return {"corpus": "resources/corpora/{calibration}/manifest.json"}

    def contradictions(self) -> Iterator[Said]:
        yield from super().contradictions()
        if not self.form():
            yield ("text",), "missing; kind hub needs it, or prompt and completion, or turns"


class FromTexts(Source):
    """An entry of `texts`."""

    kind: Literal["texts"]
    name: named("texts")
    """A name from `texts`."""


class OwnTexts(Source):
    """What each model itself was trained on: its `trained_on`."""

    kind: Literal["own"]


class RandomTokens(Source):
    """Token ids at random: each of the model's tokens but its special ones as likely as another."""

    kind: Literal["random"]


class GeneratedTexts(Source):
    """The dense model's own traces and answers on a benchmark."""

    kind: Literal["generated"]
    benchmark: named("benchmarks")
    """A name from `benchmarks`: the problems that the dense model answers, under the largest of
    `generation.budgets` and with the other `generation` settings; it need not be in
    `run.benchmarks`."""
    correct_only: bool = False
    """Take only traces that led to the right answer."""
    min_tokens: Whole = 0
    """Take only traces of at least this many tokens."""
    max_tokens: Count = absent()
    """Take only traces of at most this many tokens."""
    min_tokens_quantile: Fraction = 0.0
    """Take only traces at least as long as this quantile of the lengths of all traces of the model
    on the benchmark: with 0.5 the longer half."""
    max_tokens_quantile: Fraction = 1.0
    """Take only traces at most as long as this quantile of them: with 0.5 the shorter half."""
    min_accuracy: Fraction = 0.0
    """Take only problems of which at least this part of the repeats is right."""
    max_accuracy: Fraction = 1.0
    """Take only problems of which at most this part of the repeats is right; below 1 it leaves out
    what the model always can."""
    hardest: Fraction = 1.0
    """Of the problems that `min_accuracy` and `max_accuracy` leave, take only this part: those of
    which the fewest repeats are right, and all that are as hard as the last of them."""

    def files(self) -> dict[str, str]:
        return calibration_traces(self.benchmark)

    def contradictions(self) -> Iterator[Said]:
        for what in ("tokens", "tokens_quantile", "accuracy"):
            least, most = f"min_{what}", f"max_{what}"
            low, high = getattr(self, least), getattr(self, most)
            if high is not None and high < low:
                yield (most,), f"{high} is not allowed; must be at least {least} ({low})"


class LocalPairs(Source):
    """A file of prompts and completions of yours."""

    kind: Literal["local"]
    path: file_name(*PAIR_FILES, "parquet", allowed=PAIR_WORDS)
    """A file of prompts and completions, one pair a line or row."""
    prompt: Template = absent()
    completion: Template = absent()

    def contradictions(self) -> Iterator[Said]:
        yield from self._both("prompt", "completion")


class HubPairs(HubFile):
    """A file of prompts and completions on the Hugging Face hub."""

    file: file_in_repository(*PAIR_FILES, "parquet", allowed=PAIR_WORDS)
    """One file of the data set on the hub."""
    prompt: Template
    completion: Template

    def files(self) -> dict[str, str]:
        return {"corpus": "resources/influence_corpora/{influence}/manifest.json"}
