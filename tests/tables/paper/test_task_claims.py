"""Claims about tasks: answers against slow counts, verdicts, and what is said where none is had."""

import math

import numpy as np
import pytest

from tests.tables import dynamic_results, task_results
from tests.tables.task_results import KEPT, OPTIONS, PAIR, TASKS, WAYS
from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.columns import read_table
from workflow_scripts.tables.content.removals import read_masks
from workflow_scripts.tables.content.task_scores import Task, load_task_scores, tasks_of
from workflow_scripts.tables.paper.claim_files import Claim, read_claims
from workflow_scripts.tables.paper.task_claims import Run, ask, benchmark_tasks

AVERAGED = [name for name, made in TASKS.items() if made.kind == "mean" and made.higher_is_better]


@pytest.fixture(scope="module")
def run(task_source) -> Run:
    tasks = [t for t in tasks_of(load_task_scores(task_source.tables)) if t.is_averaged]
    masks = read_masks(task_source.results, [*PAIR.values()], [*KEPT])
    trained = {name: start for name, start, _ in OPTIONS["recovered"]}
    return Run(
        tasks, [*PAIR.values()], [*KEPT], WAYS, masks, "dense", PAIR, OPTIONS["data_pairs"], trained
    )


@pytest.fixture(scope="module")
def number():
    """The number of a task by model, variant and name, counted slowly."""
    return {
        (model, variant, name): sum(values.tolist()) / sum(weights.tolist())
        for model, variant, name, values, weights in task_results.scores()
    }


def claim(**keys) -> Claim:
    return Claim.model_validate({"says": "it is so", "where": "here", **keys})


def answers(run, **keys):
    return list(ask(claim(**keys), run))


VARIANTS = {"kind": "variants", "at_equal": "removed_of_all"}
DEPTH, WIDTH = {"families": ["depth"]}, {"families": ["width"]}


def test_families_are_compared_where_they_remove_about_as_much(run, number):
    found = answers(
        run, tasks=["classification"], compares={**VARIANTS, "better": DEPTH, "worse": WIDTH}
    )
    assert [row["model"] for row in found] == [*PAIR.values()]
    for row in found:
        # 15.0 and 18.0 % of all parameters; not what was trained, which flap-20 was not
        pairs = [("shortgpt-1", "flap-20"), ("shortgpt-other-1", "flap-20")]
        wanted = 0.0
        for name in ("boolq", "hellaswag"):
            for one, other in pairs:
                wanted += number[row["model"], one, name] - number[row["model"], other, name]
        assert row["estimate"] == pytest.approx(wanted / 4)
        assert (row["tasks"], row["pairs"], row["verdict"]) == (2, 2, "supported")
        assert row["ci_low"] < row["estimate"] < row["ci_high"]
        assert row["evidence"] == (
            "shortgpt-1 / flap-20; shortgpt-other-1 / flap-20; on boolq, hellaswag"
        )
    turned = answers(
        run, tasks=["classification"], compares={**VARIANTS, "better": WIDTH, "worse": DEPTH}
    )
    for row, other in zip(turned, found, strict=True):
        assert row["verdict"] == "contradicted"
        assert row["estimate"] == pytest.approx(-other["estimate"])
        assert row["ci_low"] == pytest.approx(-other["ci_high"])


def test_variants_that_remove_more_are_not_compared(run):
    single = {"families": ["unstructured"]}
    (row,) = answers(run, compares={**VARIANTS, "better": single, "worse": WIDTH})
    assert row["verdict"] == "not tested" and row["model"] == "answerer, reasoner"
    assert row["evidence"] == "no two of these variants remove about as much"


def test_texts_and_training_are_asked_of_variants_that_are_the_same_otherwise(run, number):
    for compares, one, other in (
        ({"kind": "texts", "of": "calibration"}, "shortgpt-1", "shortgpt-other-1"),
        ({"kind": "training", "methods": ["shortgpt"]}, "shortgpt-1-lora", "shortgpt-1"),
    ):
        for row in answers(run, compares=compares):
            wanted = sum(
                number[row["model"], one, name] - number[row["model"], other, name]
                for name in AVERAGED
            )
            assert row["estimate"] == pytest.approx(wanted / len(AVERAGED))
            assert row["evidence"].startswith(f"{one} / {other}; on boolq, ")


