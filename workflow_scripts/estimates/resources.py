"""What a job asks of a cluster: memory in MB and time in minutes, by the size of its model.

Rules take these numbers as their resources `mem_mb` and `runtime`. They are no limits on a
workstation, and nothing reruns when they change. All are meant to be enough, not to be exact: a job
that is given too little fails and asks for more when it is tried again. What was measured for them
is in docs/measurements.md.

How large a model is, its files say, as soon as it is fetched or if it is local; before, the
config's `parameters`; else it is taken to have UNKNOWN_WEIGHTS. From the number of weights follow
its width and its blocks, as for the usual models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from math import ceil
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.config.engines import batch_size
from workflow_scripts.config.generation import Generation
from workflow_scripts.config.methods.base import Method
from workflow_scripts.config.search import Search
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.source_files import checkpoint_shards
from workflow_scripts.estimates.sizes import (
    BLOCKS,
    SHARED_HEADS,
    UNFETCHED,
    active_share,
    block_count,
    decoded,
    influence_tokens,
    problem_count,
    shape,
)

UNKNOWN_WEIGHTS = 8e9  # of a model that neither files nor the config tell about
UNKNOWN_PROBLEMS = 1000  # of such a benchmark
MAX_MINUTES = (
    24 * 60
)  # minutes: what most clusters allow; generation goes on where its time was over
START = 10.0  # minutes, for a slow file system to bring Python's packages to a node

# MB of a process with torch and transformers in it; with vLLM; with CUDA's libraries as well
TORCH, VLLM, CUDA = 1500.0, 4000.0, 8000.0
SPARE = 1.25  # of what is counted, for copies that come and go
FP32, FP64 = 4, 8  # bytes

# per second. Of a core and of weights measured on 2 cores, rounded down: 0.067e12, 0.026e12, 40e6.
# Of a GPU assumed: a small part of what one of them computes.
PASS_FLOP = {"cpu": 0.05e12, "cuda": 20e12}  # of a core or a GPU, for many tokens at once
DECODE_FLOP = {"cpu": 0.02e12, "cuda": 10e12}  # of a core or a GPU, in batches
# of either, for the eigenvectors of a symmetric matrix in float64: ten times its width cubed
EIGEN_FLOP = {"cpu": 0.01e12, "cuda": 0.1e12}
MASKED = 5e6  # weights that are scored and selected, or copied into a checkpoint
TOKEN = 1e-3  # seconds of a token, however small the model
GRADED = 5.0  # answers

BATCH = 2048  # tokens that go through a block at a time on a CPU
SPECTRUM = 4  # FLOP for a weight and a row: its Gram matrix, and the eigenvalues of that
LEVELS = 20  # sparsities that a search tries for a block, a bit of each weight kept for each
ROWS = 512  # tokens whose logits are in memory at a time

PROMPT = 1024  # tokens at most
VOCABULARY = 200_000


class Ask(NamedTuple):
    """`memory` in MB and `minutes` of a job that is tried for the first time."""

    memory: float
    minutes: float


@dataclass(frozen=True)
class Job:
    """What a job is about: the names of its model, variant, calibration or influence set.

    `wildcards` are those of its rule, `root` is the working directory.
    """

    settings: Settings
    wildcards: Mapping[str, str]
    root: Path

    @cached_property
    def weights(self) -> float:
        """The number of weights of its model."""
        name = self.wildcards["model"]
        entry = self.settings.models[name]
        shards = checkpoint_shards(name, entry.source, self.root)
        size = sum(shard.stat().st_size for shard in shards)
        # a checkpoint of fp32 has half as many: it is taken for larger than it is
        return size / UNFETCHED or entry.parameters or UNKNOWN_WEIGHTS

    @cached_property
    def active(self) -> float:
        """The number of its weights that a token passes, in a fetched mixture of experts fewer."""
        name = self.wildcards["model"]
        shards = checkpoint_shards(name, self.settings.models[name].source, self.root)
        return self.weights * (active_share(tuple(shards)) if shards else 1)

    @property
    def layers(self) -> int:
        """How many blocks it really has, once it is fetched."""
        name = self.wildcards["model"]
        shards = checkpoint_shards(name, self.settings.models[name].source, self.root)
        return block_count(tuple(shards)) if shards else BLOCKS

    @property
    def width(self) -> float:
        return shape(self.weights)[0]

    @property
    def blocks(self) -> float:
        return shape(self.weights)[1]


def resources(
    rule: str, settings: Settings, wildcards: Mapping[str, str], attempt: int, root: Path = Path()
) -> dict[str, int]:
    """`mem_mb` and `runtime` of a rule's job, of both more for each `attempt` at it, from 1.

    Never more than MAX_MINUTES minutes.
    """
    memory, minutes = RULES[rule](Job(settings, wildcards, root))
    return {"mem_mb": ceil(memory * attempt), "runtime": ceil(min(minutes * attempt, MAX_MINUTES))}


def _calibration(job: Job) -> Ask:
    """Rows are kept on disk, only those that are drawn are tokenised; a corpus is unpacked."""
    return Ask(2 * TORCH, 60)


def _statistics(job: Job, name: str | None = None, passes: float = 1) -> Ask:
    """One block's weights and the hidden states of all tokens, before it and behind it, in fp32."""
    entry = job.settings.calibration_sets[name or job.wildcards["calibration"]]
    tokens = entry.samples * entry.length
    block = job.weights / job.blocks * FP32
    hidden = 2 * tokens * job.width * FP32
    device = job.settings.pruning.device
    speed = PASS_FLOP[device] * (job.settings.generation.threads if device == "cpu" else 1)
    return Ask(
        (CUDA if device == "cuda" else TORCH) + SPARE * (block + hidden) / 1e6,
        START + passes * 2 * job.active * tokens / speed / 60,
    )


