"""Windows and passages of long texts: the recipes of public code."""

import gzip
import json
import random
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from tests.models.tiny_models import tiny_tokenizer, write_manifest
from workflow_scripts.calibration import build_calibration_set
from workflow_scripts.calibration.build_calibration_set import draw_windows, lines_together
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import file_digest
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor

LENGTH = 11


def as_the_wanda_code(
    texts: list[str], tokenizer: PreTrainedTokenizerBase, nsamples: int, seqlen: int, seed: int
) -> torch.Tensor:
    """What its loader of C4 does, written anew on the global random state, as it uses it."""
    random.seed(seed)
    samples = []
    while len(samples) < nsamples:
        ids = tokenizer(texts[random.randint(0, len(texts) - 1)], return_tensors="pt").input_ids
        if ids.shape[1] <= seqlen:
            continue
        begin = random.randint(0, ids.shape[1] - seqlen - 1)
        samples.append(ids[:, begin : begin + seqlen])
    return torch.cat(samples).to(torch.int32)


def corpus(place: Path, texts: list[str]) -> Path:
    """A corpus as the hub serves it, fetched: a manifest and the file beside it."""
    place.mkdir()
    content = "".join(json.dumps({"url": "", "text": text}) + "\n" for text in texts)
    file = place / "train.json.gz"
    file.write_bytes(gzip.compress(content.encode()))
    manifest = place / "manifest.json"
    manifest.write_text(json.dumps({"source": {}, "files": {file.name: file_digest(file)}}))
    return manifest


def build(
    folder: Path, manifest: Path, samples: int, seed: int = 0, **sampling: object
) -> torch.Tensor:
    made = manifest.parent / "set.safetensors"
    source = {"kind": "hub", "id": "o/n", "revision": "0" * 40, "file": "en/train.json.gz"}
    options = {"source": source | {"text": "text"}, "sampling": "windows"}
    options |= {"samples": samples, "length": LENGTH, "seed": seed, **sampling}
    stage = ["--model", folder, "--options", json.dumps(options)]
    stage += ["--corpus", manifest, "--output", made]
    build_calibration_set.main([str(part) for part in stage])
    return read_tensor(open_tensors(made), "input_ids")


TEXTS = [f"{number:03} {'abcdefgh'[: number % 9]}" * (1 + number % 2) for number in range(40)]


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("adds_special_tokens", [False, True])
def test_a_corpus_gives_the_sequences_of_the_wanda_code(
    tmp_path: Path, tiny_model: Callable[..., Path], seed: int, adds_special_tokens: bool
) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    if adds_special_tokens:
        tokenizer = tiny_tokenizer()
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<user> $A", special_tokens=[("<user>", 2)]
        )
        tokenizer.save_pretrained(folder)
        write_manifest(folder)
    lengths = {len(text) for text in TEXTS}
    assert {LENGTH, LENGTH + 1} < lengths  # both sides of what is long enough
    found = build(folder, corpus(tmp_path / "c", TEXTS), 20, seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert torch.equal(found, as_the_wanda_code(TEXTS, tokenizer, 20, LENGTH, seed))
    assert (found == 2).any() == adds_special_tokens


def test_texts_that_are_all_too_short(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    manifest = corpus(tmp_path / "c", ["a" * LENGTH, "b"])
    with pytest.raises(InputError) as caught:
        build(tiny_model(), manifest, 1)
    path = manifest.with_name("train.json.gz")
    assert str(caught.value) == f"{path}: none of 2 texts is longer than {LENGTH} tokens"
    build(tiny_model(), corpus(tmp_path / "d", ["a" * (LENGTH + 1), "b"]), 3)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers(1, 8), st.integers(0, 99))
def test_every_window_is_a_piece_of_a_longer_row_and_no_row_is_read_twice_in_vain(
    lengths: list[int], length: int, seed: int
) -> None:
    rows = [[100 * number + place for place in range(n)] for number, n in enumerate(lengths)]
    read: list[int] = []

    def tokens(number: int) -> list[int]:
        read.append(number)
        return rows[number]

    if max(lengths) <= length:
        with pytest.raises(InputError):
            draw_windows(tokens, len(rows), 3, length, seed, "rows")
    else:
        for window in draw_windows(tokens, len(rows), 3, length, seed, "rows").tolist():
            number, start = divmod(window[0], 100)
            assert window == rows[number][start : start + length]
            assert start + length < lengths[number]  # as there, the last token is never reached
    short = [number for number in read if lengths[number] <= length]
    assert len(short) == len(set(short))


@given(st.lists(st.integers(0, 12), max_size=12), st.integers(1, 14))
def test_passages_are_whole_lines_as_long_as_they_may_be(lengths: list[int], size: int) -> None:
    lines = ["abcdefghijkl"[n] * length for n, length in enumerate(lengths)]
    found = lines_together("\n".join(f" {line}\t" for line in lines), size)
    assert " ".join(found) == " ".join(line[:size] for line in lines if line)
    assert all(0 < len(passage) <= size for passage in found)
    for one, other in pairwise(found):
        assert len(f"{one} {other.split()[0]}") > size


def test_long_texts_have_more_passages_and_none_is_drawn_twice(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder, passage = tiny_model(), LENGTH + 4
    letters = "abcdefghijklmnopqrstuvwx"
    lines = [letter * passage for letter in letters]
    manifest = corpus(tmp_path / "c", ["\n \n".join(lines[:-2]), "short\n" + lines[-2], lines[-1]])
    options = {"sampling": "passages", "passage": passage}
    found = build(folder, manifest, len(lines), **options)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    drawn = [tokenizer.decode(row).replace(" ", "") for row in found.tolist()]
    assert sorted(drawn) == [letter * LENGTH for letter in letters]
    assert drawn != sorted(drawn)
    assert torch.equal(build(folder, manifest, 5, **options), found[:5])
    assert not torch.equal(build(folder, manifest, 5, 1, **options), found[:5])
    with pytest.raises(InputError) as caught:
        build(folder, manifest, len(lines) + 1, **options)
    assert str(caught.value) == (
        f"{manifest.with_name('train.json.gz')}: 24 of 25 passages of {passage} characters have "
        f"{LENGTH} tokens; 25 are needed"
    )
