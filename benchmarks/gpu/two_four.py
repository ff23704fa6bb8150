"""The parts about 2:4: products of sparse matrices, and a whole pruned model by sparse kernels.

An export holds its zeros among the other weights. Neither vLLM 0.32 nor compressed-tensors 0.17
knows a 2:4 layout any more, so torch's semi-structured tensors are what runs it sparse: they are
made from the dense weights when the model is on the GPU, in the layout of the kernel that is there.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.sparse import to_sparse_semi_structured

from benchmarks.gpu.parts import Report, Setting, peak_gib, seconds_of
from benchmarks.gpu.pruning import pattern, token_ids

PROMPT, BATCHES = 48, (1, 8, 32)
GROUP, LEFT = 4, 2


def is_two_four(weight: Tensor) -> bool:
    """Whether no four consecutive weights of a row have more than two that are not 0."""
    if weight.dim() != 2 or weight.shape[1] % GROUP:
        return False
    return bool((weight.reshape(-1, GROUP) != 0).sum(1).max() <= LEFT)


def make_sparse(model: nn.Module) -> int:
    """Have the sparse kernels of a GPU run the linears of a model that are 2:4; returns how many.

    For inference only. Experts, one tensor for all of a block, stay dense.
    """
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    sparse = [linear for linear in linears if is_two_four(linear.weight)]
    for linear in sparse:
        weight = to_sparse_semi_structured(linear.weight.detach())
        linear.weight = nn.Parameter(weight, requires_grad=False)
    return len(sparse)


def model(setting: Setting, report: Report) -> None:
    """The checkpoint pruned 2:4, dense and by sparse kernels: logits, prefill, decoding, memory."""
    from transformers import AutoModelForCausalLM

    if setting.device != "cuda":
        report.row("2:4 model", "skipped: torch has the kernels on GPUs only")
        return
    found = AutoModelForCausalLM.from_pretrained(
        setting.model, dtype=setting.dtype, local_files_only=True, trust_remote_code=False
    )
    found.to(setting.device).eval()
    for linear in found.model.layers.modules():
        if isinstance(linear, nn.Linear):
            ones = torch.ones(linear.in_features, device=setting.device)
            linear.weight.data.masked_fill_(~pattern(linear.weight.data, ones), 0)
    ids = token_ids(setting).long().to(setting.device)
    measured, logits = {}, {}
    for name in ("dense", "2:4"):
        if name == "2:4":
            report.row("linears by sparse kernels", float(make_sparse(found)))
        with torch.inference_mode():
            logits[name] = found(ids[:1, :PROMPT]).logits.float()
            call = lambda: found.model(ids[:8], use_cache=False)  # noqa: E731
            call()
            measured[f"prefill of {len(ids[:8])} samples", name] = seconds_of(call, "cuda", 3)
            for batch in BATCHES:
                prompts = ids[:batch, :PROMPT]
                start = time.perf_counter()
                found.generate(prompts, max_new_tokens=setting.tokens, do_sample=False)
                torch.cuda.synchronize()
                measured[f"{setting.tokens} tokens, batch {batch}", name] = (
                    time.perf_counter() - start
                )
        report.row(f"GPU memory, {name}", torch.cuda.memory_allocated() / 2**30, "GiB")
    error = (logits["2:4"] - logits["dense"]).norm() / logits["dense"].norm()
    report.row("relative difference of logits", float(error))
    for what in dict.fromkeys(what for what, _ in measured):
        report.row(f"dense / 2:4, {what}", measured[what, "dense"] / measured[what, "2:4"], "x")
    report.row("peak GPU memory", peak_gib(setting.device), "GiB")


def products(setting: Setting, report: Report) -> None:
    """Products with 2:4 matrices against dense ones, for the shapes of the model's linears."""
    if setting.device != "cuda":
        report.row("2:4 products", "skipped: torch has them on GPUs only")
        return
    shapes = setting.shape.linears.values()
    dense = [torch.randn(size, device="cuda").bfloat16() / size[1] ** 0.5 for size in shapes]
    for weight in dense:
        weight.masked_fill_(~pattern(weight, torch.ones(weight.shape[1], device="cuda")), 0)
    sparse = [to_sparse_semi_structured(weight) for weight in dense]
    report.row("2:4 kernels", type(sparse[0]).__name__.removeprefix("SparseSemiStructuredTensor"))
    for rows in (32, 128, 2048, 16384):
        with report.attempt(f"{rows} rows"), torch.inference_mode():
            inputs = [torch.randn(rows, size[1], device="cuda").bfloat16() for size in shapes]
            calls = {
                name: lambda weights=weights, inputs=inputs: [
                    nn.functional.linear(x, w) for x, w in zip(inputs, weights, strict=True)
                ]
                for name, weights in (("dense", dense), ("2:4", sparse))
            }
            pairs = zip(calls["2:4"](), calls["dense"](), strict=True)
            error = max(float((a - b).float().norm() / b.float().norm()) for a, b in pairs)
            report.row(f"relative difference, {rows} rows", error)
            called = {name: seconds_of(call, "cuda", 20) for name, call in calls.items()}
            report.row(f"dense / 2:4, {rows} rows", *ratio(called))
            replayed = {
                name: seconds_of(graph_of(call), "cuda", 20) for name, call in calls.items()
            }
            report.row(f"dense / 2:4, {rows} rows, CUDA graphs", *ratio(replayed))


def ratio(taken: dict[str, float]) -> tuple[float, str, str]:
    texts = [f"{name} {1e3 * seconds:.3g} ms" for name, seconds in taken.items()]
    return taken["dense"] / taken["2:4"], "x", f"a block's seven linears: {', '.join(texts)}"


def graph_of(call: Callable[[], object]) -> Callable[[], None]:
    """The call's kernels without the time to launch each of them."""
    call()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay
