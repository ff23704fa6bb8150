"""Results are those that the config asks for, whatever was copied, lost or brought back."""

import itertools
import json
import os
import shutil
import time

import pytest

from tests.workflow.checkout import SMALL, Checkout, small_checkout, write_config

CONFIG = ("--configfile", "small.yaml")
VARIANT = "results/reasoner/wanda-50"
AN_HOUR = 3600 * 10**9  # nanoseconds
MASK = f"{VARIANT}/mask.json"
LESS = {"wanda-50": {"method": "wanda", "sparsity": 0.25, "calibration": "chains"}}


def test_every_file_with_a_checksum_has_a_record_of_what_it_was_made_from(finished):
    for folder in ("results", "resources"):
        for checksum in (finished.folder / folder).rglob(".*.sha256"):
            assert checksum.with_suffix(".made.json").exists()
    record = json.loads((finished.folder / VARIANT / "traces/.small.jsonl.made.json").read_text())
    assert record["sources"].keys() == {
        "resources/models/reasoner/manifest.json",
        "resources/benchmarks/small.jsonl",
        MASK,
    }


def test_results_copied_into_a_new_clone_without_their_times_are_up_to_date(finished, tmp_path):
    clone, times = small_checkout(tmp_path / "clone"), itertools.count(time.time_ns() + AN_HOUR)

    def copy_later(source: str, target: str) -> None:
        shutil.copy(source, target, follow_symlinks=False)
        moment = next(times)  # times less than a minute off are left as they are
        os.utime(target, ns=(moment, moment), follow_symlinks=False)

    for folder in ("results", "resources"):
        shutil.copytree(
            finished.folder / folder,
            clone.folder / folder,
            symlinks=True,
            copy_function=copy_later,
        )
    assert clone.planned(*CONFIG) == {}


@pytest.fixture(scope="module")
def brought_back(finished, tmp_path_factory) -> Checkout:
    """A mask made with less sparsity; in `backup`, the folder of the variant as it was before."""
    checkout = Checkout(tmp_path_factory.mktemp("vouching") / "copy")
    shutil.copytree(finished.folder, checkout.folder, symlinks=True)
    shutil.rmtree(checkout.folder / ".snakemake")
    shutil.copytree(checkout.folder / VARIANT, checkout.folder / "backup", symlinks=True)
    write_config(checkout, SMALL | {"variants": LESS})
    planned = checkout.run("--dry-run", "--cores", "1", MASK, *CONFIG)
    assert "reason: Updated input files: .snakemake/asked/allocate_sparsity/reason" in planned
    checkout.run("--cores", "1", MASK, *CONFIG)
    assert checkout.planned(*CONFIG, "--", MASK) == {}
    return checkout


@pytest.mark.parametrize("keeps_times", [True, False])
def test_results_of_an_earlier_config_that_come_back_whole_are_made_again(
    brought_back, keeps_times, tmp_path
):
    """Snakemake's notes say that they were made as asked, and so they were, before."""
    checkout = Checkout(tmp_path / "copy")
    shutil.copytree(brought_back.folder, checkout.folder, symlinks=True)
    shutil.copytree(
        checkout.folder / "backup",
        checkout.folder / VARIANT,
        copy_function=shutil.copy2 if keeps_times else shutil.copy,
        dirs_exist_ok=True,
    )
    assert checkout.planned(*CONFIG, "--", MASK) == {"allocate_sparsity": 1, "build_mask": 1}


def test_a_source_that_another_rule_makes_again_is_read_again(tmp_path):
    """Sources are ancient to Snakemake, which would pass over what it has just made."""
    made = "results/demo/benchmarks/chains.jsonl"
    few = {"few": {"source": {"kind": "local", "path": made}}}
    checkout = small_checkout(tmp_path, run={"benchmarks": ["few"]}, benchmarks=few)
    (tmp_path / made).parent.mkdir(parents=True)
    (tmp_path / made).write_text("something else\n")
    checkout.run("--cores", "1", *CONFIG, "--", made)
    arguments = (*CONFIG, "--", "resources/benchmarks/few.jsonl")
    checkout.run("--cores", "1", *arguments)
    assert checkout.planned(*arguments) == {}
    again = checkout.planned("--forcerun", "make_demo_data", *arguments)
    assert again == {"make_demo_data": 1, "fetch_benchmark": 1}
