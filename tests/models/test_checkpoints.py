import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.models.tiny_models import ARCHITECTURES, LINEARS_PER_BLOCK, load_model, write_manifest
from workflow_scripts.errors import InputError
from workflow_scripts.models import checkpoints
from workflow_scripts.models.supported import REFUSED
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor, save_tensors

INDEX = "model.safetensors.index.json"


@pytest.fixture
def copied(tmp_path: Path, tiny_model: Callable[..., Path]) -> Callable[..., Path]:
    """A tiny model that a test may damage."""
    return lambda *names, **options: Path(
        shutil.copytree(tiny_model(*names, **options), tmp_path / "model")
    )


def refused(folder: Path) -> str:
    """The one line with which opening a checkpoint and looking for its linears is refused."""
    with pytest.raises(InputError) as error:
        checkpoints.linears(checkpoints.open_checkpoint(folder))
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(str(folder)).lstrip("/")


def rewrite(path: Path, change: Callable[[dict], None]) -> None:
    """Change the tensors of a safetensors file."""
    file = open_tensors(path)
    tensors = {name: read_tensor(file, name) for name in file.entries}
    change(tensors)
    save_tensors(path, tensors, file.metadata)
    write_manifest(path.parent)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("sharded", [False, True])
def test_a_checkpoint_holds_what_the_model_holds(
    tiny_model: Callable[..., Path], architecture: str, sharded: bool
) -> None:
    folder = tiny_model(architecture, sharded=sharded)
    checkpoint = checkpoints.open_checkpoint(folder)
    assert (len(checkpoint.shards) > 1) == sharded
    parameters = dict(load_model(folder).named_parameters())
    assert set(checkpoint.files) == set(parameters)
    for name, parameter in parameters.items():
        assert checkpoint.shapes[name] == parameter.shape
        assert torch.equal(checkpoints.load_tensor(checkpoint, name), parameter)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_linears_are_the_linear_modules_of_the_blocks(
    tiny_model: Callable[..., Path], architecture: str
) -> None:
    folder = tiny_model(architecture)
    linears = checkpoints.linears(checkpoints.open_checkpoint(folder))
    expected = {
        f"{name}.weight": module.weight.shape
        for name, module in load_model(folder).model.named_modules(prefix="model")
        if isinstance(module, torch.nn.Linear)
    }
    assert {linear.name: linear.shape for linear in linears} == expected
    assert len(linears) == 3 * LINEARS_PER_BLOCK
    assert [linear.role for linear in linears[:7]] == ["q", "k", "v", "o", "gate", "up", "down"]
    assert [linear.part for linear in linears[:7]] == 4 * ["attention"] + 3 * ["mlp"]
    assert [linear.block for linear in linears] == sorted(linear.block for linear in linears)


def test_a_block_is_loaded_with_all_its_tensors(tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("qwen2", dtype=torch.bfloat16)
    checkpoint = checkpoints.open_checkpoint(folder)
    block = checkpoints.load_block(checkpoint, 1)
    parameters = dict(load_model(folder, torch.bfloat16).named_parameters())
    expected = {name for name in parameters if name.startswith("model.layers.1.")}
    assert set(block) == expected and "model.layers.1.self_attn.q_proj.bias" in expected
    for name, tensor in block.items():
        assert tensor.dtype == torch.bfloat16 and torch.equal(tensor, parameters[name])
    wide = checkpoints.load_block(checkpoint, 1, torch.float32)
    assert all(torch.equal(wide[name], block[name].float()) for name in expected)


def test_a_truncated_shard_is_one_clear_line(copied: Callable[..., Path]) -> None:
    folder = copied()
    path = folder / "model.safetensors"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size - 1000])
    assert refused(folder).startswith("model.safetensors: has changed since it was fetched: ")
    write_manifest(folder)  # as if that had been fetched
    line = refused(folder)
    assert line.startswith("model.safetensors: damaged, truncated or ")


def test_a_missing_shard_is_named(copied: Callable[..., Path]) -> None:
    folder = copied(sharded=True)
    shard = sorted(folder.glob("*.safetensors"))[1]
    shard.unlink()
    assert shard.name in refused(folder)


def test_a_model_that_was_not_fetched(copied: Callable[..., Path]) -> None:
    folder = copied()
    digest = json.loads((folder / "manifest.json").read_text())["digest"]
    assert checkpoints.model_digest(folder) == digest
    (folder / "manifest.json").unlink()
    with pytest.raises(InputError, match="manifest.json: missing: the model was not fetched$"):
        checkpoints.model_digest(folder)


@pytest.mark.parametrize("architecture", ["gpt2", "nemotron", "gpt_oss"])
def test_an_unknown_architecture_lists_what_was_looked_for(
    tmp_path: Path, architecture: str
) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    others = {} if architecture == "gpt2" else {"intermediate_size": 8, "num_key_value_heads": 1}
    config = AutoConfig.for_model(architecture, vocab_size=8, pad_token_id=0, **sizes, **others)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path)
    name, line = type(model).__name__, refused(tmp_path)
    assert f"architecture {name} is not supported: " in line
    assert f"is not supported: {REFUSED[architecture]}; " in line
    assert (
        "looked for model.embed_tokens.weight and, in each of num_hidden_layers blocks, "
        "model.layers.N.self_attn.{q,k,v,o}_proj.weight (or {qkv,o}) and "
        "model.layers.N.mlp.{gate,up,down}_proj.weight (or {gate_up,down}, or "
    ) in line


def test_a_block_that_lacks_a_linear_or_has_one_more(copied: Callable[..., Path]) -> None:
    folder = copied()
    weights = folder / "model.safetensors"
    name = "model.layers.2.mlp.up_proj.weight"
    rewrite(weights, lambda tensors: tensors.update(other=tensors.pop(name)))
    assert f"LlamaForCausalLM is not supported: {name} is missing; looked for" in refused(folder)
    router = "model.layers.0.mlp.router.weight"
    rewrite(
        weights,
        lambda tensors: tensors.update({name: tensors.pop("other"), router: torch.ones(2, 2)}),
    )
    assert f"{router} is another weight matrix; looked for" in refused(folder)


def test_a_checkpoint_with_more_blocks_than_its_config_says(copied: Callable[..., Path]) -> None:
    folder = copied()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    assert "config.json has 2 blocks, found model.layers.2." in refused(folder)


def test_quantised_weights_are_refused(copied: Callable[..., Path]) -> None:
    folder = copied()
    name = "model.layers.0.self_attn.q_proj.weight"
    rewrite(
        folder / "model.safetensors",
        lambda tensors: tensors.update({name: tensors[name].to(torch.int8)}),
    )
    expected = f"model.safetensors: {name} is I8; weights can be BF16, F16, F32, F64"
    assert refused(folder) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_that_are_not_finite_are_named(
    copied: Callable[..., Path], value: float, dtype: torch.dtype
) -> None:
    folder = copied(dtype=dtype)
    name = "model.layers.1.mlp.down_proj.weight"
    rewrite(folder / "model.safetensors", lambda tensors: tensors[name][3].fill_(value))
    checkpoint = checkpoints.open_checkpoint(folder)
    with pytest.raises(InputError, match=f"model.safetensors: {name} holds NaN or infinite values"):
        checkpoints.load_tensor(checkpoint, name)
    with pytest.raises(InputError, match=name):
        checkpoints.load_block(checkpoint, 1)
    assert checkpoints.load_rows(checkpoint, name, [0, 1]).isfinite().all()
    with pytest.raises(InputError, match=name):
        checkpoints.load_rows(checkpoint, name, [3])
