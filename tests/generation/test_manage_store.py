"""What the store's command shows and removes."""

import pytest

from tests.generation.store.test_completions import IDENTITY, completion, opened, request
from workflow_scripts.errors import InputError
from workflow_scripts.generation.manage_store import contents, main
from workflow_scripts.generation.store.completions import Store

OTHER = IDENTITY | {"mask": "other"}


@pytest.fixture
def store(tmp_path):
    """Two entries; the first has two writers, of whom one repeats what the other has."""
    folder = tmp_path / "store"
    for identity, numbers in ((IDENTITY, range(4)), (IDENTITY, range(2, 8)), (OTHER, range(3))):
        writer = opened(folder, identity | {"device": "cpu"})
        for n in numbers:
            writer.add(request(n), completion(n))
        writer.close()
    return folder


def entry(store, identity=IDENTITY):
    reader = Store(store, identity | {"device": "cpu"})
    reader.close()
    return reader.folder


@pytest.fixture
def command(store, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["manage_store", "--store", str(store), *arguments])
        main()

    return run


def test_the_table_says_what_a_store_holds(store):
    torn = sorted(entry(store).glob("*.jsonl"))[0]
    torn.write_bytes(torn.read_bytes() + b"0123")
    (store / "notes-of-a-person").mkdir()
    lines = [line.split() for line in contents(store).splitlines()]
    rows = {line[0]: line for line in lines[1:]}
    name = entry(store).name[:12]
    tokens = sum(len(completion(n).tokens) for n in range(8))
    size = sum(path.stat().st_size for path in entry(store).glob("*.jsonl"))
    assert rows[name] == [
        name, "reasoner/dense", "transformers", "cpu", "float32", "8", str(tokens), f"{size:,}", "1"
    ]  # fmt: skip
    assert rows["all"][1] == "11"
    assert len(lines) == 4


def test_an_entry_that_is_named_goes_and_no_other(store, command, capsys):
    gone, stays = entry(store), entry(store, OTHER)
    command("--remove", gone.name[:12])
    assert capsys.readouterr().out == f"removed {gone}\n"
    assert not gone.exists() and stays.exists()


@pytest.mark.parametrize("name", ["", "0000", "notes"])
def test_what_is_not_the_name_of_one_entry_removes_nothing(store, command, name):
    (store / "notes").mkdir()
    with pytest.raises(InputError, match="nothing was removed"):
        command("--remove", entry(store).name, name)
    assert entry(store).exists() and (store / "notes").exists()


def test_nothing_is_removed_while_a_job_uses_the_store(store, command):
    job = Store(store, OTHER)
    with pytest.raises(InputError, match="a job is using it"):
        command("--remove", entry(store).name)
    assert entry(store).exists()
    job.close()
    command("--remove", entry(store).name)


def test_no_store_and_another_format_are_one_line_each(store, command):
    (store / "FORMAT").write_text("1\n")
    with pytest.raises(InputError, match="format '1'"):
        command()
    with pytest.raises(InputError, match="there is no store here"):
        command("--store", str(store / "absent"))
