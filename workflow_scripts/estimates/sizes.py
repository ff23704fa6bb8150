"""How large things are before they are there: problems, models, tokens that are decoded."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.config.catalogues import InfluenceSet, Model
from workflow_scripts.config.generation import Generation
from workflow_scripts.config.screen_jobs import count_going_on, screen_job
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.source_files import checkpoint_shards, source_files
from workflow_scripts.config.uses import answered_in_use, variants_in_use
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models.linear_names import (
    chosen_experts,
    expert_number,
    is_of_expert,
    place_of,
)
from workflow_scripts.models.tensor_files import open_tensors

KEYS_AND_VALUES = (".self_attn.k_proj.weight", ".self_attn.v_proj.weight")
UNFETCHED = 2  # bytes of a weight, where a checkpoint is not there to be asked
SHARED_HEADS = 4  # queries to a key and value, with grouped-query attention
BLOCKS = 32  # of a model that is not there to be asked
PROMPT = 200  # tokens of a question with what a chat template writes around it


@dataclass(frozen=True)
class Tokens:
    """Samples that are decoded, and their tokens: expected and at most."""

    samples: int
    expected: int
    most: int

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.samples + other.samples, self.expected + other.expected, self.most + other.most
        )

    def times(self, count: int) -> "Tokens":
        return Tokens(self.samples * count, self.expected * count, self.most * count)


@dataclass(frozen=True)
class Size:
    """Of a model: bytes of its checkpoint, weights that a mask can have a bit for, how many numbers
    its key-value cache holds for a token, and its blocks.
    """

    checkpoint: int
    linear_weights: int
    cached: float
    blocks: int = BLOCKS


def problem_count(settings: Settings, benchmark: str, root: Path = Path(".")) -> int | None:
    """How many problems a benchmark has; None where neither a file nor the config tells."""
    entry = settings.benchmarks[benchmark]
    if entry.limited_to:  # what is fetched may have another limit
        return entry.limited_to
    fetched = root / "resources" / "benchmarks" / f"{benchmark}.jsonl"
    files = [fetched] if fetched.exists() else source_files("benchmarks", entry.source, root)
    for file in files:
        if file.suffix == ".jsonl" and file.is_file():
            return _rows(file, file.stat().st_size, file.stat().st_mtime_ns)
    return entry.problems


@functools.cache
def _rows(file: Path, size: int, changed: int) -> int:
    """Rows of a JSONL file, counted again when its size or time of change is another one."""
    return sum(bool(line.strip()) for line in file.read_bytes().split(b"\n"))


def model_size(settings: Settings, model: str, root: Path = Path(".")) -> Size | None:
    """How large a model is; None where neither files nor the config tell."""
    entry = settings.models[model]
    if shards := checkpoint_shards(model, entry.source, root):
        entries = [item for shard in shards for item in open_tensors(shard).entries.items()]
        checkpoint = sum(shard.stat().st_size for shard in shards)
        linear = sum(entry.shape[0] * entry.shape[1] for name, entry in entries if place_of(name))
        heads = sum(entry.shape[0] for name, entry in entries if name.endswith(KEYS_AND_VALUES))
        cached = heads or _cached(entry, checkpoint / UNFETCHED)
        return Size(checkpoint, linear, cached, block_count(tuple(shards)))
    if entry.parameters is None:
        return None
    cached = _cached(entry, entry.parameters)
    return Size(entry.parameters * UNFETCHED, entry.parameters, cached)


def _cached(entry: Model, weights: float) -> float:
    """Numbers that the cache holds for a token, where no tensors of keys and values tell."""
    width, blocks = shape(weights)
    return entry.cache_per_token or 2 * blocks * width / SHARED_HEADS


def shape(weights: float) -> tuple[float, float]:
    """The width and the number of blocks of a usual model with that many weights.

    w = 4096 (weights / 8e9)^(1/3) and w / 128: from 7 to 70 B the width is within a third of what
    Qwen2.5, Qwen3 and Llama 3 have; below, it is too large.
    """
    width = 4096 * (weights / 8e9) ** (1 / 3)
    return width, max(width / 128, 1)


def influence_tokens(entry: InfluenceSet) -> int:
    """Tokens that are run through a model and back, each time that they are, for its scores."""
    rounds = 3 if entry.hessian == "datainf" else 1
    return (rounds * entry.train_samples + entry.validation_samples) * entry.length


def screened_tokens(settings: Settings) -> int:
    """Tokens that a variant is screened on, at most: both models pass each once."""
    longest = PROMPT + settings.generation.budgets[-1] + settings.generation.answer_tokens
    return screen_job(settings).problems * longest


@functools.cache
def block_count(shards: tuple[Path, ...]) -> int:
    """The blocks of a checkpoint, a usual number for files that are none."""
    try:
        places = [place_of(name) for shard in shards for name in open_tensors(shard).entries]
    except InputError:
        return BLOCKS
    return max((place[0] + 1 for place in places if place), default=BLOCKS)


@functools.cache
def active_share(shards: tuple[Path, ...]) -> float:
    """The share of a checkpoint's weights that a token passes: of its experts those it is sent to.

    1 without experts, for files that are no checkpoint, and where config.json beside the shards
    does not say how many experts are chosen.
    """
    try:
        config = read_json(shards[0].parent / "config.json")
        headers = [open_tensors(shard).entries for shard in shards]
    except InputError:
        return 1.0
    weights = {name: math.prod(x.shape) for header in headers for name, x in header.items()}
    experts = [name for name in weights if is_of_expert(name)]
    if not experts:
        return 1.0
    count = len({expert_number(name) for name in experts})
    idle = sum(weights[name] for name in experts) * (1 - chosen_experts(config, count) / count)
    return 1 - idle / sum(weights.values())


def decoded(
    generation: Generation, problems: int, means: tuple[int, int], sweep: str | None = None
) -> dict[str, Tokens]:
    """Traces and answers of one model on that many problems.

    `means` are the tokens that a trace and an answer have where no cap is in the way; `sweep`
    stands for the config's. Of equal answers under several budgets only one is decoded, which is
    not known before: they are counted as if all differed.
    """
    samples = problems * generation.repeats
    budgets, cap = generation.budgets, generation.answer_tokens
    drawn = _drawn(generation, sweep or generation.sweep)
    return {
        "traces": Tokens(
            samples * len(drawn),
            samples * sum(min(means[0], budget) for budget in drawn),
            samples * sum(drawn),
        ),
        "answers": Tokens(
            samples * len(budgets),
            samples * len(budgets) * min(means[1], cap),
            samples * len(budgets) * cap,
        ),
    }


def _drawn(generation: Generation, sweep: str) -> tuple[int, ...]:
    """The budgets that traces are drawn under.

    With equal seeds under every budget, the largest one's trace serves the others too.
    """
    once = sweep == "shared" or generation.seeding == "paper"
    return generation.budgets[-1:] if once else generation.budgets


def mean_context(generation: Generation, means: tuple[int, int]) -> float:
    """How many tokens stand before one that is decoded, on the average over traces and answers."""
    trace, answer = means[0], min(means[1], generation.answer_tokens)
    lengths = [min(trace, budget) for budget in _drawn(generation, generation.sweep)]
    spans = [(tokens, tokens / 2) for tokens in lengths]
    spans += [(answer, min(trace, budget) + answer / 2) for budget in generation.budgets]
    return PROMPT + sum(n * before for n, before in spans) / sum(n for n, _ in spans)


def tokens_of(
    settings: Settings, counts: Mapping[str, int | None], means: tuple[int, int]
) -> dict[str, Tokens]:
    """Everything that is decoded; `counts` are problems by benchmark."""
    run, models = settings.run, len(settings.run.models)
    problems = sum(counts[name] or 0 for name in run.benchmarks)
    one = decoded(settings.generation, problems, means)
    variants = count_going_on(settings)
    found = {what: tokens.times(models * variants) for what, tokens in one.items()}
    # for calibration the dense model answers under the largest budget, where it does not anyway
    dense = any(variant.is_dense for variant in variants_in_use(settings))
    if texts := {*answered_in_use(settings)} - {*(run.benchmarks if dense else ())}:
        largest = settings.trace_job(run.models[0], min(texts))
        more = decoded(largest, sum(counts[name] or 0 for name in texts), means)
        found["calibration"] = (more["traces"] + more["answers"]).times(models)
    return found
