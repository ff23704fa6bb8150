"""What things are: models, benchmarks, calibration sets and influence sets."""

from collections.abc import Iterator
from keyword import iskeyword
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.prompts import TextOrName, is_text, mistakes
from workflow_scripts.config.sources import ModelSource, source_of
from workflow_scripts.config.types import (
    Count,
    Seed,
    Sha256,
    Text,
    fitting,
    in_words,
    named,
)

# what a chat template is told by the workflow itself
TOLD = ("messages", "add_generation_prompt", "strftime_now")


class Sourced(Entry):
    """An entry that is made from a source."""

    def files(self) -> dict[str, str]:
        """What it is made from by other jobs: the stage's flag and the path."""
        return self.source.files()


def _told(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise PydanticCustomError("told", "no such value")
    return value


_SAID = {"type": ["boolean", "number", "string"], "x-allowed": "true, false, a number or text"}
ChatTemplateArgs = dict[Text, Annotated[Any, AfterValidator(_told), WithJsonSchema(_SAID)]]


class Model(Sourced):
    """A dense checkpoint."""

    source: ModelSource
    """Where the checkpoint comes from."""
    thinking: named("thinking_formats")
    """A name from `thinking_formats`."""
    parameters: Count = absent()
    """How many weights the model has, for cost and cluster before it is fetched."""
    cache_per_token: Count = absent()
    """How many numbers its key-value cache holds for a token: 2 × blocks × key-value heads × head
    size; for the cost before it is fetched."""
    trained_on: named("texts") = absent()
    """A name from `texts`: what it was trained on last, for sets and recoveries that take each
    model's own."""
    chat_template_args: ChatTemplateArgs = absent()
    """What its chat template is told besides the messages, such as `enable_thinking: true`: here,
    for calibration and for influence."""

    def contradictions(self) -> Iterator[Said]:
        for name, value in (self.chat_template_args or {}).items():
            if name in TOLD:
                yield ("chat_template_args", name), "not allowed; the workflow says this itself"
            elif not name.isidentifier() or iskeyword(name):
                yield ("chat_template_args", name), "is no name of a variable"
            elif value in ("true", "false"):  # as --config gives them; any text counts as true
                said = f"{value!r} is text; write {value} without quotes, in a file of the config"
                yield ("chat_template_args", name), said


class SampleOfProblems(Entry):
    """Some problems, drawn by a seed."""

    problems: Count
    """How many are drawn. With the same seed, more of them hold the fewer."""
    seed: Seed = 0
    """Decides which ones."""


def _limit_type(value: Any) -> str:
    return "object" if isinstance(value, (dict, Entry)) else "integer"


LIMITS = "a whole number of at least 1, or a mapping with the keys problems and seed"


class FetchedBenchmark(Sourced):
    """What fetching a set of problems takes."""

    source: source_of("benchmarks")
    """Where the problems come from."""
    problems: Count = absent()
    """How many problems it has; another number stops the run."""
    sha256: Sha256 = absent()
    """Digest of the normalised file resources/benchmarks/{benchmark}.jsonl; a file with another
    digest stops the run. With a limit, it and `problems` are of all problems."""
    limit: Annotated[
        Annotated[Count, Tag("integer")] | Annotated[SampleOfProblems, Tag("object")],
        Discriminator(_limit_type),
    ] = absent(**in_words(LIMITS))
    """Take only the first so many problems, or so many drawn by a seed. Every table says so. What
    was decoded stays in the store: a larger limit decodes the other problems alone."""

    @property
    def limited(self) -> str | None:
        """What a limit leaves, in words; None without."""
        if self.limit is None or isinstance(self.limit, SampleOfProblems):
            sample = self.limit
            return sample and f"a sample of {_counted(sample.problems)} (seed {sample.seed})"
        return f"the first {_counted(self.limit)}"

    @property
    def limited_to(self) -> int | None:
        """How many problems a limit leaves; None without."""
        return getattr(self.limit, "problems", self.limit)

    def contradictions(self) -> Iterator[Said]:
        if self.problems is not None and (self.limited_to or 0) > self.problems:
            said = f"{self.limited_to} is not allowed; there are {self.problems} problems"
            yield ("limit",), said


def _counted(number: int) -> str:
    return "problem" if number == 1 else f"{number} problems"


class Benchmark(FetchedBenchmark):
    """A set of problems."""

    prompt: TextOrName = absent()
    """How problems are put to models: a text with `{question}` and, for multiple choice,
    `{choices}` (lines `A) ...`) or `{A}`, `{B}`, ...; or a name from `prompts`. Without it the
    question as it is, and its choices below it."""
    system: Text = absent()
    """A system message before the prompt."""

    def contradictions(self) -> Iterator[Said]:
        yield from super().contradictions()
        text = self.prompt or ""
        if is_text(text):
            yield from ((("prompt",), said) for said in mistakes(text) if self.prompt is not None)


class Corpus(Sourced):
    """Texts that sets and recoveries draw from."""

    source: source_of("texts")
    """Where the texts come from."""


class CalibrationSet(Sourced):
    """Token sequences that statistics are collected on."""

    source: source_of("calibration_sets")
    """Where the texts come from."""
    sampling: Literal["packed", "windows", "passages"] = "packed"
    """Texts put end to end and cut into sequences (packed), a random piece of each of some texts
    that are longer than a sequence (windows, the paper's recipe for Wanda), or the beginnings of
    random passages, of which long texts have more (passages, its recipe for ShortGPT)."""
    passage: Count = absent()
    """With sampling passages: characters of whole lines that make up a passage, at most."""
    samples: Count
    """How many token sequences are drawn."""
    length: Count
    """Tokens in each sequence."""
    token_order: Literal["given", "shuffled"] = "given"
    """The order of the tokens in each sequence: as drawn (given), or any (shuffled). What is
    shuffled has the same tokens and says nothing."""
    seed: Seed = 0
    """Decides which sequences are drawn, and what is left to chance in them."""

    def contradictions(self) -> Iterator[Said]:
        if self.source.kind == "random" and self.sampling != "packed":
            yield ("sampling",), f"{self.sampling} is not allowed with kind random; must be packed"
        elif self.sampling == "passages" and self.source.kind == "generated":
            yield ("sampling",), "passages is not allowed with kind generated; must be packed"
        elif self.sampling == "passages" and self.passage is None:
            yield ("passage",), "missing; sampling passages needs it"
        elif self.sampling != "passages" and self.passage is not None:
            yield ("passage",), f"not allowed with sampling {self.sampling}"


class InfluenceSet(Sourced):
    """Rows that the influence of blocks is scored on."""

    source: source_of("influence_sets")
    """Where the prompts and completions come from."""
    train_samples: Count
    """How many rows are drawn whose influence is scored."""
    validation_samples: Count
    """How many other rows are drawn whose mean loss the influence is on."""
    length: Annotated[int, Field(ge=2), AfterValidator(fitting)]
    """Tokens of a row, prompt and completion; what is longer is cut."""
    seed: Seed = 0
    """Decides which rows are drawn."""
    hessian: Literal["identity", "datainf"] = "identity"
    """What stands for the Hessian: the identity (the paper), or DataInf's closed form (arXiv
    2310.00902), with three backward passes for each train row where `identity` has one."""