def test_models_of_a_pair_are_compared_on_the_same_samples(run, number):
    (row,) = answers(run, tasks=["reasoning"], compares={"kind": "models", "families": ["width"]})
    wanted = 0.0
    for name in ("jee", "aime"):
        loss = {
            kind: number[model, "dense", name] - number[model, "flap-20", name]
            for kind, model in PAIR.items()
        }
        wanted += (loss["think"] - loss["instruct"]) / 2
    assert row["estimate"] == pytest.approx(wanted) and row["model"] == "answerer, reasoner"


def test_one_comparison_is_taken_from_another(run):
    training, texts = {"kind": "training"}, {"kind": "texts", "of": "calibration"}
    parts = [answers(run, compares=one) for one in (training, texts)]
    found = answers(run, compares=training, than=texts)
    for row, one, other in zip(found, *parts, strict=True):
        assert row["estimate"] == pytest.approx(one["estimate"] - other["estimate"])
        width = row["ci_high"] - row["ci_low"]
        assert width > max(part["ci_high"] - part["ci_low"] for part in (one, other))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"compares": {"kind": "models", "families": ["dynamic"]}},
         "no variant of family dynamic in this run"),
        ({"compares": {"kind": "training"}, "tasks": ["translation", "speech"]},
         "no task of family translation or speech in this run"),
        ({"compares": {"kind": "texts", "of": "samples"}},
         "no two variants differ in nothing but the number of their calibration samples"),
        ({"compares": {"kind": "training", "methods": ["wanda"]}},
         "no variant is run both with training after pruning and without"),
    ],
)  # fmt: skip
def test_what_a_run_lacks_is_said(run, keys, said):
    (row,) = answers(run, **keys)
    assert (row["verdict"], row["evidence"], row["tasks"]) == ("not tested", said, 0)


def test_without_a_pair_of_models_there_is_none_to_ask(run):
    alone = Run(**{**vars(run), "pair": {}})
    for keys in (
        {"compares": {"kind": "models"}},
        {"compares": {"kind": "training"}, "model": "think"},
    ):
        (row,) = answers(alone, **keys)
        assert row["evidence"] == "the run has no pair of models (tables.pair)"
    (row,) = answers(run, compares={"kind": "training"}, model="think")
    assert row["model"] == "reasoner"


def made_run(lost: float, samples: int = 400) -> Run:
    """One task, of which `shortgpt-other-1` loses a share that `shortgpt-1` has."""
    draws = np.random.default_rng(0).random((2, samples))
    right = (draws[0] < 0.8).astype(float)
    values = {("m", "shortgpt-1"): right, ("m", "shortgpt-other-1"): right * (draws[1] >= lost)}
    task = Task("t", "reasoning", "acc", "mean", True, np.ones(samples), values)
    pairs = {"calibration": [["m", "shortgpt-1", "shortgpt-other-1"]]}
    return Run([task], ["m"], [*KEPT], WAYS, {}, "dense", {}, pairs, {})


@pytest.mark.parametrize(
    ("lost", "verdicts"),
    [
        (0.0, ("undecided", "supported")),
        (0.05, ("supported", "supported")),
        (0.15, ("supported", "undecided")),
        (0.5, ("supported", "contradicted")),
    ],
)
def test_verdicts_are_those_of_the_interval(lost, verdicts):
    """Of a claim that there is a difference, and of one that there is hardly any."""
    for small, verdict in zip((False, True), verdicts, strict=True):
        (row,) = answers(
            made_run(lost), compares={"kind": "texts", "of": "calibration"}, small=small
        )
        assert row["verdict"] == verdict, (row["ci_low"], row["ci_high"])


def dynamic_run(lost: float, samples: int = 400) -> Run:
    """One task, of which dynamic variants lose a share that static ones have; `mod-10` loses none,
    and uses about as much as `skipgpt-20` does."""
    random = np.random.default_rng(0)
    right = (random.random(samples) < 0.8).astype(float)
    kept = right * (random.random(samples) >= lost)
    known = dynamic_results.WAYS
    values = {
        ("m", v): kept if known[v].method == "skipgpt" else right for v in dynamic_results.KEPT
    }
    task = Task("t", "reasoning", "acc", "mean", True, np.ones(samples), values)
    records = {variant: dynamic_results.record_of(variant) for variant in known}
    records["mod-10"]["dynamic"]["unused"] = 0.17
    masks = {("m", v): MaskRecord.model_validate(record) for v, record in records.items()}
    return Run([task], ["m"], [*known], known, masks, "dense", {}, {}, {})


