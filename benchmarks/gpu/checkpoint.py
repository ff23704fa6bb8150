"""Random checkpoints of Qwen3-8B's shape, made on the spot."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from workflow_scripts.files.atomic import write_json

DIGEST = "random"
STANDARD_DEVIATION = 0.02


@dataclass(frozen=True)
class Shape:
    """The sizes of a Qwen3 model, by their names in config.json."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """(output, input features) of the seven linears of a block, by module."""
        hidden, wide = self.hidden_size, self.intermediate_size
        queries, keys = (
            heads * self.head_dim for heads in (self.num_attention_heads, self.num_key_value_heads)
        )
        return {
            "self_attn.q_proj": (queries, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, queries),
            "mlp.gate_proj": (wide, hidden),
            "mlp.up_proj": (wide, hidden),
            "mlp.down_proj": (hidden, wide),
        }

    @property
    def block_weights(self) -> int:
        """The weights in the linears of one block."""
        return sum(rows * columns for rows, columns in self.linears.values())

    def forward_flops(self, samples: int, length: int, blocks: int) -> float:
        """Floating-point operations of causal forward passes through `blocks`, without the head."""
        attention = 2 * length * self.num_attention_heads * self.head_dim  # half the square, QK, AV
        return 2.0 * samples * length * blocks * (self.block_weights + attention)

    def step_bytes(self, rows: int, cached: int, blocks: int, itemsize: int) -> int:
        """The fewest bytes of one decoding step: every weight once, keys and values of each row."""
        width = self.num_key_value_heads * self.head_dim
        cache = 2 * rows * cached * width * blocks
        return itemsize * (blocks * self.block_weights + self.vocab_size * self.hidden_size + cache)


QWEN3_8B = Shape(4096, 12288, 36, 32, 8, 128, 151936, 40960)
TINY = Shape(128, 192, 3, 4, 2, 32, 512, 512)


def write_checkpoint(folder: Path, shape: Shape, device: str, seconds: float) -> int:
    """Write a bf16 checkpoint, a shard for each block; returns how many blocks there was time for.

    Weights are drawn on `device`, each block its own. After `seconds` no further block is begun.
    """
    folder.mkdir(parents=True)
    generator = torch.Generator(device).manual_seed(0)

    def draw(*size: int) -> Tensor:
        values = torch.empty(size, dtype=torch.bfloat16, device=device)
        return values.normal_(0, STANDARD_DEVIATION, generator=generator).cpu()

    weight_map: dict[str, str] = {}
    total = 0

    def save(name: str, tensors: dict[str, Tensor]) -> None:
        nonlocal total
        save_file(tensors, folder / name, {"format": "pt"})
        weight_map.update(dict.fromkeys(tensors, name))
        total += sum(tensor.nbytes for tensor in tensors.values())

    end = time.monotonic() + seconds
    embedding = (shape.vocab_size, shape.hidden_size)
    save("ends.safetensors", ends(shape, lambda: draw(*embedding)))
    blocks = 0
    while blocks < shape.num_hidden_layers and (not blocks or time.monotonic() < end):
        save(f"block-{blocks:03}.safetensors", block_tensors(shape, blocks, draw))
        blocks += 1
    config = asdict(shape) | {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "num_hidden_layers": blocks,
        "hidden_act": "silu",
        "attention_bias": False,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "bos_token_id": None,
        "eos_token_id": 0,
        "dtype": "bfloat16",
    }
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(folder / "model.safetensors.index.json", index)
    write_json(folder / "config.json", config)
    write_json(folder / "manifest.json", {"digest": DIGEST, "files": {}})
    return blocks


def ends(shape: Shape, embedding: Callable[[], Tensor]) -> dict[str, Tensor]:
    """What stands before and behind the blocks."""
    return {
        "model.embed_tokens.weight": embedding(),
        "lm_head.weight": embedding(),
        "model.norm.weight": torch.ones(shape.hidden_size, dtype=torch.bfloat16),
    }


def block_tensors(shape: Shape, block: int, draw: Callable[..., Tensor]) -> dict[str, Tensor]:
    """One block's tensors by parameter name."""
    prefix = f"model.layers.{block}."
    norms = {
        "input_layernorm": shape.hidden_size,
        "post_attention_layernorm": shape.hidden_size,
        "self_attn.q_norm": shape.head_dim,
        "self_attn.k_norm": shape.head_dim,
    }
    tensors = {
        f"{prefix}{name}.weight": torch.ones(size, dtype=torch.bfloat16)
        for name, size in norms.items()
    }
    return tensors | {
        f"{prefix}{module}.weight": draw(*size) for module, size in shape.linears.items()
    }
