"""Traces of a run, measured from its files."""

import math

import pandas as pd
import pytest

from tests.tables.trace_results import SENTENCES, Told, byte_pairs, write_run
from workflow_scripts.artefacts.records import Trace, read_records, write_records
from workflow_scripts.config.diagnosis import Diagnosis
from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.cells import read_cells
from workflow_scripts.tables.content.traces import (
    COLUMNS,
    IS_REFERENCE,
    NO_REFERENCE,
    NO_TRACES,
    OTHER_SEED,
    load_traces,
    write_traces,
)
from workflow_scripts.tables.traces.reading import read_traces

WORDS = Diagnosis(reflection_words={"english": ["wait"], "signs": ["9+9"]}, ngram=2)
DENSE = "7+3=0;0+6=6;6+1=7;"


def measured(run, diagnosis=WORDS, reference="dense", workers=1):
    variants = sorted(path.name for path in (run / "results/m").iterdir())
    cells = read_cells(run / "results", ["m"], variants, ["b"])
    return read_traces(
        run / "results", run / "resources/models", cells, reference, diagnosis, workers
    )


def of(frame, variant, problem="p", repeat=0):
    rows = frame[(frame["variant"] == variant) & (frame["id"] == problem)]
    return rows[rows["repeat"] == repeat].set_index("budget")


@pytest.mark.parametrize(
    ("text", "finish", "departure"),
    [
        (DENSE, "stop", None),
        (DENSE, "eos", 18),  # the same text, and another end
        ("1" + DENSE[1:], "stop", 0),
        (DENSE[:11] + "1;", "stop", 11),
        (DENSE[:12], "stop", 12),  # ended where the reference goes on
        (DENSE + "7+1=8;", "stop", 18),
    ],
)
def test_a_departure_is_the_number_of_tokens_that_are_the_same(tmp_path, text, finish, departure):
    run = write_run(tmp_path, {
        "dense": {"p": [Told(DENSE)]}, "w": {"p": [Told(text, finish=finish)]},
    })  # fmt: skip
    frame, _ = measured(run)
    found = of(frame, "w")["departure"]
    for budget in (6, 12, 24):
        if departure is None or departure >= budget:
            assert math.isnan(found[budget]), budget
        else:
            assert found[budget] == departure
    assert set(of(frame, "w")["unpaired"]) == {""}
    assert set(of(frame, "dense")["unpaired"]) == {IS_REFERENCE}
    assert of(frame, "dense")["departure"].isna().all()


def shared_tokens(tokenizer, one: str, other: str) -> int:
    """Tokens of one text that lie before the first character that differs, by decoding them."""
    ids = tokenizer(one, add_special_tokens=False)["input_ids"]
    place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
                 min(len(one), len(other)))  # fmt: skip
    return sum(len(tokenizer.decode(ids[: n + 1])) <= place for n in range(len(ids)))


@pytest.mark.parametrize("change", [0, 5, 6, 9, 17, 29, 40])
def test_tokens_of_pairs_of_bytes_are_counted_as_the_tokenizer_has_them(tmp_path, change):
    """A place in the middle of a token is after those before it."""
    tokenizer, dense = byte_pairs(), " ".join(SENTENCES[:3])
    other = f"{dense[:change]}#{dense[change + 1 :]}"
    run = write_run(
        tmp_path, {"dense": {"p": [Told(dense)]}, "w": {"p": [Told(other)]}}, (512,), tokenizer
    )
    frame, _ = measured(run)
    assert of(frame, "w")["departure"][512] == shared_tokens(tokenizer, dense, other)


def test_characters_of_several_bytes(tmp_path):
    dense, other = "等一下，再检查一下。🤔 So", "等一下，再检查一下。🤨 So"
    run = write_run(
        tmp_path, {"dense": {"p": [Told(dense)]}, "w": {"p": [Told(other)]}}, (99,), byte_pairs()
    )
    frame, _ = measured(run)
    ids = byte_pairs()(dense[:10], add_special_tokens=False)["input_ids"]
    assert of(frame, "w")["departure"][99] == len(ids)
    assert of(frame, "w")["characters"][99] == len(other)


def test_what_is_measured_of_a_trace_under_every_budget(tmp_path):
    loop = "9+9=8;" * 12
    run = write_run(tmp_path, {
        "dense": {"p": [Told(DENSE), Told(DENSE)]},
        "w": {"p": [Told("7+3=0;" + loop, finish="length"), Told(DENSE)]},
    }, (12, 40, 66, 78))  # fmt: skip
    frame, _ = measured(run)
    assert list(frame.columns) == COLUMNS
    rows = of(frame, "w")
    assert rows["tokens"].tolist() == rows["characters"].tolist() == [12, 40, 66, 78]
    assert rows["reflections"].tolist() == [1, 6, 10, 12]
    assert rows["loop_period"].isna().tolist() == [True, True, False, False]
    # the sign before it is that of its period, too
    assert rows.loc[78, ["loop_period", "loop_times", "looping"]].tolist() == [6, 73 / 6, 1]
    assert rows["compression"].is_monotonic_increasing
    # by pairs of signs of both repeats: 5 and 5 of "7+3=0;" and those of what follows
    assert of(frame, "dense")["distinct"][12] == 0.5
    assert rows["distinct"].tolist() == of(frame, "w", repeat=1)["distinct"].tolist()
    dense = of(frame, "dense")
    assert dense["looping"].tolist() == [0] * 4 and dense["finish"].tolist()[-1] == "stop"


