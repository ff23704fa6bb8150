"""Writing what a sweep has in the store as the files that the next stages read."""

from collections.abc import Callable
from pathlib import Path

from workflow_scripts.generation.engine import Completion, Request
from workflow_scripts.generation.store import Store
from workflow_scripts.generation.sweep import Sample, Sweep
from workflow_scripts.generation.thinking import finish_of
from workflow_scripts.records import Answer, TokenSequence, Trace, write_records


def write_traces_and_answers(
    output: Path,
    benchmark: str,
    samples: list[Sample],
    sweep: Sweep,
    store: Store,
    decode: Callable[[list[int]], str],
) -> None:
    """Write one benchmark's traces and answers from the store, in the order of its problems."""
    traces, answers = [], []
    for sample in samples:
        trace = _stored(store, sweep.trace_request(sample))
        traces.append(
            Trace(
                id=sample.problem,
                repeat=sample.repeat,
                seed=sweep.trace_seed(sample),
                tokens=len(trace.tokens),
                finish=finish_of(trace, sweep.thinking),
                text=decode(list(trace.tokens)),
            )
        )
        for budget, cut in sweep.cuts(trace).items():
            answer = _stored(store, sweep.answer_request(sample, cut))
            answers.append(
                Answer(
                    id=sample.problem,
                    repeat=sample.repeat,
                    budget=budget,
                    seed=sweep.answer_seed(sample),
                    trace_tokens=len(cut.tokens),
                    trace_finish=cut.finish,
                    answer_tokens=len(answer.tokens),
                    answer_finish="length" if answer.stopped_by is None else "eos",
                    text=decode(list(answer.tokens)),
                )
            )
    write_records(output / "traces" / f"{benchmark}.jsonl", traces)
    write_records(output / "answers" / f"{benchmark}.jsonl", answers)


def write_sequences(
    output: Path, benchmark: str, samples: list[Sample], sweep: Sweep, store: Store
) -> None:
    """Write the token ids that the model saw and wrote for one benchmark, a row for each answer."""
    rows = []
    for sample in samples:
        trace = _stored(store, sweep.trace_request(sample))
        for budget, cut in sweep.cuts(trace).items():
            request = sweep.answer_request(sample, cut)
            answer = _stored(store, request)
            ending = () if answer.stopped_by is None else (answer.stopped_by,)
            ids = [*request.prompt, *answer.tokens, *ending]
            rows.append(TokenSequence(sample.problem, sample.repeat, budget, ids))
    write_records(output / "sequences" / f"{benchmark}.jsonl", rows)


def _stored(store: Store, request: Request) -> Completion:
    completion = store.get(request)
    assert completion is not None, "the sweep ended before its requests were finished"
    return completion
