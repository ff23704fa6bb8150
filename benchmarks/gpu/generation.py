"""The part that generates: speed of the transformers engine, and whether batches round alike.

The engine decodes in a larger shape only where the logits of that shape are those of its reference,
bit by bit. `Unchecked` skips that check, to see what a batch would give.
"""

import importlib.util
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn.attention import sdpa_kernel
from transformers import AutoModelForCausalLM, PreTrainedModel

from benchmarks.gpu.parts import Report, Setting, peak_gib, seconds_of
from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.engines.passes import GPU_ATTENTION
from workflow_scripts.engines.sampling import Sampling, UniformStream, draw_token
from workflow_scripts.engines.slots import SlotCache
from workflow_scripts.engines.transformers_engine import (
    TransformersEngine,
)

BATCHES = (8, 32, 128)
PROMPT = 48  # tokens
COMPARED = 8  # requests whose completions are compared over batch sizes
GREEDY = Sampling(0.0, 1.0, 0)
SAMPLINGS = {
    "greedy": GREEDY,
    "temperature 0.6": Sampling(0.6, 1.0, 0),
    "temperature 0.6, top-p 0.95": Sampling(0.6, 0.95, 0),
    "temperature 0.6, top-p 0.95, top-k 20": Sampling(0.6, 0.95, 20),
}


class Unchecked(TransformersEngine):
    """The engine without the check at its start."""

    def _shape_is_like_the_reference(self) -> bool:
        return True


def generation(setting: Setting, report: Report) -> None:
    """Speed at several batch sizes, equal shapes, equal answers, the cost of drawing tokens."""
    start = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(
        setting.model, dtype=setting.dtype, local_files_only=True, trust_remote_code=False
    )
    model.to(setting.device).eval()
    report.row("loading the model", time.perf_counter() - start, "s")
    longest = PROMPT + setting.tokens
    with report.attempt("the check at the start"):
        for batch in BATCHES:
            engine = TransformersEngine(model, setting.shape.vocab_size, batch, longest)
            report.row(f"requests decoded at a time, batch {batch}", float(engine._slots))
    with report.attempt("steps"):
        steps(setting, report, model)
    with report.attempt("equal shapes"):
        equal_shapes(setting, report, model)
    with report.attempt("completions"):
        completions(setting, report, model)
    with report.attempt("drawing"):
        drawing(setting, report)
    with report.attempt("model.generate"):
        bare_generate(setting, report, model)
    report.row("peak GPU memory", peak_gib(setting.device), "GiB")


@torch.inference_mode()
def steps(setting: Setting, report: Report, model: PreTrainedModel) -> None:
    """Milliseconds of one decoding step by batch and cache, against the memory limit."""
    contexts = (128, 2048) if setting.device == "cuda" else (64, 128)
    for context in contexts:
        for batch in BATCHES:
            with report.attempt(f"step, batch {batch}, cache {context}"):
                engine = Unchecked(model, setting.shape.vocab_size, batch, context)
                cache = filled_cache(engine, batch, context)
                at = [context - 2] * batch
                engine.passes.step(cache, [5] * batch, at)
                step = seconds_of(
                    lambda e=engine, c=cache, b=batch, a=at: e.passes.step(c, [5] * b, a),
                    setting.device,
                    7,
                )
                size = setting.shape.step_bytes(
                    batch, context, setting.blocks, setting.dtype.itemsize
                )
                limit = size / (setting.bandwidth * 1e12)
                note = (
                    f"{batch / step:,.0f} tokens/s; the memory limit is {1e3 * limit:.3g} ms, "
                    f"{limit / step:.1%} of it reached"
                )
                report.row(f"step, batch {batch}, cache {context}", 1e3 * step, "ms", note)
                del cache
            if setting.device == "cuda":
                with report.attempt(f"CUDA graph, batch {batch}, cache {context}"):
                    step, equal = graph_step(engine, batch, context)
                    note = (
                        f"{batch / step:,.0f} tokens/s, {limit / step:.1%} of the memory limit; "
                        f"logits {'equal' if equal else 'differ'}"
                    )
                    report.row(
                        f"the same as a CUDA graph, {batch}, {context}", 1e3 * step, "ms", note
                    )


def graph_step(engine: TransformersEngine, batch: int, context: int) -> tuple[float, bool]:
    """Seconds of a step without the time to launch its kernels; whether its logits are the same."""
    cache = filled_cache(engine, batch, context)
    cache.positions = at = torch.full((batch,), context - 2, device="cuda")
    ids = torch.full((batch, 1), 5, device="cuda")
    visible = (torch.arange(context, device="cuda") <= at[:, None])[:, None, None, :]

    def step() -> torch.Tensor:
        with sdpa_kernel(GPU_ATTENTION):
            return logits()

    def logits() -> torch.Tensor:
        return engine._model(
            input_ids=ids,
            position_ids=at[:, None],
            attention_mask=visible,
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]

    expected = step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step()
    taken = seconds_of(graph.replay, "cuda", 7)
    return taken, torch.equal(found, expected)


