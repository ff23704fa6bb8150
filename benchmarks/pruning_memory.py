"""How much memory pruning needs, on random checkpoints of a real model's shape.

    python -m benchmarks.pruning_memory [--blocks 4] [--tokens 2048] [--tasks sparsegpt sleb]

Makes bf16 checkpoints of Qwen2.5-1.5B's shape with that many blocks (28 are the model, 3 GB) in a
temporary folder, and weighs the statistics pass and masks, each as a whole process: over blocks
with the fewest calibration tokens, and over tokens with the most blocks. Methods that take
gradients get as few tokens as their papers give them: LLM-Pruner 10 x 64, Shortened LLaMA 10 x 128.
SLEB removes one block.

Beside the peak resident memory stands what the task must hold, counted from shapes, and what is
left of the peak without it: Python, torch and transformers, hidden states, copies that come and go.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.pruning_work import SPARSITY, UNIFORM, Work, variants, write_inputs
from workflow_scripts.files.atomic import write_json
from workflow_scripts.models.checkpoints import EMBEDDING
from workflow_scripts.models.tensors import write_tensors

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, VOCABULARY = 1536, 8960, 12, 2, 151936
LENGTH = 256
DIGEST = "random"
FP32, BF16, FP64 = 4, 2, 8  # bytes


@dataclass(frozen=True)
class Held:
    """What a task must have in memory, in words and as bytes for so many blocks and tokens."""

    words: str
    size: Callable[[int, int], int]


def block_size() -> int:
    """Bytes of the weights of a block, in fp32."""
    shapes = parameter_shapes(1)
    return FP32 * sum(prod(s) for name, s in shapes.items() if ".layers." in name)


EMBEDDED = VOCABULARY * HIDDEN  # weights
LARGEST = HIDDEN * INTERMEDIATE  # weights of the largest linear
HESSIANS = FP32 * (3 * HIDDEN**2 + INTERMEDIATE**2)  # of q, k, v; o; gate, up; down
SQUARE = FP64 * HIDDEN**2


def hidden_size(tokens: int) -> int:
    return FP32 * HIDDEN * tokens


GRADIENTS = Held(
    "a block, its gradients and the head",
    lambda blocks, tokens: 2 * block_size() + FP32 * EMBEDDED,
)
TASKS = {
    "statistics": Held("a block", lambda blocks, tokens: block_size() + hidden_size(tokens)),
    "wanda": Held("a linear", lambda blocks, tokens: FP32 * LARGEST),
    "sparsegpt": Held(
        "a block and its Hessians",
        lambda blocks, tokens: block_size() + HESSIANS + hidden_size(tokens),
    ),
    "flap": Held("a linear", lambda blocks, tokens: FP32 * LARGEST),
    "llm-pruner": GRADIENTS,
    "shortened-taylor": GRADIENTS,
    "sleb": Held("a block and the head", lambda blocks, tokens: block_size() + FP32 * EMBEDDED),
    "slicegpt": Held(
        "a block; before, the embedding twice",
        lambda blocks, tokens: max(
            block_size() + hidden_size(tokens) + 3 * SQUARE, 2 * BF16 * EMBEDDED
        ),
    ),
}
FROM_STATISTICS = ("statistics", "wanda", "flap")
FEW = {"llm-pruner": (10, 64), "shortened-taylor": (10, 128)}  # samples, length
ANYWHERE = {"keep_first": 0, "keep_last": 0}  # of LLM-Pruner, in models of few blocks too


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, nargs="+", default=[4])
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=[*TASKS])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(argv)
    fewest, most = min(options.tokens), max(options.blocks)
    cases = [(blocks, fewest) for blocks in sorted(options.blocks)]
    cases += [(most, tokens) for tokens in sorted(options.tokens) if tokens != fewest]
    print("| task | blocks | tokens | processor seconds | peak MiB | must hold | MiB | beside it |")
    print("|:--|--:|--:|--:|--:|:--|--:|--:|")
    for blocks, tokens in cases:
        with tempfile.TemporaryDirectory() as scratch:
            measure(Path(scratch), blocks, tokens, options.tasks, options.threads)


def measure(folder: Path, blocks: int, tokens: int, tasks: Sequence[str], threads: int) -> None:
    """Weigh tasks over a new checkpoint, and print a line for each."""
    work = Work(folder / "model", folder, threads)
    write_checkpoint(work.model, blocks)
    write_inputs(work, tokens // LENGTH, LENGTH)
    work.allocate(work.allocation, UNIFORM, SPARSITY)
    if {*tasks} & {*FROM_STATISTICS}:
        collected = work.collect()
    for name in tasks:
        variant = variants(1).get(name, {})
        variant |= ANYWHERE if name == "llm-pruner" else {}
        samples, length = FEW.get(name, (tokens // LENGTH, LENGTH))
        write_inputs(work, samples, length)
        cost = collected if name == "statistics" else work.mask(variant, "weighed")
        held, peak = TASKS[name].size(blocks, samples * length) / 2**20, cost.peak_mib
        print(
            f"| {name} | {blocks} | {samples * length} | {cost.processor:.0f} | {peak:.0f} | "
            f"{TASKS[name].words} | {held:.0f} | {peak - held:.0f} |",
            flush=True,
        )


def write_checkpoint(folder: Path, blocks: int) -> None:
    """A Qwen2 checkpoint with random bf16 weights, one tensor in memory at a time."""
    folder.mkdir(parents=True)
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": blocks,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        "rms_norm_eps": 1e-6,
        "dtype": "bfloat16",
    }
    write_json(folder / "config.json", config)
    write_json(folder / "manifest.json", {"digest": DIGEST, "files": {}})
    shapes = parameter_shapes(blocks)
    layout = {name: (torch.bfloat16, shape) for name, shape in shapes.items()}

    def tensors() -> Iterator[tuple[str, Tensor]]:
        generator = torch.Generator().manual_seed(0)
        for name, shape in shapes.items():
            if name.endswith("norm.weight"):
                yield name, torch.ones(shape, dtype=torch.bfloat16)
            else:
                yield name, torch.randn(shape, generator=generator).mul_(0.02).bfloat16()

    write_tensors(folder / "model.safetensors", layout, tensors(), {"format": "pt"})


def parameter_shapes(blocks: int) -> dict[str, tuple[int, ...]]:
    """Parameter names and shapes of a Qwen2 model with tied embeddings."""
    width = HIDDEN * KV_HEADS // HEADS
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (VOCABULARY, HIDDEN)}
    for block in range(blocks):
        prefix = f"model.layers.{block}."
        for role, features in (("q", HIDDEN), ("k", width), ("v", width)):
            shapes[f"{prefix}self_attn.{role}_proj.weight"] = (features, HIDDEN)
            shapes[f"{prefix}self_attn.{role}_proj.bias"] = (features,)
        shapes[f"{prefix}self_attn.o_proj.weight"] = (HIDDEN, HIDDEN)
        shapes[f"{prefix}mlp.gate_proj.weight"] = (INTERMEDIATE, HIDDEN)
        shapes[f"{prefix}mlp.up_proj.weight"] = (INTERMEDIATE, HIDDEN)
        shapes[f"{prefix}mlp.down_proj.weight"] = (HIDDEN, INTERMEDIATE)
        shapes[f"{prefix}input_layernorm.weight"] = (HIDDEN,)
        shapes[f"{prefix}post_attention_layernorm.weight"] = (HIDDEN,)
    return shapes | {"model.norm.weight": (HIDDEN,)}


if __name__ == "__main__":
    main()
