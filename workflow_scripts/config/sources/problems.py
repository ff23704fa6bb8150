"""Where problems come from."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.sources.base import Hub, Source
from workflow_scripts.config.types import Different, Name, Text, file_name, in_words


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
