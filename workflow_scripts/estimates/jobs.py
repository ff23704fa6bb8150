"""What a job is about, as far as its memory and its time depend on that.

How large a model is, its files say, as soon as it is fetched or if it is local; before, the
config's `parameters`; else it is taken to have UNKNOWN_WEIGHTS. From the number of weights follow
its width and its blocks, as for the usual models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.config.settings import Settings
from workflow_scripts.config.source_files import checkpoint_shards
from workflow_scripts.estimates.sizes import BLOCKS, UNFETCHED, active_share, block_count, shape

UNKNOWN_WEIGHTS = 8e9  # of a model that neither files nor the config tell about
START = 10.0  # minutes, for a slow file system to bring Python's packages to a node

# MB of a process with torch and transformers in it; with CUDA's libraries as well
TORCH, CUDA = 1500.0, 8000.0
SPARE = 1.25  # of what is counted, for copies that come and go


class Ask(NamedTuple):
    """`memory` in MB and `minutes` of a job that is tried for the first time."""

    memory: float
    minutes: float


@dataclass(frozen=True)
class Job:
    """What a job is about: the names of its model, variant, calibration or influence set.

    `wildcards` are those of its rule, `root` is the working directory.
    """

    settings: Settings
    wildcards: Mapping[str, str]
    root: Path

    @cached_property
    def weights(self) -> float:
        """The number of weights of its model."""
        name = self.wildcards["model"]
        entry = self.settings.models[name]
        shards = checkpoint_shards(name, entry.source, self.root)
        size = sum(shard.stat().st_size for shard in shards)
        # a checkpoint of fp32 has half as many: it is taken for larger than it is
        return size / UNFETCHED or entry.parameters or UNKNOWN_WEIGHTS

    @cached_property
    def active(self) -> float:
        """The number of its weights that a token passes, in a fetched mixture of experts fewer."""
        name = self.wildcards["model"]
        shards = checkpoint_shards(name, self.settings.models[name].source, self.root)
        return self.weights * (active_share(tuple(shards)) if shards else 1)

    @property
    def layers(self) -> int:
        """How many blocks it really has, once it is fetched."""
        name = self.wildcards["model"]
        shards = checkpoint_shards(name, self.settings.models[name].source, self.root)
        return block_count(tuple(shards)) if shards else BLOCKS

    @property
    def width(self) -> float:
        return shape(self.weights)[0]

    @property
    def blocks(self) -> float:
        return shape(self.weights)[1]