@contextmanager
def padded_linears(model: PreTrainedModel, rows: int) -> Iterator[None]:
    """Let every linear see `rows` rows in a step, zeros behind the real ones: always one kernel."""

    def padded(forward: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
        def call(inputs: torch.Tensor) -> torch.Tensor:
            missing = rows - len(inputs)
            if inputs.shape[1] > 1 or missing <= 0:  # a prompt, which is alone in its batch
                return forward(inputs)
            return forward(nn.functional.pad(inputs, (0, 0, 0, 0, 0, missing)))[: len(inputs)]

        return call

    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    for module in linears:
        module.forward = padded(module.forward)
    try:
        yield
    finally:
        for module in linears:
            del module.forward


def filled_cache(engine: TransformersEngine, rows: int, length: int) -> SlotCache:
    """A cache whose rows all hold the same tokens, as many as there is a place for but two."""
    _, prefilled = engine.passes.prefill([tuple(range(2, 2 + 17))])
    cache = SlotCache(prefilled, rows, length)
    cache.repeat(prefilled, length - 2)
    return cache


@torch.inference_mode()
def equal_shapes(setting: Setting, report: Report, model: PreTrainedModel) -> None:
    """Which shapes of a step have the same logits, bit by bit, and in which part they part."""
    rows, lengths = (4, 8, 16, 32, 64, 128), (128, 256, 1024)
    engine = Unchecked(model, setting.shape.vocab_size, 8, max(lengths))

    def logits_of(number: int, length: int) -> torch.Tensor:
        cache = filled_cache(engine, number, length)
        return engine.passes.step(cache, [5] * number, [lengths[0] - 2] * number)

    for precise in (True, False):
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = not precise
        by_rows = {str(number): logits_of(number, lengths[0]) for number in rows}
        sums = "full" if precise else "as torch has it, bf16"
        report.row(f"batch sizes with equal logits, partial sums {sums}", groups(by_rows))
    with padded_linears(model, max(rows)):
        by_rows = {str(number): logits_of(number, lengths[0]) for number in rows}
        report.row(f"batch sizes with equal logits, linears of {max(rows)} rows", groups(by_rows))
    alike = [
        name
        for name, logits in by_rows.items()
        if torch.equal(logits, logits[:1].expand_as(logits))
    ]
    report.row("batch sizes whose rows are alike", ", ".join(alike) or "none")
    for number in (8, 128):
        by_length = {str(length): logits_of(number, length) for length in lengths}
        report.row(f"cache lengths with equal logits, batch {number}", groups(by_length))
    shapes = setting.shape.linears | {
        "lm_head": (setting.shape.vocab_size, setting.shape.hidden_size)
    }
    for name, size in shapes.items():
        weight = torch.randn(size, device=setting.device, dtype=setting.dtype)
        inputs = torch.randn(max(rows), size[1], device=setting.device, dtype=setting.dtype)
        products = {str(n): nn.functional.linear(inputs[:n], weight) for n in rows}
        report.row(f"rows with equal products, {name}", groups(products))


def groups(results: dict[str, torch.Tensor]) -> str:
    """Names whose results have the same first row, bit by bit, in braces."""
    found: list[tuple[torch.Tensor, list[str]]] = []
    for name, result in results.items():
        for first, names in found:
            if torch.equal(first, result[0]):
                names.append(name)
                break
        else:
            found.append((result[0], [name]))
    return " ".join("{" + ", ".join(names) + "}" for _, names in found)


def requests_of(setting: Setting, count: int, sampling: Sampling, tokens: int) -> list[Request]:
    """Requests with random prompts; the first ones are the same whatever `count` is."""
    generator = np.random.default_rng(3)
    prompts = generator.integers(2, setting.shape.vocab_size, (max(BATCHES), PROMPT))
    return [
        Request(tuple(map(int, prompt)), tokens, (), sampling, seed)
        for seed, prompt in enumerate(prompts[:count])
    ]


def completions(setting: Setting, report: Report, model: PreTrainedModel) -> None:
    """Tokens per second of whole runs, and whether completions are equal over batch sizes."""
    vocabulary, longest = setting.shape.vocab_size, PROMPT + setting.tokens

    def decode(engine: TransformersEngine, requests: Iterable[Request]) -> dict[int, Completion]:
        found = engine.generate(deque(requests))
        return {request.seed: completion for request, completion in found}

    one_by_one = Unchecked(model, vocabulary, 1, longest)
    compared = requests_of(setting, COMPARED, GREEDY, setting.tokens)
    expected: dict[int, Completion] = {}
    taken = seconds_of(lambda: expected.update(decode(one_by_one, compared)), setting.device)
    report.row("one request at a time", COMPARED * setting.tokens / taken, "tokens/s", "greedy")
    for batch in BATCHES:
        engine = Unchecked(model, vocabulary, batch, longest)
        found: dict[int, Completion] = {}
        requests = requests_of(setting, batch, GREEDY, setting.tokens)
        taken = seconds_of(
            lambda e=engine, r=requests, f=found: f.update(decode(e, r)), setting.device
        )
        same = sum(found[seed] == expected[seed] for seed in expected)
        note = f"prefill included; {same} of {COMPARED} completions are those of one at a time"
        report.row(f"batch {batch}, greedy", batch * setting.tokens / taken, "tokens/s", note)
    with padded_linears(model, max(BATCHES)):
        expected = decode(one_by_one, compared)
        for batch in BATCHES[1:]:
            engine = Unchecked(model, vocabulary, batch, longest)
            requests = requests_of(setting, batch, GREEDY, setting.tokens)
            found = {}
            taken = seconds_of(
                lambda e=engine, r=requests, f=found: f.update(decode(e, r)), setting.device
            )
            same = sum(found[seed] == expected[seed] for seed in expected)
            note = f"{same} of {COMPARED} completions are those of one at a time"
            what = f"batch {batch}, greedy, linears of {max(BATCHES)} rows"
            report.row(what, batch * setting.tokens / taken, "tokens/s", note)
    sampled = [
        replace(request, sampling=SAMPLINGS["temperature 0.6, top-p 0.95"], max_tokens=8)
        for request in requests_of(setting, 32, GREEDY, 8)
    ]
    engine = Unchecked(model, vocabulary, 32, longest)
    taken = seconds_of(lambda: decode(engine, sampled), setting.device)
    report.row("batch 32, top-p 0.95", 32 * 8 / taken, "tokens/s", "prefill included")


def drawing(setting: Setting, report: Report) -> None:
    """Milliseconds to draw one token from logits on the CPU, and the rate that bounds."""
    logits = np.random.default_rng(4).normal(size=setting.shape.vocab_size).astype(np.float32)
    for name, sampling in SAMPLINGS.items():
        stream = UniformStream(0)
        taken = seconds_of(lambda s=sampling, u=stream: draw_token(logits, s, u), "cpu", 9)
        note = f"at most {1 / taken:,.0f} tokens/s, whatever the GPU does"
        report.row(f"drawing a token, {name}", 1e3 * taken, "ms", note)


def bare_generate(setting: Setting, report: Report, model: PreTrainedModel) -> None:
    """What transformers' own generate reaches with the same prompts, greedy."""
    for batch in BATCHES:
        prompts = [request.prompt for request in requests_of(setting, batch, GREEDY, 1)]
        ids = torch.tensor(prompts, device=setting.device)

        def generate(ids: torch.Tensor = ids) -> None:
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=setting.tokens,
                min_new_tokens=setting.tokens,
                do_sample=False,
            )

        if batch == BATCHES[0]:
            generate()  # warms up
        taken = seconds_of(generate, setting.device)
        report.row(f"model.generate, batch {batch}", batch * setting.tokens / taken, "tokens/s")


