"""A logits processor for vLLM: ids that the tokenizer does not have are never drawn.

The embedding of many models has more rows than the tokenizer has ids. vLLM loads this class by its
name, in every process that samples; it stands apart so that no other module needs vLLM.
"""

from typing import Any

from torch import Tensor
from vllm.config import VllmConfig
from vllm.v1.sample.logits_processor import LogitsProcessor as FirstRunnersProcessor
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SecondRunnersProcessor

# the key of vLLM's additional_config that holds the number of ids
VOCABULARY = "vocabulary"


class TokenizerIdsOnly(FirstRunnersProcessor, SecondRunnersProcessor):
    """For both of vLLM's model runners: the first runs without Triton, so on CPUs."""

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
