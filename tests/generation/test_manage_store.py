"""What the store's command shows and removes; configs are met in tests/workflow."""

import shutil

import pytest

from tests.generation.store.test_completions import IDENTITY, PRODUCER, completion, opened, request
from workflow_scripts.errors import InputError
from workflow_scripts.generation import needed_records
from workflow_scripts.generation.engines.interface import Completion
from workflow_scripts.generation.manage_store import Removal, contents, main, remove_all_but
from workflow_scripts.generation.store.completions import Store

OTHER = IDENTITY | {"mask": "other"}


@pytest.fixture
def store(tmp_path):
    """Two generators; the first has two writers, of whom one repeats and one was torn."""
    folder = tmp_path / "store"
    for identity, numbers in ((IDENTITY, range(4)), (IDENTITY, range(2, 8)), (OTHER, range(3))):
        writer = opened(folder, identity | {"device": "cpu"})
        for n in numbers:
            writer.add(request(n), completion(n))
        writer.close()
    return folder


def generator(store, identity=IDENTITY):
    return Store(store, identity | {"device": "cpu"}, shared=False)


def keys(store, wanted):
    """The keys of requests by their numbers, by the folder of their generator."""
    found = {}
    for identity, numbers in wanted:
        source = generator(store, identity)
        found[source.folder] = {source.key(request(n)) for n in numbers}
    return found


def held(store, identity=IDENTITY):
    source = generator(store, identity)
    return [n for n in range(8) if source.get(request(n)) == completion(n)]


