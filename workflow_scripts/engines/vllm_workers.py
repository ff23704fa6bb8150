"""What vLLM's workers load by its name: pruned models, and the ids that may be drawn.

vLLM runs its worker in this process, or spawns one for each of several GPUs, which knows nothing of
this one. So all here is found through names in vLLM's own configuration. No other module of the
package imports vLLM when it is imported itself.

A pruned model is never written to a disk. `PrunedModelLoader` reads the dense shards where they are
and prunes one tensor at a time; what changes in config.json (fewer blocks, biases) reaches vLLM as
an override of the config.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedConfig
from vllm.config import LoadConfig, ModelConfig, VllmConfig
from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader
from vllm.v1.sample.logits_processor import LogitsProcessor as FirstRunnersProcessor
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SecondRunnersProcessor

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.pruned_checkpoints import exported_config, pruned_tensors
from workflow_scripts.models.checkpoints import Checkpoint, open_checkpoint

LOAD_FORMAT = "pruned"
PRUNED = "pruned"  # the key of vLLM's model_loader_extra_config that holds what prunes
VOCABULARY = "vocabulary"  # the key of its additional_config that holds the number of ids


def tokenizer_arguments(vocabulary: int) -> dict[str, Any]:
    """vLLM's arguments with which the first `vocabulary` ids alone are drawn."""
    return {
        "logits_processors": [f"{__name__}:{TokenizerIdsOnly.__name__}"],
        "additional_config": {VOCABULARY: vocabulary},
    }


def pruning_arguments(checkpoint: Checkpoint, pruned: Pruned) -> dict[str, Any]:
    """vLLM's arguments with which it loads a checkpoint as `pruned` leaves it."""
    arguments: dict[str, Any] = {"worker_extension_cls": f"{__name__}.{LoadsVariants.__name__}"}
    if pruned.is_dense:
        return arguments
    arguments |= {"load_format": LOAD_FORMAT, "model_loader_extra_config": {PRUNED: pruned}}
    entries = exported_config(checkpoint, pruned)
    if entries != checkpoint.config:
        arguments["hf_overrides"] = partial(_config_of, entries)
    return arguments


def _config_of(entries: Mapping[str, Any], _: PreTrainedConfig) -> PreTrainedConfig:
    """The config of these entries of config.json, in the place of the one that vLLM has read."""
    return AutoConfig.for_model(**entries)


class LoadsVariants:
    """What a worker can do beside vLLM's own.

    It imports this module, and so has the loader registered, when it resolves the name of its
    extension: before it loads weights.
    """

    def load_variant(self, pruned: Pruned) -> None:
        """Take the weights that `pruned` leaves of the checkpoint in the place of those that are
        there; its tensors must have the same names and shapes.
        """
        checkpoint = open_checkpoint(Path(self.model_config.model))
        self.reload_weights(weights_iterator=pruned_tensors(checkpoint, pruned))


@register_model_loader(LOAD_FORMAT)
class PrunedModelLoader(DefaultModelLoader):
    """Gives vLLM what an exported checkpoint would hold, a tensor at a time."""

    def __init__(self, load_config: LoadConfig) -> None:
        self._pruned: Pruned = load_config.model_loader_extra_config[PRUNED]
        super().__init__(replace(load_config, model_loader_extra_config={}))

    def get_all_weights(
        self, model_config: ModelConfig, model: nn.Module
    ) -> Iterator[tuple[str, Tensor]]:
        return pruned_tensors(open_checkpoint(Path(model_config.model)), self._pruned)


class TokenizerIdsOnly(FirstRunnersProcessor, SecondRunnersProcessor):
    """Never draws the ids of an embedding's rows that the tokenizer does not have.

    For both of vLLM's model runners: the first runs without Triton, so on CPUs.
    """

    def __init__(self, vllm_config: VllmConfig, *_: Any) -> None:
        self._vocabulary = vllm_config.additional_config[VOCABULARY]

    def apply(self, logits: Tensor, *_: Any) -> Tensor:
        """`logits` is (rows, ids of the embedding), float32; changed in place."""
        logits[:, self._vocabulary :] = -float("inf")
        return logits

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: Any) -> None:
        """Nothing depends on which requests are in the batch."""
