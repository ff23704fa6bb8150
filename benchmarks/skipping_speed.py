"""How fast the transformers engine decodes when tokens skip sublayers, beside the dense model.

    python -m benchmarks.skipping_speed --model resources/models/reasoner resources/models/smollm2

Routers are random, with margins moved such that the wanted share of random tokens skips: which
sublayers a token runs costs nothing to know beforehand, so that trained routers cost the same. All
requests have as many tokens and stop nowhere. Rounds take the variants in turn, and the first
of all warms up; tokens per second of wall time are medians of the rounds, and so are their ratios
to the dense model in the same round.
"""

import argparse
import json
import math
import statistics
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.methods import Variant
from workflow_scripts.engines.interface import Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.models.architectures import load_model
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.routed import (
    FullPass,
    by_margin,
    route_model,
    router_shapes,
    routers_of,
)

METHODS = {
    "skipgpt": {"method": "skipgpt"},
    "d-llm": {"method": "d-llm"},
    "mod": {"method": "mod", "parts": "both"},
}
SAMPLING = Sampling(0.6, 0.95, 0)
FIRST = 10  # of the ids that prompts are drawn from; those before may be special


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, nargs="+", type=Path, help="fetched models")
    parser.add_argument("--skip", nargs="+", type=float, default=[0.25, 0.4])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    print("model, batch, variant: tokens/s, of dense, share of token x sublayer that ran")
    for folder in given.model:
        models = {"dense": opened(folder, given.device)}
        for name, options in METHODS.items():
            for skip in given.skip:
                models[f"{name}-{skip:.0%}"] = skipping(folder, options | {"skip": skip}, given)
        for batch in given.batch:
            for name, line in measured(models, batch, given).items():
                print(f"{folder.name}, {batch}, {name}: {line}", flush=True)


def opened(folder: Path, device: str) -> PreTrainedModel:
    return load_model(open_checkpoint(folder), torch.float32).to(device)


def skipping(folder: Path, options: dict, given: argparse.Namespace) -> PreTrainedModel:
    """The model with routers by which about the wanted share of random tokens skips."""
    model = opened(folder, given.device)
    blocks, hidden = model.config.num_hidden_layers, model.config.hidden_size
    variant = parser_of(Variant)(json.dumps(options))
    routing, generator = variant.routing(blocks), torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(shape, generator=generator) / math.sqrt(shape[-1])
        for name, shape in router_shapes(routing, hidden).items()
    }
    route_model(model, routing, tensors)
    share = variant.skip / variant.most(blocks)  # of those that can

    def settle(number: int, name: str, margins: Tensor, must_run: Tensor | None) -> tuple:
        shift = -margins.flatten().quantile(share).item()
        routers_of(model)[number].shift(name, shift)
        return by_margin(routing, margins + shift, must_run)

    ids = torch.randint(FIRST, model.config.vocab_size, (8, 64), generator=generator)
    with torch.no_grad():
        model(ids.to(given.device), use_cache=False, routes=FullPass(settle))
    return model


def measured(
    models: dict[str, PreTrainedModel], batch: int, given: argparse.Namespace
) -> dict[str, str]:
    """A line for each model at one number of requests that are decoded together."""
    longest = 16 + given.new_tokens
    engines = {
        name: TransformersEngine(model, model.config.vocab_size, batch, longest, given.threads)
        for name, model in models.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    ran: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(given.rounds + 1):
        for name in list(engines)[:: 1 if number % 2 else -1]:
            asked = deque(requests(batch, models[name].config.vocab_size, given.new_tokens))
            start = time.perf_counter()
            found = [completion for _, completion in engines[name].generate(asked)]
            if number:
                seconds[name].append(time.perf_counter() - start)
                shares = [one.routes.mean() for one in found if one.routes is not None]
                ran[name].append(statistics.fmean(shares) if shares else 1.0)
    lines = {}
    for name, taken in seconds.items():
        speed = batch * given.new_tokens / statistics.median(taken)
        ratio = statistics.median(d / t for d, t in zip(seconds["dense"], taken, strict=True))
        lines[name] = f"{speed:.0f}, {ratio:.2f}, {statistics.fmean(ran[name]):.2f}"
    return lines


def requests(count: int, vocabulary: int, new_tokens: int) -> list[Request]:
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(FIRST, vocabulary, (count, 16), generator=generator).tolist()
    return [
        Request(tuple(prompt), new_tokens, (), SAMPLING, seed)
        for seed, prompt in enumerate(prompts)
    ]


if __name__ == "__main__":
    main()
