import os
import sys
import time
from pathlib import Path

import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.jobs.clocks import check_clock, main

NAMES = ("resources/m/manifest.json", "results/m/dense/mask.json", "results/tables/accuracy.csv")
HOUR = 3600


@pytest.fixture
def files(tmp_path, monkeypatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    paths = [Path(name) for name in NAMES]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.touch()
    return paths


def at(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() + seconds,) * 2, follow_symlinks=False)


def test_nothing_is_said_of_times_that_can_be(files):
    at(files[0], -1e9)
    at(files[1], 30)  # as far as two machines may be apart
    (files[2].parent / "link").symlink_to("nowhere")
    check_clock()


def test_the_newest_file_is_named(files):
    at(files[0], 2 * HOUR)
    at(files[2], HOUR)
    with pytest.raises(InputError) as error:
        check_clock()
    line = str(error.value)
    ahead = int(line.removeprefix(f"{files[0]}: its time is ").split()[0])
    assert abs(ahead - 2 * HOUR) < 60
    assert line.endswith(
        " seconds ahead of this machine's clock, as are 1 others; set the clock right, or where it "
        "is: python -m workflow_scripts.jobs.clocks"
    )


def test_sources_are_looked_at_too_and_named_for_the_command(files, monkeypatch, capsys):
    source = Path("my data/problems.jsonl")
    source.parent.mkdir()
    source.touch()
    at(source, HOUR)
    check_clock()
    check_clock([Path("gone.jsonl")])
    with pytest.raises(InputError) as error:
        check_clock([source])
    line = str(error.value)
    assert line.startswith(f"{source}: its time is ")
    assert line.endswith("python -m workflow_scripts.jobs.clocks 'my data'")
    monkeypatch.setattr(sys, "argv", ["clocks", "my data"])
    main()
    assert capsys.readouterr().out == "1 files were from the future\n"
    check_clock([source])


def test_the_command_brings_them_back_in_their_order(files, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["clocks"])
    for path, hours in zip(files, (3, 1, 2), strict=True):
        at(path, hours * HOUR)
    at(files[0].parent, HOUR)  # a folder that is a result has a time as well
    past = Path("results/tables/older.csv")
    past.touch()
    at(past, -HOUR)
    before = past.stat().st_mtime
    main()
    assert capsys.readouterr().out == "4 files were from the future\n"
    check_clock()
    times = [path.stat().st_mtime_ns for path in (files[1], files[2], files[0])]
    assert times == sorted(times)
    assert abs(files[0].stat().st_mtime - time.time()) < 60
    assert past.stat().st_mtime == before
