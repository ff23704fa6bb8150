"""The stage: which rows it draws, what it writes, and what it refuses."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from tests.models.tiny_models import LINEARS_PER_BLOCK, load_model, tiny_tokenizer, write_manifest
from workflow_scripts.artefacts import rows_done
from workflow_scripts.artefacts.rows_done import RowsDone
from workflow_scripts.calibration import score_influence
from workflow_scripts.calibration.score_influence import check_room, draw_samples
from workflow_scripts.errors import InputError
from workflow_scripts.files.checksums import checksum_file
from workflow_scripts.files.digests import file_digest
from workflow_scripts.inputs import corpora
from workflow_scripts.inputs.corpora import shuffled
from workflow_scripts.inputs.text_files import pairs_of_file
from workflow_scripts.models.chat_templates import ChatTemplate
from workflow_scripts.models.checkpoints import linears, model_digest, open_checkpoint
from workflow_scripts.models.sample_gradients import Sample, SampleGradients

PAIRS = [{"prompt": f"{n}+{n % 7}=", "completion": f"{n}+{n % 7};{n * n}<end>"} for n in range(12)]


def source_file(place: Path, rows: Sequence[dict], name: str = "rows.jsonl") -> Path:
    path = place / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def drawn(tokenizer: PreTrainedTokenizerBase, rows: list, count: int, length: int) -> list:
    with ChatTemplate(tokenizer, "auto") as template:
        return draw_samples(template, rows, count, length)


def stage(folder: Path, path: Path, output: Path, **changes: object) -> list[str]:
    options = {
        "source": {"kind": "local", "path": str(path)},
        "train_samples": 5,
        "validation_samples": 3,
        "length": 30,
    }
    flags = ["--model", folder, "--options", json.dumps(options | changes), "--output", output]
    return [*map(str, flags)]


def run(
    folder: Path, path: Path, output: Path, flags: Sequence[object] = (), **changes: object
) -> dict:
    score_influence.main([*stage(folder, path, output, **changes), *map(str, flags)])
    return json.loads(output.read_text(encoding="utf-8"))


def refused(folder: Path, path: Path, **changes: object) -> str:
    output = path.with_name("refused.json")
    with pytest.raises(InputError) as error:
        run(folder, path, output, **changes)
    assert not output.exists()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("hessian", ["identity", "datainf"])
def test_scores_are_those_of_the_rows_drawn(
    tmp_path: Path, tiny_model: Callable[..., Path], hessian: str
) -> None:
    """From the texts on, all by hand: rows, tokens, losses, gradients in float64, positive sums."""
    folder, path = tiny_model("qwen3"), source_file(tmp_path, PAIRS)
    found = run(folder, path, tmp_path / "out.json", hessian=hessian, length=15)
    rows = shuffled(PAIRS, 0)
    model = load_model(folder, torch.float64)
    names = [n for n, p in model.named_parameters() if "_proj.weight" in n]
    assert len(names) == 3 * LINEARS_PER_BLOCK
    weights = [model.get_parameter(name) for name in names]

    def gradients(row: dict) -> tuple[torch.Tensor, ...]:
        prompt = tiny_tokenizer()(f"<user>{row['prompt']}<model>")["input_ids"]
        tokens = torch.tensor([(prompt + tiny_tokenizer()(row["completion"])["input_ids"])[:15]])
        logits = model(tokens).logits[0, len(prompt) - 1 : -1].log_softmax(1)
        loss = -logits.gather(1, tokens[0, len(prompt) :, None]).mean()
        return torch.autograd.grad(loss, weights)

    train, validation = (list(map(gradients, some)) for some in (rows[:5], rows[5:8]))
    scores = [{"attention": torch.zeros(5).double(), "mlp": torch.zeros(5).double()} for _ in "012"]
    for number, name in enumerate(names):
        g = torch.stack([of_all[number].flatten() for of_all in train])
        v = torch.stack([of_all[number].flatten() for of_all in validation]).mean(0)
        if hessian == "datainf":
            damping = 0.1 * float(g.square().mean())
            eye = torch.eye(len(v), dtype=torch.float64)
            inverses = [torch.linalg.inv(damping * eye + torch.outer(one, one)) for one in g]
            v = torch.stack(inverses).mean(0) @ v
        part = "attention" if "self_attn" in name else "mlp"
        scores[int(name.split(".")[2])][part] += g @ v
    expected = [{k: float(v[v > 0].sum()) for k, v in block.items()} for block in scores]
    assert any(bool((v < 0).any() and (v > 0).any()) for block in scores for v in block.values())
    for block, block_expected in zip(found["blocks"], expected, strict=True):
        assert block == pytest.approx(block_expected, rel=1e-4)


def test_the_record_says_what_it_is_of(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder, path = tiny_model(), source_file(tmp_path, PAIRS)
    record = run(folder, path, tmp_path / "out.json")
    digest, blocks = record.pop("data_digest"), record.pop("blocks")
    assert len(digest) == 64
    assert [set(block) for block in blocks] == [{"attention", "mlp"}] * 3
    assert record.pop("convention") == (
        "the influence of a train sample is +<mean validation gradient, H^-1 train gradient>, "
        "summed over the linears of a part; positive: a gradient step on the sample lowers the "
        "validation loss; the score of a part is the sum of the positive influences"
    )
    assert record == {
        "format": 1,
        "hessian": "identity",
        "model_digest": model_digest(folder),
        "train_samples": 5,
        "validation_samples": 3,
    }


def test_equal_rows_are_equal_bytes_wherever_they_are(
    tmp_path: Path, tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = source_file(tmp_path, PAIRS), source_file(tmp_path, PAIRS, "other.jsonl")
    first, again, turned = (tmp_path / f"{name}.json" for name in "abc")
    for hessian in ("identity", "datainf"):
        run(tiny_model(), path, first, hessian=hessian)
        run(tiny_model(), other, again, hessian=hessian)
        assert first.read_bytes() == again.read_bytes()
    assert (
        run(tiny_model(), path, turned, seed=1)["data_digest"]
        != (run(tiny_model(), path, first)["data_digest"])
    )
    monkeypatch.setattr(corpora, "BUNDLED", tmp_path)
    (tmp_path / "calibration").symlink_to(tmp_path)
    run(tiny_model(), path, again, source={"kind": "bundled", "name": "rows"})
    assert first.read_bytes() == again.read_bytes()


def test_rows_of_another_shape_on_the_hub_or_here_are_the_same_rows(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    """`a;b<end>` made of the fields a and b; from the hub it is the file beside a manifest."""
    shaped = []
    for row in PAIRS:
        left, _, right = row["completion"].removesuffix("<end>").partition(";")
        shaped.append({"question": row["prompt"], "left": left, "right": right, "n": 1})
    folder = tiny_model()
    expected = run(folder, source_file(tmp_path, PAIRS), tmp_path / "a.json")
    path = source_file(tmp_path, shaped, "shaped.jsonl")
    parts = {"prompt": "{question}", "completion": "{left};{right}<end>"}
    local = {"kind": "local", "path": str(path)} | parts
    assert run(folder, path, tmp_path / "b.json", source=local) == expected
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"files": {path.name: file_digest(path)}}))
    hub = {"kind": "hub", "id": "owner/name", "file": f"data/{path.name}"} | parts
    assert run(folder, path, tmp_path / "c.json", ["--corpus", manifest], source=hub) == expected


def test_what_is_train_and_what_is_validation_matters(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    path = source_file(tmp_path, PAIRS)
    counts = [(5, 3), (4, 4)]
    digests = {
        run(tiny_model(), path, tmp_path / "o.json", train_samples=t, validation_samples=v)[
            "data_digest"
        ]
        for t, v in counts
    }
    assert len(digests) == 2


def test_threads_are_set(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    before = torch.get_num_threads()
    try:
        run(tiny_model(), source_file(tmp_path, PAIRS), tmp_path / "out.json", ["--threads", 3])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def pairs(rows: Sequence[dict]) -> list[tuple[str, dict]]:
    return [(f"f:{number}", row) for number, row in enumerate(rows, 1)]


def test_a_row_that_stands_twice_is_drawn_once() -> None:
    """Nor is a row drawn that only differs behind the cut: it would be in both sets."""
    rows = [PAIRS[0], PAIRS[1], PAIRS[0], {**PAIRS[1], "completion": "1+1;9"}, PAIRS[2]]
    whole = drawn(tiny_tokenizer(), pairs(rows), 9, 30)
    assert [sample.where for sample in whole] == ["f:1", "f:2", "f:4", "f:5"]
    cut = drawn(tiny_tokenizer(), pairs(rows), 9, 9)
    assert [sample.where for sample in cut] == ["f:1", "f:2", "f:5"]
    assert len(drawn(tiny_tokenizer(), pairs(rows), 2, 30)) == 2
    # the same tokens, but not the same ones predicted
    rows = [{"prompt": "1", "completion": "2<model>3"}, {"prompt": "1<model>2", "completion": "3"}]
    one, other = drawn(tiny_tokenizer(), pairs(rows), 9, 30)
    assert one.tokens == other.tokens and (one.prompt, other.prompt) == (3, 5)


def test_rows_are_cut_to_the_length() -> None:
    (sample,) = drawn(tiny_tokenizer(), pairs(PAIRS[:1]), 1, 9)
    text = tiny_tokenizer().convert_ids_to_tokens(list(sample.tokens))
    assert text == ["<user>", *"0+0=", "<model>", *"0+0"]
    assert sample.prompt == 6
    with pytest.raises(InputError) as error:
        drawn(tiny_tokenizer(), pairs(PAIRS[:1]), 1, 6)
    assert str(error.value) == (
        "f:1: nothing of its completion is left: the prompt alone has 6 tokens, and rows are cut "
        "to 6"
    )
    (sample,) = drawn(tiny_tokenizer(), pairs(PAIRS[:1]), 1, 7)
    assert len(sample.tokens) - sample.prompt == 1


def test_rows_without_tokens_are_refused() -> None:
    with pytest.raises(InputError) as error:
        drawn(tiny_tokenizer(), pairs([{"prompt": "1", "completion": ""}]), 1, 9)
    assert str(error.value) == "f:1: its completion has no tokens"
    bare = tiny_tokenizer()
    bare.chat_template = "{{ messages[0]['content'] }}"
    with pytest.raises(InputError) as error:
        drawn(bare, pairs([{"prompt": "", "completion": "1"}]), 1, 9)
    assert str(error.value) == "f:1: its prompt has no tokens"
    bare.chat_template = None
    with pytest.raises(InputError) as error:
        drawn(bare, pairs(PAIRS), 1, 9)
    assert str(error.value) == "f:1: has prompts, the tokenizer has no chat template"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not valid JSON ("),
        ('{"text": "a"}', "influence needs a prompt and a completion, not a text"),
        ('{"prompt": "a"}', "a row has the fields prompt and completion, or the field text"),
        ('{"prompt": "a", "completion": 3}', "field 'completion' is 3, not a string"),
    ],
)
def test_rows_that_are_none_are_named_by_line(tmp_path: Path, line: str, message: str) -> None:
    path = source_file(tmp_path, PAIRS[:3])
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(InputError) as error:
        list(pairs_of_file(path))
    assert str(error.value).startswith(f"{path}:5: {message}")


def test_sets_that_cannot_be_drawn_are_refused(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder, path = tiny_model(), source_file(tmp_path, PAIRS + PAIRS)
    assert refused(folder, path, train_samples=10) == (
        f"{path}: has 12 different rows, 10 train and 3 validation rows are needed"
    )
    for changes in ({"train_samples": 0}, {"validation_samples": 0}, {"length": 1}):
        assert next(iter(changes)) in refused(folder, path, **changes)
    line = refused(folder, path, length=33)
    assert line == "influence set of 33 tokens a row: the model takes 32"
    hub = {"kind": "hub", "id": "owner/name", "file": "a.jsonl"}
    source = hub | {"prompt": "{q}", "completion": "{a}"}
    assert "--corpus" in refused(folder, path, source=source)


def test_models_that_cannot_be_scored_are_refused(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    path = source_file(tmp_path, PAIRS)
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    write_manifest(folder)
    assert "config.json has 2 blocks, found model.layers.2." in refused(folder, path)
    (folder / "manifest.json").unlink()
    line = refused(folder, path)
    assert line == f"{folder / 'manifest.json'}: missing: the model was not fetched"


def test_a_gpu_has_room_for_bf16_weights_and_an_fp32_gradient(
    tiny_model: Callable[..., Path],
) -> None:
    checkpoint = open_checkpoint(tiny_model())
    model, found = load_model(tiny_model()), linears(checkpoint)
    every = sum(weight.numel() for weight in model.parameters())
    pruned = sum(w.numel() for name, w in model.named_parameters() if "_proj.weight" in name)
    check_room(checkpoint, found, 2 * every + 4 * pruned)
    with pytest.raises(InputError, match="set it to cpu, or run on a larger GPU"):
        check_room(checkpoint, found, 2 * every + 4 * pruned - 1)


def test_a_row_on_which_the_model_fails_is_named(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    """A weight that fp32 holds and whose products it does not."""
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"].fill_(3e38)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    write_manifest(folder)
    line = refused(folder, source_file(tmp_path, PAIRS))
    first = shuffled(list(range(1, 13)), 0)[5]  # validation rows come after five train rows
    assert line == f"{tmp_path / 'rows.jsonl'}:{first}: the model's loss on it is nan"


KILLED = """
import os, signal, sys
import torch
from workflow_scripts.artefacts import rows_done
from workflow_scripts.calibration import score_influence
from workflow_scripts.models import sample_gradients

