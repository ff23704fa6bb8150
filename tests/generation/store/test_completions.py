"""The store gives back what was put in, and nothing that was damaged."""

import json
import multiprocessing
import os
import subprocess
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.errors import InputError
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.store.files import FORMAT, locked_alone

IDENTITY = {"weights": "w", "mask": "m", "engine": "transformers", "dtype": "float32"}
PRODUCER = {"engine": "transformers", "torch": "2.13.0"}
OFTEN = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def request(n, **changes):
    fields = dict(
        prompt=(1, 2, n), max_tokens=50, stop=(0,), sampling=Sampling(0.6, 1.0, 0), seed=n
    )  # fmt: skip
    return Request(**(fields | changes))


def completion(n):
    """What the model would write for request n: it stops by itself."""
    return Completion(tuple(range(3, 3 + n % 7)), 0)


def decoded(n, max_tokens):
    """What an engine makes of request n under a cap."""
    whole = completion(n)
    if len(whole.tokens) < max_tokens:
        return whole
    return Completion(whole.tokens[:max_tokens], None)


def opened(folder, identity=IDENTITY, producer=PRODUCER):
    store = Store(folder, identity, "reasoner/dense")
    store.write_as(producer)
    return store


def filled(folder, count=20):
    """A store with requests 0 to count - 1, written by one process; its file."""
    store = opened(folder)
    for n in range(count):
        store.add(request(n), completion(n))
    store.close()
    (file,) = store.folder.glob("*.jsonl")
    return file


def missing(folder, count=20):
    store = Store(folder, IDENTITY)
    found = {n: store.get(request(n)) for n in range(count)}
    store.close()
    assert all(found[n] in (None, completion(n)) for n in found)
    return [n for n in found if found[n] is None]


def test_what_is_no_file_is_one_line(tmp_path):
    """A link to a disk that is not there, and a pipe, which would be waited for."""
    folder = filled(tmp_path).parent
    for name, state, make in (
        ("a.jsonl", "a link to nothing", lambda path: path.symlink_to("gone/a.jsonl")),
        ("b.jsonl", "not a file", os.mkfifo),
    ):
        make(folder / name)
        with pytest.raises(InputError) as caught:
            opened(tmp_path)
        said = f"{folder / name}: {state}; put the file back or remove it from the store"
        assert str(caught.value) == said
        (folder / name).unlink()
    assert missing(tmp_path) == []


def test_a_new_process_finds_everything(tmp_path):
    filled(tmp_path)
    assert missing(tmp_path) == []


def test_a_store_of_an_earlier_version_still_serves(tmp_path):
    """Written down once: with another key every completion of every experiment would be lost."""
    entry = tmp_path / "490af0f3de06cd492c70d71d613e2d4d"
    entry.mkdir()
    (tmp_path / "FORMAT").write_text("2\n")
    (entry / "node-1-0.jsonl").write_text(
        '2fbbf35c {"label":"reasoner/dense","producer":{"engine":"transformers",'
        '"torch":"2.13.0"}}\n'
        '4544028b ["0278f0614a121fd316775f19e1d940f7",[],0]\n'
        'f47c6634 ["47b88ffb8f19a9f188ea6da9c7f1e0d7",[3],0]\n'
        '2b454983 ["5d063fdbc74208e917ab8264d4991456",[3,4],0]\n'
        '224a4a34 ["00705fa10e40c28b32eb607c84aa9ab7",[3,4,5],0]\n'
    )
    assert missing(tmp_path, 4) == []
    store = Store(tmp_path, IDENTITY)
    assert store.fingerprint_of(request(3)) == PRODUCER
    new = filled(tmp_path / "new", 4)
    assert new.parent.name == entry.name
    assert new.read_text() == (entry / "node-1-0.jsonl").read_text()


def test_looking_into_a_store_that_is_not_there_makes_none(tmp_path):
    assert missing(tmp_path / "store", 2) == [0, 1]
    assert not (tmp_path / "store").exists()


