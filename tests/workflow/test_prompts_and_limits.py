"""Prompts shown without decoding; a run with a limit that is then enlarged."""

import json

from tests.workflow.checkout import SMALL, small_checkout, write_config

GRADES, TABLE = "results/reasoner/dense/grades/small.jsonl", "results/tables/accuracy.md"
CONFIG = ("--cores", "2", "--configfile", "small.yaml")


def config(**said) -> dict:
    """The dense model alone, on some of the small experiment's problems."""
    small = SMALL["benchmarks"]["small"] | said
    changes = {"benchmarks": {"small": small}, "generation": {"budgets": [6], "repeats": 1}}
    run = {"variants": ["dense"], "benchmarks": ["small"]}
    return SMALL | changes | {"run": run}


def test_prompts_are_shown_and_a_larger_limit_decodes_the_rest_alone(tmp_path):
    few = {"limit": {"problems": 3}, "prompt": "0+{question}"}
    checkout = small_checkout(tmp_path, **config(**few))
    assert set(checkout.planned(*CONFIG, "--", "prompts")) == {
        "fetch_model", "fetch_benchmark", "write_prompts", "prompts",
    }  # fmt: skip
    printed = checkout.run("prompts", *CONFIG)
    rows = (tmp_path / "results/reasoner/prompts/small.jsonl").read_text().splitlines()
    first = json.loads(rows[0])
    assert len(rows) == 3 and first["text"].startswith("<|user|>0+")
    shown = f"prompts/small.jsonl, problem {first['id']} ({first['tokens']} tokens):\n"
    assert f"{shown}{first['text']}\n" in printed

    checkout.run(TABLE, *CONFIG)
    assert "Limited: small: a sample of 3 problems (seed 0)." in (tmp_path / TABLE).read_text()
    few_answers = (tmp_path / "results/reasoner/dense/answers/small.jsonl").read_text()
    assert checkout.decoded() == 2 * 3  # a trace and an answer each

    write_config(checkout, config(**few | {"limit": {"problems": 5}}))
    checkout.run(GRADES, *CONFIG)
    assert checkout.decoded() == 2 * 5
    more_answers = (tmp_path / "results/reasoner/dense/answers/small.jsonl").read_text()
    assert set(few_answers.splitlines()) < set(more_answers.splitlines())
