"""Calibration sets of the model's own traces: which traces are taken, and how they are packed."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.files.by_hand import without_checksum
from workflow_scripts.artefacts.records import Grade, TokenSequence, Trace, write_records
from workflow_scripts.calibration import build_calibration_set
from workflow_scripts.calibration.set_rows import TRACES, open_rows
from workflow_scripts.config.sources.texts import GeneratedTexts
from workflow_scripts.errors import InputError
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor

# trace tokens, and whether the answer is right, of each repeat of a problem
PROBLEMS = {
    "easy": [(4, True), (5, True), (6, True)],
    "fair": [(7, True), (8, False), (9, True)],
    "hard": [(10, False), (11, False), (12, True)],
    "lost": [(13, False), (14, False), (15, False)],
}
KEYS = [(name, repeat) for name in PROBLEMS for repeat in range(3)]


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """The files of a run; a sequence's ids are its place in KEYS, six times."""
    found = [(name, repeat, *PROBLEMS[name][repeat]) for name, repeat in KEYS]
    folder = tmp_path / "calibration_traces"
    write_records(
        folder / "traces" / "b.jsonl",
        [Trace(name, repeat, 0, tokens, "stop", "text") for name, repeat, tokens, _ in found],
    )
    write_records(
        folder / "grades" / "b.jsonl",
        [Grade(name, repeat, 99, "1", right, "boxed") for name, repeat, _, right in found],
    )
    write_records(
        folder / "sequences" / "b.jsonl",
        [
            TokenSequence(name, repeat, 99, [place] * 6, prompt=2, trace=2, answer=1)
            for place, (name, repeat) in enumerate(KEYS)
        ],
    )
    return folder


def files_of(traces: Path) -> dict[str, Path]:
    return {kind: traces / kind / "b.jsonl" for kind in TRACES}


def passing(traces: Path, **filters: object) -> list[tuple[str, int]]:
    source = GeneratedTexts(kind="generated", benchmark="b", **filters)
    rows = open_rows(source, None, files_of(traces), traces.parent)
    return [KEYS[rows[number][0]] for number in range(len(rows))]


def right(name: str, repeat: int) -> bool:
    return PROBLEMS[name][repeat][1]


def test_part_marks_count_as_parts_and_only_full_marks_as_right(traces):
    marks = {"easy": (1.0, 1.0, 0.75), "fair": (0.5, 0.5, 0.5), "hard": (1.0, 0.0, 0.0)}
    write_records(
        traces / "grades" / "b.jsonl",
        [
            Grade(name, repeat, 99, "A", mark == 1, "boxed", mark)
            for name, repeat in KEYS
            for mark in [marks.get(name, (0.0,) * 3)[repeat]]
        ],
    )
    assert passing(traces, min_accuracy=0.5) == KEYS[:6]
    assert passing(traces, min_accuracy=0.9) == KEYS[:3]
    assert passing(traces, correct_only=True) == [("easy", 0), ("easy", 1), ("hard", 0)]


def test_without_a_filter_every_trace_is_taken(traces):
    assert passing(traces) == KEYS
    neutral = {"min_tokens": 0, "max_tokens": 99, "min_accuracy": 0.0, "max_accuracy": 1.0}
    assert passing(traces, correct_only=False, **neutral) == KEYS


def test_bounds_belong_to_what_they_bound(traces):
    assert passing(traces, correct_only=True) == [key for key in KEYS if right(*key)]
    assert passing(traces, min_tokens=7, max_tokens=10) == [*KEYS[3:6], KEYS[6]]
    assert passing(traces, min_accuracy=1 / 3, max_accuracy=2 / 3) == KEYS[3:9]
    assert passing(traces, max_accuracy=0) == KEYS[9:]
    assert passing(traces, min_accuracy=1) == KEYS[:3]
    assert passing(traces, min_accuracy=0.34, correct_only=True, min_tokens=8) == [("fair", 2)]


def test_quantiles_are_those_of_all_traces_and_belong_to_what_they_bound(traces):
    """The lengths are 4 to 15, in the order of KEYS."""
    assert passing(traces, min_tokens_quantile=1 / 3, max_tokens_quantile=2 / 3) == KEYS[3:8]
    assert passing(traces, max_tokens_quantile=0.5) == KEYS[:6]
    assert passing(traces, min_tokens_quantile=0.5) == KEYS[5:]
    assert passing(traces, min_tokens_quantile=1.0) == KEYS[11:]
    assert passing(traces, max_tokens_quantile=0.0) == KEYS[:1]
    # the stricter of two bounds holds
    both = {"min_tokens": 6, "min_tokens_quantile": 0.5, "max_tokens": 13, "max_tokens_quantile": 1}
    assert passing(traces, **both) == KEYS[5:10]
    # what other conditions leave does not move them
    assert passing(traces, correct_only=True, max_tokens_quantile=0.5) == [*KEYS[:4], KEYS[5]]


