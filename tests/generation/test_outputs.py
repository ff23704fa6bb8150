"""The files that a sweep leaves: which rows, in which order, and what they say."""

from dataclasses import replace

import pytest

from tests.generation.scripted import (
    AFTER_CAP,
    AFTER_STOP,
    EOS,
    NEWLINE,
    PROMPT,
    S1,
    STOP,
    THINK,
    WAIT,
    MemoryStore,
    scripted,
    sweep_of,
)
from workflow_scripts.artefacts.records import Answer, TokenSequence, Trace, read_records
from workflow_scripts.generation.outputs import write_outputs
from workflow_scripts.generation.sweep import Sample, run_sweep

WAIT_1 = replace(S1, extend_with=WAIT, extensions=1)
SAMPLES = [Sample("p1", 0, PROMPT), Sample("p1", 1, PROMPT), Sample("p0", 0, (5, *PROMPT))]
THOUGHT = (1, *WAIT, 2)
SCRIPTS = {
    PROMPT: [1, STOP],
    (*PROMPT, 1, *WAIT): [2, STOP],
    (5, *PROMPT): [1, 2, 3, 4, 5, 6, 7],
}


def words(tokens):
    return " ".join(map(str, tokens))


@pytest.fixture
def written(tmp_path):
    def write(samples=SAMPLES, **changes):
        sweep, store = sweep_of([2, 6], WAIT_1, repeats=2, **changes), MemoryStore()
        run_sweep(sweep, samples, store, lambda: scripted(SCRIPTS), lambda *_: None)
        write_outputs(tmp_path, "b", samples, sweep, store, words, with_sequences=True)
        return [
            read_records(tmp_path / folder / "b.jsonl", kind)
            for folder, kind in (
                ("traces", Trace),
                ("answers", Answer),
                ("sequences", TokenSequence),
            )
        ]

    return write


def test_a_shared_sweep_has_a_row_for_each_trace_and_for_each_budget_s_answer(written):
    traces, answers, _ = written()
    assert [(t.id, t.repeat, t.budget) for t in traces] == [
        ("p1", 0, None), ("p1", 1, None), ("p0", 0, None),
    ]  # fmt: skip
    assert [(t.tokens, t.finish, t.text) for t in traces[1:]] == [
        (4, "stop", words(THOUGHT)),
        (6, "length", "1 2 3 4 5 6"),
    ]
    assert [(a.id, a.repeat, a.budget, a.trace_tokens, a.trace_finish) for a in answers] == [
        ("p1", 0, 2, 2, "length"), ("p1", 0, 6, 4, "stop"),
        ("p1", 1, 2, 2, "length"), ("p1", 1, 6, 4, "stop"),
        ("p0", 0, 2, 2, "length"), ("p0", 0, 6, 6, "length"),
    ]  # fmt: skip
    assert len({t.seed for t in traces}) == len({a.seed for a in answers}) == 3


def test_an_independent_sweep_has_a_row_for_each_budget_s_trace_and_its_answer(written):
    traces, answers, _ = written(independent=True)
    assert [(t.id, t.repeat, t.budget, t.tokens, t.finish) for t in traces] == [
        ("p1", 0, 2, 2, "length"), ("p1", 0, 6, 4, "stop"),
        ("p1", 1, 2, 2, "length"), ("p1", 1, 6, 4, "stop"),
        ("p0", 0, 2, 2, "length"), ("p0", 0, 6, 6, "length"),
    ]  # fmt: skip
    of_traces = [(t.id, t.repeat, t.budget, t.tokens, t.finish) for t in traces]
    assert of_traces == [
        (a.id, a.repeat, a.budget, a.trace_tokens, a.trace_finish) for a in answers
    ]
    assert len({record.seed for record in [*traces, *answers]}) == 12


@pytest.mark.parametrize("changes", [{}, {"independent": True}, {"seed": (7, 11)}])
def test_sequences_are_what_was_read_and_written(written, changes):
    _, answers, sequences = written(samples=SAMPLES[:1], **changes)
    said = [
        (*PROMPT, *THOUGHT[:2], NEWLINE, *AFTER_CAP),
        (*PROMPT, *THOUGHT, *AFTER_STOP),
    ]
    assert [(s.id, s.repeat, s.budget) for s in sequences] == [("p1", 0, 2), ("p1", 0, 6)]
    # the scripted answer is the length of its prompt
    assert [(s.prompt, s.trace, s.answer) for s in sequences] == [(3, 2, 2), (3, len(THOUGHT), 2)]
    assert [tuple(s.ids) for s in sequences] == [(*ids, len(ids), EOS) for ids in said]
    assert [(a.text, a.answer_tokens, a.answer_finish) for a in answers] == [
        (str(len(ids)), 1, "eos") for ids in said
    ]


@pytest.mark.parametrize(
    ("wrote", "trace"), [([1, 2, STOP], 3), ([1, 2, EOS], 2), ([1, 2, 3, 4, 5, 6, 7], 6)]
)
def test_the_token_that_closes_a_trace_is_its_own_where_the_model_wrote_it(tmp_path, wrote, trace):
    """And not where the format puts it in, after a turn that ended or a budget that cut."""
    sample = Sample("p", 0, PROMPT)
    sweep, store = sweep_of([6], THINK), MemoryStore()
    run_sweep(sweep, [sample], store, lambda: scripted({PROMPT: wrote}), lambda *_: None)
    write_outputs(tmp_path, "b", [sample], sweep, store, words, with_sequences=True)
    (found,) = read_records(tmp_path / "sequences/b.jsonl", TokenSequence)
    assert found.ids[3 : 3 + trace] == [t for t in wrote if t != EOS][:trace]
    assert (found.trace, found.ids[-found.answer - 1]) == (trace, STOP)


def test_the_paper_s_seeds_stand_in_every_row(written):
    traces, answers, _ = written(seed=(7, 11))
    assert {(r.repeat, r.seed) for r in [*traces, *answers]} == {(0, 7), (1, 11)}


def test_nothing_is_written_of_a_sweep_that_is_not_finished(tmp_path):
    with pytest.raises(AssertionError, match="before its requests were finished"):
        write_outputs(tmp_path, "b", SAMPLES, sweep_of([2], S1, repeats=2), MemoryStore(), words)
    assert not (tmp_path / "traces").exists()
