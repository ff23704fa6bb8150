"""The vLLM engine: continuous batching and paged attention, in this process.

Requests go in and come out as token ids. vLLM's engine core runs in this process where one GPU or a
CPU does the work, so that a killed job leaves nothing behind; the workers of several GPUs watch it
and end soon after it. An answer whose trace is still in the cache starts from it.

What holds about reproducibility: every request draws from a random stream of its own (on a CPU by
the lower 32 bits of its seed), so the same request gives the same tokens where the logits are the
same. They need not be: vLLM's kernels may sum in another order for another batch, and a prompt that
is found in the cache was rounded as it was decoded. So a completion may depend on what else was
decoded beside it, and the store keeps what it has. Measured on a CPU with AVX-512, greedy and
sampled, for batches of 1, 5 or 7 and 24 or 32, in both orders, with and without the prefix cache:
all tokens alike in float32; in bfloat16 a batch of one changed 5 of 24 completions. On GPUs
`batch_invariant` takes vLLM's mode in which the batch does not count.
"""

import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.pruned_checkpoints import exported_config
from workflow_scripts.engines.interface import Completion, EngineSettings, Request
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import EMBEDDING, Checkpoint, open_checkpoint

NAN_LOGITS = "NaNs detected in logits"  # how vLLM's error starts
CPU_BLOCK = 128  # tokens in a block of the cache on a CPU, vLLM's own choice


class VllmEngine:
    """Decodes requests with the checkpoint in the folder `model` as `pruned` leaves it.

    `vocabulary` is the number of ids the tokenizer has; no other is ever drawn. `longest` is the
    most tokens that prompt and completion of a request may come to. At most `settings.batch_size`
    requests are handed to vLLM at a time, or as many as it would ever decode together; what does
    not fit into its cache waits there. Those with the longest prompts go first: an answer starts
    while the cache still holds its trace.
    """

    def __init__(
        self, model: Path, pruned: Pruned, settings: EngineSettings, vocabulary: int, longest: int
    ) -> None:
        prepare(settings)

        from workflow_scripts.models.architectures import empty_model

        empty_model(open_checkpoint(model))  # vLLM would start with weights that are not there

        from vllm import LLMEngine
        from vllm.usage.usage_lib import UsageContext

        many = UsageContext.LLM_CLASS  # vLLM's choices for many prompts at once
        arguments = engine_arguments(model, pruned, settings, vocabulary, longest)
        try:
            config = arguments.create_engine_config(many)
            if settings.device == "cpu" and config.cache_config.kv_cache_memory_bytes is None:
                config.cache_config.kv_cache_memory_bytes = cache_bytes(
                    config, settings.batch_size, longest
                )
            self._engine = LLMEngine.from_vllm_config(config, many, disable_log_stats=True)
        except ValueError as error:  # a model that it does not know, a GPU that is too small
            said = " ".join(str(error).split())
            raise InputError(f"generation.engine: vllm cannot run this model: {said}") from None
        self._batch_size = config.scheduler_config.max_num_seqs
        self._names = count()
        self._model, self._steps = model, 0
        self._fixed = fixed_at_start(open_checkpoint(model), pruned)

    def load(self, pruned: Pruned) -> bool:
        """Go on with another variant of the model; False, and nothing changes, where vLLM cannot.

        Keys and values in the cache are the last variant's, and go.
        """
        if fixed_at_start(open_checkpoint(self._model), pruned) != self._fixed:
            return False
        self._engine.collective_rpc("load_variant", args=(pruned,))
        if not self._engine.reset_prefix_cache():
            raise RuntimeError("vLLM's cache still holds what another variant computed")
        self._steps = 0
        return True

    def close(self) -> None:
        """End vLLM, and free what it holds, so that another can start in this process."""
        from vllm.distributed import cleanup_dist_env_and_memory

        self._engine.engine_core.shutdown()
        del self._engine
        cleanup_dist_env_and_memory()

    def generate(self, queue: deque[Request]) -> Iterator[tuple[Request, Completion]]:
        """Yield every request of the queue with its completion; see `interface.py`."""
        from vllm.inputs import tokens_input

        running: dict[str, Request] = {}
        try:
            while queue or running:
                while queue and len(running) < self._batch_size:
                    request, name = queue.popleft(), str(next(self._names))
                    prompt = tokens_input(list(request.prompt))
                    first = -len(request.prompt)
                    self._engine.add_request(name, prompt, parameters(request), priority=first)
                    running[name] = request
                for output in self._step():
                    if output.finished:
                        yield running.pop(output.request_id), _completion(output.outputs[0])
        finally:
            self._engine.abort_request(list(running))

    def _step(self) -> list[Any]:
        self._steps += 1
        try:
            return self._engine.step()
        except RuntimeError as error:
            if NAN_LOGITS not in str(error):
                raise
            raise InputError(
                f"{self._model}: logits are not finite at step {self._steps} of vLLM: the pruned "
                "model overflows in its dtype; set generation.dtype to a wider type"
            ) from None


