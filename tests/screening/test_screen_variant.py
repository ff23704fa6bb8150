"""Screens against whole models of transformers, with softmax and logarithms in float64."""

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.artefacts.variants import on_disk, random_keeps
from tests.models.test_supported import saved
from tests.models.tiny_models import load_model, tiny_tokenizer, token_ids, write_manifest
from tests.recovery import recovering
from workflow_scripts.artefacts.masks import VariantFiles, read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export
from workflow_scripts.artefacts.records import TokenSequence, write_records
from workflow_scripts.artefacts.screens import Distance, Screen, read_screen
from workflow_scripts.errors import InputError
from workflow_scripts.models import blocks
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.token_kinds import TOKEN_KINDS, token_kinds
from workflow_scripts.screening import screen_variant

METHODS = ["wanda", "sparsegpt", "blocks", "flap", "llm-pruner", "slicegpt", "mod"]
ROUTERS = {key: recovering.LORA[key] for key in ("length", "steps", "batch", "learning_rate")}
ROUTERS |= {"kind": "routers", "validation": 8, "evaluate_every": 4}
# prompt, trace, what leads to the answer, answer
LENGTHS = [(3, 9, 2, 4), (5, 0, 1, 3), (2, 6, 3, 0), (4, 12, 0, 5)]


def sequences_of(
    lengths: Sequence[tuple[int, ...]] = LENGTHS, tokens: int = 45
) -> list[TokenSequence]:
    """Random ids below `tokens`, as many as the tiny tokenizer has; two repeats of a problem."""
    found = []
    for number, (prompt, trace, lead, answer) in enumerate(lengths):
        drawn = token_ids(1, prompt + trace + lead + answer, seed=number)
        (ids,) = drawn.remainder(tokens).tolist()
        found.append(TokenSequence(f"p{number}", 0, 99, ids, prompt, trace, answer))
        found.append(TokenSequence(f"p{number}", 1, 99, ids[::-1], prompt, trace, answer))
    return found


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    path = tmp_path / "traces.jsonl"
    write_records(path, sequences_of())
    return path


def flags(model: Path, files: VariantFiles, traces: Path, output: Path, problems: int) -> list[str]:
    options = json.dumps({"benchmark": "b", "problems": problems})
    given = ["--model", model, "--variant", *files, "--sequences", traces, "--options", options]
    return [*map(str, [*given, "--output", output])]


def screen(
    model: Path, files: VariantFiles, traces: Path, output: Path, problems: int = 99
) -> Screen:
    screen_variant.main(flags(model, files, traces, output, problems))
    return read_screen(output)


Means = dict[str, tuple[int, float, float, float]]


def by_hand(
    dense: PreTrainedModel, other: PreTrainedModel, sequences: list[TokenSequence], part: str
) -> Means:
    """Tokens, KL, agreement and loss by kind of token, token by token, in float64."""
    kinds, seen = token_kinds(tiny_tokenizer()), {}
    for sequence in sequences:
        ids = torch.tensor([sequence.ids])
        with torch.no_grad():
            p, q = (model(ids).logits[0].double().softmax(-1) for model in (dense, other))
        first = sequence.prompt if part == "trace" else len(sequence.ids) - sequence.answer
        for place in range(first, first + getattr(sequence, part)):
            one, two, token = p[place - 1], q[place - 1], sequence.ids[place]
            kl = sum(float(a) * math.log(a / b) for a, b in zip(one, two, strict=True))
            same = int(one.argmax()) == int(two.argmax())
            kind = TOKEN_KINDS[kinds[token]]
            seen.setdefault(kind, []).append((kl, same, -math.log(two[token])))
    return {
        kind: (len(each), *(sum(column) / len(each) for column in zip(*each, strict=True)))
        for kind, each in seen.items()
    }


