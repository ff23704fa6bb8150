"""What is found wrong with what is there; tests/workflow/test_vouching.py has Snakemake's part."""

import os
import time
from pathlib import Path

import pytest

from tests.files.by_hand import without_checksum
from workflow_scripts.files import checksums
from workflow_scripts.files.atomic import write_text
from workflow_scripts.files.checksums import checksum_file, verify_checksum
from workflow_scripts.files.making import note_making, record_file
from workflow_scripts.jobs.orders import Orders

STATISTICS, MASK = "results/m/statistics/c.safetensors", "results/m/v/mask.json"
FOLDER = Path(".snakemake/asked")
COLLECT = {"options": "a", "code": "b"}
BUILD = {"options": "c", "code": "d"}
AN_HOUR = 3600


def placed(mask: dict[str, str] = BUILD, statistics: dict[str, str] = COLLECT) -> list[str]:
    """What is wrong with the mask and its statistics, as one plan finds it: nothing is ""."""
    orders = Orders(FOLDER, is_main=True)
    paths = [
        Path(orders.place("build_mask/m/v", mask, [MASK])),
        Path(orders.place("collect_statistics/m/c", statistics, [STATISTICS])),
    ]
    texts = [path.read_text().split("\n", 1)[1] for path in paths]
    # Snakemake reads it in the times
    assert [path.stat().st_mtime == 0 for path in paths] == [not text for text in texts]
    return [text.strip().partition(", as ")[2] for text in texts]


def make(output: str, asked: dict[str, str], text: str, reads: tuple[str, ...] = ()) -> None:
    """As a stage does that is told its order."""
    checksums.verified.clear()
    order = Orders(FOLDER, is_main=False).place(f"make/{output}", asked, [output])
    for path in reads:
        verify_checksum(Path(path))
    write_text(Path(output), text)
    note_making(Path(order))


@pytest.fixture(autouse=True)
def _made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(STATISTICS, COLLECT, "counted")
    make(MASK, BUILD, "removed", (STATISTICS,))


def test_what_was_made_as_asked_is_left():
    assert placed() == ["", ""]


def test_what_is_not_there_is_the_business_of_snakemake():
    for path in (MASK, STATISTICS):
        for file in Path(path).parent.iterdir():
            file.unlink()
    assert placed(mask={"options": "other"}) == ["", ""]


@pytest.mark.parametrize(
    "asked, names",
    [
        (BUILD | {"options": "x"}, "options"),
        (BUILD | {"options": "x", "code": "y"}, "code, options"),
        (BUILD | {"threads": "z"}, "threads"),
        ({"code": "d"}, "options"),
    ],
)
def test_other_options_than_were_asked_for(asked, names):
    assert placed(mask=asked) == [f"{MASK} was made with other {names}", ""]
    assert placed() == ["", ""], "a plan with another config leaves nothing behind"


def test_a_file_without_a_record():
    record_file(Path(MASK)).unlink()
    assert placed() == [f"nothing says how {MASK} was made", ""]


@pytest.mark.parametrize("damage", ["", "{}", '{"asked": 1}', "\udcff"])
def test_a_damaged_record_is_none(damage):
    record_file(Path(MASK)).write_bytes(damage.encode(errors="surrogateescape"))
    assert placed() == [f"nothing says how {MASK} was made", ""]


def test_a_file_that_came_back_under_the_record_of_another():
    """A backup from before there were records: file and checksum."""
    old = "removed otherwise"
    record = record_file(Path(MASK)).read_bytes()
    write_text(Path(MASK), old)
    record_file(Path(MASK)).write_bytes(record)
    assert placed() == [f"{MASK} is not the one whose making is noted", ""]


def test_a_file_made_from_another_than_there_is():
    make(STATISTICS, COLLECT, "counted otherwise")
    assert placed() == [f"{MASK} was made from another {STATISTICS}", ""]


def test_the_same_bytes_made_again_leave_what_was_made_from_them():
    make(STATISTICS, COLLECT | {"code": "edited"}, "counted")
    assert placed(statistics=COLLECT | {"code": "edited"}) == ["", ""]


def test_a_file_that_a_person_changed_stays_and_its_readers_are_made_again():
    without_checksum(Path(STATISTICS)).write_text("by hand")
    assert placed() == [f"{MASK} was made from another {STATISTICS}", ""]


def test_what_was_made_from_a_file_that_is_gone_stays_while_the_same_is_asked_of_it():
    for file in Path(STATISTICS).parent.iterdir():
        file.unlink()
    assert placed() == ["", ""]
    other = COLLECT | {"options": "x"}
    assert placed(statistics=other) == ["", f"{STATISTICS} was another when it was read last"]


def test_the_order_of_planning_does_not_matter_for_a_file_that_is_gone():
    for file in Path(STATISTICS).parent.iterdir():
        file.unlink()
    orders = Orders(FOLDER, is_main=True)
    orders.place("collect_statistics/m/c", COLLECT | {"options": "x"}, [STATISTICS])
    order = orders.place("build_mask/m/v", BUILD, [MASK])
    assert f"{MASK} was made from another {STATISTICS}" in Path(order).read_text(encoding="utf-8")


def test_a_fault_never_reads_the_same_twice():
    """Snakemake takes an input for the one of the last run where its content is the same."""
    record_file(Path(MASK)).unlink()
    orders = Orders(FOLDER, is_main=True)
    texts = [
        Path(orders.place("build_mask/m/v", BUILD, [MASK])).read_text(encoding="utf-8")
        for _ in range(2)
    ]
    assert texts[0] != texts[1]


def test_an_order_is_newer_than_a_wrong_file_of_a_clock_that_is_ahead():
    record_file(Path(MASK)).unlink()
    ahead = time.time() + AN_HOUR
    os.utime(MASK, (ahead, ahead))
    order = Orders(FOLDER, is_main=True).place("build_mask/m/v", BUILD, [MASK])
    assert Path(order).stat().st_mtime_ns > Path(MASK).stat().st_mtime_ns


def test_files_that_were_touched_or_copied_get_the_times_when_they_were_made():
    made = [Path(path).stat().st_mtime for path in (STATISTICS, MASK)]
    for hours, path in enumerate((MASK, STATISTICS), 1):
        os.utime(path, (made[0] + hours * AN_HOUR,) * 2)
    assert placed() == ["", ""]
    now = [Path(path).stat().st_mtime for path in (STATISTICS, MASK)]
    assert now == pytest.approx(made, abs=1) and now == sorted(now)


def test_a_file_that_changed_under_its_checksum_keeps_its_new_time():
    ahead = time.time() + AN_HOUR
    Path(MASK).write_text("flipped", encoding="utf-8")
    os.utime(MASK, (ahead, ahead))
    assert checksum_file(Path(MASK)).exists() and placed() == ["", ""]
    assert Path(MASK).stat().st_mtime == pytest.approx(ahead)


def test_a_job_judges_nothing():
    record_file(Path(MASK)).unlink()
    order = Path(Orders(FOLDER, is_main=False).place("build_mask/m/v", BUILD, [MASK]))
    assert order.stat().st_mtime == 0 and len(order.read_text(encoding="utf-8").splitlines()) == 1