def test_the_hardest_of_the_problems_that_accuracies_leave(traces):
    """Of easy, fair, hard and lost 3, 2, 1 and 0 of 3 repeats are right."""
    assert passing(traces, hardest=0.5) == KEYS[6:]
    assert passing(traces, hardest=0.0) == KEYS[9:]
    assert passing(traces, hardest=0.75) == KEYS[3:]
    assert passing(traces, hardest=0.5, min_accuracy=0.01) == KEYS[3:9]
    assert passing(traces, hardest=1 / 3, min_accuracy=0.01) == KEYS[6:9]
    assert passing(traces, hardest=0.5, max_accuracy=0.7) == KEYS[6:]


def test_problems_as_hard_as_the_last_of_the_hardest_stay(traces):
    """Here two problems have one right repeat of three, and half of four is two."""
    grades = [
        Grade(name, repeat, 99, "1", repeat == 0 if name == "fair" else right(name, repeat), "")
        for name, repeat in KEYS
    ]
    write_records(traces / "grades" / "b.jsonl", grades)
    assert passing(traces, hardest=0.5) == KEYS[3:]


def test_the_rule_of_hard_problems_and_traces_of_medium_length(traces):
    medium = {"min_tokens_quantile": 1 / 3, "max_tokens_quantile": 2 / 3}
    assert passing(traces, min_accuracy=0.01, hardest=0.5, **medium) == KEYS[3:8]


def build(folder: Path, traces: Path, samples: int, length: int, **filters: object) -> list:
    made = traces.parent / "set.safetensors"
    source = {"kind": "generated", "benchmark": "b", **filters}
    options = {"source": source, "samples": samples, "length": length, "seed": 3}
    stage = ["--model", folder, "--options", json.dumps(options), "--output", made]
    stage += [part for kind, path in files_of(traces).items() for part in (f"--{kind}", path)]
    build_calibration_set.main([str(part) for part in stage])
    return read_tensor(open_tensors(made), "input_ids").tolist()


def test_sequences_are_packed_as_they_are(traces, tiny_model: Callable[..., Path]):
    order = list(range(12))
    random.Random(3).shuffle(order)
    stream = [place for place in order for _ in range(6)]
    assert build(tiny_model(), traces, 7, 10) == [stream[i : i + 10] for i in range(0, 70, 10)]


def test_too_few_traces_are_one_line_with_the_counts(traces, tiny_model: Callable[..., Path]):
    with pytest.raises(InputError) as caught:
        build(
            tiny_model(), traces, 2, 10,
            min_tokens=5, max_tokens=13, min_accuracy=0.2, max_accuracy=0.8, correct_only=True,
        )  # fmt: skip
    assert str(caught.value) == (
        "traces of benchmark 'b' (3 of 12, 2 of too easy problems, 1 of too hard problems, "
        "2 too long, 1 too short, 3 wrong): has 18 tokens, 2 samples of 10 tokens need 20"
    )
    with pytest.raises(InputError) as caught:
        build(tiny_model(), traces, 1, 1, min_tokens=99)
    assert str(caught.value) == (
        "traces of benchmark 'b' (0 of 12, 12 too short): has 0 tokens, 1 samples of 1 tokens "
        "need 1"
    )


def test_files_of_different_runs(traces):
    without_checksum(traces / "grades" / "b.jsonl").write_bytes(
        b"".join((traces / "grades" / "b.jsonl").read_bytes().splitlines(keepends=True)[:-1])
    )
    with pytest.raises(InputError, match="traces, grades and sequences are of different runs"):
        passing(traces)


def test_a_source_without_its_files(tiny_model: Callable[..., Path], tmp_path: Path):
    options = {"source": {"kind": "generated", "benchmark": "b"}, "samples": 1, "length": 1}
    stage = ["--model", str(tiny_model()), "--options", json.dumps(options)]
    with pytest.raises(InputError, match="--traces"):
        build_calibration_set.main([*stage, "--output", str(tmp_path / "out.safetensors")])


@pytest.mark.parametrize("ids", [["1"], [1.0], [True], 1, None])
def test_a_sequence_is_a_list_of_whole_numbers(traces, ids):
    row = {"id": "easy", "repeat": 0, "budget": 99, "ids": ids}
    without_checksum(traces / "sequences" / "b.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=r"b\.jsonl:1: ids"):
        passing(traces)