UNUSED = {"kind": "variants", "at_equal": "unused"}
STATIC = {"families": ["depth", "width", "slicing"]}


@pytest.mark.parametrize(("lost", "verdict"), [(0.2, "supported"), (0.0, "undecided")])
def test_what_is_removed_is_compared_with_what_as_many_weights_are_skipped_of(lost, verdict):
    """The same claims that come with the project; trained weights with trained ones."""
    claims = {name: one for _, name, one in read_claims()}
    (row,) = ask(claims["static-reasoning"], dynamic_run(lost))
    assert row["verdict"] == verdict
    assert row["evidence"] == (
        "flap-20 / mod-10; shortgpt-1 / skipgpt-20; shortgpt-1 / mod-10; "
        "flap-20-lora / skipgpt-20-lora; on t"
    )
    (row,) = ask(claims["mod-reasoning"], dynamic_run(lost))
    assert row["verdict"] == verdict and row["evidence"] == "mod-10 / skipgpt-20; on t"
    turned = {"better": {"families": ["dynamic"]}, "worse": STATIC}
    (row,) = answers(dynamic_run(lost), compares=UNUSED | turned)
    assert row["verdict"] == {"supported": "contradicted"}.get(verdict, verdict)


def test_what_was_not_measured_is_not_compared():
    run = dynamic_run(0.2)
    masks = {
        place: mask.model_copy(
            update={"dynamic": mask.dynamic and mask.dynamic.model_copy(update={"unused": None})}
        )
        for place, mask in run.masks.items()
    }
    compares = UNUSED | {"better": STATIC, "worse": {"families": ["dynamic"]}}
    (row,) = answers(Run(**{**vars(run), "masks": masks}), compares=compares)
    assert row["evidence"] == "no two of these variants remove about as much"


def test_benchmarks_stand_in_for_tasks_of_reasoning(task_source):
    cells = task_source.cells()
    (task,) = benchmark_tasks(cells)
    assert (task.name, task.family, len(task.weights)) == ("chains", "reasoning", 20)
    assert len(task.values) == len(PAIR) * len(KEPT)
    of_dense = cells[
        (cells["model"] == "reasoner") & (cells["variant"] == "dense") & (cells["budget"] == 24)
    ]
    by_problem = of_dense.groupby("id")["correct"].mean()
    assert np.array_equal(task.values["reasoner", "dense"], by_problem.to_numpy())


def test_every_claim_of_the_file_has_its_rows(task_source):
    rows = read_table(task_source.tables, "task_claims")
    names = [name for _, name, _ in read_claims()]
    assert [*dict.fromkeys(rows["claim"])] == names and len(names) > 10
    assert {*rows["paper"]} == {"arXiv 2601.18091"}
    of = rows.set_index(["claim", "model"])
    assert of.loc[("depth-classification", "reasoner"), "verdict"] == "supported"
    assert of.loc[("width-generation", "reasoner"), "verdict"] == "supported"
    assert of.loc[("own-calibration", "reasoner"), "verdict"] == "contradicted"
    dynamic = of.loc[("static-reasoning", "answerer, reasoner")]
    assert dynamic["verdict"] == "not tested" and math.isnan(dynamic["estimate"])
    text = (task_source.tables / "task_claims.md").read_text(encoding="utf-8")
    assert "claims of arXiv 2601.18091 about tasks, in this run" in text


FILE = """
paper: mine
claims:
  one:
    says: it is so
    where: here
    compares: {kind: training}
"""


def test_a_file_of_ones_own_is_read_beside_it(tmp_path):
    (tmp_path / "claims_mine.yaml").write_text(FILE)
    ((paper, name, found),) = read_claims(tmp_path)
    assert (paper, name, found.compares.kind) == ("mine", "one", "training")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("kind: training", "kind: luck"), "claims.one.compares"),
        (("where: here", "when: now"), "claims.one.where: Field required"),
        (("kind: training", "kind: training, families: []"), "one.compares.training.families"),
        (("kind: training", "kind: models}\n    than: {kind: training"), "not allowed with than"),
        (("paper: mine", "paper: mine\npaper: you"), "claims_mine.yaml:3: paper: this key stands"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_one_line(tmp_path, change, said):
    (tmp_path / "claims_mine.yaml").write_text(FILE.replace(*change))
    with pytest.raises(InputError) as error:
        list(read_claims(tmp_path))
    assert said in str(error.value) and len(error.value.args) == 1
    assert "claims_mine.yaml" in str(error.value)