def content(store):
    return {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_the_table_says_what_a_store_holds(store):
    torn = sorted(generator(store).folder.glob("*.jsonl"))[0]
    torn.write_bytes(torn.read_bytes() + b"0123")
    lines = contents(store).splitlines()
    assert lines[0].split() == [
        "generator", "for", "engine", "completions", "tokens", "bytes", "damaged", "lines",
    ]  # fmt: skip
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    name = generator(store).folder.name[:12]
    tokens = sum(len(completion(n).tokens) for n in range(8))
    size = sum(path.stat().st_size for path in generator(store).folder.glob("*.jsonl"))
    assert rows[name] == [
        name, "reasoner/dense", "transformers", "cpu", "float32", "8", str(tokens), f"{size:,}", "1"
    ]  # fmt: skip
    assert rows["all"][1] == "11"
    assert len(lines) == 4


def test_what_is_needed_stays_and_the_rest_goes(store):
    before = sum(path.stat().st_size for path in store.glob("*/*.jsonl"))
    removal = remove_all_but(store, keys(store, [(IDENTITY, [1, 3, 5])]), really=True)
    assert held(store) == [1, 3, 5] and not generator(store, OTHER).folder.exists()
    # ten lines of the first generator and three of the other were there
    assert (removal.records, removal.damaged) == (13 - 3, 0)
    assert removal.size == before - sum(path.stat().st_size for path in store.glob("*/*.jsonl"))
    for n in (1, 3, 5):
        assert generator(store).producer_of(request(n)) == PRODUCER


def test_only_saying_it_changes_nothing_and_says_the_same(store):
    kept = keys(store, [(IDENTITY, [1, 5])])
    before = content(store)
    said = remove_all_but(store, kept, really=False)
    assert content(store) == before
    assert remove_all_but(store, kept, really=True) == said
    assert remove_all_but(store, kept, really=True) == Removal()


def test_a_store_where_everything_is_needed_once_is_left_as_it_is(store):
    kept = keys(store, [(IDENTITY, range(8)), (OTHER, range(3))])
    assert remove_all_but(store, kept, really=True).records == 2  # they stood twice
    before = content(store)
    assert remove_all_but(store, kept, really=True) == Removal()
    assert content(store) == before and held(store) == list(range(8))


def test_the_longer_of_two_completions_stays(tmp_path):
    folder = tmp_path / "store"
    for tokens in ((1, 2), (1, 2, 3)):
        writer = opened(folder, IDENTITY | {"device": "cpu"})
        writer.add(request(1, max_tokens=len(tokens)), Completion(tokens, None))
        writer.close()
    remove_all_but(folder, keys(folder, [(IDENTITY, [1])]), really=True)
    assert generator(folder).get(request(1, max_tokens=3)) == Completion((1, 2, 3), None)
    assert len(list(folder.glob("*/*.jsonl"))) == 1


def test_damaged_lines_go_with_the_rest_and_whole_ones_stay(store):
    file = sorted(generator(store).folder.glob("*.jsonl"))[0]
    file.write_bytes(file.read_bytes()[:-3])
    before = held(store)
    kept = keys(store, [(IDENTITY, range(8)), (OTHER, range(3))])
    assert remove_all_but(store, kept, really=True).damaged == 1
    assert held(store) == before
    assert {line.split()[-1] for line in contents(store).splitlines()[1:]} == {"0"}


def command(monkeypatch, *arguments):
    """Run the command with a config that needs nothing."""
    monkeypatch.setattr(needed_records, "needed_records", lambda store, configs: {})
    monkeypatch.setattr("sys.argv", ["manage_store", *map(str, arguments)])
    main()


def test_nothing_is_removed_while_a_job_uses_the_store(store, monkeypatch, capsys):
    job = Store(store, OTHER)
    before = content(store)
    with pytest.raises(InputError) as refused:
        command(monkeypatch, "--store", store, "--remove-unneeded", "a", "--yes")
    assert str(refused.value) == (
        f"{store}: a job is using it, wait until it has ended; nothing was removed"
    )
    assert content(store) == before
    job.close()
    command(monkeypatch, "--store", store, "--remove-unneeded", "a", "--yes")
    assert not list(store.glob("*/*.jsonl"))
    assert capsys.readouterr().out.startswith("13 completions and 0 damaged lines, ")


def test_without_yes_it_is_only_said(store, monkeypatch, capsys):
    command(monkeypatch, "--store", store, "--remove-unneeded", "a")
    assert "13 completions" in (said := capsys.readouterr().out)
    assert said.endswith("would be removed; --yes removes them\n")
    assert held(store) == list(range(8))


def test_no_store_and_another_format_are_one_line_each(store, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="there is no store here"):
        command(monkeypatch, "--store", tmp_path / "absent")
    (store / "FORMAT").write_text("1\n")
    with pytest.raises(InputError, match="format '1'"):
        command(monkeypatch, "--store", store)


def test_the_identity_of_a_generator_may_be_missing(store):
    for note in store.glob("*/identity.json"):
        note.unlink()
    assert "? ? ?" in contents(store)


def strange(store):
    """Files that people put into a store, in folders of their own and in a generator's."""
    inside = generator(store).folder
    paths = [
        store / "backup-of-last-week/x/a.jsonl",
        store / "backup-of-last-week/a.jsonl",
        store / "notes.jsonl",
        store / "0123456789abcdef0123456789abcdef/a.jsonl",
        store / inside.name[:8] / "identity.json",
        store / inside.name.upper() / "identity.json",
        inside / "notes.txt",
        inside / "notes.jsonl",
        inside / "more/a.jsonl",
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a line of a person\n")
    return {path: path.read_bytes() for path in paths}


def test_what_is_not_the_stores_stays_where_it_is(store, monkeypatch, capsys):
    here, none = generator(store).folder, store / "0123456789abcdef0123456789abcdef"
    strangers = strange(store)
    command(monkeypatch, "--store", store, "--remove-unneeded", "a")
    said = capsys.readouterr()
    assert said.out.startswith("13 completions and 0 damaged lines, ")
    assert said.err.splitlines() == [
        f"{none}: stays, it has no identity.json and so may not be the store's",
        f"{here}: stays, for it holds what is not the store's: more (and 2 more)",
    ]
    command(monkeypatch, "--store", store, "--remove-unneeded", "a", "--yes")
    assert capsys.readouterr().err == said.err
    left = content(store)
    assert {path: left.pop(path) for path in strangers} == strangers
    assert {path.name for path in left} == {"FORMAT", "LOCK"}
    assert not generator(store, OTHER).folder.exists()


def test_folders_that_are_not_the_stores_are_in_no_row(store):
    table = contents(store)
    strange(store)
    # these two could be its own, and are read as such
    (generator(store).folder / "notes.jsonl").unlink()
    shutil.rmtree(store / "0123456789abcdef0123456789abcdef")
    assert contents(store) == table


def test_a_generator_is_known_by_its_identity(store):
    """A folder that could be somebody else's is left alone, and no record is said to go."""
    for note in store.glob("*/identity.json"):
        note.unlink()
    before = content(store)
    removal = remove_all_but(store, {}, really=True)
    assert (removal.records, removal.damaged, removal.size) == (0, 0, 0)
    assert len(removal.staying) == 2 and content(store) == before


def test_copies_of_records_and_what_killed_writers_left_are_the_stores(store):
    folder = generator(store).folder
    file = sorted(folder.glob("*.jsonl"))[0]
    (folder / "by-hand.jsonl").write_bytes(file.read_bytes())
    (folder / f".identity.json.{'0' * 32}").write_text("{")
    (folder / f".{file.name}.4711-93580.tmp").write_text("half")
    file.write_bytes(b"\0" * 100)
    assert remove_all_but(store, {}, really=True).staying == []
    assert {path.name for path in store.iterdir()} <= {"FORMAT", "LOCK"}


def test_a_folder_that_cannot_be_removed_is_said(store, tmp_path):
    folder = generator(store).folder
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    (line,) = remove_all_but(store, {}, really=True).staying
    assert line == f"{folder}: cannot be removed (Not a directory)"
    assert not list((tmp_path / "elsewhere").iterdir())