def assert_same(found: dict[str, Distance], expected: Means, rel: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    for kind, (tokens, *means) in expected.items():
        one = found[kind]
        assert one.tokens == tokens
        assert (one.kl, one.agreement, one.loss) == pytest.approx(means, rel=rel, abs=1e-6)


def variants(tmp_path: Path, model: Path) -> Iterator[tuple[str, VariantFiles]]:
    for method in METHODS:
        yield method, recovering.start(tmp_path, model, method)
    dense = recovering.start(tmp_path, model, "dense")
    recovering.start(tmp_path, model, "skipgpt")
    for name, start, recovery in (
        ("wanda, low-rank", tmp_path / "wanda", recovering.LORA),
        ("slicegpt, low-rank", tmp_path / "slicegpt", recovering.LORA),
        ("blocks, whole", tmp_path / "blocks", recovering.FULL),
        ("skipgpt, routers", tmp_path / "skipgpt", ROUTERS),
    ):
        before = VariantFiles(*(start / file.name for file in dense))
        yield name, recovering.run(tmp_path / name, model, before, recovery)[0]


@pytest.mark.parametrize(("architecture", "tied"), [("qwen3", True), ("llama", False)])
def test_numbers_are_those_of_whole_models(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    traces: Path,
    architecture: str,
    tied: bool,
) -> None:
    """Of every kind of variant: of the model in memory, and of its export where there is one."""
    model = tiny_model(architecture, tied=tied, **recovering.SIZES)
    dense, first = load_model(model, torch.float64), sequences_of()[::2]
    checkpoint = open_checkpoint(model)
    for name, files in variants(tmp_path, model):
        found = screen(model, files, traces, tmp_path / name / "screen.json")
        pruned = read_pruned(files)
        assert (found.digest, found.problems, found.benchmark) == (pruned.digest, 4, "b")
        others = [load_model(model, torch.float64)]
        apply_pruned(others[0], pruned, checkpoint)
        if pruned.record.export:
            export(checkpoint, pruned, tmp_path / name / "checkpoint")
            others.append(load_model(tmp_path / name / "checkpoint", torch.float64))
        for other in others:
            for part in ("trace", "answer"):
                assert_same(getattr(found, part), by_hand(dense, other, first, part))
        assert found.all.kl > 1e-4, name


def test_changed_norms_heads_and_embeddings(
    tmp_path: Path, tiny_model: Callable[..., Path], traces: Path
) -> None:
    """What no method changes today, and a variant may: tensors outside the blocks, new biases."""
    model = tiny_model("llama", tied=True)
    shapes = open_checkpoint(model).shapes

    def random(name: str) -> Tensor:
        generator = torch.Generator().manual_seed(len(name))
        return torch.randn(shapes[name], generator=generator) * 0.3

    changed = {name: random(name) for name in ("model.norm.weight", "model.embed_tokens.weight")}
    changed["model.layers.1.mlp.up_proj.bias"] = torch.linspace(-1, 1, 25)
    files = on_disk(tmp_path / "v", model, random_keeps(model), (0,), changed)
    found = screen(model, files, traces, tmp_path / "screen.json")
    other = load_model(model, torch.float64)
    apply_pruned(other, read_pruned(files), open_checkpoint(model))
    expected = by_hand(load_model(model, torch.float64), other, sequences_of()[::2], "trace")
    assert_same(found.trace, expected)


def test_experts(tmp_path: Path) -> None:
    checkpoint, traces = saved("qwen3_moe", tmp_path / "model"), tmp_path / "traces.jsonl"
    sequences = sequences_of(tokens=checkpoint.shapes["model.embed_tokens.weight"][0])
    write_records(traces, sequences)
    model = checkpoint.folder
    tiny_tokenizer().save_pretrained(model)
    write_manifest(model)
    files = on_disk(tmp_path / "v", model, random_keeps(model))
    found = screen(model, files, traces, tmp_path / "screen.json")
    other = load_model(model)
    apply_pruned(other, read_pruned(files), checkpoint)
    expected = by_hand(load_model(model), other, sequences[::2], "trace")
    assert_same(found.trace, expected, rel=1e-4)


def test_the_dense_model_is_no_distance_from_itself(
    tmp_path: Path, tiny_model: Callable[..., Path], traces: Path
) -> None:
    model = tiny_model("qwen3")
    files = on_disk(tmp_path / "dense", model, {})
    found = screen(model, files, traces, tmp_path / "screen.json")
    for distance in (*found.trace.values(), *found.answer.values(), found.all):
        assert (distance.kl, distance.agreement) == (0, 1)
        assert distance.loss > 0
    assert found.all.tokens == sum(trace + answer for _, trace, _, answer in LENGTHS)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_on_a_gpu_they_are_those_of_the_model_in_bf16(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    traces: Path,
    monkeypatch: pytest.MonkeyPatch,
    architecture: str,
) -> None:
    """What differs on a GPU beside the kernels: logits from bf16, all that follows in fp32."""
    monkeypatch.setitem(blocks.DTYPES, "cpu", blocks.DTYPES["cuda"])
    model = tiny_model(architecture, dtype=torch.bfloat16)
    files = on_disk(tmp_path / "v", model, random_keeps(model))
    found = screen(model, files, traces, tmp_path / "screen.json")
    dense, other = (load_model(model, torch.bfloat16) for _ in range(2))
    apply_pruned(other, read_pruned(files), open_checkpoint(model))
    expected = by_hand(dense, other, sequences_of()[::2], "trace")
    for kind, (tokens, *means) in expected.items():
        one = found.trace[kind]
        assert one.tokens == tokens
        assert (one.kl, one.agreement, one.loss) == pytest.approx(means, rel=0.01, abs=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_screens_as_the_cpu_does_and_twice_the_same(
    tmp_path: Path, tiny_model: Callable[..., Path], traces: Path
) -> None:
    model = tiny_model("qwen3", dtype=torch.bfloat16)
    files = on_disk(tmp_path / "v", model, random_keeps(model))
    on_cpu = screen(model, files, traces, tmp_path / "cpu.json")
    outputs = [tmp_path / f"{name}.json" for name in "ab"]
    for output in outputs:
        given = flags(model, files, traces, output, 99)
        screen_variant.main([*given, "--pruning", '{"device": "cuda"}'])
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    on_gpu = read_screen(outputs[0]).all
    assert (on_gpu.kl, on_gpu.loss) == pytest.approx((on_cpu.all.kl, on_cpu.all.loss), rel=0.05)


def test_how_sequences_walk_together_does_not_matter(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    traces: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model("qwen2")  # with a sliding window
    files = on_disk(tmp_path / "v", model, random_keeps(model))
    found = screen(model, files, traces, tmp_path / "one.json")
    monkeypatch.setitem(screen_variant.WALKING, "cpu", 20)
    assert screen(model, files, traces, tmp_path / "other.json") == found


def test_problems_are_drawn_evenly_and_once(
    tmp_path: Path, tiny_model: Callable[..., Path], traces: Path
) -> None:
    model = tiny_model("qwen3")
    files = on_disk(tmp_path / "v", model, random_keeps(model))
    found = screen(model, files, traces, tmp_path / "screen.json", problems=2)
    (_, first, _, first_answer), (_, third, _, third_answer) = LENGTHS[0], LENGTHS[2]
    assert found.problems == 2
    assert sum(each.tokens for each in found.trace.values()) == first + third
    assert sum(each.tokens for each in found.answer.values()) == first_answer + third_answer
    taken = screen_variant.chosen(sequences_of([(1, 1, 0, 0)] * 10), 4)
    assert [sequence.id for sequence in taken] == ["p0", "p2", "p5", "p7"]


def test_a_model_that_wrote_nothing_is_one_line(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    model, path = tiny_model("qwen3"), tmp_path / "traces.jsonl"
    write_records(path, sequences_of([(4, 0, 2, 0)]))
    files = on_disk(tmp_path / "v", model, {})
    with pytest.raises(InputError, match="traces.jsonl: the dense model wrote nothing"):
        screen(model, files, path, tmp_path / "screen.json")


def test_another_model_s_variant_is_one_line(
    tmp_path: Path, tiny_model: Callable[..., Path], traces: Path
) -> None:
    files = on_disk(tmp_path / "v", tiny_model("llama"), {})
    with pytest.raises(InputError, match="of another model"):
        screen(tiny_model("qwen3"), files, traces, tmp_path / "screen.json")


KILLED = """
import os, signal, sys
from workflow_scripts.artefacts import rows_done
from workflow_scripts.screening import screen_variant

screen_variant.WALKING["cpu"] = 19
rows_done.TIMES = 0
real, walks = screen_variant.last_states, []

def walk(*given):
    walks.append(1)
    if len(walks) > int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given)

screen_variant.last_states = walk
screen_variant.main(sys.argv[2:])
print(len(walks))
"""


def test_a_killed_screen_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, tiny_model: Callable[..., Path], traces: Path
) -> None:
    model = tiny_model("qwen3")
    files = on_disk(tmp_path / "v", model, random_keeps(model))

    def run(output: Path, walks: int) -> subprocess.CompletedProcess[str]:
        given = flags(model, files, traces, output, 99)
        command = [sys.executable, "-c", KILLED, str(walks), *given]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    undisturbed, killed = tmp_path / "a/screen.json", tmp_path / "b/screen.json"
    assert run(undisturbed, 99).stdout.split() == ["4"]
    assert run(killed, 2).returncode == -signal.SIGKILL
    assert not killed.exists()
    done = run(killed, 99)
    assert done.stdout.splitlines() == ["screened: 2 of 4 rows were done before", "2"]
    assert killed.read_bytes() == undisturbed.read_bytes()
    assert {path.name for path in killed.parent.iterdir()} == {
        path.name for path in undisturbed.parent.iterdir()
    }, "nothing is left of the rows that were done"
