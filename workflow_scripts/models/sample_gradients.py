"""Gradients of one sample's loss with respect to the linears' weights, shown one at a time.

A weight's gradient is handed on the moment autograd has finished it and freed before the next one
is computed. Blocks run again in the backward pass instead of keeping their activations, so that
what a sample costs beside the weights is its hidden states, one block's activations and one
gradient.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as run_again
from transformers import PreTrainedModel

from workflow_scripts.errors import InputError
from workflow_scripts.models import architectures, checkpoints
from workflow_scripts.models.blocks import DTYPES
from workflow_scripts.models.checkpoints import Checkpoint, Linear
from workflow_scripts.models.experts import as_stored
from workflow_scripts.models.linear_names import BLOCKS


@dataclass(frozen=True)
class Sample:
    """The token ids of a prompt and its completion; `prompt` is how many are the prompt's.

    `where` says for an error line which row of which file it is.
    """

    where: str
    tokens: tuple[int, ...]
    prompt: int


def load_model(checkpoint: Checkpoint, device: str = "cpu") -> PreTrainedModel:
    """The whole model in evaluation mode, in fp32 on the CPU and in bf16 on a GPU.

    Raises `InputError` for a config that transformers does not open and for weights that do not
    suit it or are not those that were fetched.
    """
    checkpoints.check_weights(checkpoint.folder)
    return architectures.load_model(checkpoint, DTYPES[device]).to(device)


class SampleGradients:
    """Calls `visit(name, gradient)` for every linear's weight, by its name in the checkpoint.

    Gradients are in fp32, those of bf16 weights rounded by their products' last step to bf16.
    The model is the caller's, and its blocks are changed: their activations are not kept. The
    gradients of all experts of a block come together; where no token is routed they are zero.
    """

    def __init__(
        self, model: PreTrainedModel, linears: Sequence[Linear], place: str | None = None
    ) -> None:
        """`place` is where the experts lie in the checkpoint, see `experts.experts_place`."""
        self._model, self._place = model, place
        self._names = {linear.name for linear in linears}
        self._weights = {
            name: weight
            for name, weight in model.named_parameters()
            if as_stored({name: weight}, place).keys() & self._names
        }
        model.requires_grad_(False)
        for weight in self._weights.values():
            weight.requires_grad_(True)
        for block in model.get_submodule(BLOCKS):
            block.forward = functools.partial(
                run_again, block.forward, use_reentrant=False, preserve_rng_state=False
            )

    def __call__(self, sample: Sample, visit: Callable[[str, Tensor], None]) -> None:
        """Show the gradients of one sample.

        Raises `InputError` naming the sample where its loss or a gradient is NaN or infinite, and
        ValueError where a linear took no part.
        """
        shown: list[str] = []

        def show(name: str, weight: nn.Parameter) -> None:
            whole, weight.grad = weight.grad, None
            for stored, gradient in as_stored({name: whole}, self._place).items():
                if not all(extreme.isfinite() for extreme in gradient.aminmax()):
                    raise InputError(f"{sample.where}: the gradient of {stored} is NaN or infinite")
                visit(stored, gradient.float())
                shown.append(stored)

        handles = [
            weight.register_post_accumulate_grad_hook(functools.partial(show, name))
            for name, weight in self._weights.items()
        ]
        try:
            loss = completion_loss(self._model, sample)
            if not loss.isfinite():
                raise InputError(f"{sample.where}: the model's loss on it is {loss.item()}")
            loss.backward()
        finally:
            for handle in handles:
                handle.remove()
        if sorted(shown) != sorted(self._names):
            raise ValueError(f"{sample.where}: not every linear had one gradient")


def completion_loss(model: PreTrainedModel, sample: Sample) -> Tensor:
    """Mean cross-entropy of the completion's tokens, each predicted from all before it; a scalar.

    The prompt's tokens are read and not predicted.
    """
    tokens = torch.tensor([sample.tokens], device=model.device)
    completion = tokens[0, sample.prompt :]
    # the head runs from the prompt's last position on, which predicts the completion's first token
    output = model(tokens, use_cache=False, logits_to_keep=len(completion) + 1)
    return nn.functional.cross_entropy(output.logits[0, :-1].float(), completion)


def shapes(linears: Sequence[Linear]) -> Mapping[str, tuple[int, int]]:
    """The shapes of the linears' weights by name."""
    return {linear.name: linear.shape for linear in linears}
