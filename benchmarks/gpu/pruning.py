"""The parts that prune: statistics, masks, sequential Wanda, SparseGPT, gradients."""

import math
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.parts import Report, Setting, peak_gib, seconds_of
from workflow_scripts.models import blocks, checkpoints

SPARSITY = 0.5
GRADIENT_ROWS = 3  # the first of which warms up


def card(setting: Setting, report: Report) -> None:
    """The two ceilings, measured: a matrix product of random numbers and a copy."""
    on_gpu = setting.device == "cuda"
    if on_gpu:
        properties = torch.cuda.get_device_properties(0)
        report.row("GPU", torch.cuda.get_device_name(0))
        report.row("memory", properties.total_memory / 2**30, "GiB")
    report.row("processor cores", float(len(os.sched_getaffinity(0))))
    size = 8192 if on_gpu else 256
    one, other = (
        torch.randn(size, size, device=setting.device, dtype=setting.dtype) for _ in range(2)
    )
    torch.mm(one, other)
    taken = seconds_of(lambda: torch.mm(one, other), setting.device, 20)
    report.row("matrix product", 2 * size**3 / taken / 1e12, "TFLOP/s", f"{size} cubed, bf16")
    source = torch.empty(2**32 if on_gpu else 2**24, dtype=torch.uint8, device=setting.device)
    target = torch.empty_like(source)
    target.copy_(source)
    taken = seconds_of(lambda: target.copy_(source), setting.device, 10)
    report.row("copy", 2 * len(source) / taken / 1e12, "TB/s", "bytes read and written")
    if on_gpu:
        host = torch.empty(2**29, dtype=torch.uint8)
        taken = seconds_of(lambda: target[: len(host)].copy_(host), "cuda", 3)
        report.row("copy from host memory", len(host) / taken / 1e9, "GB/s", "not pinned")


def token_ids(setting: Setting) -> Tensor:
    """Random token ids, (samples, length)."""
    generator = torch.Generator().manual_seed(1)
    size = (setting.samples, setting.length)
    return torch.randint(setting.shape.vocab_size, size, generator=generator, dtype=torch.int32)


def statistics(setting: Setting, report: Report) -> None:
    """The statistics pass over the whole calibration set, and where its time goes."""
    from workflow_scripts.calibration.collect_statistics import collect

    device = setting.device
    decoder = blocks.open_decoder(checkpoints.open_checkpoint(setting.model), device)
    batch = blocks.samples_per_batch(setting.length, device)
    loading, forward = one_block(setting, report, decoder, batch)
    ids = token_ids(setting)
    taken = seconds_of(lambda: collect(decoder, ids, batch), device)
    flops = setting.shape.forward_flops(*ids.shape, setting.blocks)
    report.row("statistics pass", taken, "s", rate(flops / taken, setting))
    forward *= math.ceil(len(ids) / batch)
    for what, each in (("loading", loading), ("bare forward", forward)):
        share = f"{setting.blocks * each / taken:.0%} of the pass"
        report.row(f"{what}, all blocks, by the figures for one", setting.blocks * each, "s", share)
    report.row("peak GPU memory", peak_gib(device), "GiB")


def one_block(
    setting: Setting, report: Report, decoder: blocks.Decoder, batch: int
) -> tuple[float, float]:
    """Seconds of bringing one block onto the device, and of its forward pass over one batch."""
    device, size = setting.device, setting.shape.block_weights * 2 / 1e9
    for threads in sorted({1, setting.threads}):
        torch.set_num_threads(threads)
        read = seconds_of(lambda: checkpoints.load_block(decoder.checkpoint, 0), device, 3)
        loading = seconds_of(lambda: blocks.load_block(decoder, 0), device, 3)
        note = f"{size / loading:.2g} GB/s; {read:.3g} s of it read and checked on the CPU"
        report.row(f"one block onto the device, {threads} threads", loading, "s", note)
    torch.set_num_threads(setting.threads)
    block = blocks.load_block(decoder, 0)
    hidden, calls = blocks.embed(decoder, token_ids(setting)[:batch])
    with torch.no_grad():
        blocks.run_block(block, hidden, calls[0])
        forward = seconds_of(lambda: blocks.run_block(block, hidden, calls[0]), device, 5)
    flops = setting.shape.forward_flops(len(hidden), setting.length, 1)
    note = f"{len(hidden)} samples; {rate(flops / forward, setting)}"
    report.row("one block, bare forward", forward, "s", note)
    return loading, forward