def test_whatever_changes_a_request_changes_its_key_but_its_cap(tmp_path):
    store = Store(tmp_path, IDENTITY)
    requests = [
        request(1),
        request(2),
        request(1, prompt=(1, 2)),
        request(1, prompt=(12, 1)),
        request(1, prompt=(1, 2, 257)),
        request(1, prompt=(1, 2, 1, 0)),
        request(1, stop=()),
        request(1, stop=(0, 5)),
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
    assert store.key(request(1, max_tokens=6)) == keys[0]
    assert store.key(request(1, stop=(5, 0))) == store.key(request(1, stop=(0, 5)))


#       what was decoded            asked for   served
SERVED = [
    (Completion((5, 6, 7), 0), 50, Completion((5, 6, 7), 0)),
    (Completion((5, 6, 7), 0), 4, Completion((5, 6, 7), 0)),
    (Completion((5, 6, 7), 0), 3, Completion((5, 6, 7), None)),  # cut before the stop token
    (Completion((5, 6, 7), 0), 1, Completion((5,), None)),
    (Completion((), 0), 1, Completion((), 0)),
    (Completion((), None), 1, None),
    (Completion((5, 6, 7), None), 3, Completion((5, 6, 7), None)),
    (Completion((5, 6, 7), None), 2, Completion((5, 6), None)),
    (Completion((5, 6, 7), None), 4, None),
]


@pytest.mark.parametrize(("stored", "asked", "served"), SERVED)
def test_a_completion_serves_every_cap_that_it_is_long_enough_for(tmp_path, stored, asked, served):
    store = opened(tmp_path)
    store.add(request(1), stored)
    for reader in (store, Store(tmp_path, IDENTITY)):
        assert reader.get(request(1, max_tokens=asked)) == served
        assert reader.was_cut_earlier(request(1, max_tokens=asked)) == (served is None)
    assert not store.was_cut_earlier(request(2))


@OFTEN
@given(
    caps=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9)), min_size=1, max_size=12),
    writers=st.integers(1, 3),
    asked=st.integers(1, 9),
)
def test_any_order_of_adds_serves_what_decoding_would_give(tmp_path_factory, caps, writers, asked):
    """Under any cap that was decoded before, or a smaller one; never anything else."""
    folder = tmp_path_factory.mktemp("store")
    stores = [opened(folder) for _ in range(writers)]
    for i, (n, cap) in enumerate(caps):
        stores[i % writers].add(request(n, max_tokens=cap), decoded(n, cap))
    reader = Store(folder, IDENTITY)
    for n in range(7):
        most = max((cap for m, cap in caps if m == n), default=0)
        ended = most > len(completion(n).tokens)
        found = reader.get(request(n, max_tokens=asked))
        assert found == (decoded(n, asked) if ended or most >= asked else None)
    for store in (*stores, reader):
        store.close()


def test_two_completions_of_one_request_are_chosen_from_alike_by_all(tmp_path):
    """An engine that does not repeat itself: which one is used must not depend on who read what."""
    one, other = Completion((5, 6), 0), Completion((5, 7), 0)
    for folder, order in (("a", (one, other)), ("b", (other, one))):
        for entry in order:
            store = opened(tmp_path / folder)
            store.add(request(1), entry)
            store.close()
    assert {Store(tmp_path / f, IDENTITY).get(request(1)) for f in "ab"} == {other}


@pytest.mark.parametrize("longer", [Completion((9,), 0), Completion((1, 2, 3, 4), None)])
def test_what_is_decoded_for_want_of_length_replaces_what_was_too_short(tmp_path, longer):
    """Even where the engine does not repeat itself, or the job would ask for ever."""
    store = opened(tmp_path)
    store.add(request(1, max_tokens=3), Completion((5, 6, 7), None))
    assert store.get(request(1, max_tokens=4)) is None
    store.add(request(1, max_tokens=4), longer)
    assert store.get(request(1, max_tokens=4)) == longer
    assert Store(tmp_path, IDENTITY).get(request(1, max_tokens=4)) == longer


@pytest.mark.parametrize("lost", range(1, 30))
def test_a_torn_last_line_is_dropped_and_no_other(tmp_path, capsys, lost):
    file = filled(tmp_path)
    file.write_bytes(file.read_bytes()[:-lost])
    assert missing(tmp_path) == [19]
    assert capsys.readouterr().err == f"store: {file}: the last line is torn and dropped\n"


