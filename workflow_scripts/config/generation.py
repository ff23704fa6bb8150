"""How traces and answers are generated."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from workflow_scripts.config.engines import ENGINES, may_be
from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.prompts import Wording
from workflow_scripts.config.thinking import ThinkingFormat
from workflow_scripts.config.types import Count, Day, Different, Seed, Whole, in_words

Temperature = Annotated[
    float,
    Field(ge=0, le=100, description="Sampling temperature; 0 always takes the likeliest token."),
]
TopP = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="Sample from the likeliest tokens that together have this "
        "probability; 1 is off.",
    ),
]
TopK = Annotated[Whole, Field(description="Sample from this many likeliest tokens; 0 is off.")]


class AnswerSampling(Entry):
    """How answers are sampled where that differs from how traces are."""

    temperature: Temperature = absent()
    top_p: TopP = absent()
    top_k: TopK = absent()


class EngineOptions(Entry):
    """Options of vLLM for speed and memory, by vLLM's own names."""

    gpu_memory_utilization: float = absent(gt=0, le=1)
    """The part of a GPU's memory that the model and its cache may take."""
    kv_cache_memory_bytes: Count = absent()
    """The memory of the key-value cache; without it vLLM takes what is left on a GPU, and on a CPU
    what `batch_size` requests need at most."""
    max_num_batched_tokens: Count = absent()
    """The most tokens of one step, prompts included."""
    enable_prefix_caching: bool = absent()
    """Whether a prompt uses what the cache holds of its beginning, such as an answer its trace; on
    unless it is switched off."""
    enforce_eager: bool = absent()
    """Whether to do without compiled graphs, which start later and run faster; true on a CPU and
    false on a GPU unless it is set."""
    cpu_offload_gb: float = absent(ge=0)
    """How much of the weights stays in the machine's memory, in GiB per GPU."""


SEEDS = (
    "a whole number of at least 0 and at most 4294967295 or, with seeding paper, a list of such "
    "numbers, one for each repeat"
)


def _seed_type(value: Any) -> str:
    return "array" if isinstance(value, (list, tuple)) else "integer"


