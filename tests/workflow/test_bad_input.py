"""A user's mistakes, met through snakemake itself: one clear line, and nothing half-made."""

import json
import shutil

import pytest

from tests.workflow.checkout import SMALL, Checkout, small_checkout, write_config

CONFIG = ("--configfile", "small.yaml")
RECORD = "results/config.json"
ANSWERS = "results/reasoner/dense/answers/small.jsonl"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Checkout:
    return small_checkout(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def checkout(pristine, tmp_path) -> Checkout:
    shutil.copytree(pristine.folder, tmp_path / "copy")
    return Checkout(tmp_path / "copy")


def refused(checkout: Checkout, *arguments: str) -> str:
    finished = checkout.snakemake(*arguments, *CONFIG)
    assert finished.returncode != 0
    assert "Traceback" not in finished.stdout
    return finished.stdout


def local_model(checkout: Checkout, path: str) -> None:
    models = {"mine": {"source": {"kind": "local", "path": path}, "thinking": "think"}}
    run = SMALL["run"] | {"models": ["mine"], "variants": ["dense"]}
    write_config(checkout, SMALL | {"run": run, "models": models})


def test_wrong_config_ends_before_the_dag_with_a_line_for_each_mistake(checkout):
    wrong = SMALL | {
        "variants": {"wanda-50": {"sparsity": 1.2}},
        "generation": {"budgets": [0], "repets": 3},
    }
    write_config(checkout, wrong)
    printed = refused(checkout, "--cores", "1").splitlines()
    lines = [line for line in printed if line.startswith("config: ")]
    assert len(lines) == 3
    budget, repeats, sparsity = sorted(lines)
    assert "generation.budgets[0]: 0 is not allowed" in budget
    assert "generation.repets: unknown key; did you mean 'repeats'?" in repeats
    assert sparsity == (
        "config: variants.wanda-50.sparsity: 1.2 is not allowed; "
        "must be a number greater than 0 and less than 1"
    )
    assert not (checkout.folder / "results").exists()
    assert not (checkout.folder / "resources").exists()


def last_line(checkout: Checkout, *arguments: str) -> str:
    return refused(checkout, "--cores", "1", "--dry-run", *arguments).splitlines()[-1]


def test_a_key_that_stands_twice_is_one_line(checkout):
    path = checkout.folder / "small.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "generation:\n  repeats: 40\n")
    lines = path.read_text(encoding="utf-8").splitlines()
    first, second = (n for n, line in enumerate(lines, 1) if line == "generation:")
    assert last_line(checkout) == (
        f"{path}:{second}: generation: this key stands twice, first in line {first}; keep one"
    )


def test_a_default_config_whose_aliases_multiply_is_one_line(checkout):
    path = checkout.folder / "config/config.yaml"
    bomb = [
        "a0: &a0 {a: 1}",
        *(f"a{n}: &a{n} {{a: *a{n - 1}, b: *a{n - 1}}}" for n in range(1, 41)),
    ]
    path.write_text("\n".join(bomb), encoding="utf-8")
    finished = checkout.snakemake("--cores", "1", "--dry-run")
    assert finished.returncode == 1
    assert finished.stdout.splitlines()[-1].startswith(
        "config/config.yaml:17: a16: more than 100000"
    )


def test_a_working_directory_without_the_default_config_is_one_line(checkout):
    elsewhere = checkout.folder / "else {where}"
    elsewhere.mkdir()
    finished = checkout.snakemake("--cores", "1", "--dry-run", "--directory", str(elsewhere))
    assert finished.returncode == 1
    assert finished.stdout.splitlines()[-1] == (
        f"config/config.yaml: there is none in {elsewhere}, the working directory; copy it there "
        f"or name one: --configfile {checkout.folder}/config/config.yaml"
    )


def test_numbers_can_be_set_in_a_call(checkout):
    checkout.run("--cores", "1", *CONFIG, "--config", "generation={repeats: 1}", "--", RECORD)
    assert json.loads((checkout.folder / RECORD).read_text())["generation"]["repeats"] == 1


def test_missing_local_model(checkout):
    local_model(checkout, "models/absent")
    printed = refused(checkout, "--cores", "1")
    assert "config: models.mine.source.path: 'models/absent' does not exist" in printed


def test_truncated_weights_of_a_local_model(checkout):
    shutil.copytree(checkout.folder / "bundled/models/reasoner", checkout.folder / "mine")
    weights = checkout.folder / "mine/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    local_model(checkout, "mine")
    printed = refused(checkout, "--cores", "1")
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "model.safetensors" in errors[0] and "truncated" in errors[0]
    assert not (checkout.folder / "resources/models/mine/manifest.json").exists()


def test_benchmark_row_without_an_answer(checkout):
    path = checkout.folder / "small.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    del rows[4]["answer"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert last_line(checkout) == (
        "config: benchmarks.small.source: small.jsonl:5 (chains-080): has no answer"
    )
    assert not (checkout.folder / "resources").exists()


def test_budget_beyond_the_context(changeable):
    write_config(changeable, SMALL | {"generation": {"budgets": [6, 100_000]}})
    errors = [
        line
        for line in refused(changeable, "--cores", "1", ANSWERS).splitlines()
        if line.startswith("error: ")
    ]
    said = "generation.budgets: 100000 tokens leave none of the model's context"
    assert errors and all(said in line for line in errors)


def test_delimiter_that_is_not_one_token(changeable):
    formats = {"think": {"stop": "</think></think>"}}
    write_config(changeable, SMALL | {"thinking_formats": formats})
    printed = refused(changeable, "--cores", "1", ANSWERS)
    assert (
        "error: thinking_formats.think.stop: '</think></think>' is 2 tokens of the tokenizer of "
        "resources/models/reasoner; each must be exactly one"
    ) in printed


def test_damaged_mask_is_refused(changeable):
    checkout = changeable
    mask = checkout.folder / "results/reasoner/wanda-50/mask.safetensors"
    damaged = bytearray(mask.read_bytes())
    damaged[-10] ^= 1
    mask.write_bytes(damaged)
    answers = "results/reasoner/wanda-50/answers/small.jsonl"
    errors = [
        line
        for line in refused(checkout, "--cores", "1", answers, "--force").splitlines()
        if line.startswith("error: ")
    ]
    assert len(errors) == 1 and "mask.safetensors" in errors[0]
    assert not (checkout.folder / answers).exists()
