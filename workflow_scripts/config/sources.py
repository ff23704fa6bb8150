"""Sources: where models, problems and texts come from, one class for each kind of a catalogue."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.places import calibration_traces
from workflow_scripts.config.types import (
    Count,
    Different,
    Fraction,
    Name,
    Sha256,
    Text,
    Whole,
    file_in_repository,
    file_name,
    in_words,
    matching,
    named,
    one_of,
)

TEXT_FILES = tuple(f"{kind}{zip}" for kind in ("jsonl", "json", "txt") for zip in ("", ".gz"))
PAIR_FILES = tuple(f"{kind}{zip}" for kind in ("jsonl", "json") for zip in ("", ".gz"))
TEXT_WORDS = "a .jsonl, .json, .txt (each also .gz) or .parquet file"
PAIR_WORDS = "a .jsonl, .json (both also .gz) or .parquet file"

GgufFile = file_name("gguf", allowed="a .gguf file")
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


class Source(Entry):
    """Where something comes from."""

    def files(self) -> dict[str, str]:
        """What is made of it by other jobs: the stage's flag and the path."""
        return {}

    def _both(self, *keys: str) -> Iterator[Said]:
        """Keys that are there together or not at all."""
        given = [key for key in keys if getattr(self, key) is not None]
        for key in keys:
            if given and key not in given:
                yield (key,), f"missing; {given[0]} needs it"


class Hub(Source):
    """A repository on the Hugging Face hub."""

    kind: Literal["hub"]
    id: matching(
        "[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", "a hub id of the form owner/name"
    )
    """The repository on the hub."""
    revision: matching(
        "[0-9a-f]{40}",
        "a commit of 40 lowercase hexadecimal digits (a pinned commit; a branch or a tag can move)",
    ) = absent()
    """The commit to download; left out, the one that the main branch has at the first download,
    which config/hub.lock then holds."""


class BundledModel(Source):
    """A model that comes with the project."""

    kind: Literal["bundled"]
    name: Name
    """A folder in bundled/models/."""


class LocalModel(Source):
    """A folder of yours."""

    kind: Literal["local"]
    path: Text
    """A Hugging Face folder with config.json, tokenizer files and *.safetensors (weights in pickle
    files are never opened); relative to the working directory."""


class HubModel(Hub):
    """A model on the Hugging Face hub."""


class Gguf(Source):
    """A GGUF file, which is turned into a Hugging Face folder once."""

    kind: Literal["gguf"]
    path: GgufFile = absent()
    """A GGUF file, which is turned into a Hugging Face folder once."""
    package: matching(
        "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "the name of a Python package"
    ) = absent()
    """An installed Python package that holds the GGUF file."""
    file: GgufFile = absent()
    """The name of the GGUF file in the package."""
    sha256: Sha256 = absent()
    """Digest of the GGUF file; one with another digest stops the run."""

    def contradictions(self) -> Iterator[Said]:
        yield from self._both("package", "file")
        if self.path is None and self.package is None and self.file is None:
            yield ("path",), "missing; kind gguf needs it, or package and file"
        if self.path is not None and self.package is not None:
            yield ("path",), "kind gguf takes either path, or package and file"


class Columns(Entry):
    """Which column (or key) of the source holds what."""

    id: Text = absent()
    """The column of ids; without it rows are numbered."""
    question: Text
    """The column of questions."""
    answer: Text
    """The column of right answers."""
    choices: Different[Text] = absent(
        **in_words("a list of one or more names of columns, none twice")
    )
    """The columns of the choices, for multiple choice; a single one holds lists of choices."""


AnswerKind = Annotated[
    Literal["integer", "math", "choice"],
    Field(description="How an answer is compared with the right one."),
]