def prepare(settings: EngineSettings) -> None:
    """Set what vLLM reads from the environment; has to come before vLLM is imported.

    Nothing is reported to anybody, no plugin is loaded, and only warnings are logged.
    """
    import torch

    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine core in this process
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork would share this process's files
        "VLLM_BATCH_INVARIANT": str(int(settings.batch_invariant)),
        "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",  # yarn: `longest` is checked before
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # jobs side by side would be bound to the same cores
        "VLLM_NO_USAGE_STATS": "1",
        # an error where logits are NaN, which all that overflows ends in; nothing waits for it
        "VLLM_RAISE_ON_LOGIT_NANS": "1",
        "VLLM_PLUGINS": "",
        "OMP_NUM_THREADS": str(settings.threads),
    }
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    if "vllm" not in sys.modules:  # its workers refuse later changes
        torch.set_num_threads(settings.threads)


def engine_arguments(
    model: Path, pruned: Pruned, settings: EngineSettings, vocabulary: int, longest: int
) -> Any:
    """vLLM's arguments; `engine_options` go over what is chosen here for speed and memory."""
    from vllm import EngineArgs

    from workflow_scripts.engines import vllm_workers

    return EngineArgs(
        model=str(model),
        dtype=settings.dtype,
        max_model_len=longest,
        max_num_seqs=None if settings.batch_size == "auto" else settings.batch_size,
        scheduling_policy="priority",
        tensor_parallel_size=settings.tensor_parallel,
        skip_tokenizer_init=True,
        trust_remote_code=False,
        generation_config="vllm",  # no defaults of the model's: requests say everything
        use_tqdm_on_load=False,
        disable_log_stats=True,
        seed=0,
        **vllm_workers.tokenizer_arguments(vocabulary),
        **vllm_workers.pruning_arguments(open_checkpoint(model), pruned),
        **options_of(settings),
    )


def options_of(settings: EngineSettings) -> dict[str, Any]:
    """What is chosen for speed and memory, and over it what `engine_options` say."""
    chosen = {"enforce_eager": settings.device == "cpu", "enable_prefix_caching": True}
    return {**chosen, **settings.engine_options}


def fixed_at_start(checkpoint: Checkpoint, pruned: Pruned) -> tuple[Any, ...]:
    """What no running vLLM changes: the config, which says how many blocks and which biases there
    are, and the embedding, of which a head that is tied to it may hold a packed copy.
    """
    return exported_config(checkpoint, pruned), pruned.record.weights.get(EMBEDDING)


def cache_bytes(config: Any, requests: int, longest: int) -> int:
    """What the keys and values of that many requests take at most, in whole blocks."""
    model = config.model_config
    heads = model.get_num_kv_heads(config.parallel_config)
    layers = model.get_num_layers(config.parallel_config)
    token = 2 * layers * heads * model.get_head_size() * model.dtype.itemsize
    blocks = requests * -(-longest // CPU_BLOCK) + 1  # vLLM keeps an empty one
    return blocks * CPU_BLOCK * token


def least_cache_bytes(model: Path, arguments: Mapping[str, Any]) -> int:
    """What a cache takes that holds the model's longest sequence, at least 1 GiB; on a CPU."""
    from vllm import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    config = EngineArgs(str(model), **arguments).create_engine_config(UsageContext.LLM_CLASS)
    return max(1 << 30, cache_bytes(config, 1, config.model_config.max_model_len))


def parameters(request: Request) -> Any:
    """vLLM's sampling parameters of a request.

    `ignore_eos` leaves `stop` alone to end it, and not whatever the model's files call an end.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=request.sampling.temperature,
        top_p=request.sampling.top_p,
        top_k=request.sampling.top_k,
        seed=request.seed,
        max_tokens=request.max_tokens,
        stop_token_ids=list(request.stop),
        ignore_eos=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _completion(output: Any) -> Completion:
    """vLLM counts the stop token to the tokens, where one ended them."""
    tokens = tuple(output.token_ids)
    if output.finish_reason == "length":
        return Completion(tokens, None)
    assert output.finish_reason == "stop" and output.stop_reason == tokens[-1], output
    return Completion(tokens[:-1], output.stop_reason)
