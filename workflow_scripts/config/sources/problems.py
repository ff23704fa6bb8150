"""Where problems come from."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag

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
    kind: Text = absent()
    """The column that says what kind of answer a row has, where rows differ; `answer_kind` says
    what its words stand for."""
    choices: Different[Text] = absent(
        **in_words("a list of one or more names of columns, none twice")
    )
    """The columns of the choices, for multiple choice; a single one holds lists of choices. The
    question's own, where the choices A to D stand in the question."""


Kind = Literal["integer", "math", "number", "choice", "choices"]
KINDS: tuple[str, ...] = get_args(Kind)


def _kind_type(value: Any) -> str:
    return "object" if isinstance(value, dict) else "string"


KIND_WORDS = f"one of {', '.join(KINDS)}, or a mapping with what columns.kind may hold as keys"
AnswerKind = Annotated[
    Annotated[Kind, Tag("string")] | Annotated[dict[Text, Kind], Tag("object")],
    Discriminator(_kind_type),
    Field(
        description="How an answer is compared with the right one: as whole numbers (integer), as "
        "mathematics (math), as numbers within a tolerance (number), by the letter of a choice "
        "(choice), or by the letters of several (choices). Where `columns.kind` says it row by "
        "row, a mapping of what that column may hold to these.",
        **in_words(KIND_WORDS),
    ),
]


class Problems(Source):
    """Problems in rows of any shape: which column holds what, and how answers are written."""

    answer_form: Literal["cell", "hashes", "letter", "index"] = "cell"
    """What the column of right answers holds: the answer itself (cell; of a choice its text), a
    worked solution that ends in `####` and the answer (hashes), or the letter (letter) or number
    from 0 (index) of a choice. Of several choices a list of these, or `ABD`."""
    choice_order: Literal["given", "shuffled"] = "given"
    """The order in which choices are put to the model: that of the source (given), or one that only
    the sha256 of question and choice decides, the same on every machine (shuffled). `given` is
    refused where the right answer always is in the same place."""
    tolerance: Annotated[float, Field(ge=0)] = absent()
    """By how much a number may differ from the right one; left out, answers of kind number by 0.01
    and those of kind integer not at all."""
    marks: Literal["partial", "exact"] = absent()
    """What an answer of kind choices gets that names some of the right choices and no wrong one:
    0.25 for each of them, as JEEBench gives it (partial, also where it is left out), or nothing
    (exact). All of them get 1, any wrong one 0."""

    def contradictions(self) -> Iterator[Said]:
        """Answers that name a choice need choices, whose order must not tell which is right."""
        columns: Columns | None = self.columns
        kind = self.answer_kind
        if columns is None:
            if isinstance(kind, dict):
                yield ("columns",), "missing; answer_kind with a mapping needs it"
            return
        if kind is None:
            yield ("answer_kind",), "missing; columns needs it"
            return
        if kind == {}:
            said = "an empty mapping is not allowed; must be a mapping of what columns.kind holds"
            yield ("answer_kind",), said
            return
        yield from self._kinds(columns)
        kinds = [*kind.values()] if isinstance(kind, dict) else [kind]
        for key, allowed in (("tolerance", ("number", "integer")), ("marks", ("choices",))):
            if getattr(self, key) is not None and not {*kinds} & {*allowed}:
                yield (key,), f"not allowed with answer_kind {', '.join(dict.fromkeys(kinds))}"
        for key, value, needing in (
            *(("answer_kind", kind, ("choice", "choices")) for kind in kinds),
            ("answer_form", self.answer_form, ("letter", "index")),
        ):
            if value in needing and columns.choices is None:
                yield ("columns", "choices"), f"missing; {key} {value} needs it"
                return
        choices = columns.choices or ()
        if columns.answer in choices and len(choices) > 1 and self.choice_order == "given":
            said = "given is not allowed where the right answer's column is one of the choices'; "
            yield ("choice_order",), f"{said}must be shuffled"
        if choices == (columns.question,) and self.choice_order == "shuffled":
            said = "shuffled is not allowed where the choices stand in the question; must be given"
            yield ("choice_order",), said

    def _kinds(self, columns: Columns) -> Iterator[Said]:
        """A mapping of kinds goes with a column of them."""
        if isinstance(self.answer_kind, dict) and columns.kind is None:
            yield ("columns", "kind"), "missing; answer_kind with a mapping needs it"
        elif columns.kind is not None and not isinstance(self.answer_kind, dict):
            said = (
                f"{self.answer_kind} is not allowed with columns.kind; must be a mapping of what "
            )
            yield ("answer_kind",), f"{said}that column holds"

    def layout(self) -> dict[str, Any]:
        """Columns and how answers are written, where the source says it."""
        keys = ("columns", "answer_kind", "answer_form", "choice_order", "tolerance", "marks")
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
