"""A variant's problems in several jobs: one store, and what an undivided job makes of it."""

import shutil

from tests.workflow.checkout import SMALL, write_config

CONFIG = ("--configfile", "small.yaml")
DENSE = "results/reasoner/dense"


def with_shards(count):
    return SMALL | {"generation": SMALL["generation"] | {"shards": count}}


def test_shards_decode_into_one_store_and_the_results_are_the_same_bytes(changeable):
    made = [f"{DENSE}/{kind}/small.jsonl" for kind in ("traces", "answers")]
    before = [(changeable.folder / path).read_bytes() for path in made]
    shutil.rmtree(changeable.folder / "store")
    write_config(changeable, with_shards(2))
    changeable.run("--cores", "2", *made, *CONFIG)
    assert [(changeable.folder / path).read_bytes() for path in made] == before
    assert len(list(changeable.folder.glob("store/*/*.jsonl"))) == 2
    log = (changeable.folder / "logs/generate/reasoner/dense.log").read_text()
    assert "completions are in the store; no engine starts" in log
    planned = changeable.planned(*CONFIG)
    assert (planned["generate_shard"], planned["generate"]) == (2 * 3, 3)


def test_shards_ask_for_gpus_and_the_job_behind_them_for_none(finished, tmp_path):
    (tmp_path / "cuda.yaml").write_text("device: cuda\ngeneration: {shards: 4}\n")
    shown = finished.run(
        "--dry-run", "--forceall", f"{DENSE}/generation.json", *CONFIG, str(tmp_path / "cuda.yaml")
    )
    for rule, count, gpus in (("generate_shard", 4, 1), ("generate", 1, 0)):
        found = [part.split("\nrule ")[0] for part in shown.split(f"\nrule {rule}:")[1:]]
        assert len(found) == count
        assert all(("gpu=1" in part) == bool(gpus) for part in found)