def vllm(setting: Setting, report: Report) -> None:
    """What vLLM reaches on the same requests, where it is installed."""
    if importlib.util.find_spec("vllm") is None:
        report.row("vLLM", "skipped: vllm is not installed here")
        return
    from vllm import LLM, SamplingParams

    llm = LLM(
        str(setting.model),
        dtype=str(setting.dtype).removeprefix("torch."),
        max_model_len=PROMPT + setting.tokens,
        skip_tokenizer_init=True,
        gpu_memory_utilization=0.8 if setting.device == "cuda" else 0.1,  # of a CPU's memory too
    )
    parameters = SamplingParams(
        temperature=0, max_tokens=setting.tokens, ignore_eos=True, detokenize=False
    )

    def generate(prompts: list[dict]) -> list[tuple[int, ...]]:
        outputs = llm.generate(prompts, parameters, use_tqdm=False)
        return [tuple(output.outputs[0].token_ids) for output in outputs]

    first: list[tuple[int, ...]] = []
    for batch in BATCHES:
        requests = requests_of(setting, batch, GREEDY, setting.tokens)
        prompts = [{"prompt_token_ids": list(request.prompt)} for request in requests]
        generate(prompts)  # warms up
        llm.reset_prefix_cache()
        found: list[tuple[int, ...]] = []
        taken = seconds_of(lambda p=prompts, f=found: f.extend(generate(p)), setting.device)
        first = first or found[:COMPARED]
        same = sum(one == other for one, other in zip(first, found, strict=False))
        note = f"{same} of {len(first)} completions are those of batch {BATCHES[0]}"
        report.row(f"vLLM, batch {batch}", batch * setting.tokens / taken, "tokens/s", note)
