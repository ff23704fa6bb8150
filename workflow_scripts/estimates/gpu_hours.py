"""GPU hours of a config, from what a card must read for every token: a small roofline.

vLLM decodes in steps of one token for each of n sequences. A step reads the weights, and the keys
and values of all tokens before, c for each sequence on the average over all that are decoded:

    seconds of a step = STEP + (weights + n c cached) / (EFFICIENCY bandwidth)

n is what the card's memory holds beside the weights, at most `batch_size` or vLLM's own default.
That prompts are computed is left out, and so is what an answer goes on from: it is in the cache.
Nothing here is measured on such a run; `--tokens-per-second` takes what a first job shows.

Pruning and recovery are passes over the model: FLOPs at PASS_SHARE of the card's rate, which is
what docs/measurements.md has for statistics (0.34 of an H200), sequential Wanda and gradients
(0.30).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflow_scripts.config.recoveries import Recovery
from workflow_scripts.config.screen_jobs import count_engines
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.uses import (
    answered_in_use,
    in_use,
    pruned_in_use,
    recovered_in_use,
    searches_in_use,
    statistics_in_use,
)
from workflow_scripts.estimates.sizes import (
    UNFETCHED,
    Size,
    influence_tokens,
    mean_context,
    screened_tokens,
)
from workflow_scripts.estimates.training import gpu_memory, passed_tokens

EFFICIENCY = 0.7  # of the bandwidth, that attention and matrix products reach
STEP = 5e-3  # seconds: scheduling, launches, sampling
PASS_SHARE = 0.3  # of the rate of matrix products
JOB_START = 2.0  # minutes of a job until it computes: imports, weights, vLLM's graphs
UTILISATION = 0.92  # of the memory, what vLLM takes unless it is told
WORKSPACE = 3e9  # bytes of it for activations and graphs


@dataclass(frozen=True)
class Card:
    """By its vendor: bytes of memory, bytes and bf16 FLOP a second; vLLM's default of sequences."""

    title: str
    memory: float
    bandwidth: float
    rate: float
    sequences: int = 256


CARDS = {
    "h100": Card("H100", 80e9, 3.35e12, 989e12, 1024),
    "h200": Card("H200", 141e9, 4.8e12, 989e12, 1024),
    "a100": Card("A100", 80e9, 2.04e12, 312e12),
    "l40s": Card("L40S", 48e9, 0.864e12, 362e12),
    "rtx4090": Card("RTX 4090", 24e9, 1.008e12, 165e12),
}


@dataclass(frozen=True)
class Pace:
    """How a job decodes: tokens a second, sequences at once, tokens of each on the average."""

    speed: float
    sequences: int
    context: float


def pace(settings: Settings, size: Size, means: tuple[int, int], card: Card) -> Pace | None:
    """How fast one job decodes a model on its cards; None where the model does not fit.

    `means` are the tokens of a trace and an answer where no cap is in the way.
    """
    generation = settings.generation
    item = 4 if generation.dtype == "float32" else 2
    context = mean_context(generation, means)
    weights, cached = size.checkpoint / UNFETCHED * item, size.cached * item
    share = generation.engine_options.gpu_memory_utilization or UTILISATION
    cards = generation.tensor_parallel
    room = cards * (card.memory * share - WORKSPACE) - weights
    most = card.sequences if generation.batch_size == "auto" else generation.batch_size
    sequences = min(most, int(room / (context * cached)))
    if sequences < 1:
        return None
    read = weights + sequences * context * cached
    step = STEP + read / (EFFICIENCY * card.bandwidth * cards)
    return Pace(sequences / step, sequences, context)


def pruning_hours(settings: Settings, sizes: Mapping[str, Size | None], card: Card) -> float:
    """GPU hours of everything that runs models to prune them; models of unknown size left out."""
    flop = sum(_pruning_flop(settings, size) for size in sizes.values() if size)
    return flop / (PASS_SHARE * card.rate) / 3600


def _pruning_flop(settings: Settings, size: Size) -> float:
    """A forward pass takes twice the weights for a token, one with gradients eight times."""
    sets = settings.calibration_sets
    passes = [(1.0, sets[name]) for name in statistics_in_use(settings)]
    searches = searches_in_use(settings)
    passes += [
        (variant.passes(size.blocks), sets[variant.calibration])
        for name, variant in pruned_in_use(settings).items()
        if variant.runs_model and name not in searches
    ]
    for_each_weight = sum(2 * count * entry.samples * entry.length for count, entry in passes)
    for name in in_use(settings)["influence_sets"]:
        for_each_weight += 8 * influence_tokens(settings.influence_sets[name])
    if settings.run.screen:
        for_each_weight += 2 * 2 * screened_tokens(settings) * len(settings.run.variants)
    for search, entry in searches.values():
        for_each_weight += 2 * search.passed_tokens(size.blocks, entry.samples * entry.length)
    return size.checkpoint / UNFETCHED * for_each_weight


def recovery_hours(entries: Sequence[Recovery], size: Size, card: Card) -> float:
    """GPU hours of a model's trainings, at most."""
    tokens = sum(passed_tokens(entry) for entry in entries)
    return 2 * size.checkpoint / UNFETCHED * tokens / (PASS_SHARE * card.rate) / 3600


def fits(entry: Recovery, size: Size, card: Card) -> bool:
    """Whether a card has the memory for a model's training."""
    parts = gpu_memory(entry, size.checkpoint / UNFETCHED, size.blocks)
    return sum(parts.values()) + WORKSPACE <= card.memory


def gpu_jobs(settings: Settings) -> dict[str, int]:
    """How many jobs start on GPUs, of generation, of pruning and of recovery."""
    models, variants = len(settings.run.models), pruned_in_use(settings).values()
    generation = count_engines(settings) * settings.generation.shards
    generation += len(answered_in_use(settings))
    pruning = len(statistics_in_use(settings)) + len(in_use(settings)["influence_sets"])
    pruning += sum(variant.runs_model for variant in variants)
    allocations = (getattr(variant, "allocation", None) for variant in variants)
    pruning += sum(allocation.runs_model for allocation in allocations if allocation)
    recovery = len(recovered_in_use(settings))
    pruning += len(settings.run.variants) if settings.run.screen else 0
    devices = {"generation": settings.generation.device}
    found = {"generation": generation, "pruning": pruning, "recovery": recovery}
    return {
        stage: models * count
        for stage, count in found.items()
        if devices.get(stage, settings.pruning.device) == "cuda"
    }