def _influence(job: Job) -> Ask:
    """The model and one averaged gradient in fp32, and the logits of a row three times.

    On a GPU the weights only pass through the memory of the machine, in bf16. A row's backward
    pass, with blocks that run again, is four forward ones; there are up to three for a train row
    (`hessian: datainf`).
    """
    entry = job.settings.influence_sets[job.wildcards["influence"]]
    tokens = influence_tokens(entry)
    logits = 3 * entry.length * VOCABULARY * FP32
    device = job.settings.pruning.device
    on_gpu = device == "cuda"
    speed = PASS_FLOP[device] * (1 if on_gpu else job.settings.generation.threads)
    held = job.weights * UNFETCHED if on_gpu else 2 * job.weights * FP32 + logits
    return Ask(
        (CUDA if on_gpu else TORCH) + SPARE * held / 1e6,
        START + 8 * job.active * tokens / speed / 60,
    )


def _weights(job: Job) -> Ask:
    """A linear at a time, with its scores and their order: less than a block in fp32, twice."""
    largest = 2 * job.weights / job.blocks * FP32
    return Ask(TORCH + largest / 1e6, START + job.weights / MASKED / 60)


def _search(job: Job, search: Search, masks: float) -> Ask:
    """The whole model, `masks` bytes a weight beside it, hidden states three times, some logits.

    On a GPU the weights only pass through the memory of the machine, one block at a time.
    """
    entry = job.settings.calibration_sets[search.calibration]
    available = entry.samples * entry.length
    tokens = max(count for _, count in search.rounds(available))
    hidden, logits = 3 * tokens * job.width * FP32, 4 * ROWS * VOCABULARY * FP32
    on_gpu = job.settings.pruning.device == "cuda"
    held = job.weights / job.blocks * FP32 if on_gpu else job.weights * (FP32 + masks) + logits
    speed = PASS_FLOP[job.settings.pruning.device]
    speed *= 1 if on_gpu else job.settings.generation.threads
    passed = search.passed_tokens(round(job.blocks), available)
    return Ask(
        (CUDA if on_gpu else TORCH) + SPARE * (held + (0 if on_gpu else hidden)) / 1e6,
        START + 2 * job.active * passed / speed / 60,
    )


def _allocation(job: Job) -> Ask:
    """Spectra take three copies in float64 of a third of a block, for each thread."""
    kind = job.settings.variants[job.wildcards["variant"]].allocation
    if isinstance(kind, Search):
        return _search(job, kind, masks=LEVELS / 8)
    alone = _weights(job)
    if kind.kind != "alphapruning":
        return alone
    threads = job.settings.generation.threads
    flop = job.weights * job.width * SPECTRUM
    return Ask(
        TORCH + threads * job.weights / job.blocks * 2 * FP32 / 1e6,
        START + flop / (PASS_FLOP["cpu"] / 2 * threads) / 60,
    )


def _mask(job: Job) -> Ask:
    variant = job.settings.variants[job.wildcards["variant"]]
    if isinstance(variant, Search):
        return _search(job, variant, masks=0)
    alone = _weights(job)
    if not variant.runs_model:
        return alone
    along = _statistics(job, variant.calibration, variant.passes(job.layers))
    held = HELD.get(variant.method)
    memory = held(job, variant) if held else along.memory + alone.memory
    bases = _bases(job) if variant.method == "slicegpt" else Ask(0, 0)
    minutes = along.minutes + alone.minutes + bases.minutes - START
    return Ask(memory + bases.memory, minutes)


def _losses(job: Job, variant: Method) -> float:
    """A block, the head and a batch's hidden states for each block that is left out, in fp32.

    On a GPU the weights only pass through the memory of the machine.
    """
    if job.settings.pruning.device == "cuda":
        return CUDA + SPARE * job.weights / job.blocks * FP32 / 1e6
    batch = max(BATCH, job.settings.calibration_sets[variant.calibration].length)
    head = (VOCABULARY + job.layers * batch) * job.width
    return TORCH + SPARE * (job.weights / job.blocks + head) * FP32 / 1e6


