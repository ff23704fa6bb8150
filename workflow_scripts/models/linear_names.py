"""How checkpoints call the linears of a block. No torch here.

A block has attention, with q, k and v apart or as one matrix, and an MLP: gate and up apart or as
one matrix, or experts, beside which there may be an MLP that every token passes. Routers and the
gates of shared experts are no linears: they stay dense.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

BLOCKS = "model.layers"
# role -> module inside a block
ATTENTION = {role: f"self_attn.{role}_proj" for role in ("q", "k", "v", "o")}
FUSED_ATTENTION = {role: f"self_attn.{role}_proj" for role in ("qkv", "o")}
MLP = {role: f"mlp.{role}_proj" for role in ("gate", "up", "down")}
FUSED_MLP = {role: f"mlp.{role}_proj" for role in ("gate_up", "down")}
# where experts lie -> what gate, up and down of each are called there
EXPERTS = {
    "mlp.experts": ("gate_proj", "up_proj", "down_proj"),
    "block_sparse_moe.experts": ("w1", "w3", "w2"),
}
SHARED = ("mlp.shared_expert", "mlp.shared_experts", "mlp.shared_mlp")
# what a block with experts may have beside linears
ROUTERS = (
    "mlp.gate.weight",
    "mlp.gate.wg.weight",
    "mlp.moe_statics.e_score_correction_bias",
    "mlp.shared_expert_gate.weight",
    "block_sparse_moe.gate.weight",
)
LOOKED_FOR = (
    f"in each of num_hidden_layers blocks, {BLOCKS}.N.self_attn.{{q,k,v,o}}_proj.weight (or "
    f"{{qkv,o}}) and {BLOCKS}.N.mlp.{{gate,up,down}}_proj.weight (or {{gate_up,down}}, or "
    "mlp.experts.M.{gate,up,down}_proj, or block_sparse_moe.experts.M.{w1,w3,w2})"
)
# how configs call the number of experts that a token is sent to
CHOSEN = ("num_experts_per_tok", "moe_k", "moe_topk")
_EXPERT = re.compile(rf"({'|'.join(map(re.escape, EXPERTS))})\.(\d+)\.(\w+)")
_LINEAR = re.compile(
    rf"{re.escape(BLOCKS)}\.(\d+)\.(?:(self_attn)\.(?:q|k|v|o|qkv)_proj"
    rf"|(?:mlp|{'|'.join(map(re.escape, SHARED))})\.(?:gate|up|down|gate_up)_proj"
    rf"|{_EXPERT.pattern})\.weight"
)


def modules_of(found: Collection[str]) -> dict[str, tuple[str, str]]:
    """(part, role) of every linear that a block must have, by module, in the order of the data.

    `found` are the modules with weights in the block, which decide between separate and fused
    matrices, and between an MLP and experts.
    """
    attention = FUSED_ATTENTION if FUSED_ATTENTION["qkv"] in found else ATTENTION
    modules = {module: ("attention", role) for role, module in attention.items()}
    for place, names in EXPERTS.items():
        numbers = [int(m[2]) for m in map(_EXPERT.fullmatch, found) if m and m[1] == place]
        for number in range(max(numbers, default=-1) + 1):
            for role, name in zip(MLP, names, strict=True):
                modules[f"{place}.{number}.{name}"] = ("mlp", role)
    if len(modules) > len(attention):
        for shared in SHARED:
            if any(module.startswith(f"{shared}.") for module in found):
                modules |= {f"{shared}.{role}_proj": ("mlp", role) for role in MLP}
        return modules
    mlp = FUSED_MLP if FUSED_MLP["gate_up"] in found else MLP
    return modules | {module: ("mlp", role) for role, module in mlp.items()}


def place_of(name: str) -> tuple[int, str] | None:
    """(block, part) of a linear's weight by its name; None for any other tensor."""
    match = _LINEAR.fullmatch(name)
    return (int(match[1]), "attention" if match[2] else "mlp") if match else None


def expert_number(name: str) -> int | None:
    """Which expert of its block a tensor belongs to; None for any that belongs to none."""
    match = _EXPERT.search(name)
    return int(match[2]) if match else None


def is_of_expert(name: str) -> bool:
    """Whether a tensor's name, in a model or in a block, is that of an expert's."""
    return any(f".{place}." in f".{name}" for place in EXPERTS)


def chosen_experts(config: Mapping[str, Any], experts: int) -> int:
    """How many of a block's experts a token is sent to: all where config.json does not say."""
    return next((config[key] for key in CHOSEN if isinstance(config.get(key), int)), experts)
