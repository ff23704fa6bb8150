"""Writing what a sweep has in the store as the files that the next stages read."""

from collections.abc import Callable
from pathlib import Path

from workflow_scripts.artefacts.records import Answer, TokenSequence, Trace, write_records
from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.generation.routes import shares
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.sweep import DrawnTrace, Sample, Sweep, routes_of
from workflow_scripts.generation.thinking import Cut, ThinkingFormat, finish_of


def write_outputs(
    output: Path,
    benchmark: str,
    samples: list[Sample],
    sweep: Sweep,
    store: Store,
    decode: Callable[[list[int]], str],
    with_sequences: bool = False,
) -> None:
    """Write one benchmark's traces and answers from the store, in the order of its problems.

    With sequences also the token ids that the model saw and wrote, a row for each answer.
    """
    traces, answers, sequences = [], [], []

    def stored(request: Request) -> Completion:
        completion = store.get(request)
        assert completion is not None, "the sweep ended before its requests were finished"
        return completion

    for sample in samples:
        for trace in sweep.traces(sample, stored):
            traces.append(
                Trace(
                    id=sample.problem,
                    repeat=sample.repeat,
                    seed=trace.seed,
                    tokens=len(trace.completion.tokens),
                    finish=finish_of(trace.completion, sweep.thinking),
                    text=decode(list(trace.completion.tokens)),
                    budget=trace.budgets[-1] if sweep.settings.independent else None,
                    ran=shares(trace.routes),
                )
            )
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
                        trace_ran=shares(trace.routes, len(cut.tokens)),
                        ran=shares(routes_of(answer)),
                    )
                )
                if with_sequences:
                    ending = () if answer.stopped_by is None else (answer.stopped_by,)
                    written = [*answer.tokens, *ending]
                    sequences.append(
                        TokenSequence(
                            sample.problem,
                            sample.repeat,
                            budget,
                            ids=[*request.prompt, *written],
                            prompt=len(sample.prompt),
                            trace=len(cut.tokens) + _is_closed(trace, cut, sweep.thinking),
                            answer=len(written),
                        )
                    )
    write_records(output / "traces" / f"{benchmark}.jsonl", traces)
    write_records(output / "answers" / f"{benchmark}.jsonl", answers)
    if with_sequences:
        write_records(output / "sequences" / f"{benchmark}.jsonl", sequences)


def _is_closed(trace: DrawnTrace, cut: Cut, thinking: ThinkingFormat) -> bool:
    """Whether what follows a trace begins with the very token that the model closed it with."""
    return cut.finish != "length" and thinking.after_stop[:1] == (trace.completion.stopped_by,)