def rate(flops_per_second: float, setting: Setting) -> str:
    share = flops_per_second / 1e12 / setting.matrix_rate
    return f"{share:.1%} of the measured matrix rate"


def sequential_wanda(setting: Setting, report: Report) -> None:
    """Sequential Wanda over the whole calibration set, masks on the CPU included."""
    from workflow_scripts.masking.propagation import keep_in_sequence

    checkpoint = checkpoints.open_checkpoint(setting.model)
    linears = checkpoints.linears(checkpoint)
    ids = token_ids(setting)
    selecting = 0.0

    def keep(linear: object, weight: Tensor, sum_squares: Tensor) -> Tensor:
        nonlocal selecting
        kept: list[Tensor] = []
        selecting += seconds_of(lambda: kept.append(wanda(weight, sum_squares)), setting.device)
        return kept[0]

    def build() -> None:
        for _ in keep_in_sequence(checkpoint, linears, ids, keep, setting.device):
            pass

    taken = seconds_of(build, setting.device)
    flops = setting.shape.forward_flops(*ids.shape, 2 * setting.blocks - 1)
    report.row("sequential Wanda", taken, "s", rate(flops / taken, setting))
    report.row("selecting weights, a part of it", selecting, "s")
    report.row("peak GPU memory", peak_gib(setting.device), "GiB")


def sparsegpt(setting: Setting, report: Report) -> None:
    """SparseGPT over the whole calibration set: Hessians, their factors, what is made by them."""
    from workflow_scripts.config.methods.unstructured import SparseGPT
    from workflow_scripts.masking.inputs import Inputs
    from workflow_scripts.masking.methods import sparsegpt as method
    from workflow_scripts.pruning.reconstruction import InputProducts

    checkpoint = checkpoints.open_checkpoint(setting.model)
    linears = checkpoints.linears(checkpoint)
    allocation = SimpleNamespace(sparsities={linear.name: SPARSITY for linear in linears})
    options = SparseGPT(method="sparsegpt", sparsity=SPARSITY, calibration="ids")
    ids, spent = (
        token_ids(setting),
        dict.fromkeys(("gathering", "factoring", "reconstructing"), 0.0),
    )

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: object) -> Any:
            found: list[Any] = []
            spent[name] += seconds_of(lambda: found.append(call(*arguments)), setting.device)
            return found[0]

        return called

    class Timed(InputProducts):
        add_inputs = timed("gathering", InputProducts.add_inputs)
        factors = timed("factoring", InputProducts.factors)

    method.InputProducts = Timed  # in this part's own process
    method.reconstruct = timed("reconstructing", method.reconstruct)

    def build() -> None:
        plan = method.plan(
            Inputs(checkpoint, linears, options, allocation, None, ids, setting.device)
        )
        for _ in plan.linears:
            pass

    taken = seconds_of(build, setting.device)
    flops = setting.shape.forward_flops(*ids.shape, 2 * setting.blocks - 1)
    report.row("SparseGPT", taken, "s", f"its passes alone: {rate(flops / taken, setting)}")
    for name, seconds in spent.items():
        report.row(f"{name}, a part of it", seconds, "s")
    report.row("peak GPU memory", peak_gib(setting.device), "GiB")


