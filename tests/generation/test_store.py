"""The store gives back what was put in, and nothing that was damaged."""

import multiprocessing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.errors import InputError
from workflow_scripts.generation.engine import Completion, Request
from workflow_scripts.generation.sampling import Sampling
from workflow_scripts.generation.store import Store, _decode, _encode

IDENTITY = {"weights": "w", "mask": "m", "engine": "transformers", "dtype": "float32"}


def request(n, **changes):
    fields = dict(
        prompt=(1, 2, n), max_tokens=5, stop=(0,), sampling=Sampling(0.6, 1.0, 0), seed=n
    )  # fmt: skip
    return Request(**(fields | changes))


def completion(n):
    return Completion(tuple(range(n % 7)), None if n % 2 else n)


def filled(folder, count=20):
    store = Store(folder, IDENTITY)
    for n in range(count):
        store.add(request(n), completion(n))
    store.close()
    (file,) = store.folder.glob("*.jsonl")
    return file


def missing(folder, count=20):
    store = Store(folder, IDENTITY)
    found = {n: store.get(request(n)) for n in range(count)}
    assert all(found[n] in (None, completion(n)) for n in found)
    return [n for n in found if found[n] is None]


def test_a_new_process_finds_everything(tmp_path):
    filled(tmp_path)
    assert missing(tmp_path) == []


def test_whatever_changes_a_request_changes_its_key(tmp_path):
    store = Store(tmp_path, IDENTITY)
    requests = [
        request(1),
        request(2),
        request(1, prompt=(1, 2)),
        request(1, prompt=(12, 1)),
        request(1, max_tokens=6),
        request(1, stop=()),
        request(1, sampling=Sampling(0.7, 1.0, 0)),
        request(1, sampling=Sampling(0.6, 0.9, 0)),
        request(1, sampling=Sampling(0.6, 1.0, 5)),
        request(1, seed=3),
    ]
    keys = [store.key(r) for r in requests]
    for changed in ("weights", "mask", "engine", "dtype"):
        keys.append(Store(tmp_path, IDENTITY | {changed: "other"}).key(request(1)))
    assert len(set(keys)) == len(keys)
    assert Store(tmp_path, dict(reversed(IDENTITY.items()))).key(request(1)) == keys[0]


@pytest.mark.parametrize("lost", range(1, 30))
def test_a_torn_last_line_is_dropped_and_no_other(tmp_path, capsys, lost):
    file = filled(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-lost])
    assert missing(tmp_path) == [19]
    assert "dropped 1 damaged record" in capsys.readouterr().err


def test_a_store_that_was_torn_takes_new_records(tmp_path):
    file = filled(tmp_path)
    file.write_bytes(file.read_bytes()[:-5])
    store = Store(tmp_path, IDENTITY)
    store.add(request(19), completion(19))
    store.close()
    assert missing(tmp_path) == []


@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_flipped_byte_never_yields_another_completion(position, flip):
    """A line either decodes to what was encoded or not at all."""
    line = bytearray(_encode("0123456789abcdef" * 4, Completion((5, 6, 7, 1234), 9)))
    line[position % len(line)] ^= flip
    for part in bytes(line).splitlines(keepends=True):
        assert _decode(part) in (None, ("0123456789abcdef" * 4, Completion((5, 6, 7, 1234), 9)))


def test_a_damaged_record_costs_that_record_only(tmp_path):
    file = filled(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"[", b"{", 1)
    file.write_bytes(b"".join(lines))
    assert missing(tmp_path) == [4]


def _write(folder, start):
    store = Store(folder, IDENTITY)
    for n in range(start, start + 200):
        store.add(request(n), completion(n))
    store.close()


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(tmp_path, 150 * i)) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [w.exitcode for w in writers] == [0] * 4
    assert missing(tmp_path, 150 * 3 + 200) == []


def test_another_format_is_refused(tmp_path):
    filled(tmp_path)
    (tmp_path / "FORMAT").write_text("999\n")
    with pytest.raises(InputError, match="format '999', this version reads 1"):
        Store(tmp_path, IDENTITY)