def _gradients(job: Job, variant: Method) -> float:
    """What enters every block, and a block, its gradients and their sums, in fp32.

    With few tokens the weights and what every block has computed stay, a dozen times as wide.
    """
    entry = job.settings.calibration_sets[variant.calibration]
    tokens = entry.samples * entry.length
    block, states = job.weights / job.blocks, job.layers * tokens * job.width
    if job.settings.pruning.device == "cuda":
        return CUDA + SPARE * block * FP32 / 1e6
    held = job.weights + 12 * states if tokens <= BATCH else 3 * block + states
    return TORCH + SPARE * (held + VOCABULARY * job.width) * FP32 / 1e6


def _hessians(job: Job, variant: Method) -> float:
    """As statistics, and a matrix for each input of a block's linears."""
    widest = job.weights / job.blocks / (3 * job.width)  # of a usual block, what enters down
    matrices = SPARE * FP32 * (3 * job.width**2 + widest**2) / 1e6
    return _statistics(job, variant.calibration).memory + _weights(job).memory + matrices


HELD: dict[str, Callable[[Job, Method], float]] = {  # MB, by method, where it is not as statistics
    "sleb": _losses,
    "shortened-ppl": _losses,
    "shortened-taylor": _gradients,
    "llm-pruner": _gradients,
    "sparsegpt": _hessians,
}


def _bases(job: Job) -> Ask:
    """What two bases a block take: moments, their eigenvectors and what LAPACK works in.

    Before the blocks there are the embedding, dense and sliced.
    """
    squared, embedding = job.width**2 * FP64, VOCABULARY * job.width * UNFETCHED
    flop = 2 * job.blocks * 10 * job.width**3
    seconds = flop / EIGEN_FLOP[job.settings.pruning.device]
    return Ask((8 * squared + 2 * embedding) / 1e6, seconds / 60)


def _generation(job: Job) -> Ask:
    """Where other jobs have decoded, the mask and texts are all that is held."""
    shared = job.settings.run.shared_engines.values()
    if job.settings.generation.shards > 1 or job.wildcards["variant"] in {*chain(*shared)}:
        return Ask(2 * TORCH + SPARE * job.weights / 8 / 1e6, 60)
    return _shard(job)


def _shard(job: Job) -> Ask:
    """A part of the problems; all of them where there is one shard."""
    generation = job.settings.generation
    return _decoding(job, generation, job.settings.run.benchmarks, generation.shards)


def _variants(job: Job) -> Ask:
    """A part of the problems with each of the variants that share an engine."""
    one, count = _shard(job), len(job.settings.run.shared_engines[job.wildcards["engine"]])
    return Ask(one.memory, START + count * (one.minutes - START))


def _calibration_traces(job: Job) -> Ask:
    benchmark = job.wildcards["benchmark"]
    trace_job = job.settings.trace_job(job.wildcards["model"], benchmark)
    return _decoding(job, trace_job, (benchmark,))


def _decoding(job: Job, generation: Generation, benchmarks: Sequence[str], shards: int = 1) -> Ask:
    """The weights, and on a CPU the keys and values of a batch; every token up to its cap.

    On a GPU the weights only pass through the memory of the machine.
    """
    on_gpu = generation.device == "cuda"
    item = 4 if generation.dtype == "float32" else 2
    longest = PROMPT + generation.budgets[-1] + generation.answer_tokens
    rows = batch_size(generation.batch_size, generation.likely_engine, generation.device)
    sequence = 2 * longest * job.blocks * job.width / SHARED_HEADS * item
    plain = VLLM if generation.likely_engine == "vllm" else TORCH
    process = CUDA * generation.tensor_parallel if on_gpu else plain
    problems = ceil(sum(_problems(job, name) for name in benchmarks) / shards)
    tokens = sum(part.most for part in decoded(generation, problems, means=(1, 1)).values())
    units = generation.tensor_parallel if on_gpu else generation.threads
    second = TOKEN + 2 * job.active / (DECODE_FLOP[generation.device] * units)
    return Ask(
        process + SPARE * (job.weights * item + (0 if on_gpu else rows * sequence)) / 1e6,
        START + tokens * second / 60,
    )


def _grading(job: Job) -> Ask:
    """Answers are compared one by one, each for a bounded time."""
    generation = job.settings.generation
    problems = _problems(job, job.wildcards["benchmark"])
    answers = problems * generation.repeats * len(generation.budgets)
    return Ask(2 * TORCH, START + answers / GRADED / 60)


def _problems(job: Job, benchmark: str) -> int:
    return problem_count(job.settings, benchmark, job.root) or UNKNOWN_PROBLEMS


RULES: dict[str, Callable[[Job], Ask]] = {
    "build_calibration_set": _calibration,
    "collect_statistics": _statistics,
    "score_influence": _influence,
    "allocate_sparsity": _allocation,
    "build_mask": _mask,
    "export_checkpoint": _weights,
    "generate": _generation,
    "generate_shard": _shard,
    "generate_variants": _variants,
    "generate_calibration_traces": _calibration_traces,
    "grade_answers": _grading,
    "grade_calibration_traces": _grading,
}
