"""The budget sweep: one trace a problem and repeat, cut for every budget, then its answers.

The trace is drawn once, under the largest budget; under a smaller one it is a prefix. Budgets that
leave the same trace share one answer.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workflow_scripts.generation.engine import Completion, Engine, Request
from workflow_scripts.generation.sampling import Sampling, derive_seed
from workflow_scripts.generation.store import Store
from workflow_scripts.generation.thinking import Cut, ThinkingFormat, answer_prompt, cut_trace


@dataclass(frozen=True)
class SweepSettings:
    """Budgets and the answer's cap in tokens, budgets ascending; repeats are per problem."""

    budgets: tuple[int, ...]
    repeats: int
    answer_tokens: int
    sampling: Sampling
    seed: int


@dataclass(frozen=True)
class Sample:
    """One problem's prompt in one repeat, with the requests that follow from it."""

    problem: str
    repeat: int
    prompt: tuple[int, ...]


@dataclass(frozen=True)
class Sweep:
    """How samples become requests: the settings and the thinking format."""

    settings: SweepSettings
    thinking: ThinkingFormat

    def trace_seed(self, sample: Sample) -> int:
        return derive_seed(self.settings.seed, sample.problem, sample.repeat, "trace")

    def answer_seed(self, sample: Sample) -> int:
        return derive_seed(self.settings.seed, sample.problem, sample.repeat, "answer")

    def trace_request(self, sample: Sample) -> Request:
        stop = (self.thinking.stop, *self.thinking.end_of_turn)
        largest = self.settings.budgets[-1]
        seed = self.trace_seed(sample)
        return Request(sample.prompt, largest, stop, self.settings.sampling, seed)

    def cuts(self, trace: Completion) -> dict[int, Cut]:
        """The trace as each budget leaves it."""
        return {b: cut_trace(trace, b, self.thinking) for b in self.settings.budgets}

    def answer_request(self, sample: Sample, cut: Cut) -> Request:
        prompt = answer_prompt(sample.prompt, cut, self.thinking)
        seed = self.answer_seed(sample)
        end = self.thinking.end_of_turn
        return Request(prompt, self.settings.answer_tokens, end, self.settings.sampling, seed)


def run_sweep(
    sweep: Sweep,
    samples: list[Sample],
    store: Store,
    start_engine: Callable[[], Engine],
    report: Callable[[int, int], None],
) -> None:
    """Bring everything that the samples need into the store.

    Only what the store lacks is decoded; the engine starts when something is. An answer is queued
    as soon as its trace is there. After each completion `report` is told its tokens and the most
    completions that are still to come.
    """
    queue: deque[Request] = deque()
    followers: dict[Request, list[Sample]] = {}  # trace requests that are waited for, and by whom
    pending: set[Request] = set()
    for sample in samples:
        request = sweep.trace_request(sample)
        trace = store.get(request)
        if trace is not None:
            _enqueue(_answers(sweep, sample, trace), store, queue, pending)
            continue
        followers.setdefault(request, []).append(sample)
        _enqueue([request], store, queue, pending)
    if not queue:
        return
    for request, completion in start_engine().generate(queue):
        store.add(request, completion)
        pending.discard(request)
        for sample in followers.pop(request, []):
            _enqueue(_answers(sweep, sample, completion), store, queue, pending, front=True)
        most_left = len(pending) + len(sweep.settings.budgets) * len(followers)
        report(len(completion.tokens), most_left)


def _answers(sweep: Sweep, sample: Sample, trace: Completion) -> Iterator[Request]:
    for cut in dict.fromkeys(sweep.cuts(trace).values()):
        yield sweep.answer_request(sample, cut)


def _enqueue(
    requests: Iterator[Request] | list[Request],
    store: Store,
    queue: deque[Request],
    pending: set[Request],
    front: bool = False,
) -> None:
    """Queue what is neither stored nor queued; answers go first, so that samples finish early."""
    for request in requests:
        if request not in pending and store.get(request) is None:
            pending.add(request)
            (queue.appendleft if front else queue.append)(request)