torch.set_num_threads(1)
rows_done.TIMES = 0  # rows of a tiny model take less time than writing
gradients = sample_gradients.SampleGradients.__call__
for rows in map(int, sys.argv[1].split(",")):
    if os.fork():
        assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGKILL
        continue

    def some_rows(self, sample, visit):
        global rows
        if rows == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        rows -= 1
        gradients(self, sample, visit)

    sample_gradients.SampleGradients.__call__ = some_rows
    score_influence.main(sys.argv[2:])
"""


def test_a_job_that_was_killed_goes_on_from_its_rows(
    tmp_path: Path, tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in each of DataInf's four steps: the same bytes, and no row twice."""
    folder, path = tiny_model(), source_file(tmp_path, PAIRS)
    whole, killed = tmp_path / "whole.json", tmp_path / "killed.json"
    run(folder, path, whole, hessian="datainf")
    # 3 validation rows, then 5 train rows in three steps
    command = [sys.executable, "-c", KILLED, "2,3,4,5"]
    subprocess.run([*command, *stage(folder, path, killed, hessian="datainf")], check=True)
    assert not killed.exists() and {*tmp_path.glob(".killed*")}
    seen: list[Sample] = []
    gradients = SampleGradients.__call__

    def counted(self: SampleGradients, sample: Sample, visit: Callable) -> None:
        seen.append(sample)
        gradients(self, sample, visit)

    monkeypatch.setattr(SampleGradients, "__call__", counted)
    monkeypatch.setattr(rows_done, "TIMES", 0)
    run(folder, path, killed, hessian="datainf")
    assert killed.read_bytes() == whole.read_bytes()
    assert len(seen) == 3 + 3 * 5 - (2 + 3 + 4 + 5)
    assert {*tmp_path.iterdir()} == {
        path,
        whole,
        killed,
        checksum_file(whole),
        checksum_file(killed),
    }


@pytest.mark.parametrize("changed", ["hessian", "seed", "damage"])
def test_rows_of_another_request_or_a_damaged_file_do_not_count(
    tmp_path: Path, tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    folder, path, output = tiny_model(), source_file(tmp_path, PAIRS), tmp_path / "out.json"
    changes = {"hessian": {"hessian": "datainf"}, "seed": {"seed": 1}, "damage": {}}[changed]
    expected = run(folder, path, tmp_path / "other.json", **changes)
    monkeypatch.setattr(rows_done, "TIMES", 0)
    monkeypatch.setattr(RowsDone, "forget", lambda self: None)
    run(folder, path, output)
    if changed == "damage":
        for file in tmp_path.glob(".out.json.rows/*"):
            file.write_bytes(file.read_bytes()[:-1])
    assert run(folder, path, output, **changes) == expected
