"""A store that cannot be written or read, met through snakemake: one clear line, nothing lost."""

import shutil
import subprocess

import pytest

from tests.workflow.checkout import Checkout

CONFIG = ("--configfile", "small.yaml")
ANSWERS = "results/reasoner/dense/answers/small.jsonl"


@pytest.fixture
def checkout(changeable) -> Checkout:
    """A checkout with the mask and the benchmark that generation starts from, and no store."""
    shutil.rmtree(changeable.folder / "store")
    shutil.rmtree(changeable.folder / "results/reasoner/dense/answers")
    return changeable


def refused(checkout: Checkout) -> str:
    """The one error line of a run that fails."""
    finished = checkout.snakemake("--cores", "1", ANSWERS, *CONFIG)
    assert finished.returncode != 0 and "Traceback" not in finished.stdout
    assert not (checkout.folder / ANSWERS).exists()
    (line,) = [text for text in finished.stdout.splitlines() if text.startswith("error: ")]
    return line


def test_a_full_disk_costs_nothing_that_was_written(checkout):
    store = checkout.folder / "store"
    store.mkdir()
    # space for the two small files of a store and for 4096 bytes of completions
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(store)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs to mount a tmpfs, which only root may: {mounted.stderr.strip()}")
    try:
        line = refused(checkout)
        assert "cannot write to the store: No space left on device" in line
        kept = checkout.decoded()
        assert kept > 10
        subprocess.run(["mount", "-o", "remount,size=1m", str(store)], check=True)
        checkout.run("--cores", "1", ANSWERS, *CONFIG)
        log = (checkout.folder / "logs/generate/reasoner/dense.log").read_text()
        (said,) = [text for text in log.splitlines() if text.startswith("reasoner/dense: decoded ")]
        assert int(said.split()[2]) == checkout.decoded() - kept
        assert "the last line is torn and dropped" in log
    finally:
        subprocess.run(["umount", "--lazy", str(store)], check=True)


def test_a_store_of_another_format(checkout):
    (checkout.folder / "store").mkdir()
    (checkout.folder / "store/FORMAT").write_text("1\n")
    assert refused(checkout) == (
        "error: store: this store has format '1', this version reads and writes format 2: move or "
        "delete the folder and its completions are generated again, or use the version that wrote "
        "it"
    )
