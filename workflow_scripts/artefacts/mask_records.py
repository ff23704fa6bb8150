"""`mask.json`: what a variant does to a model, without the bits and the weights. No torch here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, NonNegativeInt, PositiveInt, model_validator

from workflow_scripts.artefacts.json_files import AS_LIST, STRICT, read_model_file
from workflow_scripts.files.digests import value_digest
from workflow_scripts.models.routing import Routing

FORMAT = 1
LORA_A, LORA_B = ".lora_A", ".lora_B"  # behind the name of a tensor, those of its low-rank delta

Shape = Annotated[tuple[PositiveInt, ...], AS_LIST]
MatrixShape = Annotated[tuple[PositiveInt, PositiveInt], AS_LIST]


class MaskedLinear(BaseModel):
    """A masked linear: shape (output, input), sparsity asked for and reached, both in [0, 1]."""

    model_config = STRICT
    shape: MatrixShape
    requested: float
    achieved: float

    @property
    def weights(self) -> int:
        return self.shape[0] * self.shape[1]


class ChangedTensor(BaseModel):
    """A tensor in `weights.safetensors`: its shape, dtype as safetensors names it, and sha256."""

    model_config = STRICT
    shape: Shape
    dtype: str
    sha256: str


class BlockScores(BaseModel):
    """What a method measured of every block: `measure` says what, in words with its unit.

    `values` has one for each block of the dense model, None for those that were not measured.
    """

    model_config = STRICT
    measure: str
    values: Annotated[tuple[float | None, ...], AS_LIST]


class Export(BaseModel):
    """What the checkpoint holds that a variant can be exported as: parameters, bytes of tensors.

    `units` says by kind how many of how many units each block keeps, where it is narrower than the
    dense model.
    """

    model_config = STRICT
    parameters: PositiveInt
    bytes: PositiveInt
    units: Mapping[str, Annotated[tuple[PositiveInt, PositiveInt], AS_LIST]] = {}


class DynamicRecord(BaseModel):
    """What a dynamic variant skips.

    `spared` is the share of a block's linear weights that a token does not use where it skips a
    sublayer, by sublayer. `skipped` and `unused` were measured after training, on rows that were
    not trained on: the share of pairs of a token and a sublayer, and that of the weights of all
    blocks' linears that a token does not use, on average over tokens.
    """

    model_config = STRICT
    routing: Routing
    spared: Mapping[str, float]
    skipped: float | None = None
    unused: float | None = None

    def unused_of(self, skipped: Mapping[str, float]) -> float:
        """The share of weights that is not used where so much of each kind of sublayer is skipped,
        over all blocks: they are of one size."""
        return sum(self.spared[part] * share for part, share in skipped.items())


class MaskRecord(BaseModel):
    """What `mask.json` says of a variant of a model.

    `linears` holds the masked linears by the names of their weights; block numbers and names are
    those of the dense model. `requested` is the share that the variant's entry asks for,
    `removed_fraction` that of all weights of the blocks' linears that is gone, `removed_of_all`
    that of the dense model's `parameters`: see `removal_ratios`. `export` is None where no plain
    checkpoint can hold the result.
    `weights` are the tensors that the variant brings along, `scales` those of its low-rank deltas
    by parameter name, `config` what they change in config.json (None: the key goes), `engines`
    those that can run the result (None: all, it is a plain checkpoint). `scores` are what chose
    among whole blocks, once or round by round. `sliced_width` is the width of hidden states where
    the variant is a model of `models.sliced` (None: it is computed as the dense one). `dynamic` is
    what a variant with routers skips. `recovery`
    holds the keys of the training after pruning and the source of its texts (none: there was none).
    `digest` covers mask and weights.
    """

    model_config = STRICT
    format: Literal[1] = FORMAT
    method: str
    options: Mapping[str, Any] = {}
    model_digest: str
    blocks: PositiveInt
    removed_blocks: Annotated[tuple[int, ...], AS_LIST] = ()
    linears: Mapping[str, MaskedLinear] = {}
    requested: float = 0.0
    removed_fraction: float = 0.0
    removed_of_all: float = 0.0
    parameters: NonNegativeInt = 0
    export: Export | None = None
    weights: Mapping[str, ChangedTensor] = {}
    scales: Mapping[str, float] = {}
    scores: Annotated[tuple[BlockScores, ...], AS_LIST] = ()
    config: Mapping[str, Any] = {}
    engines: Annotated[tuple[str, ...], AS_LIST] | None = None
    sliced_width: PositiveInt | None = None
    dynamic: DynamicRecord | None = None
    recovery: Mapping[str, Any] = {}
    digest: str

    @property
    def kept_blocks(self) -> tuple[int, ...]:
        return tuple(block for block in range(self.blocks) if block not in self.removed_blocks)

    @property
    def routing(self) -> Routing | None:
        return self.dynamic and self.dynamic.routing

    @model_validator(mode="after")
    def _some_blocks_stay(self) -> "MaskRecord":
        removed = self.removed_blocks
        if not self.kept_blocks or removed != tuple(
            block for block in range(self.blocks) if block in removed
        ):
            raise ValueError(f"removed_blocks is {removed}, not some of {self.blocks} blocks")
        return self


def read_mask_record(path: Path, model_digest: str | None = None) -> MaskRecord:
    """Read a `mask.json`.

    Raises `InputError`, naming the key, where it is not one, and where it was made for another
    model than the one with `model_digest`, if that is given.
    """
    return read_model_file(path, MaskRecord, "mask", model_digest)


def variant_digest(
    removed_blocks: Sequence[int],
    shapes: Mapping[str, Sequence[int]],
    bits: Mapping[str, str],
    weights: Mapping[str, ChangedTensor],
    scales: Mapping[str, float],
    routing: Routing | None = None,
) -> str:
    """The digest of a variant, from the sha256 of every linear's packed bits and every tensor.

    Without weights it is that of the removed blocks and the mask alone; with routers it covers what
    follows from their numbers.
    """
    linears = {name: [list(shape), bits[name]] for name, shape in shapes.items()}
    content: dict[str, Any] = {"removed_blocks": list(removed_blocks), "linears": linears}
    if weights:
        changed = {name: [list(w.shape), w.dtype, w.sha256] for name, w in weights.items()}
        content |= {"weights": changed, "scales": dict(scales)}
    if routing:
        content["routing"] = routing.model_dump(mode="json")
    return value_digest(content)