def wanda(weight: Tensor, sum_squares: Tensor) -> Tensor:
    from workflow_scripts.pruning.kernels import keep_largest, wanda_scores

    scores = wanda_scores(weight, sum_squares)
    return keep_largest(scores, round(SPARSITY * scores.shape[1]))


def magnitude(weight: Tensor, sum_squares: Tensor) -> Tensor:
    from workflow_scripts.pruning.kernels import keep_largest, magnitude_scores

    scores = magnitude_scores(weight).reshape(1, -1)
    return keep_largest(scores, round(SPARSITY * scores.shape[1])).reshape(weight.shape)


def pattern(weight: Tensor, sum_squares: Tensor) -> Tensor:
    from workflow_scripts.pruning.kernels import keep_pattern, wanda_scores

    return keep_pattern(wanda_scores(weight, sum_squares), 2, 4)


SELECTIONS = {"magnitude": magnitude, "Wanda": wanda, "Wanda 2:4": pattern}


def masks(setting: Setting, report: Report) -> None:
    """Masks of one block on the device and on the CPU: seconds, and whether they are equal."""
    checkpoint = checkpoints.open_checkpoint(setting.model)
    names = [linear.name for linear in checkpoints.linears(checkpoint) if linear.block == 0]
    weights = [checkpoints.load_tensor(checkpoint, name) for name in names]
    generator = torch.Generator().manual_seed(2)
    squares = [torch.rand(weight.shape[1], generator=generator) + 0.5 for weight in weights]
    pairs = list(zip(weights, squares, strict=True))
    there = [(w.to(setting.device), s.to(setting.device)) for w, s in pairs]
    for name, select in SELECTIONS.items():
        with report.attempt(name):
            select(*there[0])
            found = [select(*pair).cpu() for pair in there]
            for one in there:
                select(*one)
            on_device = seconds_of(lambda s=select: [s(*pair) for pair in there], setting.device, 3)
            expected: list[Tensor] = []
            on_cpu = seconds_of(
                lambda s=select, e=expected: e.extend(s(*pair) for pair in pairs), "cpu"
            )
            different = sum(int((a != b).sum()) for a, b in zip(found, expected, strict=True))
            note = f"CPU, {setting.threads} threads: {on_cpu:.3g} s; {different} bits differ"
            report.row(f"{name}, one block", on_device, "s", note)
    with report.attempt("packing"):
        from workflow_scripts.artefacts.masks import pack

        taken = seconds_of(lambda: [pack(keep) for keep in found], "cpu")
        report.row("packing one block's bits on the CPU", taken, "s")


def gradients(setting: Setting, report: Report) -> None:
    """Gradients of one row, weight by weight, as LayerIF's influence scores need them."""
    from transformers import AutoModelForCausalLM

    from workflow_scripts.models.sample_gradients import Sample, SampleGradients

    linears = checkpoints.linears(checkpoints.open_checkpoint(setting.model))
    model = AutoModelForCausalLM.from_pretrained(
        setting.model, dtype=setting.dtype, local_files_only=True
    )
    model.to(setting.device).eval()
    gradients_of = SampleGradients(model, linears)
    total = torch.zeros((), dtype=torch.float64, device=setting.device)

    def visit(name: str, gradient: Tensor) -> None:
        total.add_(torch.linalg.vector_norm(gradient, dtype=torch.float32).double() ** 2)

    taken = []
    for ids in token_ids(setting)[:GRADIENT_ROWS].tolist():
        sample = Sample("a random row", tuple(ids), len(ids) // 4)
        taken.append(seconds_of(lambda s=sample: gradients_of(s, visit), setting.device))
    # forward, again in the backward pass, and twice that for the gradients
    flops = 4 * setting.shape.forward_flops(1, setting.length, setting.blocks)
    note = rate(flops / taken[-1], setting)
    report.row(f"gradients of a row of {setting.length} tokens", taken[-1], "s", note)
    report.row("norm of all gradients", float(total.sqrt()))
    report.row("peak GPU memory", peak_gib(setting.device), "GiB")
