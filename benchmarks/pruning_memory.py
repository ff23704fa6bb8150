"""How much memory statistics and masks need, on random checkpoints of a real model's shape.

    python -m benchmarks.pruning_memory [--blocks 7 14 28] [--tokens 2048 8192]

Makes bf16 checkpoints of Qwen2.5-1.5B's shape with that many blocks (3 GB at 28) in a temporary
folder, and prints the peak resident memory of the statistics pass, of a Wanda mask and of
SparseGPT, each as a whole process: over blocks with the fewest calibration tokens, and over tokens
with the most blocks.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.processes import Cost, stage
from workflow_scripts.files.atomic import write_json
from workflow_scripts.models.tensors import save_tensors, write_tensors

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, VOCABULARY = 1536, 8960, 12, 2, 151936
LENGTH = 256
DIGEST = "random"
VARIANT = '{"method": "%s", "sparsity": 0.5, "calibration": "ids"}'
MEASURED = ("statistics", "Wanda mask", "SparseGPT")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, nargs="+", default=[7, 14, 28])
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 8192])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(argv)
    fewest, most = min(options.tokens), max(options.blocks)
    cases = [(blocks, fewest) for blocks in sorted(options.blocks)]
    cases += [(most, tokens) for tokens in sorted(options.tokens) if tokens != fewest]
    columns = "".join(f" {name} MiB | seconds |" for name in MEASURED)
    print(f"| blocks | calibration tokens |{columns}")
    print(f"|--:|--:|{'--:|--:|' * len(MEASURED)}")
    for blocks, tokens in cases:
        with tempfile.TemporaryDirectory() as scratch:
            costs = measure(Path(scratch), blocks, tokens, options.threads)
        values = "".join(f" {cost.peak_mib:.0f} | {cost.seconds:.0f} |" for cost in costs)
        print(f"| {blocks} | {tokens} |{values}", flush=True)


def measure(folder: Path, blocks: int, tokens: int, threads: int) -> tuple[Cost, ...]:
    """The costs of what is MEASURED."""
    model = folder / "model"
    write_checkpoint(model, blocks)
    calibration, collected = folder / "calibration.safetensors", folder / "statistics.safetensors"
    ids = torch.randint(VOCABULARY, (tokens // LENGTH, LENGTH), dtype=torch.int32)
    save_tensors(calibration, {"input_ids": ids}, {"model_digest": DIGEST})
    statistics = stage(
        "calibration.collect_statistics",
        *("--model", model, "--calibration", calibration, "--threads", threads),
        *("--output", collected),
    )
    allocation = folder / "allocation.json"
    stage(
        "allocation.allocate_sparsity",
        *("--model", model, "--options", '{"sparsity": 0.5}'),
        *("--output", allocation),
    )

    def mask(method: str, *files: object) -> Cost:
        return stage(
            "masking.build_mask",
            *("--model", model, "--options", VARIANT % method, "--allocation", allocation),
            *(*files, "--threads", threads, "--mask", folder / "mask.safetensors"),
            *("--weights", folder / "weights.safetensors", "--record", folder / "mask.json"),
        )

    wanda = mask("wanda", "--statistics", collected)
    return statistics, wanda, mask("sparsegpt", "--calibration", calibration)


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
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
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
