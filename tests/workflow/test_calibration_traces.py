"""A calibration set of the dense model's own traces, through snakemake."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tests.workflow.checkout import Checkout, copy_project, write_config
from workflow_scripts.artefacts.records import Answer, Problem, TokenSequence, Trace, read_records
from workflow_scripts.generation.store.files import read_entry
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor

CONFIG = ("--configfile", "own.yaml")
MASK = "results/reasoner/wanda-own-50/mask.json"
OWN = {
    "source": {
        "kind": "generated",
        "benchmark": "answered",
        "correct_only": True,
        "max_tokens": 60,
    },
    "samples": 4,
    "length": 32,
}
EXPERIMENT = {
    "run": {"variants": ["dense", "wanda-own-50"], "benchmarks": ["asked"]},
    "benchmarks": {
        "asked": {"source": {"kind": "local", "path": "asked.jsonl"}},
        "answered": {"source": {"kind": "local", "path": "answered.jsonl"}},
    },
    "calibration_sets": {"own": OWN},
    "variants": {"wanda-own-50": {"method": "wanda", "sparsity": 0.5, "calibration": "own"}},
    "generation": {"budgets": [6, 72], "repeats": 2},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    """The mask of a variant that is calibrated on traces; nothing else of the run is made."""
    checkout = copy_project(tmp_path_factory.mktemp("own"))
    problems = (checkout.folder / "bundled/benchmarks/chains.jsonl").read_text().splitlines(True)
    (checkout.folder / "asked.jsonl").write_text("".join(problems[:3]))
    (checkout.folder / "answered.jsonl").write_text("".join(problems[5::30]))
    write_config(checkout, EXPERIMENT, "own.yaml")
    checkout.run("--cores", "2", MASK, *CONFIG)
    return checkout


def traces_of(checkout: Checkout, kind: str, record: type) -> list:
    path = checkout.folder / "results/reasoner/calibration_traces" / kind / "answered.jsonl"
    return read_records(path, record)


def test_a_sequence_is_what_the_model_read_and_wrote(finished):
    """Prompt, trace, marker and answer, as their texts say; each once, at the largest budget."""
    tokenizer = AutoTokenizer.from_pretrained(finished.folder / "bundled/models/reasoner")
    questions = {
        problem.id: problem.question
        for problem in read_records(finished.folder / "answered.jsonl", Problem)
    }
    sequences = traces_of(finished, "sequences", TokenSequence)
    traces = traces_of(finished, "traces", Trace)
    answers = traces_of(finished, "answers", Answer)
    assert len(sequences) == len(traces) == len(answers) == 2 * len(questions) > 10
    for sequence, trace, answer in zip(sequences, traces, answers, strict=True):
        turn = [{"role": "user", "content": questions[sequence.id]}]
        prompt = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        ending = tokenizer.eos_token if answer.answer_finish == "eos" else ""
        said = f"{prompt}<think>{trace.text}</think>{answer.text}{ending}"
        assert tokenizer.decode(sequence.ids) == said
        assert sequence.budget == answer.budget == 72
        assert (sequence.id, sequence.repeat) == (trace.id, trace.repeat)
    assert "eos" in {answer.answer_finish for answer in answers}


def test_the_set_is_made_of_right_answers_and_short_traces(finished):
    grades = finished.folder / "results/reasoner/calibration_traces/grades/answered.jsonl"
    right = [json.loads(line)["correct"] for line in grades.read_text().splitlines()]
    taken = {
        tuple(sequence.ids)
        for sequence, trace, correct in zip(
            traces_of(finished, "sequences", TokenSequence),
            traces_of(finished, "traces", Trace),
            right,
            strict=True,
        )
        if correct and trace.tokens <= 60
    }
    assert 0 < len(taken) < len(right)
    path = finished.folder / "resources/calibration/reasoner/own.safetensors"
    ids = read_tensor(open_tensors(path), "input_ids")
    assert tuple(ids.shape) == (4, 32)
    stream = ids.reshape(-1).tolist()
    while stream:  # row after row, the last one cut
        (row,) = [row for row in taken if list(row)[: len(stream)] == stream[: len(row)]]
        stream = stream[len(row) :]


def test_only_what_the_set_needs_was_made(finished):
    made = {path.name for path in (finished.folder / "results/reasoner").iterdir()}
    assert made == {"calibration_traces", "statistics", "wanda-own-50"}
    assert not (finished.folder / "resources/benchmarks/asked.jsonl").exists()
    assert "Nothing to be done" in finished.run("--cores", "1", MASK, *CONFIG)


def test_run_and_calibration_share_what_was_generated(finished):
    """Asked the same benchmark, the dense model has only the smaller budget's answers to give."""
    before = finished.decoded()
    run = EXPERIMENT["run"] | {"benchmarks": ["answered"]}
    write_config(finished, EXPERIMENT | {"run": run}, "same.yaml")
    target = "results/reasoner/dense/answers/answered.jsonl"
    finished.run("--cores", "1", target, "--configfile", "same.yaml")
    traces = traces_of(finished, "traces", Trace)
    assert 0 < finished.decoded() - before <= len(traces)
    again = finished.folder / "results/reasoner/dense/traces/answered.jsonl"
    assert read_records(again, Trace) == traces


def test_too_few_traces_are_one_line_with_the_counts(finished):
    own = OWN | {"source": OWN["source"] | {"max_accuracy": 0.0}}
    write_config(finished, EXPERIMENT | {"calibration_sets": {"own": own}}, "few.yaml")
    target = "resources/calibration/reasoner/own.safetensors"
    kept = Path(finished.folder / target).read_bytes()
    done = finished.snakemake("--cores", "1", target, "--configfile", "few.yaml")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert done.returncode != 0 and kept
    assert line.startswith("error: traces of benchmark 'answered' (0 of ")
    assert "of too easy problems" in line and "4 samples of 32 tokens need 128" in line


@pytest.mark.parametrize(
    "changes",
    [{"sweep": "independent"}, {"seeding": "paper", "seed": [7, 11]}],
    ids=["independent", "paper"],
)
def test_any_sweep_and_seeding_gives_the_run_s_traces_at_the_largest_budget(finished, changes):
    """What the set is made of is what the run itself draws there, rows and seeds included."""
    generation = EXPERIMENT["generation"] | changes
    run = EXPERIMENT["run"] | {"benchmarks": ["answered"]}
    write_config(finished, EXPERIMENT | {"generation": generation, "run": run}, "other.yaml")
    targets = [
        "resources/calibration/reasoner/own.safetensors",
        "results/reasoner/dense/answers/answered.jsonl",
    ]
    finished.run("--cores", "2", *targets, "--configfile", "other.yaml")
    folders = [folder for folder in (finished.folder / "store").iterdir() if folder.is_dir()]
    files = [file for folder in folders for file in read_entry(folder)]
    keys = [(file.path.parent, record.key) for file in files for record in file.records]
    assert len(keys) == len(set(keys)), "nothing is decoded twice by jobs side by side"
    traces = traces_of(finished, "traces", Trace)
    drawn = finished.folder / "results/reasoner/dense/traces/answered.jsonl"
    assert traces == [t for t in read_records(drawn, Trace) if t.budget in (None, 72)]
    answers = read_records(finished.folder / targets[1], Answer)
    assert traces_of(finished, "answers", Answer) == [a for a in answers if a.budget == 72]
    if "seed" in changes:
        assert {(r.repeat, r.seed) for r in [*traces, *answers]} == {(0, 7), (1, 11)}
    else:
        assert {trace.budget for trace in traces} == {72}
        assert len({r.seed for r in [*traces, *answers]}) == 3 * len(traces)