def test_a_loop_that_ends_is_none_at_the_end(tmp_path):
    text = "9+9=8;" * 12 + DENSE
    run = write_run(tmp_path, {"dense": {"p": [Told(text)]}}, (70, 99))
    rows = of(measured(run)[0], "dense")
    assert rows["loop_period"].tolist() == [6, 6] and rows["looping"].tolist() == [1, 0]


def test_another_seed_and_no_reference_leave_nothing_to_depart_from(tmp_path):
    run = write_run(tmp_path, {
        "dense": {"p": [Told(DENSE)], "q": [Told(DENSE)]},
        "w": {"p": [Told("1" + DENSE, seed=5)], "q": [Told("1" + DENSE)]},
    })  # fmt: skip
    frame, _ = measured(run)
    assert set(of(frame, "w", "p")["unpaired"]) == {OTHER_SEED}
    assert of(frame, "w", "p")["departure"].isna().all()
    assert of(frame, "w", "q")["departure"].tolist() == [0, 0, 0]
    frame, pairs = measured(run, reference="base")
    assert set(frame["unpaired"]) == {NO_REFERENCE} and pairs == []


def test_traces_of_their_own_for_every_budget(tmp_path):
    run = write_run(
        tmp_path,
        {"dense": {"p": [Told(DENSE)]}, "w": {"p": [Told(DENSE[:7] + "9;")]}},
        independent=True,
    )
    path = run / "results/m/w/traces/b.jsonl"
    kept = [t for t in read_records(path, Trace) if t.budget != 12]
    write_records(path, [*kept, Trace("p", 0, 0, 3, "stop", "1+1", 12)])
    found = of(measured(run)[0], "w")
    assert math.isnan(found["departure"][6])
    assert found["departure"][[12, 24]].tolist() == [0, 7]
    assert found["characters"][12] == 3


def test_the_number_of_processes_changes_nothing(tmp_path):
    told = {
        variant: {f"p{n}": [Told(DENSE[: 3 * n] + end, correct=variant == "dense")] * 2
                  for n in range(5)}
        for variant, end in (("dense", DENSE), ("v", "1+1"), ("w", "2+2"))
    }  # fmt: skip
    run = write_run(tmp_path, told)
    one, two = (measured(run, workers=workers) for workers in (1, 2))
    pd.testing.assert_frame_equal(one[0], two[0])
    assert one[1] == two[1] and len(one[1]) == 2 * WORDS.shown
    path = tmp_path / "tables/traces.parquet"
    write_traces(path, one[0])
    first = path.read_bytes()
    write_traces(path, two[0])
    assert path.read_bytes() == first
    pd.testing.assert_frame_equal(load_traces(tmp_path / "tables"), one[0])


def test_pairs_are_of_the_first_repeats_of_lost_problems_under_the_largest_budget(tmp_path):
    wrong = Told("1+1=2;", correct=False)
    run = write_run(tmp_path, {
        "dense": {"p": [Told(DENSE), Told(DENSE)], "q": [Told(DENSE, correct=False)] * 2,
                  "r": [Told(DENSE)] * 2},
        "w": {"p": [Told(DENSE), wrong], "q": [wrong] * 2, "r": [wrong] * 2},
    })  # fmt: skip
    frame, pairs = measured(run)
    rows = frame.loc[[pair.row for pair in pairs], ["variant", "id", "repeat", "budget"]]
    assert rows.to_numpy().tolist() == [["w", "p", 1, 24], ["w", "r", 0, 24]]
    assert [(p.dense.text, p.trace.text, p.place, p.tokens) for p in pairs] == [
        (DENSE, "1+1=2;", 0, 0)
    ] * 2
    assert measured(run, Diagnosis(shown=1))[1] == pairs[:1]
    assert measured(run, Diagnosis(shown=0))[1] == []


def test_what_is_missing_is_told(tmp_path):
    run = write_run(tmp_path, {
        "dense": {"p": [Told(DENSE)]}, "v": {"p": [Told(DENSE)]}, "w": {"p": [Told("1")]},
    })  # fmt: skip
    path = run / "results/m/v/traces/b.jsonl"
    path.unlink()
    frame, _ = measured(run)
    assert frame.attrs["missing"] == ["m/v: b"]
    rows = of(frame, "v")
    assert set(rows["unpaired"]) == {NO_TRACES} and rows["compression"].isna().all()
    assert rows["tokens"].tolist() == [6, 12, 18]
    write_records(path, [])
    with pytest.raises(InputError, match=r"v/traces/b\.jsonl: problem 'p', repeat 0, budget 6: "):
        measured(run)
    write_records(path, read_records(run / "results/m/w/traces/b.jsonl", Trace))
    (run / "resources/models/m/tokenizer.json").unlink()
    with pytest.raises(InputError, match="models/m: its tokenizer cannot be opened"):
        measured(run)
