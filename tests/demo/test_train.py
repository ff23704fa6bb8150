"""Training the demo's models: what it learns from, that it learns, and what it saves."""

import json
import random

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from workflow_scripts.demo import train as train_module
from workflow_scripts.demo.chains import KINDS, Example, training_example
from workflow_scripts.demo.tokenizer import build_tokenizer
from workflow_scripts.demo.train import (
    IGNORED,
    PEAK_LEARNING_RATE,
    batch_tensors,
    build_model,
    learning_rate,
    main,
    save,
    train,
)
from workflow_scripts.jobs.stage import run_stage


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


def labelled(tokenizer, labels):
    return tokenizer.decode([i for i in labels.tolist() if i != IGNORED])


def test_loss_is_on_what_the_model_says(tokenizer):
    whole = Example("7*2=?", "7*2=4;", "4", cut=False)
    ids, labels = batch_tensors(tokenizer, [whole])
    text = "<|user|>7*2=?<|end|><|assistant|><think>7*2=4;</think>4<|end|>"
    assert tokenizer.decode(ids[0]) == text
    assert labelled(tokenizer, labels[0]) == "<think>7*2=4;</think>4<|end|>"
    assert torch.equal(labels[0][labels[0] != IGNORED], ids[0][labels[0] != IGNORED])


def test_no_loss_on_the_delimiter_that_cuts_a_trace_nor_on_padding(tokenizer):
    cut = Example("7*2=?", "7*", "4", cut=True)
    whole = Example("7*2=?", "7*2=4;", "4", cut=False)
    ids, labels = batch_tensors(tokenizer, [cut, whole])
    assert labelled(tokenizer, labels[0]) == "<think>7*4<|end|>"
    assert tokenizer.decode(ids[0]).endswith("<think>7*</think>4<|end|>" + "<|pad|>" * 4)
    assert (labels[0][-4:] == IGNORED).all()


def test_padding_does_not_change_the_logits(tokenizer):
    rng = random.Random(0)
    examples = [training_example(rng) for _ in range(4)]
    model = build_model(tokenizer, 0).eval()
    ids, _ = batch_tensors(tokenizer, examples)
    with torch.no_grad():
        together = model(input_ids=ids, use_cache=False).logits
        for row, example in enumerate(examples):
            alone, _ = batch_tensors(tokenizer, [example])
            expected = model(input_ids=alone, use_cache=False).logits[0]
            torch.testing.assert_close(together[row, : alone.shape[1]], expected)


def test_learning_rate_warms_up_and_falls_to_nothing():
    rates = [learning_rate(step, 500) for step in range(500)]
    assert max(rates) == rates[49] == rates[50] == PEAK_LEARNING_RATE
    assert rates[:50] == sorted(rates[:50])
    assert rates[50:] == sorted(rates[50:], reverse=True)
    assert 0 < rates[-1] < 1e-3 * PEAK_LEARNING_RATE
    assert learning_rate(0, 1) == PEAK_LEARNING_RATE


def test_a_few_steps_reduce_the_loss_and_repeat_exactly(tokenizer):
    model, losses = train(tokenizer, "reasoner", steps=8, batch_size=8, seed=0)
    again, same = train(tokenizer, "reasoner", steps=8, batch_size=8, seed=0)
    _, other = train(tokenizer, "reasoner", steps=1, batch_size=8, seed=1)
    assert losses[-1] < losses[0] - 0.3
    assert losses == same and other[0] != losses[0]
    for (name, weight), copy in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(weight, copy), name


def test_both_models_begin_alike_and_meet_the_same_problems(tokenizer, monkeypatch):
    starts, met = [], []

    def begun(tokenizer, seed):
        model = build_model(tokenizer, seed)
        starts.append([weight.detach().clone() for weight in model.parameters()])
        return model

    def seen(tokenizer, examples):
        met[-1] += examples
        return batch_tensors(tokenizer, examples)

    monkeypatch.setattr(train_module, "build_model", begun)
    monkeypatch.setattr(train_module, "batch_tensors", seen)
    for kind in ("reasoner", "answerer"):
        met.append([])
        train(tokenizer, kind, steps=3, batch_size=4, seed=5)
    assert all(map(torch.equal, *starts))
    worked, answered = met
    assert len(worked) == len(answered) == 12
    for one, other in zip(worked, answered, strict=True):
        assert (one.question, one.answer) == (other.question, other.answer)
    assert any(e.trace for e in worked) and not any(e.trace or e.cut for e in answered)


def test_the_answerer_learns_to_end_its_thinking_itself(tokenizer):
    cut = KINDS["answerer"](Example("7*2=?", "7*", "4", cut=True))
    _, labels = batch_tensors(tokenizer, [cut])
    assert labelled(tokenizer, labels[0]) == "<think></think>4<|end|>"


def test_saved_folder_is_an_ordinary_model_with_the_same_bytes_each_time(tokenizer, tmp_path):
    for folder in (tmp_path / "first", tmp_path / "second"):
        save(build_model(tokenizer, 7), tokenizer, folder)
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "second").iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} < set(names)
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
        assert b"transformers_version" not in (tmp_path / "first" / name).read_bytes()
    assert json.loads((tmp_path / "first" / "config.json").read_text())["dtype"] == "bfloat16"
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "first", dtype=torch.float32)
    for name, weight in build_model(tokenizer, 7).named_parameters():
        assert torch.equal(model.get_parameter(name), weight.to(torch.bfloat16).float()), name
    assert len(AutoTokenizer.from_pretrained(tmp_path / "first")) == model.config.vocab_size


@pytest.fixture
def stage(monkeypatch):
    def run(*flags):
        monkeypatch.setattr("sys.argv", ["train", *map(str, flags)])
        run_stage(main)

    return run


def test_stage_shows_progress_and_writes_the_folder(stage, tmp_path, capsys):
    output = tmp_path / "answerer"
    stage("--kind", "answerer", "--output", output, "--steps", "2", "--batch-size", "2")
    said = capsys.readouterr().err
    assert "step 2/2  loss " in said and " left" in said
    assert (output / "model.safetensors").exists()


def test_stage_refuses_to_train_without_steps(stage, tmp_path, capsys):
    with pytest.raises(SystemExit, match="1"):
        stage("--kind", "reasoner", "--output", tmp_path / "reasoner", "--steps", "0")
    assert capsys.readouterr().err == "error: --steps: 0 is too few; give 1 or more\n"
    assert not (tmp_path / "reasoner").exists()
