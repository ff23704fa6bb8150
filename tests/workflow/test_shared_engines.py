"""Several variants to an engine: one store, the same results, and reruns by variant."""

import json
import shutil

from tests.workflow.checkout import SMALL, write_config

CONFIG = ("--configfile", "small.yaml")
VARIANTS = SMALL["run"]["variants"]
SHARED = {"run": SMALL["run"] | {"variants_per_engine": 2}}


def changed(**sections):
    return SMALL | SHARED | sections


def test_variants_share_a_job_and_the_results_are_the_same_bytes(changeable):
    made = [
        f"results/reasoner/{variant}/{kind}/small.jsonl"
        for variant in VARIANTS[:2]
        for kind in ("traces", "answers")
    ]
    before = [(changeable.folder / path).read_bytes() for path in made]
    shutil.rmtree(changeable.folder / "store")
    for path in made:
        (changeable.folder / path).unlink()
    write_config(changeable, changed())
    changeable.run("--cores", "2", *made, *CONFIG)
    assert [(changeable.folder / path).read_bytes() for path in made] == before
    record = json.loads((changeable.folder / "results/reasoner/engines/1/1-of-1.json").read_text())
    assert [*record] == VARIANTS[:2]
    for variant in VARIANTS[:2]:
        log = (changeable.folder / f"logs/generate/reasoner/{variant}.log").read_text()
        assert "completions are in the store; no engine starts" in log

    def decoding(**sections):
        write_config(changeable, changed(**sections))
        jobs = changeable.planned(*CONFIG, "--", *made)
        return jobs.get("generate_variants", 0), jobs.get("generate", 0)

    assert decoding() == (0, 0)
    # a variant that is another: those that share its engine take what they had from the store
    assert decoding(variants={"wanda-50": {"sparsity": 0.4}}) == (1, 2)
    assert decoding(generation=SMALL["generation"] | {"budgets": [6, 24, 73]}) == (1, 2)
    (changeable.folder / made[0]).unlink()
    assert decoding() == (0, 1)


def test_engines_go_with_shards_and_names_and_ask_for_gpus_alone(finished, tmp_path):
    run = {"name": "pilot", "variants_per_engine": 3}
    over = {"device": "cuda", "run": run, "generation": {"shards": 2}}
    (tmp_path / "over.yaml").write_text(json.dumps(over))
    shown = finished.run("--dry-run", "--forceall", *CONFIG, str(tmp_path / "over.yaml"))
    for rule, count, gpus in (("generate_variants", 2 * 2, 1), ("generate", 4, 0)):
        found = [part.split("\nrule ")[0] for part in shown.split(f"\nrule {rule}:")[1:]]
        assert len(found) == count
        assert all(("gpu=1" in part) == bool(gpus) for part in found)
        assert all("results/runs/pilot/reasoner/engines/" in part for part in found)