class Generation(Entry):
    """How traces and answers are generated; the same for every model and variant."""

    # what the store does not keep completions apart by: another value decodes nothing again
    SPEED: ClassVar[frozenset[str]] = frozenset(
        {"batch_size", "engine_options", "shards", "tensor_parallel", "threads"}
    )

    engine: Literal[("auto", *ENGINES)] = "auto"
    """What runs the model; `auto` is vllm where the device is cuda and vLLM is installed, else
    transformers. Results of the two differ: each draws in its own way."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where models are run; `cuda` is `tensor_parallel` GPUs for each job."""
    tensor_parallel: Count = 1
    """GPUs that share one model; more than one needs vLLM. With `--resources gpu=N` as many jobs
    run at once as N GPUs allow, each on GPUs of its own."""
    shards: Count = 1
    """Jobs that a variant's problems are decoded by: with two variants, `shards: 4` keeps eight
    GPUs busy. All write to the one store, from which another job, without a GPU, then takes traces
    and answers. Results and what is decoded do not depend on it."""
    batch_invariant: bool = False
    """vLLM on GPUs: what a request yields does not depend on what else is in its batch, at some
    cost in speed. Kept apart in the store."""
    engine_options: EngineOptions = EngineOptions()
    """Options of vLLM for speed and memory, by vLLM's own names."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """The number type of weights and activations."""
    budgets: Annotated[Different[Count], AfterValidator(lambda them: tuple(sorted(them)))]
    """Caps on thinking tokens. The order does not matter."""
    sweep: Literal["shared", "independent"] = "shared"
    """Whether one trace is drawn under the largest budget and cut for the others, and an answer
    that is the same for several budgets generated once (shared), or every budget has traces and
    answers of its own, with their own seeds (independent: unpaired samples, about twice the tokens
    for the paper's budgets)."""
    repeats: Count
    """Independent samples of every problem, each with a seed of its own."""
    seeding: Literal["per-sample", "paper"] = "per-sample"
    """Whether every request has a seed derived from `seed` (per-sample), or all requests of a
    repeat have one number of the list `seed` as it is (paper: quirk 31). Equal seeds draw equal
    tokens whatever the budget, so that an independent sweep then decodes what a shared one does."""
    seed: Annotated[
        Annotated[Seed, Tag("integer")] | Annotated[Different[Seed], Tag("array")],
        Discriminator(_seed_type),
    ] = Field(0, **in_words(SEEDS))
    """What seeds are derived from: by problem, repeat, phase and extension, and by budget where the
    sweep is independent; never by variant, so that variants are compared on common random numbers.
    With `seeding` paper, the seeds of the repeats."""
    temperature: Temperature
    top_p: TopP = 1.0
    top_k: TopK = 0
    answer_tokens: Count
    """Cap on the tokens of an answer, which follow the trace."""
    answer_beyond_context: Literal["refuse", "cut"] = "refuse"
    """Whether it is an error that the longest prompt, the largest budget and an answer of
    `answer_tokens` do not fit into the model's context (refuse), or answers end where it does
    (cut)."""
    answer_sampling: AnswerSampling = AnswerSampling()
    """How answers are sampled where that differs from how traces are."""
    date: Day = "auto"
    """The day that chat templates are told which write today's date (Llama 3, SmolLM3, Granite);
    others do not see it. `auto` is the day of the first job that needs one, which
    config/date.lock then holds, so that prompts stay the same from day to day."""
    batch_size: Annotated[
        Annotated[Count, Tag("integer")] | Annotated[Literal["auto"], Tag("string")],
        Discriminator(lambda value: "string" if isinstance(value, str) else "integer"),
    ] = Field("auto", **in_words("a whole number of at least 1 or auto"))
    """The most sequences generated together. `auto` is as many as fit into a GPU's memory with vLLM
    (at most its own default, 1,024 on an H100), and else as many as come to 16,384 tokens if all
    were the longest, 32 to 128. Changes speed and memory, not results."""
    threads: Count = 1
    """Numeric threads of a job that computes with the model. The last digits of a calibration's
    sums can depend on it, so it is a setting here and not the scheduler's choice. The transformers
    engine on a CPU generates the same with any number; it uses one for every four of `batch_size`
    at most, and small models (a few million weights) are fastest with one."""

    @property
    def likely_engine(self) -> str:
        """The engine, where `auto` is what it becomes if everything is installed."""
        return may_be(self.engine, self.device)

    @property
    def gpus(self) -> int:
        """GPUs of a job that generates."""
        return self.tensor_parallel if self.device == "cuda" else 0

    @property
    def environment(self) -> str:
        """The conda environment of the engine; those of engines for GPUs are no use without."""
        return ENGINES[self.likely_engine].environment if self.device == "cuda" else "torch"

    def contradictions(self) -> Iterator[Said]:
        yield from self._keys_of_engines()
        yield from self._temperatures()
        yield from self._seeds()

    def _keys_of_engines(self) -> Iterator[Said]:
        for name, engine in ENGINES.items():
            for key in engine.keys:
                value = getattr(self, key)
                if value == type(self).model_fields[key].default:
                    continue
                shown = {"True": "true"}.get(str(value), str(value))
                shown = "a mapping" if isinstance(value, Entry) else shown
                if key in engine.gpu_keys and self.device != "cuda":
                    said = f"with device {self.device}; the device must be cuda"
                    yield (key,), f"{shown} is not allowed {said}"
                elif key not in ENGINES[self.likely_engine].keys:
                    said = f"with engine {self.engine}; the engine must be {name}"
                    yield (key,), f"{shown} is not allowed {said}"

    def _temperatures(self) -> Iterator[Said]:
        taken = ENGINES[self.likely_engine].temperatures
        for keys, phase in (((), self), (("answer_sampling",), self.answer_sampling)):
            value = phase.temperature
            if taken and value and not taken[0] <= value <= taken[1]:
                yield (
                    (*keys, "temperature"),
                    f"{value} is not allowed with engine {self.engine}; {self.likely_engine} takes "
                    f"0 and {taken[0]} to {taken[1]}",
                )

    def _seeds(self) -> Iterator[Said]:
        many = isinstance(self.seed, tuple)
        if self.seeding == "per-sample" and many:
            said = "a list is not allowed with seeding per-sample; must be one whole number"
            yield ("seed",), said
        if self.seeding == "paper" and not (many and len(self.seed) == self.repeats):
            found = f"a list of {len(self.seed)}" if many else f"{self.seed}"
            said = f"{found} is not allowed with seeding paper; must be a list of {self.repeats} "
            yield ("seed",), f"{said}whole numbers, one for each repeat"


class GenerationJob(Generation):
    """What a generation job is told: the settings, and the model's thinking format by its name."""

    format: str
    """The name of the thinking format, for messages."""
    thinking: ThinkingFormat
    wordings: dict[str, Wording] = absent()
    """How the questions of benchmarks are put, where that is said."""
    chat_template_args: dict[str, Any] = absent()
    """What the chat template is told besides."""

    def sampling(self) -> dict[str, Any]:
        """How traces are sampled."""
        return {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}

    def sampling_of_answers(self) -> dict[str, Any]:
        """How answers are sampled."""
        return self.sampling() | self.answer_sampling.model_dump(exclude_none=True)
