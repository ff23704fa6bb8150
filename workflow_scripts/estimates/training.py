"""What training after pruning takes: tokens, floating-point operations, memory of a GPU.

Every block keeps only what enters it and runs again for its gradients (activation checkpointing).
In forward passes, of two FLOP for a weight and a token, a trained token is

    lora      3    forward, forward again, the gradient of what enters
    routers   3    likewise
    full      4    and the gradient of the weights

and a token whose loss is only measured is one. What tokens skip is computed too while training.
What the adapter of a linear without some of its weights takes beside is not counted: up to four
products of the linear's size. A training's tokens are counted as if every row were as long as rows
may be and nothing stopped it early: they are at most so many.
"""

from collections.abc import Mapping

from workflow_scripts.config.recoveries import SHARES_MEASURED, Full, Lora, Recovery
from workflow_scripts.estimates.sizes import SHARED_HEADS, shape

PASSES = {"lora": 3.0, "routers": 3.0, "full": 4.0}
STATE = 16  # bytes of a trained weight: itself, its gradient and AdamW's two moments, in fp32
BF16, FP32 = 2, 4  # bytes
ACTIVATIONS = 36  # widths of a token that a block keeps for its gradient
VOCABULARY = 200_000
# of a token and a word: the logits and their gradient in bf16; in fp32 they, their softmax, its
# gradient
LOGITS = 2 * BF16 + 3 * FP32
# of two tokens of a row: the mask by which one does not see the other, its parts and gradient
MASK = 4 * FP32


def trained_tokens(entry: Recovery) -> int:
    """Tokens of all steps, at most."""
    return entry.steps * entry.batch * entry.length


def measured_tokens(entry: Recovery) -> int:
    """Tokens of the validation rows, as often as they are measured, at most."""
    if not entry.validation:
        return 0
    times = 1 + entry.steps // entry.evaluate_every
    if entry.trained_routers and entry.trained_routers.exact_share:
        times += SHARES_MEASURED
    return entry.validation * entry.length * times


def passed_tokens(entry: Recovery) -> float:
    """Tokens of as many forward passes as a training takes the time of, at most."""
    return PASSES[entry.kind] * trained_tokens(entry) + measured_tokens(entry)


def trained_weights(entry: Recovery, weights: float) -> float:
    """How many weights are trained of a usual model with that many.

    An adapter has the rank times the inputs and outputs of its linear. Routers are taken for the
    largest there are: two a block, with a hidden layer of a quarter of the width.
    """
    if isinstance(entry, Full):
        return weights
    width, blocks = shape(weights)
    routers = 2 * blocks * width**2 / 4 if entry.trained_routers else 0
    if not isinstance(entry, Lora):
        return routers
    keys = width / SHARED_HEADS
    # what enters down, as if blocks were all of the model
    inner = (weights / blocks - 2 * width * (width + keys)) / (3 * width)
    sides = {
        "q_proj": 2 * width,
        "k_proj": width + keys,
        "v_proj": width + keys,
        "o_proj": 2 * width,
        "gate_proj": width + inner,
        "up_proj": width + inner,
        "down_proj": width + inner,
    }
    targets = sides if entry.targets is None else entry.targets
    return routers + entry.rank * blocks * sum(sides.get(target, 0) for target in targets)


def gpu_memory(entry: Recovery, weights: float, blocks: float) -> Mapping[str, float]:
    """Bytes of a GPU that training takes, by what they are for.

    With P weights of the model, T of them or of its adapters trained, n tokens in memory at once, b
    blocks of width w and a vocabulary of v words:

        base      2 P         in bf16; 2 (P - T) where the model itself is trained
        trained   16 T        weights, gradients and AdamW's two moments, in fp32
        states    2 n w (b + 36)    what enters each block, and all of one block, in bf16
        logits    16 n v      in bf16 with their gradient, in fp32 with softmax and gradient
        masks     16 n l      of rows of l tokens, where routers are trained that evict keys
    """
    trained = trained_weights(entry, weights)
    tokens = entry.at_once * entry.length
    return {
        "base": BF16 * (weights - trained if isinstance(entry, Full) else weights),
        "trained": STATE * trained,
        "states": BF16 * tokens * shape(weights)[0] * (blocks + ACTIVATIONS),
        "logits": LOGITS * tokens * VOCABULARY,
        "masks": MASK * tokens * entry.length if entry.trained_routers else 0,
    }


def cpu_memory(entry: Recovery, weights: float, blocks: float) -> float:
    """Bytes of the machine's memory that training on a CPU takes: as on a GPU, all in fp32."""
    parts = gpu_memory(entry, weights, blocks)
    logits = parts["logits"] / LOGITS * 3 * FP32
    return 2 * (parts["base"] + parts["states"]) + parts["trained"] + logits + parts["masks"]