def test_a_store_that_was_torn_takes_new_records(tmp_path):
    file = filled(tmp_path)
    file.write_bytes(file.read_bytes()[:-5])
    store = opened(tmp_path)
    store.add(request(19), completion(19))
    store.close()
    assert missing(tmp_path) == []


@OFTEN
@given(length=st.integers(0, 2000))
def test_any_truncation_keeps_every_line_before_it(tmp_path_factory, length):
    file = filled(tmp_path_factory.mktemp("store"))
    content = file.read_bytes()[:length]
    file.write_bytes(content)
    whole = content.count(b"\n") - 1  # the first line is the writer's
    assert missing(file.parents[1]) == list(range(max(whole, 0), 20))


@OFTEN
@given(position=st.integers(0, 3000), flip=st.integers(1, 255))
def test_a_flipped_byte_costs_two_completions_at_most_and_changes_none(
    tmp_path_factory, position, flip
):
    """Two where it was the newline between them."""
    file = filled(tmp_path_factory.mktemp("store"))
    content = bytearray(file.read_bytes())
    content[position % len(content)] ^= flip
    file.write_bytes(content)
    assert len(missing(file.parents[1])) <= 2


def test_a_damaged_record_costs_that_record_only_and_is_said(tmp_path, capsys):
    file = filled(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b"[", b"{", 1)
    file.write_bytes(b"".join(lines))
    assert missing(tmp_path) == [4]
    assert capsys.readouterr().err == (
        f"store: {file}: 1 damaged line(s) dropped; what stood there is generated again where it "
        "is needed\n"
    )


def test_every_completion_knows_its_producer(tmp_path):
    for n, version in enumerate(("2.13.0", "2.14.0")):
        store = opened(tmp_path, producer=PRODUCER | {"torch": version})
        store.add(request(n), completion(n))
        assert store.fingerprint_of(request(n))["torch"] == version
        store.close()
    store = Store(tmp_path, IDENTITY)
    assert [store.fingerprint_of(request(n))["torch"] for n in (0, 1)] == ["2.13.0", "2.14.0"]


def test_completions_outlive_their_writers_line(tmp_path):
    file = filled(tmp_path)
    file.write_bytes(b"#" + file.read_bytes())
    assert missing(tmp_path) == []
    assert Store(tmp_path, IDENTITY).fingerprint_of(request(3)) is None


def _write(folder, start):
    store = opened(folder)
    for n in range(start, start + 200):
        store.add(request(n), completion(n))
    store.close()


def test_processes_that_write_at_once_lose_nothing_and_a_reader_sees_no_half(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(tmp_path, 150 * i)) for i in range(4)]
    for writer in writers:
        writer.start()
    left = [missing(tmp_path, 650)]
    while any(writer.is_alive() for writer in writers):
        left.append(missing(tmp_path, 650))
        assert set(left[-1]) <= set(left[-2])
    for writer in writers:
        writer.join()
    assert [w.exitcode for w in writers] == [0] * 4
    assert missing(tmp_path, 650) == []
    assert len(list(tmp_path.glob("*/*.jsonl"))) == 4


def test_a_completion_is_with_the_system_before_the_next_is_asked_for(tmp_path):
    store = opened(tmp_path)
    for n in range(5):
        store.add(request(n), completion(n))
        assert missing(tmp_path, 6) == list(range(n + 1, 6))


def test_another_format_is_refused_with_both_versions_and_the_remedy(tmp_path):
    filled(tmp_path)
    (tmp_path / "FORMAT").write_text("1\n")
    with pytest.raises(InputError) as refused:
        Store(tmp_path, IDENTITY)
    assert str(refused.value) == (
        f"{tmp_path}: this store has format '1', this version reads and writes format {FORMAT}: "
        "move or delete the folder and its completions are generated again, or use the version "
        "that wrote it"
    )


