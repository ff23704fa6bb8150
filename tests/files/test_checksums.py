import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.artefacts.records import Grade, read_records, write_records
from workflow_scripts.errors import InputError
from workflow_scripts.files import atomic as files
from workflow_scripts.files.atomic import read_json, write_json, write_text
from workflow_scripts.files.checksums import checksum_file, verify_checksum
from workflow_scripts.files.digests import file_digest
from workflow_scripts.paths import PROJECT

GUARANTEES = PROJECT / "docs" / "guarantees.md"
TEXT = "one line\nand another\n"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("results/m/dense/answers/b.jsonl")
    write_text(path, TEXT)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        verify_checksum(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_checksum_is_what_sha256sum_checks(written):
    check = ["sha256sum", "--check", str(checksum_file(written))]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    written.write_text(TEXT + " ")
    assert subprocess.run(check, capture_output=True, check=False).returncode == 1


def test_the_documents_say_how_to_have_all_checksums_checked_links_to_other_disks_included(
    written, tmp_path
):
    (tmp_path / "disk").mkdir()
    for folder in ("results", "resources"):
        write_text(Path(folder, "noted.txt"), TEXT)
        Path(folder).rename(tmp_path / "disk" / folder)
        Path(folder).symlink_to(tmp_path / "disk" / folder)
    (command,) = re.findall(r"`(find results[^`]*)`", GUARANTEES.read_text(encoding="utf-8"))
    check = ["sh", "-c", command]
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    for wrong in (written, Path("resources/noted.txt")):
        wrong.write_text(TEXT + " ")
        checked = subprocess.run(check, capture_output=True, text=True, check=False)
        assert checked.returncode != 0
        assert f"{wrong}: FAILED" in checked.stdout


@given(st.data())
def test_no_flipped_byte_and_no_cut_goes_unnoticed(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "flipped"
    write_text(path, TEXT)
    content = bytearray(TEXT.encode())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    path.write_bytes(content)
    found = file_digest(path)
    assert refusal(path).startswith(
        f"{path}: has changed since it was written: its sha256 is {found}"
    )


def test_the_line_says_what_to_do(written):
    before, after = (
        file_digest(written),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
    written.write_bytes(b"")
    line = refusal(written)
    assert line.startswith(f"{written}: has changed since it was written: its sha256 is {after}, ")
    assert f".b.jsonl.sha256 says '{before}'; delete b.jsonl and start again" in line


def test_another_variants_file_with_its_checksum(written):
    """As `cp -r wanda-50/answers dense/` leaves it."""
    other = Path("results/m/wanda-50/answers/b.jsonl")
    write_text(other, TEXT + "of another variant\n")
    other.replace(written)
    checksum_file(other).replace(checksum_file(written))
    assert refusal(written).startswith(f"{written}: was written as {other}; put it back, or ")


@pytest.mark.parametrize(
    "damage", [b"", b"\xff\xfe", b"no digest  results/m/dense/answers/b.jsonl\n"]
)
def test_a_damaged_checksum_vouches_for_nothing(written, damage):
    checksum_file(written).write_bytes(damage)
    assert "has changed since it was written" in refusal(written)


def test_a_file_without_a_checksum_is_a_persons(written):
    checksum_file(written).unlink()
    written.write_text("by hand")
    verify_checksum(written)
    written.unlink()
    verify_checksum(written)


def test_a_checkout_that_moves_keeps_its_checksums(written, tmp_path, monkeypatch):
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "results").rename(moved / "results")
    for place in (moved, moved / "results/m", tmp_path):
        monkeypatch.chdir(place)
        verify_checksum((moved / written).relative_to(place))
        verify_checksum(moved / written)


def test_no_checksum_holds_the_place_of_a_checkout(written, tmp_path, monkeypatch):
    write_text(tmp_path / written, TEXT)
    assert (
        checksum_file(written).read_text(encoding="utf-8") == f"{file_digest(written)}  {written}\n"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    write_text(tmp_path / written, TEXT)
    assert checksum_file(tmp_path / written).read_text(encoding="utf-8").endswith("  b.jsonl\n")


def test_what_is_written_by_hand_or_without_checksum_takes_the_checksum_away(written):
    write_text(written, "another text", checksum=False)
    assert not checksum_file(written).exists()
    verify_checksum(written)


def test_a_checksum_that_cannot_be_written_leaves_the_file_as_it_was(written, monkeypatch):
    def full(path, written):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "checksum_line", full)
    with pytest.raises(OSError, match="No space left") as error:
        write_text(written, "more")
    assert error.value.filename == str(written)
    verify_checksum(written)
    assert written.read_text(encoding="utf-8") == TEXT
    assert sorted(p.name for p in written.parent.iterdir()) == [".b.jsonl.sha256", "b.jsonl"]


def test_the_first_error_is_the_one_that_is_told(written):
    """Also where it came before there was a file to remove."""
    with pytest.raises(ZeroDivisionError), files.written_atomically(written):
        raise ZeroDivisionError
    disk = OSError(5, "Input/output error", "a disk")
    with pytest.raises(OSError) as error, files.written_atomically(written) as temporary:
        temporary.write_text("half")
        raise disk
    assert error.value is disk
    assert error.value.filename == "a disk"
    verify_checksum(written)
    assert written.read_text(encoding="utf-8") == TEXT


def test_a_checksum_that_cannot_be_read_is_one_line(written):
    checksum_file(written).unlink()
    checksum_file(written).mkdir()
    assert refusal(written) == f"{checksum_file(written)}: Is a directory"


def test_records_and_json_are_read_through_their_checksums(tmp_path):
    """A digit that flips leaves a whole record: only the checksum tells."""
    path = tmp_path / "grades.jsonl"
    write_records(path, [Grade("a", 0, 6, "1", True, "last number")])
    path.write_text(path.read_text(encoding="utf-8").replace('"repeat": 0', '"repeat": 1'))
    with pytest.raises(InputError, match="has changed since it was written"):
        read_records(path, Grade)
    record = tmp_path / "record.json"
    write_json(record, {"a": 1})
    record.write_text('{"a": 2}')
    with pytest.raises(InputError, match="has changed since it was written"):
        read_json(record)
