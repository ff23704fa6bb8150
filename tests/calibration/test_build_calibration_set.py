import itertools
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken

from tests.models.tiny_models import VOCABULARY, tiny_tokenizer, write_manifest
from workflow_scripts.calibration import build_calibration_set
from workflow_scripts.calibration.build_calibration_set import pack_windows
from workflow_scripts.errors import InputError
from workflow_scripts.inputs import corpora
from workflow_scripts.inputs.corpora import shuffled
from workflow_scripts.models.checkpoints import model_digest
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor

PAIRS = [{"prompt": f"{n}+1=", "completion": f"{n}+1={n + 1};<end>"} for n in range(9)]
TEXTS = [{"text": f"row {n} of the text."} for n in range(9)]


def source_file(place: Path, rows: Sequence[dict], name: str = "rows.jsonl") -> Path:
    path = place / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(
    folder: Path,
    path: Path,
    samples: int,
    length: int,
    seed: int = 0,
    output: str = "out",
    flags: Sequence[str] = (),
) -> Path:
    made = path.with_name(f"{output}.safetensors")
    source = {"kind": "local", "path": str(path)}
    options = {"source": source, "samples": samples, "length": length, "seed": seed}
    stage = ["--model", folder, "--options", json.dumps(options), "--output", made]
    build_calibration_set.main([str(part) for part in [*stage, *flags]])
    return made


