"""What a job asks of a cluster: memory in MB and time in minutes, by the size of its model.

Rules take these numbers as their resources `mem_mb` and `runtime`. They are no limits on a
workstation, and nothing reruns when they change. All are meant to be enough, not to be exact: a job
that is given too little fails and asks for more when it is tried again. What was measured for them
is in docs/measurements.md.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import ceil
from pathlib import Path

from workflow_scripts.config.engines import batch_size
from workflow_scripts.config.generation import Generation
from workflow_scripts.config.settings import Settings
from workflow_scripts.estimates import pruning_resources
from workflow_scripts.estimates.jobs import CUDA, SPARE, START, TORCH, Ask, Job
from workflow_scripts.estimates.sizes import SHARED_HEADS, decoded, problem_count
from workflow_scripts.files.atomic import read_json

UNKNOWN_PROBLEMS = 1000  # of a benchmark that is not there to be asked
MAX_MINUTES = 24 * 60  # what most clusters allow; generation goes on where its time was over
VLLM = 4000.0  # MB of a process with vLLM in it

# per second. Of a core measured on 2 cores, rounded down: 0.026e12. Of a GPU assumed: a small part
# of what one of them computes.
DECODE_FLOP = {"cpu": 0.02e12, "cuda": 10e12}  # of a core or a GPU, in batches
TOKEN = 1e-3  # seconds of a token, however small the model
GRADED = 5.0  # answers
PROMPT = 1024  # tokens at most
SAMPLES, WRITTEN = 1000, 1024  # of a task that was not fetched yet; tokens of a response
HARNESS = 1500.0  # MB of its libraries, and of data in memory


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
    problems = sum(_problems(job, name) for name in benchmarks)
    samples = problems * generation.repeats
    rows = batch_size(
        generation.batch_size, generation.likely_engine, generation.device, longest, samples
    )
    sequence = 2 * longest * job.blocks * job.width / SHARED_HEADS * item
    plain = VLLM if generation.likely_engine == "vllm" else TORCH
    process = CUDA * generation.tensor_parallel if on_gpu else plain
    parts = decoded(generation, ceil(problems / shards), means=(1, 1))
    tokens = sum(part.most for part in parts.values())
    units = generation.tensor_parallel if on_gpu else generation.threads
    second = TOKEN + 2 * job.active / (DECODE_FLOP[generation.device] * units)
    return Ask(
        process + SPARE * (job.weights * item + (0 if on_gpu else rows * sequence)) / 1e6,
        START + tokens * second / 60,
    )


def _tasks(job: Job) -> Ask:
    """As a generation, of as many tokens as a task writes, or its prompts are read, at most."""
    generation, manifests = job.settings.generation, "resources/tasks/{}/manifest.json"
    tokens = 0
    asked = job.settings.task_job(job.wildcards["model"], job.wildcards.get("family"))
    for name, task in asked.tasks.items():
        manifest = job.root / manifests.format(name)
        counts = read_json(manifest)["samples"].values() if manifest.exists() else [SAMPLES]
        samples = sum(min(count, task.limit or count) for count in counts)
        tokens += samples * (PROMPT + (task.generation.max_gen_toks or WRITTEN))
    on_gpu = generation.device == "cuda"
    item = 4 if generation.dtype == "float32" else 2
    plain = VLLM if generation.likely_engine == "vllm" else TORCH
    process = (CUDA * generation.tensor_parallel if on_gpu else plain) + HARNESS
    units = generation.tensor_parallel if on_gpu else generation.threads
    second = TOKEN / 10 + 2 * job.active / (DECODE_FLOP[generation.device] * units)
    return Ask(process + SPARE * job.weights * item / 1e6, START + tokens * second / 60)


def _routes(job: Job) -> Ask:
    """Every completion is read from the store and counted."""
    generation = job.settings.generation
    problems = sum(_problems(job, name) for name in job.settings.run.benchmarks)
    read = problems * generation.repeats * len(generation.budgets)
    return Ask(2 * TORCH, START + read / GRADED / 60)


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
    "collect_statistics": pruning_resources.statistics,
    "score_influence": pruning_resources.influence,
    "allocate_sparsity": pruning_resources.allocation,
    "build_mask": pruning_resources.mask,
    "recover": pruning_resources.recovery,
    "screen_variant": pruning_resources.screening,
    "export_checkpoint": pruning_resources.weights,
    "generate": _generation,
    "generate_shard": _shard,
    "generate_variants": _variants,
    "generate_calibration_traces": _calibration_traces,
    "write_routes": _routes,
    "run_tasks": _tasks,
    "grade_answers": _grading,
    "grade_calibration_traces": _grading,
}
