"""Writing what a sweep has in the store as the files that the next stages read."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from workflow_scripts.artefacts.records import Answer, TokenSequence, Trace, write_records
from workflow_scripts.generation.engines.interface import Completion, Request
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.sweep import DrawnTrace, Sample, Sweep
from workflow_scripts.generation.thinking import finish_of


def write_traces_and_answers(
    output: Path,
    benchmark: str,
    samples: list[Sample],
    sweep: Sweep,
    store: Store,
    decode: Callable[[list[int]], str],
) -> None:
    """Write one benchmark's traces and answers from the store, in the order of its problems."""
    stored = partial(_stored, store)
    traces, answers = [], []
    for sample in samples:
        for trace in sweep.traces(sample, stored):
            traces.append(_trace_record(sample, sweep, trace, decode))
            for budget, cut in sweep.cuts(trace).items():
                request = sweep.answer_request(sample, trace, cut)
                answer = stored(request)
                answers.append(
                    Answer(
                        id=sample.problem,
                        repeat=sample.repeat,
                        budget=budget,
                        seed=request.seed,
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
    stored = partial(_stored, store)
    rows = []
    for sample in samples:
        for trace in sweep.traces(sample, stored):
            for budget, cut in sweep.cuts(trace).items():
                request = sweep.answer_request(sample, trace, cut)
                answer = stored(request)
                ending = () if answer.stopped_by is None else (answer.stopped_by,)
                ids = [*request.prompt, *answer.tokens, *ending]
                rows.append(TokenSequence(sample.problem, sample.repeat, budget, ids))
    write_records(output / "sequences" / f"{benchmark}.jsonl", rows)


def _trace_record(
    sample: Sample, sweep: Sweep, trace: DrawnTrace, decode: Callable[[list[int]], str]
) -> Trace:
    return Trace(
        id=sample.problem,
        repeat=sample.repeat,
        seed=trace.seed,
        tokens=len(trace.completion.tokens),
        finish=finish_of(trace.completion, sweep.thinking),
        text=decode(list(trace.completion.tokens)),
        budget=trace.budgets[-1] if sweep.settings.independent else None,
    )


def _stored(store: Store, request: Request) -> Completion:
    completion = store.get(request)
    assert completion is not None, "the sweep ended before its requests were finished"
    return completion
