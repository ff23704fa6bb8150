"""Gradients of single samples, against autograd in float64 on the whole model, and their memory."""

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tests.download.fetching import fetch_model
from tests.models.tiny_models import ARCHITECTURES, load_model, token_ids
from workflow_scripts.calibration.influence import HESSIANS, identity_influence
from workflow_scripts.errors import InputError
from workflow_scripts.models import sample_gradients
from workflow_scripts.models.checkpoints import Linear, linears, open_checkpoint
from workflow_scripts.models.manifests import MANIFEST
from workflow_scripts.models.sample_gradients import Sample, SampleGradients, shapes


def samples(count: int, seed: int = 0, length: int = 14) -> list[Sample]:
    """Random samples of different lengths and prompts of different lengths."""
    rows = token_ids(count, length, seed).tolist()
    return [
        Sample(f"row {i}", tuple(row[: length - i % 4]), 1 + (3 * i) % 9)
        for i, row in enumerate(rows)
    ]


def load_double(folder: Path) -> PreTrainedModel:
    """The whole model in float64, norms included, which transformers computes in fp32."""
    model = load_model(folder, torch.float64)
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = functools.partial(_norm, module)
    return model


def _norm(module: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    mean_square = hidden.square().mean(-1, keepdim=True)
    return module.weight * hidden / (mean_square + module.variance_epsilon).sqrt()


def reference_loss(model: PreTrainedModel, sample: Sample) -> torch.Tensor:
    """Token by token, from the logits of the whole sequence."""
    logits = model(torch.tensor([sample.tokens])).logits[0]
    losses = []
    for place in range(sample.prompt, len(sample.tokens)):
        losses.append(-logits[place - 1].log_softmax(0)[sample.tokens[place]])
    return sum(losses) / len(losses)


def reference_gradients(
    model: PreTrainedModel, sample: Sample, found: tuple[Linear, ...]
) -> dict[str, torch.Tensor]:
    weights = [model.get_parameter(linear.name) for linear in found]
    gradients = torch.autograd.grad(reference_loss(model, sample), weights)
    return {linear.name: g for linear, g in zip(found, gradients, strict=True)}


def gradients_of(folder: Path) -> tuple[SampleGradients, tuple[Linear, ...]]:
    checkpoint = open_checkpoint(folder)
    found = linears(checkpoint)
    return SampleGradients(sample_gradients.load_model(checkpoint), found), found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tied", [False, True])
def test_gradients_are_autograd_s_in_float64(
    tiny_model: Callable[..., Path], architecture: str, tied: bool
) -> None:
    """As near to them as fp32 comes, which is what the whole model in fp32 shows."""
    folder = tiny_model(architecture, tied=tied)
    gradients, found = gradients_of(folder)
    model, single = load_double(folder), load_model(folder)
    for sample in samples(6):
        expected = reference_gradients(model, sample, found)
        rounded = reference_gradients(single, sample, found)
        seen: dict[str, torch.Tensor] = {}

        def keep(name: str, gradient: torch.Tensor, seen: dict = seen) -> None:
            assert name not in seen
            seen[name] = gradient.clone()

        gradients(sample, keep)
        assert set(seen) == set(expected)
        for name, gradient in seen.items():
            assert gradient.dtype == torch.float32
            error = (gradient - expected[name]).norm() / expected[name].norm()
            error_of_fp32 = (rounded[name] - expected[name]).norm() / expected[name].norm()
            assert error <= 1.5 * error_of_fp32 + 1e-7 < 1e-4


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("hessian", sorted(HESSIANS))
def test_influence_is_that_of_loops_in_float64(
    tiny_model: Callable[..., Path], architecture: str, hessian: str
) -> None:
    """All gradients held at once, every product a loop over linears and samples."""
    folder = tiny_model(architecture)
    gradients, found = gradients_of(folder)
    train, validation = samples(5, 1), samples(3, 2)
    influence = HESSIANS[hessian](train, validation, gradients, shapes(found))
    model = load_double(folder)
    of_train = [reference_gradients(model, sample, found) for sample in train]
    of_validation = [reference_gradients(model, sample, found) for sample in validation]
    for linear in found:
        g = [sample[linear.name].flatten() for sample in of_train]
        v = sum(sample[linear.name].flatten() for sample in of_validation) / 3
        scale = v.norm() * max(one.norm() for one in g)
        if hessian == "identity":
            expected = [v @ one for one in g]
        else:
            damping = sum(one.square().mean() for one in g) / 5 / 10
            scale /= damping
            eye = torch.eye(len(v), dtype=torch.float64)
            inverse = sum(torch.linalg.inv(damping * eye + one.outer(one)) for one in g)
            expected = [v @ inverse @ one / 5 for one in g]
        assert max(map(abs, expected)) > 0.01 * scale
        torch.testing.assert_close(
            influence[linear.name], torch.stack(expected), rtol=0, atol=1e-5 * float(scale)
        )


def test_a_step_on_a_helpful_sample_lowers_the_validation_loss(
    tiny_model: Callable[..., Path],
) -> None:
    """What the sign means: the loss falls by step x influence, and rises where that is negative."""
    folder = tiny_model("qwen3")
    gradients, found = gradients_of(folder)
    train, validation = samples(6, 3), samples(2, 4)
    influence = identity_influence(train, validation, gradients, shapes(found))
    totals = [float(sum(influence[linear.name][i] for linear in found)) for i in range(6)]
    assert min(totals) < 0 < max(totals)
    model, step = load_double(folder), 1e-7

    def validation_loss() -> float:
        with torch.no_grad():
            return float(sum(reference_loss(model, sample) for sample in validation) / 2)

    before = validation_loss()
    for sample, total in zip(train, totals, strict=True):
        moved = reference_gradients(model, sample, found)
        with torch.no_grad():
            for name, gradient in moved.items():
                model.get_parameter(name).sub_(gradient, alpha=step)
            fall = (before - validation_loss()) / step
            for name, gradient in moved.items():
                model.get_parameter(name).add_(gradient, alpha=step)
        assert fall == pytest.approx(total, rel=1e-3)


def test_the_prompt_s_own_tokens_are_not_predicted(tiny_model: Callable[..., Path]) -> None:
    """Losses of longer prompts differ by the tokens that are no longer predicted, no more."""
    gradients, _ = gradients_of(tiny_model())
    model, tokens = gradients._model, samples(1)[0].tokens

    def total(prompt: int) -> float:
        loss = sample_gradients.completion_loss(model, Sample("", tokens, prompt))
        return float(loss) * (len(tokens) - prompt)

    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].log_softmax(1)
        for prompt in range(1, len(tokens) - 1):
            of_one = -float(logits[prompt - 1, tokens[prompt]])
            assert total(prompt) - total(prompt + 1) == pytest.approx(of_one, abs=1e-4)


