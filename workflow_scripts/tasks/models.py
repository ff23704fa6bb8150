"""The harness's own classes of models, handed a variant that is nowhere on a disk.

What they compute is theirs. Here they are given the model as the variant's mask and weights leave
it, and write the responses of a batch before the next begins. `end_thinking_at` has responses begin
behind a token; None: where the model begins to write.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.model import TemplateLM

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.engines.interface import EngineSettings
from workflow_scripts.files.digests import value_digest
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.tokenizers import load_tokenizer

# of a model's folder, what a variant does to it, settings, and the most tokens of a sequence
Start = Callable[[Path, Pruned, EngineSettings, int | None], TemplateLM]


def start_transformers(
    model: Path, pruned: Pruned, settings: EngineSettings, max_length: int | None
) -> TemplateLM:
    """The harness's `hf` on the dense checkpoint in the folder `model` as `pruned` leaves it."""
    from lm_eval.models.huggingface import HFLM

    from workflow_scripts.engines.transformers_engine import load_pruned

    class Transformers(HFLM):
        """Sampling begins anew with every batch, so that a batch done again is the same."""

        def _model_call(self, inps: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
            self.cache_hook.flush()
            return super()._model_call(inps, *given, **named)

        def _model_generate(self, context: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
            self.cache_hook.flush()
            torch.manual_seed(int(value_digest(context.tolist())[:8], 16))
            return super()._model_generate(context, *given, **named)

        def end_thinking_at(self, end: str | None) -> None:
            """As an id: the text that is searched has no special tokens."""
            self.think_end_token = end and self.tokenizer.convert_tokens_to_ids(end)

    torch.set_num_threads(settings.threads)
    tokenizer, routing = load_tokenizer(model), pruned.record.routing
    # what runs of a row by its own largest numbers must not be padded to the length of another
    alone = routing is not None and not routing.is_causal
    return Transformers(
        pretrained=load_pruned(model, pruned, settings),
        tokenizer=tokenizer,
        batch_size=1 if alone else settings.batch_size,
        max_length=max_length,
    )


def start_vllm(
    model: Path, pruned: Pruned, settings: EngineSettings, max_length: int | None
) -> TemplateLM:
    """The harness's `vllm`, whose workers prune each tensor of the checkpoint as they read it."""
    from workflow_scripts.engines.vllm_engine import least_cache_bytes, options_of, prepare

    prepare(settings)

    with _vllm_by_any_name():
        from lm_eval.models.vllm_causallms import VLLM

    from workflow_scripts.engines.vllm_workers import pruning_arguments

    class Vllm(VLLM):
        def _model_generate(self, *given: Any, **named: Any) -> Any:
            self.cache_hook.flush()
            return super()._model_generate(*given, **named)

        def end_thinking_at(self, end: str | None) -> None:
            self.think_end_token = end

    arguments = {
        "dtype": settings.dtype,
        "max_model_len": max_length,
        "tensor_parallel_size": settings.tensor_parallel,
        "seed": 0,
        "generation_config": "vllm",  # no defaults of the model's: requests say everything
        "use_tqdm_on_load": False,
        **pruning_arguments(open_checkpoint(model), pruned),
        **options_of(settings),
    }
    if settings.device == "cpu":
        arguments.setdefault("kv_cache_memory_bytes", least_cache_bytes(model, arguments))
    return Vllm(
        pretrained=str(model),
        batch_size=settings.batch_size,
        **arguments,
    )


@contextmanager
def _vllm_by_any_name() -> Iterator[None]:
    """Where the harness asks for the version of vllm, whose build for CPUs is called otherwise."""
    versions = metadata.version

    def version(name: str) -> str:
        try:
            return versions(name)
        except metadata.PackageNotFoundError:
            return versions(f"{name}-cpu") + "+cpu"  # vLLM's own mark, which it looks for

    metadata.version = version
    try:
        yield
    finally:
        metadata.version = versions


STARTS: dict[str, Start] = {"transformers": start_transformers, "vllm": start_vllm}