def test_nobody_is_alone_with_a_store_that_a_job_uses(tmp_path):
    store = opened(tmp_path)
    store.add(request(1), completion(1))
    with pytest.raises(InputError, match="a job is using it"), locked_alone(tmp_path):
        pass
    store.close()
    reader = Store(tmp_path, IDENTITY)
    with pytest.raises(InputError, match="nothing was removed"), locked_alone(tmp_path):
        pass
    reader.close()
    with locked_alone(tmp_path):
        pass


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs to mount a tmpfs, which only root may: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def long(n):
    return Completion(tuple(range(1000 * n, 1000 * n + 700)), None)


def test_a_full_disk_is_one_line_and_costs_nothing_that_was_written(small_disk):
    folder = small_disk / "store"
    store = opened(folder)
    written = 0
    with pytest.raises(InputError) as refused:
        for written in range(100):
            store.add(request(written, max_tokens=700), long(written))
    assert str(refused.value) == (
        f"{store.folder}: cannot write to the store: No space left on device; the completions "
        "before are kept: mend that and start again, it goes on from there"
    )
    assert written > 5
    again = opened(folder)
    kept = [again.get(request(n, max_tokens=700)) for n in range(written + 1)]
    assert kept == [*map(long, range(written)), None]
    # there is space again: the next run goes on, and this one could
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    for writer, n in ((again, written), (store, written + 1)):
        writer.add(request(n, max_tokens=700), long(n))
        writer.close()
        assert Store(folder, IDENTITY).get(request(n, max_tokens=700)) == long(n)


def test_a_disk_without_any_room_is_one_line_as_well(small_disk):
    (small_disk / "filler").write_bytes(b"x" * os.statvfs(small_disk).f_bavail * 4096)
    store = opened(small_disk / "store")
    with pytest.raises(InputError, match="No space left on device"):
        store.add(request(1), completion(1))
    store.close()


def test_reading_a_store_of_a_paper_sized_job_takes_seconds(tmp_path):
    """4 million tokens; the bound is ten times what a slow machine needs."""
    store = opened(tmp_path)
    for n in range(500):
        store.add(request(n, max_tokens=8000), Completion(tuple(range(8000)), None))
    store.close()
    start = time.monotonic()
    reader = Store(tmp_path, IDENTITY)
    assert all(reader.get(request(n, max_tokens=8000)) for n in range(500))
    assert time.monotonic() - start < 20


def test_an_open_store_takes_memory_for_completions_and_not_for_tokens(tmp_path):
    store = opened(tmp_path)
    for n in range(200):
        store.add(request(n, max_tokens=8000), Completion(tuple(range(100_000, 108_000)), None))
    store.close()
    tracemalloc.start()
    reader = Store(tmp_path, IDENTITY)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 1.6 million tokens: 11 MB on disk, 6.4 MB as numbers of four bytes
    assert held < 300_000 and most < 600_000
    assert reader.get(request(7, max_tokens=8000)).tokens == tuple(range(100_000, 108_000))


@pytest.mark.parametrize("damage", [lambda text: text.replace(b"[3,", b"[4,"), lambda text: b""])
def test_what_is_damaged_after_the_store_was_opened_is_never_served(tmp_path, damage):
    file = filled(tmp_path)
    reader = Store(tmp_path, IDENTITY)
    file.write_bytes(damage(file.read_bytes()))
    assert reader.has(request(5))
    with pytest.raises(InputError) as refused:
        reader.get(request(5))
    assert str(refused.value) == (
        f"{file}: a completion in it was damaged or removed while the store was in use; start "
        "again: it is generated again"
    )
    file.unlink()
    with pytest.raises(InputError, match="cannot read the store: No such file"):
        reader.get(request(6))


def test_the_layout_is_what_people_are_told(tmp_path):
    filled(tmp_path, 1)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert json.loads((folder / "identity.json").read_text()) == IDENTITY
    (file,) = folder.glob("*.jsonl")
    first, second = file.read_text().splitlines()
    assert json.loads(first[9:]) == {"label": "reasoner/dense", "producer": PRODUCER}
    key, tokens, stopped_by = json.loads(second[9:])
    assert (len(key), tokens, stopped_by) == (32, [], 0)
    assert (tmp_path / "FORMAT").read_text() == f"{FORMAT}\n"
