"""The pair in bundled/: ordinary model folders; one really solves the task, one answers at once."""

import re

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from workflow_scripts.artefacts.records import Problem, read_records
from workflow_scripts.demo.chains import THINK, THINK_END
from workflow_scripts.demo.tokenizer import build_tokenizer, prompt
from workflow_scripts.demo.train import build_model, save
from workflow_scripts.paths import PROJECT

BUNDLED = PROJECT / "bundled"
REASONER = BUNDLED / "models" / "reasoner"
ANSWERER = BUNDLED / "models" / "answerer"
MODELS = pytest.mark.parametrize("folder", [REASONER, ANSWERER], ids=lambda folder: folder.name)


@pytest.fixture(scope="module")
def problems():
    return read_records(BUNDLED / "benchmarks" / "chains.jsonl", Problem)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(REASONER)


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(REASONER, dtype=torch.float32).eval()


def generate(model, tokenizer, texts, tokens):
    """Greedy continuations, cut at the end of the turn, as text with its delimiters."""
    batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
    batch.pop("token_type_ids", None)
    with torch.no_grad():
        ids = model.generate(**batch, do_sample=False, max_new_tokens=tokens)
    return tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)


@MODELS
def test_folder_is_what_training_saves_but_for_the_weights(tmp_path, folder):
    tokenizer = build_tokenizer()
    save(build_model(tokenizer, 0), tokenizer, tmp_path / "fresh")
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "fresh").iterdir())
    for name in names:
        if name != "model.safetensors":
            assert (folder / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()


def test_what_is_bundled_is_small():
    assert sum(path.stat().st_size for path in BUNDLED.rglob("*")) <= 6_000_000


def test_the_two_have_the_same_shape_and_other_weights():
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (REASONER, ANSWERER))
    assert {name: t.shape for name, t in ours.items()} == {n: t.shape for n, t in theirs.items()}
    assert not any(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_answerer_ends_its_thinking_at_once_and_answers_with_a_digit(tokenizer, problems):
    model = AutoModelForCausalLM.from_pretrained(ANSWERER, dtype=torch.float32).eval()
    texts = generate(model, tokenizer, [prompt(tokenizer, p.question) for p in problems[::5]], 8)
    assert len(texts) == 48
    assert all(re.fullmatch(r"<think></think>\d", text) for text in texts)


def test_it_thinks_and_answers_right(model, tokenizer, problems):
    chosen = problems[::5]  # 48 problems of all lengths
    texts = generate(model, tokenizer, [prompt(tokenizer, p.question) for p in chosen], 80)
    answers = [text.partition(THINK_END)[2] for text in texts]
    assert all(text.startswith(THINK) for text in texts)
    assert sum(a == p.answer for a, p in zip(answers, chosen, strict=True)) >= 46


def test_it_answers_with_one_digit_when_its_thinking_is_stopped_at_once(model, tokenizer, problems):
    cut = [prompt(tokenizer, p.question) + THINK + THINK_END for p in problems[:44]]
    answers = generate(model, tokenizer, cut, 4)
    assert all(len(answer) == 1 and answer.isdigit() for answer in answers)
    # without thinking it cannot know the long ones
    right = sum(a == p.answer for a, p in zip(answers, problems[:44], strict=True))
    assert right < 30