class LiveGradients(TorchDispatchMode):
    """Counts the storages alive at once that are as large as a linear's weight or larger."""

    def __init__(self, least: int, known: list[torch.Tensor]) -> None:
        super().__init__()
        self._least = least
        self._known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self._alive: dict[int, StorageWeakRef] = {}
        self.most = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage.nbytes() >= self._least and storage.data_ptr() not in self._known:
                    self._alive[storage.data_ptr()] = StorageWeakRef(storage)
        alive = {key: ref for key, ref in self._alive.items() if not ref.expired()}
        self._alive = alive
        self.most = max(self.most, len(alive))
        return result


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_there_is_never_more_than_one_gradient(tmp_path: Path, architecture: str) -> None:
    """Weights of 64 x 64 and more, activations of 5 tokens: what is large is a gradient.

    The embedding and the head are large as well, and must have none.
    """
    config = AutoConfig.for_model(
        architecture, vocab_size=70, hidden_size=64, intermediate_size=80, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=32, head_dim=16,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    gradients, found = gradients_of(tmp_path)
    sample = Sample("", (1, 2, 3, 4, 5), 2)
    seen = []
    with LiveGradients(64 * 64 * 4, list(gradients._model.parameters())) as live:
        gradients(sample, lambda name, gradient: seen.append(name))
    assert sorted(seen) == sorted(linear.name for linear in found)
    assert live.most == 1
    held = []
    with LiveGradients(64 * 64 * 4, list(gradients._model.parameters())) as live:
        gradients(sample, lambda name, gradient: held.append(gradient))
    assert live.most == len(found)  # the counter does count


def test_blocks_do_not_keep_their_activations(tmp_path: Path) -> None:
    """What a forward pass leaves behind for the backward one is the input of every block."""
    config = AutoConfig.for_model(
        "llama", vocab_size=12, hidden_size=16, intermediate_size=512, num_hidden_layers=6,
        num_attention_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    gradients, _ = gradients_of(tmp_path)
    sample = Sample("", tuple(i % 12 for i in range(64)), 2)
    wide = 64 * 512 * 4  # bytes of one activation of the MLP, the weights' gradients are smaller
    with LiveGradients(wide, list(gradients._model.parameters())) as live:
        sample_gradients.completion_loss(gradients._model, sample)
    one_block = live.most
    with LiveGradients(wide, list(gradients._model.parameters())) as live:
        gradients(sample, lambda name, gradient: None)
    assert one_block <= live.most <= 2 * one_block < 6 * 3  # 6 blocks keep 3 or more each


def test_a_loss_that_is_not_a_number_names_the_sample(tiny_model: Callable[..., Path]) -> None:
    gradients, found = gradients_of(tiny_model())
    with torch.no_grad():
        gradients._model.get_input_embeddings().weight[7] = torch.inf
    gradients(Sample("rows.jsonl:3", (4, 5, 6), 1), lambda name, gradient: None)
    with pytest.raises(InputError) as error:
        gradients(Sample("rows.jsonl:8", (4, 7, 6), 1), lambda name, gradient: None)
    assert str(error.value) == "rows.jsonl:8: the model's loss on it is nan"


def test_a_gradient_that_is_not_finite_names_the_sample_and_the_linear(
    tiny_model: Callable[..., Path],
) -> None:
    gradients, found = gradients_of(tiny_model())
    name = "model.layers.1.mlp.down_proj.weight"
    handle = gradients._model.get_parameter(name).register_hook(lambda g: g * torch.inf)
    with pytest.raises(InputError) as error:
        gradients(Sample("rows.jsonl:8", (4, 7, 6), 1), lambda name, gradient: None)
    assert str(error.value) == f"rows.jsonl:8: the gradient of {name} is NaN or infinite"
    handle.remove()
    gradients(Sample("rows.jsonl:8", (4, 7, 6), 1), lambda name, gradient: None)


def test_a_linear_that_takes_no_part_is_an_error(tiny_model: Callable[..., Path]) -> None:
    gradients, found = gradients_of(tiny_model())
    model = gradients._model
    model.model.layers[1].mlp.forward = lambda hidden: hidden
    with pytest.raises(ValueError, match="not every linear had one gradient"):
        gradients(samples(1)[0], lambda name, gradient: None)


def test_weights_that_have_changed_since_they_were_fetched_are_refused(tmp_path: Path) -> None:
    fetch_model({"kind": "bundled", "name": "reasoner"}, tmp_path / "model" / MANIFEST)
    checkpoint = open_checkpoint(tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        sample_gradients.load_model(checkpoint)
    assert str(error.value).startswith(f"{path}: ")


def test_a_model_that_the_weights_do_not_fill_is_refused(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(tiny_model("qwen3"), tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    for change, wrong in (
        ({"attention_bias": True}, ": model.layers.0.self_attn.k_proj.bias is missing"),
        ({"head_dim": 4}, "/model.safetensors: model.layers.0.self_attn.k_norm.weight is of shape"),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(InputError) as error:
            sample_gradients.load_model(open_checkpoint(folder))
        assert str(error.value).startswith(f"{folder}{wrong}")
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": "wide"}))
    with pytest.raises(InputError, match="config.json: transformers cannot read it"):
        sample_gradients.load_model(open_checkpoint(folder))
