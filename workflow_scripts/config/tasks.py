"""Tasks of the evaluation harness, and how it runs them."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from workflow_scripts.config.engines import BatchSize
from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.generation import EngineOptions, Generation, Temperature, TopK, TopP
from workflow_scripts.config.types import (
    AnyText,
    Count,
    Different,
    Name,
    Text,
    Whole,
    file_name,
    in_words,
)

FAMILIES = ("classification", "generation", "reasoning", "language", "other")
AUTO_BATCH = {"transformers": 16, "vllm": 256}  # requests put to an engine at once


class TaskGeneration(Entry):
    """What differs from how a task generates, by the harness's own names."""

    max_gen_toks: Count = absent()
    """The most tokens of a response."""
    until: Different[AnyText] = absent(**in_words("a list of one or more texts, none twice"))
    """Texts that end a response."""
    do_sample: bool = absent()
    """Whether tokens are sampled; else the likeliest is taken."""
    temperature: Temperature = absent()
    top_p: TopP = absent()
    top_k: TopK = absent()


class FetchedTask(Entry):
    """What fetching a task's data takes."""

    task: Text = absent()
    """The name of a task, a group or a tag of the harness, or of a task file of the project's own;
    left out, the entry's own name."""
    file: file_name("yaml", allowed="the path of a .yaml file") = absent()
    """A task file of yours in the harness's form. Functions that it names in Python files beside it
    are run."""

    def contradictions(self) -> Iterator[Said]:
        if self.task is not None and self.file is not None:
            yield ("file",), "not allowed with task"


class Task(FetchedTask):
    """A task of the evaluation harness."""

    family: Literal[FAMILIES] = "other"
    """What it counts as in tables and figures."""
    metric: Text = absent()
    """The metric that tables show, such as `acc` or, with the filter of responses that it is
    measured on, `exact_match,flexible-extract`; left out, the task's first."""
    few_shot: Whole = absent()
    """Examples in front of each question; left out, as many as the task says. A task that has none
    by its own definition stays without."""
    limit: Count = absent()
    """Take only the first so many samples. Every table says so."""
    chat: bool = False
    """Whether prompts are put into the model's chat template. What a model writes before the end of
    its thinking is then no part of a response."""
    turns: bool = True
    """With `chat`, whether examples are turns of their own or stand in one with the question."""
    system: Text = absent()
    """A system message, or without `chat` a text before the prompt."""
    generation: TaskGeneration = TaskGeneration()
    """What differs from how the task generates, by the harness's own names."""


class Harness(Entry):
    """How the evaluation harness runs tasks; engine, device, dtype and threads are those of
    `generation`."""

    jobs: Literal["variant", "family"] = "variant"
    """What a job runs: all tasks of the run on a variant, with one engine (variant), or those of
    one family, so that several can run at once (family)."""
    batch_size: Annotated[
        Annotated[Count, Tag("integer")] | Annotated[Literal["auto"], Tag("string")],
        Discriminator(lambda value: "string" if isinstance(value, str) else "integer"),
    ] = Field("auto", **in_words("a whole number of at least 1 or auto"))
    """Requests put to the engine at once: what a killed job loses at most. `auto` is 16 with
    transformers and 256 with vLLM. Another number can change the last digits of log-likelihoods;
    what has its responses already keeps them."""
    max_length: Count = absent()
    """The most tokens of a prompt and its response; left out, what the model's config says."""
    run_code: Literal["sandboxed", "unsafe"] = "sandboxed"
    """How code that a model wrote is run where a task does that: without a network and shut off
    from this machine's files, by bubblewrap or by user namespaces (sandboxed); or, where a machine
    has neither, in a process like any other (unsafe)."""


class TaskJob(Entry):
    """What a job is told that runs tasks."""

    # another value runs nothing again
    SPEED: ClassVar[frozenset[str]] = Generation.SPEED

    tasks: dict[Name, Task]
    """Entries by name."""
    engine: str
    device: str
    dtype: str
    threads: Count
    tensor_parallel: Count
    batch_invariant: bool
    engine_options: EngineOptions
    batch_size: BatchSize
    max_length: Count = absent()
    run_code: str
    date: str
    thinking_end: Text
    """The token that the model ends its thinking with; of one that answers at once, its turn."""
    chat_template_args: dict[str, Any] = absent()
