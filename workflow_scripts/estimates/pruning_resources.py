"""What jobs that prune or recover ask of a cluster: from statistics to exports."""

from collections.abc import Callable

from workflow_scripts.config.methods.base import Method
from workflow_scripts.config.screen_jobs import screen_job
from workflow_scripts.config.search import Search
from workflow_scripts.estimates.jobs import CUDA, SPARE, START, TORCH, Ask, Job
from workflow_scripts.estimates.sizes import UNFETCHED, influence_tokens, screened_tokens
from workflow_scripts.estimates.training import VOCABULARY, cpu_memory, passed_tokens

FP32, FP64 = 4, 8  # bytes

# per second. Of a core and of weights measured on 2 cores, rounded down: 0.067e12, 40e6. Of a GPU
# assumed: a small part of what one of them computes.
PASS_FLOP = {"cpu": 0.05e12, "cuda": 20e12}  # of a core or a GPU, for many tokens at once
TRAIN_FLOP = {"cpu": 0.05e12, "cuda": 100e12}  # likewise, where all of a model stays on the GPU
# of either, for the eigenvectors of a symmetric matrix in float64: ten times its width cubed
EIGEN_FLOP = {"cpu": 0.01e12, "cuda": 0.1e12}
MASKED = 5e6  # weights that are scored and selected, or copied into a checkpoint

BATCH = 2048  # tokens that go through a block at a time on a CPU
WALKING = 4 * BATCH  # of sequences that are screened together there
SPECTRUM = 4  # FLOP for a weight and a row: its Gram matrix, and the eigenvalues of that
LEVELS = 20  # sparsities that a search tries for a block, a bit of each weight kept for each
STAYING = 2**30  # bytes of blocks that stay for their gradients, on a CPU
ROWS = 512  # tokens whose logits are in memory at a time


def statistics(job: Job, name: str | None = None, passes: float = 1) -> Ask:
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


def influence(job: Job) -> Ask:
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


def screening(job: Job) -> Ask:
    """The dense model and a variant, block by block, both heads, and both models' logits.

    On a GPU the weights only pass through the memory of the machine.
    """
    tokens = screened_tokens(job.settings)
    walking = max(WALKING, tokens / screen_job(job.settings).problems)
    states = 2 * walking * job.width
    held = job.weights / job.blocks + 2 * VOCABULARY * job.width + states + 4 * ROWS * VOCABULARY
    device = job.settings.pruning.device
    on_gpu = device == "cuda"
    speed = PASS_FLOP[device] * (1 if on_gpu else job.settings.generation.threads)
    return Ask(
        CUDA + SPARE * job.weights / job.blocks * FP32 / 1e6
        if on_gpu
        else TORCH + SPARE * held * FP32 / 1e6,
        START + 2 * 2 * job.active * tokens / speed / 60,
    )


def weights(job: Job) -> Ask:
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


def allocation(job: Job) -> Ask:
    """Spectra take three copies in float64 of a third of a block, for each thread."""
    kind = job.settings.variants[job.wildcards["variant"]].allocation
    if isinstance(kind, Search):
        return _search(job, kind, masks=LEVELS / 8)
    alone = weights(job)
    if kind.kind != "alphapruning":
        return alone
    threads = job.settings.generation.threads
    flop = job.weights * job.width * SPECTRUM
    return Ask(
        TORCH + threads * job.weights / job.blocks * 2 * FP32 / 1e6,
        START + flop / (PASS_FLOP["cpu"] / 2 * threads) / 60,
    )


def mask(job: Job) -> Ask:
    variant = job.settings.variants[job.wildcards["variant"]]
    if isinstance(variant, Search):
        return _search(job, variant, masks=0)
    alone = weights(job)
    if not variant.runs_model:
        return alone
    along = statistics(job, variant.calibration, variant.passes(job.layers))
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
    """What enters every block, the head, and a block, its gradients and their sums, in fp32.

    A block computes three dozen times what enters it; as many as fit into so much memory stay.
    """
    entry = job.settings.calibration_sets[variant.calibration]
    tokens = entry.samples * entry.length
    block, states = job.weights / job.blocks, job.layers * tokens * job.width
    if job.settings.pruning.device == "cuda":
        return CUDA + SPARE * block * FP32 / 1e6
    batch = max(BATCH, entry.length)
    held = 3 * block + states + (36 * min(batch, tokens) + VOCABULARY) * job.width
    return TORCH + (SPARE * held * FP32 + STAYING) / 1e6


def _hessians(job: Job, variant: Method) -> float:
    """As statistics, and a matrix for each input of a block's linears."""
    widest = job.weights / job.blocks / (3 * job.width)  # of a usual block, what enters down
    matrices = SPARE * FP32 * (3 * job.width**2 + widest**2) / 1e6
    return statistics(job, variant.calibration).memory + weights(job).memory + matrices


def recovery(job: Job) -> Ask:
    """Training; on a GPU the weights only pass through the memory of the machine.

    What is trained of the model itself comes back to it, in fp32 and as it is stored.
    """
    entry = job.settings.recovery_of(job.wildcards["variant"], job.wildcards["model"])
    on_gpu = job.settings.pruning.device == "cuda"
    if on_gpu:
        changed = FP32 + UNFETCHED if entry.kind == "full" else 0
        held = job.weights * (UNFETCHED + changed)
    else:
        held = cpu_memory(entry, job.weights, job.layers)
    speed = TRAIN_FLOP[job.settings.pruning.device]
    speed *= 1 if on_gpu else job.settings.generation.threads
    return Ask(
        (CUDA if on_gpu else TORCH) + SPARE * held / 1e6,
        START + 2 * job.active * passed_tokens(entry) / speed / 60,
    )


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
