"""The page of supported and refused architectures, made from the table, for the documentation.

    python -m workflow_scripts.models.reference

writes docs/models.md.
"""

from itertools import groupby

from workflow_scripts.files.atomic import write_text
from workflow_scripts.models.supported import BLOCKS_STAY, REFUSED, SUPPORTED
from workflow_scripts.paths import PROJECT

PAGE = PROJECT / "docs" / "models.md"

OPENING = """\
# Models

What can be pruned follows from the tensors of a checkpoint, not from its name: decoders whose
blocks have `self_attn.{q,k,v,o}_proj` (or `{qkv,o}_proj`) and `mlp.{gate,up,down}_proj` (or
`{gate_up,down}_proj`, or experts), unquantised, and nothing else that is a matrix but routers.
The lists below say what that makes of the architectures of transformers, by the `model_type` in
their `config.json`. Tests build each one small: it is walked block by block as transformers runs
it, and pruned in memory it is its export, to the bit (which leaves out
[heads and neurons](methods.md#small-exports) that are gone).

## Fused projections

Phi-3's `qkv_proj` and `gate_up_proj` (GLM's `gate_up_proj`) are one linear each, named as in the
checkpoint. What compares weights within an output row (Wanda, STADE, every N:M pattern) prunes
the same weights as with separate matrices. What compares over all rows does not: magnitude and
SparseGPT take the smallest scores of q, k and v together, and the three may end at different
sparsities.

## Experts

Every expert's gate, up and down is a linear, named as in the checkpoint
(`model.layers.0.mlp.experts.3.gate_proj.weight`, in Mixtral
`block_sparse_moe.experts.3.w1.weight`). Statistics (norms, means, variances) and pruning in
sequence are over the tokens that the router sends to the expert. Routers and the gates of shared
experts stay dense and do not count among the weights of which a share is removed. Allocations
give blocks or their parts a sparsity; all experts of a block share it.

- An expert that no calibration token reaches has its weights compared by magnitude, in the same
  rows or columns, and SparseGPT changes none that stays. The log of the job says how many there
  are: more samples reach more of them.
- STADE with `compensate: true` is refused where experts are in scope: they have no place for a
  bias.
- The transformers engine multiplies every decoded row with its own experts' weights, so that what
  a request yields does not depend on how many of its neighbours go to the same expert. That
  copies the weights of `batch_size` times the active experts, in one block at a time.
- vLLM is given the tensors that an export holds, by the same names. Small Phi-3, Qwen3-MoE,
  Qwen2-MoE, Mixtral and OLMoE, half of them masked, gave the transformers engine's tokens in its
  build for CPUs (float32, greedy).
- Memory of jobs is estimated from all weights, times from those that a token passes, as soon as
  the checkpoint is there to be asked; before, from `parameters`.

## Heads and neurons

can be removed where every head works alone and every token passes every neuron. That is not so
in mixtures of experts, nor in `bitnet`, `olmo2` and `olmo3` (norms over all heads or neurons
together), `diffllama` (pairs of heads) and `granite_swa` (a tensor with a number for each head).
They are refused; single weights and, as below, whole blocks can be removed from them.

"""


def page() -> str:
    """The text of docs/models.md."""
    parts = [OPENING, "## Supported\n\n| linears | `model_type` |\n|---|---|\n"]
    parts += [f"| {linears} | {kinds} |\n" for linears, kinds in _grouped(SUPPORTED)]
    parts.append(
        "\nWhole blocks can be removed from all of them but these:\n\n"
        "| `model_type` | why not |\n|---|---|\n"
    )
    parts += [f"| `{kind}` | {reason} |\n" for kind, reason in BLOCKS_STAY.items()]
    parts.append("\n## Refused\n\n| why | `model_type` |\n|---|---|\n")
    parts += [f"| {reason} | {kinds} |\n" for reason, kinds in _grouped(REFUSED)]
    return "".join(parts)


def _grouped(table: dict[str, str]) -> list[tuple[str, str]]:
    """(value, its keys) in the order of the table."""
    groups = groupby(table, key=table.get)
    return [(value, ", ".join(f"`{key}`" for key in keys)) for value, keys in groups]


if __name__ == "__main__":
    write_text(PAGE, page(), checksum=False)