class Problems(Source):
    """Problems in rows of any shape: which column holds what, and how answers are written."""

    answer_form: Literal["cell", "hashes", "letter", "index"] = "cell"
    """What the column of right answers holds: the answer itself (cell; of a choice its text), a
    worked solution that ends in `####` and the answer (hashes), or the letter (letter) or number
    from 0 (index) of a choice."""
    choice_order: Literal["given", "shuffled"] = "given"
    """The order in which choices are put to the model: that of the source (given), or one that only
    the sha256 of question and choice decides, the same on every machine (shuffled). `given` is
    refused where the right answer always is in the same place."""

    def contradictions(self) -> Iterator[Said]:
        """Answers that name a choice need choices, whose order must not tell which is right."""
        columns: Columns | None = self.columns
        if columns is None:
            return
        if self.answer_kind is None:
            yield ("answer_kind",), "missing; columns needs it"
        for key, values in (("answer_kind", ["choice"]), ("answer_form", ["letter", "index"])):
            if getattr(self, key) in values and columns.choices is None:
                said = f"missing; {key} {getattr(self, key)} needs it"
                yield ("columns", "choices"), said
                return
        choices = columns.choices or ()
        if columns.answer in choices and len(choices) > 1 and self.choice_order == "given":
            said = "given is not allowed where the right answer's column is one of the choices'; "
            yield ("choice_order",), f"{said}must be shuffled"

    def layout(self) -> dict[str, Any]:
        """Columns and how answers are written, where the source says it."""
        keys = ("columns", "answer_kind", "answer_form", "choice_order")
        return self.model_dump(mode="json", exclude_none=True, include=set(keys))


class BundledProblems(Source):
    """Problems that come with the project."""

    kind: Literal["bundled"]
    name: Name
    """A file in bundled/benchmarks/, without .jsonl."""


class LocalProblems(Problems):
    """A file of problems of yours."""

    kind: Literal["local"]
    path: file_name(
        "jsonl", "csv", "parquet", allowed="the path of a .jsonl, .csv or .parquet file"
    )
    """A file of problems, one a line or row; with `columns` they may have any shape."""
    columns: Columns = absent()
    """Which column (or key) of the source holds what."""
    answer_kind: AnswerKind = absent()


class HubProblems(Hub, Problems):
    """A data set on the Hugging Face hub."""

    config: Text = absent()
    """The configuration (subset) of the data set, where it has several."""
    split: Text
    """The split of the data set."""
    columns: Columns
    """Which column (or key) of the source holds what."""
    answer_kind: AnswerKind


class BundledTexts(Source):
    """Texts that come with the project."""

    kind: Literal["bundled"]
    name: Name
    """A file in bundled/calibration/, without .jsonl."""


class LocalTexts(Source):
    """A file of texts of yours."""

    kind: Literal["local"]
    path: file_name(*TEXT_FILES, "parquet", allowed=TEXT_WORDS)
    """A file of texts, one a line or row; a .txt file has no other fields."""
    text: TextColumn = absent()


class HubFile(Hub):
    """One file of a data set on the Hugging Face hub: what fetching it takes."""

    file: file_in_repository(*TEXT_FILES, "parquet", allowed=TEXT_WORDS)
    """One file of the data set on the hub."""


class HubTexts(HubFile):
    """A file of texts on the Hugging Face hub."""

    text: TextColumn

    def files(self) -> dict[str, str]:
        return {"corpus": "resources/corpora/{calibration}/manifest.json"}


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
    min_accuracy: Fraction = 0.0
    """Take only problems of which at least this part of the repeats is right."""
    max_accuracy: Fraction = 1.0
    """Take only problems of which at most this part of the repeats is right; below 1 it leaves out
    what the model always can."""

    def files(self) -> dict[str, str]:
        return calibration_traces(self.benchmark)

    def contradictions(self) -> Iterator[Said]:
        for least, most in (("min_tokens", "max_tokens"), ("min_accuracy", "max_accuracy")):
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


# by catalogue and kind
SOURCES = {
    "models": {"bundled": BundledModel, "local": LocalModel, "hub": HubModel, "gguf": Gguf},
    "benchmarks": {"bundled": BundledProblems, "local": LocalProblems, "hub": HubProblems},
    "calibration_sets": {
        "bundled": BundledTexts,
        "local": LocalTexts,
        "hub": HubTexts,
        "generated": GeneratedTexts,
    },
    "influence_sets": {"bundled": BundledTexts, "local": LocalPairs, "hub": HubPairs},
}


def source_of(catalogue: str) -> Any:
    """Any source of a catalogue, told apart by its kind."""
    return one_of(SOURCES[catalogue], "kind")


ModelSource = source_of("models")
