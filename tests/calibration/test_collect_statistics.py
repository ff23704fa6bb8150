import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.tiny_models import (
    ARCHITECTURES,
    load_model,
    save_calibration_set,
    save_statistics,
    token_ids,
    write_manifest,
)
from workflow_scripts.artefacts.statistics import Statistics, read_statistics
from workflow_scripts.calibration import collect_statistics
from workflow_scripts.calibration.collect_statistics import collect
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import file_digest
from workflow_scripts.models import blocks
from workflow_scripts.models.checkpoints import linears, model_digest, open_checkpoint
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor, save_tensors


def reference(
    folder: Path, input_ids: torch.Tensor, dtype: torch.dtype = torch.float64
) -> dict[str, np.ndarray | float | list]:
    """Sums and Block Influence, in float64, sample by sample, from the whole model in `dtype`."""
    model = load_model(folder, dtype)
    inputs: dict[str, list[np.ndarray]] = {}
    states: list[list[np.ndarray]] = []

    def note(name: str) -> Callable:
        return lambda module, arguments: inputs.setdefault(name, []).append(
            arguments[0].reshape(-1, arguments[0].shape[-1]).double().numpy()
        )

    for name, module in model.model.layers.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(note(f"model.layers.{name}.weight"))
    for layer in model.model.layers:
        layer.register_forward_hook(
            lambda layer, arguments, output: states[-1].append(
                (arguments[0].squeeze(0).double().numpy(), output.squeeze(0).double().numpy())
            )
        )
    with torch.no_grad():
        for sample in input_ids.long():
            states.append([])
            model(sample[None], use_cache=False)
    found: dict = {}
    for name, parts in inputs.items():
        tokens = np.concatenate(parts)
        found[name] = (len(tokens), tokens.sum(0), (tokens**2).sum(0))
    found["influence"] = []
    for block in range(len(model.model.layers)):
        cosines = []
        for sample in states:
            for before, after in zip(*sample[block], strict=True):
                lengths = np.sqrt(before @ before) * np.sqrt(after @ after)
                cosines.append(before @ after / lengths)
        found["influence"].append(1 - np.mean(cosines))
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("sharded", [False, True])
def test_statistics_are_those_of_the_whole_model_in_float64(
    tmp_path: Path, tiny_model: Callable[..., Path], architecture: str, sharded: bool
) -> None:
    folder, input_ids = tiny_model(architecture, sharded=sharded), token_ids(5, 12)
    path = save_statistics(tmp_path / "statistics.safetensors", folder, input_ids)
    found = linears(open_checkpoint(folder))
    statistics = read_statistics(path, found, model_digest(folder))
    expected = reference(folder, input_ids)
    assert set(expected) == {linear.name for linear in found} | {"influence"}
    for linear in found:
        tokens, total, squares = expected[linear.name]
        assert statistics.tokens[linear.name] == tokens == 60
        # fp32 activations: a few units in the last place of 24 bits, over three blocks
        np.testing.assert_allclose(statistics.sum_squares[linear.name], squares, rtol=2e-5)
        scale = np.sqrt(squares * tokens)
        error = np.abs(statistics.sums[linear.name].numpy() - total)
        assert (error <= 1e-5 * scale).all()
    np.testing.assert_allclose(statistics.block_influence, expected["influence"], atol=2e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_on_a_gpu_they_are_those_of_the_model_in_bf16(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Callable[..., Path], architecture: str
) -> None:
    """What differs on a GPU beside the kernels: bf16 blocks, and sums in fp32."""
    monkeypatch.setitem(blocks.DTYPES, "cpu", blocks.DTYPES["cuda"])
    folder, input_ids = tiny_model(architecture, dtype=torch.bfloat16), token_ids(5, 12)
    statistics = statistics_of(folder, input_ids, 1)
    expected = reference(folder, input_ids, torch.bfloat16)
    influence = expected.pop("influence")
    np.testing.assert_allclose(statistics.block_influence, influence, atol=2e-6)
    for name, (tokens, total, squares) in expected.items():
        assert statistics.tokens[name] == tokens == 60
        np.testing.assert_allclose(statistics.sum_squares[name], squares, rtol=1e-6)
        error = np.abs(statistics.sums[name].numpy() - total)
        assert (error <= 1e-6 * np.sqrt(squares * tokens)).all()


def test_the_last_block_has_an_influence_and_its_own(tiny_model: Callable[..., Path]) -> None:
    """Not one of the hidden state behind the final norm, which would turn it elsewhere."""
    folder, input_ids = tiny_model("llama"), token_ids(4, 9)
    model = load_model(folder)
    with torch.no_grad():
        states = model(input_ids.long(), output_hidden_states=True).hidden_states
    behind_norm = 1 - torch.cosine_similarity(states[-2], states[-1], dim=-1).mean()
    found = statistics_of(folder, input_ids, 2).block_influence
    assert found.shape == (3,)
    assert abs(found[-1] - behind_norm) > 0.01
    between = 1 - torch.cosine_similarity(states[1], states[2], dim=-1).mean()
    torch.testing.assert_close(found[1], between)


def statistics_of(folder: Path, input_ids: torch.Tensor, batch: int) -> Statistics:
    return collect(blocks.open_decoder(open_checkpoint(folder)), input_ids, batch)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_batch_does_not_matter(tiny_model: Callable[..., Path], architecture: str) -> None:
    folder, input_ids = tiny_model(architecture), token_ids(5, 12)
    alone = statistics_of(folder, input_ids, 1)
    for batch in (2, 5, 64):
        together = statistics_of(folder, input_ids, batch)
        assert together.tokens == alone.tokens
        torch.testing.assert_close(together.block_influence, alone.block_influence)
        for name, squares in alone.sum_squares.items():
            torch.testing.assert_close(together.sum_squares[name], squares)
            bound = 1e-5 * squares.sqrt().max().item()  # sums may cancel to nearly nothing
            sums = together.sums[name], alone.sums[name]
            torch.testing.assert_close(*sums, rtol=0, atol=bound)


def test_tokens_count_alike_however_they_are_cut(tiny_model: Callable[..., Path]) -> None:
    """Two copies of a sample weigh twice, so that no sample can weigh more than its tokens."""
    folder, input_ids = tiny_model("qwen3"), token_ids(2, 12)
    once = statistics_of(folder, input_ids, 1)
    more = statistics_of(folder, input_ids[[0, 1, 1]], 2)
    second = statistics_of(folder, input_ids[1:], 1)
    torch.testing.assert_close(
        more.block_influence, (2 * once.block_influence + second.block_influence) / 3
    )
    for name, squares in more.sum_squares.items():
        torch.testing.assert_close(squares, once.sum_squares[name] + second.sum_squares[name])


def test_equal_inputs_are_equal_bytes(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("qwen2")
    for name in "ab":
        (tmp_path / name).mkdir()
        save_statistics(tmp_path / name / "s.safetensors", folder, token_ids(3, 8))
    first, second = (tmp_path / name / "s.safetensors" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    calibration = tmp_path / "a" / "calibration.safetensors"
    assert open_tensors(first).metadata == {
        "model_digest": model_digest(folder),
        "calibration_digest": file_digest(calibration),
    }


def damaged(source: Path, folder: Path, name: str, change: Callable) -> Path:
    """A copy of a model with one tensor changed."""
    shutil.copytree(source, folder)
    path = folder / "model.safetensors"
    file = open_tensors(path)
    tensors = {key: read_tensor(file, key) for key in file.entries}
    change(tensors[name])
    save_tensors(path, tensors, file.metadata)
    write_manifest(folder)
    return folder


def refused(folder: Path, input_ids: torch.Tensor) -> str:
    with pytest.raises(InputError) as error:
        statistics_of(folder, input_ids, 2)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_weights_that_are_not_finite(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    name = "model.layers.1.self_attn.v_proj.weight"
    folder = damaged(tiny_model(), tmp_path / "m", name, lambda weight: weight[2].fill_(torch.nan))
    line = refused(folder, token_ids(3, 5))
    assert line == f"{folder / 'model.safetensors'}: {name} holds NaN or infinite values"


def test_activations_that_are_not_finite(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    folder = damaged(tiny_model(), tmp_path / "m", name, lambda weight: weight.fill_(3e38))
    line = refused(folder, token_ids(3, 5))
    assert line == (
        "block 1, sample 0, token 0: the hidden state is not finite or too large for fp32"
    )


def test_a_hidden_state_of_zero_has_no_direction(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = damaged(
        tiny_model("llama"), tmp_path / "m", "model.embed_tokens.weight", lambda w: w[7].zero_()
    )
    input_ids = torch.tensor([[1, 2, 3], [1, 2, 3], [4, 7, 7]], dtype=torch.int32)
    assert refused(folder, input_ids) == (
        "block 0, sample 2, token 1: the hidden state is zero, Block Influence is undefined"
    )
    assert statistics_of(folder, input_ids[:2], 2).block_influence.isfinite().all()


def run(folder: Path, calibration: Path, output: Path) -> list[str]:
    stage = ["--model", folder, "--calibration", calibration, "--output", output]
    return [str(part) for part in stage]


def test_a_truncated_model_ends_the_stage_with_one_line(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    calibration = save_calibration_set(tmp_path / "c.safetensors", folder, token_ids(2, 4))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    files = json.loads((folder / "manifest.json").read_text())["files"]
    command = [sys.executable, "-m", "workflow_scripts.calibration.collect_statistics"]
    ended = subprocess.run(
        command + run(folder, calibration, tmp_path / "s.safetensors"),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    expected = (
        f"error: {weights}: has changed since it was fetched: its sha256 is "
        f"{file_digest(weights)}, manifest.json says {files[weights.name]}; "
        f"delete it and {folder / 'manifest.json'} and "
        "start again, it is fetched again\n"
    )
    assert (ended.stdout, ended.stderr) == ("", expected)
    assert not (tmp_path / "s.safetensors").exists()


@pytest.mark.parametrize(
    ("input_ids", "digest", "message"),
    [
        (token_ids(2, 4), "other", "calibration set of another model (digest other, this model's"),
        (token_ids(2, 4).float(), None, "input_ids is not an int32 tensor of shape (samples, "),
        (token_ids(2, 4)[0], None, "input_ids is not an int32 tensor of shape (samples, length)"),
        (token_ids(2, 4)[:0], None, "input_ids is not an int32 tensor of shape (samples, length)"),
    ],
)
def test_calibration_sets_that_are_refused(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    input_ids: torch.Tensor,
    digest: str | None,
    message: str,
) -> None:
    folder, path = tiny_model(), tmp_path / "c.safetensors"
    save_tensors(path, {"input_ids": input_ids}, {"model_digest": digest or model_digest(folder)})
    with pytest.raises(InputError) as error:
        collect_statistics.main(run(folder, path, tmp_path / "s.safetensors"))
    assert str(error.value).startswith(f"{path}: {message}")