def refused(*arguments: object, **options: object) -> str:
    with pytest.raises(InputError) as error:
        run(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def stream(made: Path) -> str:
    """The text of all tokens of a calibration set, window after window."""
    ids = read_tensor(open_tensors(made), "input_ids").reshape(-1)
    return "".join(tiny_tokenizer().convert_ids_to_tokens(ids.tolist()))


def test_prompts_go_through_the_chat_template(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model()
    made = run(folder, source_file(tmp_path, PAIRS), 5, 14)
    file = open_tensors(made)
    ids = read_tensor(file, "input_ids")
    assert (ids.dtype, tuple(ids.shape)) == (torch.int32, (5, 14))
    assert file.metadata == {"model_digest": model_digest(folder)}
    order = list(range(9))
    random.Random(0).shuffle(order)
    whole = "".join(f"<user>{n}+1=<model>{n}+1={n + 1};<end>" for n in order)
    characters = tiny_tokenizer().tokenize(whole)
    assert stream(made) == "".join(characters[: 5 * 14])


def test_chat_templates_are_told_the_day_that_prompts_are(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    template = folder / "chat_template.jinja"
    template.write_text("{{ strftime_now('%Y') }}" + template.read_text())
    write_manifest(folder)
    made = run(folder, source_file(tmp_path, PAIRS), 1, 8, flags=["--date", "2001-02-03"])
    assert stream(made).startswith("2001<user>")


def test_chat_templates_are_told_what_the_model_s_are(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    template = folder / "chat_template.jinja"
    template.write_text("{{ 'no' if enable_thinking is false }}" + template.read_text())
    write_manifest(folder)
    path, flags = source_file(tmp_path, PAIRS), ["--chat", '{"enable_thinking": false}']
    assert stream(run(folder, path, 1, 14)).startswith("<user>")
    assert stream(run(folder, path, 1, 14, flags=flags)).startswith("no<user>")


def test_texts_end_with_the_eos_token(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    made = run(tiny_model(), source_file(tmp_path, TEXTS), 2, 19, seed=3)
    rows = stream(made).split("<end>")
    assert rows[0].startswith("row ") and rows[0].endswith(" of the text.")
    assert (
        stream(made)
        == "".join(row["text"] + "<end>" for row in shuffled(TEXTS, 3))[: len(stream(made))]
    )


def test_lines_of_a_text_file_are_texts(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    plain = tmp_path / "rows.txt"
    plain.write_text("\n".join(row["text"] for row in TEXTS) + "\n\n")
    made = run(tiny_model(), plain, 2, 19, output="a")
    other = run(tiny_model(), source_file(tmp_path, TEXTS), 2, 19, output="b")
    assert made.read_bytes() == other.read_bytes()


def test_equal_seeds_are_equal_bytes_and_other_seeds_other_rows(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    path = source_file(tmp_path, PAIRS)
    first, again, other = (
        run(tiny_model(), path, 5, 14, seed, output=name).read_bytes()
        for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    )
    assert first == again != other


def test_a_bundled_source_comes_with_the_project(
    tmp_path: Path, tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calibration").mkdir()
    monkeypatch.setattr(corpora, "BUNDLED", tmp_path)
    path = source_file(tmp_path / "calibration", PAIRS)
    local = run(tiny_model(), path, 5, 14)
    bundled = tmp_path / "bundled.safetensors"
    options = {"source": {"kind": "bundled", "name": "rows"}, "samples": 5, "length": 14}
    stage = ["--model", tiny_model(), "--options", json.dumps(options), "--output", bundled]
    build_calibration_set.main([str(part) for part in stage])
    assert bundled.read_bytes() == local.read_bytes()


@given(
    st.lists(st.lists(st.integers(0, 99), max_size=9), max_size=12),
    st.integers(1, 5),
    st.integers(1, 7),
)
def test_windows_are_the_stream_cut(rows: list[list[int]], samples: int, length: int) -> None:
    whole = list(itertools.chain.from_iterable(rows))
    if len(whole) < samples * length:
        with pytest.raises(InputError) as error:
            pack_windows(iter(rows), samples, length, "rows")
        assert str(error.value) == (
            f"rows: has {len(whole)} tokens, {samples} samples of {length} tokens need "
            f"{samples * length}"
        )
    else:
        windows = pack_windows(iter(rows), samples, length, "rows")
        assert windows.shape == (samples, length)
        assert windows.reshape(-1).tolist() == whole[: samples * length]


def test_a_window_longer_than_the_model_is_refused(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    path = source_file(tmp_path, PAIRS)
    run(tiny_model(), path, 1, 32)
    line = refused(tiny_model(), path, 1, 33)
    assert line == "calibration length 33: the model takes 32 tokens at most"


@pytest.mark.parametrize(("samples", "length"), [(0, 8), (4, 0), (-1, 8)])
def test_no_samples_are_refused(
    tmp_path: Path, tiny_model: Callable[..., Path], samples: int, length: int
) -> None:
    line = refused(tiny_model(), source_file(tmp_path, PAIRS), samples, length)
    assert line.startswith(f"--options: {'length' if samples > 0 else 'samples'}: ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not valid JSON"),
        ('["text"]', "a row has the fields prompt and completion, or the field text"),
        ('{"prompt": "a"}', "a row has the fields prompt and completion, or the field text"),
        ('{"text": "a", "id": 1}', "a row has the fields prompt and completion, or the field text"),
        ('{"text": 3}', "field 'text' is 3, not a string"),
    ],
)
def test_rows_that_are_none_are_named_by_line(
    tmp_path: Path, tiny_model: Callable[..., Path], line: str, message: str
) -> None:
    path = source_file(tmp_path, PAIRS)
    path.write_text(path.read_text() + "\n" + line + "\n")
    assert refused(tiny_model(), path, 1, 8).startswith(f"{path}:11: {message}")


def test_files_that_cannot_be_read(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model()
    gone = tmp_path / "gone.jsonl"
    assert refused(folder, gone, 1, 8) == f"{gone}: No such file or directory"
    table = tmp_path / "rows.csv"
    assert "must be a .jsonl" in refused(folder, table, 1, 8)
    latin = tmp_path / "latin.txt"
    latin.write_bytes("naïve".encode("latin-1"))
    assert refused(folder, latin, 1, 8).startswith(f"{latin}:1: not UTF-8 (")


def test_what_the_tokenizer_lacks_is_named(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    (folder / "chat_template.jinja").unlink()
    write_manifest(folder)
    path = source_file(tmp_path, PAIRS)
    assert refused(folder, path, 1, 8) == f"{path}: has prompts, the tokenizer has no chat template"
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    write_manifest(folder)
    path = source_file(tmp_path, TEXTS)
    line = refused(folder, path, 1, 8)
    assert line == f"{path}: has texts, the tokenizer has no eos token to end them"
    (folder / "tokenizer.json").write_text("{")
    write_manifest(folder)
    assert refused(folder, path, 1, 8).startswith(f"{folder}: its tokenizer cannot be opened: ")


def test_a_model_that_was_not_fetched(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    (folder / "manifest.json").unlink()
    line = refused(folder, source_file(tmp_path, PAIRS), 1, 8)
    assert line == f"{folder / 'manifest.json'}: missing: the model was not fetched"


def ids_of(folder: Path, place: Path, source: dict, **keys: object) -> torch.Tensor:
    options = {"source": source, "samples": 80, "length": 25, "seed": 0} | keys
    made = place / "made.safetensors"
    stage = ["--model", str(folder), "--options", json.dumps(options), "--output", str(made)]
    build_calibration_set.main(stage)
    return read_tensor(open_tensors(made), "input_ids")


def test_random_tokens_are_all_but_the_special_ones_alike(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model()
    ids = ids_of(folder, tmp_path, {"kind": "random"})
    assert (ids.dtype, tuple(ids.shape)) == (torch.int32, (80, 25))
    tokenizer = tiny_tokenizer()
    counts = torch.bincount(ids.reshape(-1), minlength=len(tokenizer))
    assert counts[:4].tolist() == [0, 0, 0, 0]
    # each of the others is expected as often; the largest of so many counts is far below twice that
    expected = 2000 / (len(tokenizer) - 4)
    assert counts[4:].min() > 0 and counts[4:].max() < 2 * expected
    assert torch.equal(ids, ids_of(folder, tmp_path, {"kind": "random"}))
    assert not torch.equal(ids, ids_of(folder, tmp_path, {"kind": "random"}, seed=1))


def test_no_random_token_is_one_that_the_model_has_not_or_that_is_reserved(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))  # it is others' too
    tokenizer = tiny_tokenizer()
    reserved = tokenizer.convert_tokens_to_ids("7")
    tokenizer.add_tokens([AddedToken("7", special=True)])  # special, and no part is its own
    tokenizer.add_tokens([f"<added {number}>" for number in range(VOCABULARY)])
    tokenizer.save_pretrained(folder)
    write_manifest(folder)
    found = set(ids_of(folder, tmp_path, {"kind": "random"}).reshape(-1).tolist())
    assert found == {*range(4, VOCABULARY)} - {reserved}


def test_shuffled_sequences_have_the_same_tokens_in_another_order(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model()
    source = {"kind": "local", "path": str(source_file(tmp_path, PAIRS * 50))}
    given = ids_of(folder, tmp_path, source)
    shuffled = ids_of(folder, tmp_path, source, token_order="shuffled")
    assert torch.equal(given, ids_of(folder, tmp_path, source, token_order="given"))
    assert torch.equal(shuffled, ids_of(folder, tmp_path, source, token_order="shuffled"))
    assert torch.equal(given.sort(dim=1).values, shuffled.sort(dim=1).values)
    assert not any(map(torch.equal, given, shuffled))
    # one order for all sequences would leave what stands where in them as it is
    marks = torch.arange(25, dtype=torch.int32).repeat(80, 1)
    orders = build_calibration_set.with_shuffled_tokens(marks, 0)
    assert len({*map(tuple, orders.tolist())}) == 80
