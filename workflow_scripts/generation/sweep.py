"""The budget sweep: the traces of each problem and repeat, cut for every budget, and the answers.

In a shared sweep a trace is drawn once, under the largest budget; under a smaller one it is a
prefix, and budgets that leave the same trace share one answer. In an independent sweep every budget
has a trace and an answer of its own, with its own seeds.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.engines.interface import Completion, Engine, Request
from workflow_scripts.engines.sampling import Sampling, derive_seed
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.thinking import Cut, ThinkingFormat, answer_prompt, cut_trace

Get = Callable[[Request], Completion | None]

# (tokens, sublayers) with 1 where a token ran a sublayer, 0 where it skipped it, and UNKNOWN
# where it was not put into the model while it decoded
Routes = NDArray[np.int8]
UNKNOWN = -1


@dataclass(frozen=True)
class SweepSettings:
    """What is asked of every problem. Budgets, ascending, and the answer's cap are in tokens.

    `seed` is one number, from which the seed of every request is derived; or a number for each
    repeat, which all requests of that repeat have as it is. With a `context` (tokens), an answer
    ends there at the latest.
    """

    budgets: tuple[int, ...]
    repeats: int
    answer_tokens: int
    sampling: Sampling
    answer_sampling: Sampling
    seed: int | tuple[int, ...]
    independent: bool = False
    context: int | None = None


@dataclass(frozen=True)
class Sample:
    """One problem's prompt in one repeat, with the requests that follow from it."""

    problem: str
    repeat: int
    prompt: tuple[int, ...]


class Step(NamedTuple):
    """A request of a sample, its completion where there is one, and how many may follow from it."""

    request: Request
    completion: Completion | None
    most_to_follow: int


@dataclass(frozen=True)
class DrawnTrace:
    """A finished trace, the budgets that share it (ascending), and the seed of its first request.

    `completion` holds its tokens, those of extensions included, and how it ended; `routes` what
    they ran, where tokens skip sublayers.
    """

    budgets: tuple[int, ...]
    seed: int
    completion: Completion
    routes: Routes | None = field(default=None, compare=False)


def routes_of(completion: Completion) -> Routes | None:
    """What each token of a completion ran; None where no token skips anything."""
    if completion.routes is None:
        return None
    found = _unknown(len(completion.tokens), completion.routes.shape[1])
    found[: len(completion.routes)] = completion.routes
    return found


def _joined(parts: Sequence[tuple[int, Routes | None]]) -> Routes | None:
    """What the parts of a trace ran that follow each other, each given with its tokens."""
    width = next((routes.shape[1] for _, routes in parts if routes is not None), None)
    if width is None:
        return None
    return np.concatenate([_unknown(n, width) if part is None else part for n, part in parts])


def _unknown(tokens: int, sublayers: int) -> Routes:
    return np.full((tokens, sublayers), UNKNOWN, dtype=np.int8)


@dataclass(frozen=True)
class Sweep:
    """How samples become requests: the settings and the thinking format.

    `get` gives the completion of an earlier request where there is one. Nothing here decodes.
    """

    settings: SweepSettings
    thinking: ThinkingFormat

    def steps(self, sample: Sample, get: Get) -> Iterator[Step]:
        """All requests of a sample whose predecessors have completions."""
        for budgets in self._groups():
            steps, trace = self._think(sample, budgets, get)
            yield from steps
            if trace is not None:
                for cut in dict.fromkeys(self.cuts(trace).values()):
                    request = self.answer_request(sample, trace, cut)
                    yield Step(request, get(request), 0)

    def traces(self, sample: Sample, get: Get) -> Iterator[DrawnTrace]:
        """The finished traces of a sample by budget: one in a shared sweep, else one for each."""
        for budgets in reversed(self._groups()):
            _, trace = self._think(sample, budgets, get)
            if trace is not None:
                yield trace

    def cuts(self, trace: DrawnTrace) -> dict[int, Cut]:
        """A trace as each of its budgets leaves it."""
        return {b: cut_trace(trace.completion, b, self.thinking) for b in trace.budgets}

    def answer_request(self, sample: Sample, trace: DrawnTrace, cut: Cut) -> Request:
        settings, prompt = self.settings, answer_prompt(sample.prompt, cut, self.thinking)
        caps = [settings.answer_tokens]
        if settings.context is not None:
            caps.append(settings.context - len(prompt))
        return Request(
            prompt=prompt,
            max_tokens=min(caps),
            stop=self.thinking.end_of_turn,
            sampling=settings.answer_sampling,
            seed=self._seed(sample, "answer", trace.budgets[-1]),
        )

    def _groups(self) -> list[tuple[int, ...]]:
        """Budgets that share a trace, ascending; the group of the largest comes first.

        Where seeds do not depend on the budget, what it has drawn then serves the others.
        """
        budgets = self.settings.budgets
        return [(b,) for b in reversed(budgets)] if self.settings.independent else [budgets]

    def _think(
        self, sample: Sample, budgets: tuple[int, ...], get: Get
    ) -> tuple[list[Step], DrawnTrace | None]:
        """The steps of a trace as far as they are known, and the trace where it has ended.

        Each extension is a request of its own, which goes on from all tokens so far.
        """
        thinking, largest = self.thinking, budgets[-1]
        stop = tuple(sorted({*thinking.stop, *thinking.end_of_turn}))
        first_seed = self._seed(sample, "trace", largest)
        steps: list[Step] = []
        tokens: tuple[int, ...] = ()
        parts: list[tuple[int, Routes | None]] = []
        for extended in range(thinking.extensions + 1):
            request = Request(
                prompt=sample.prompt + tokens,
                max_tokens=largest - len(tokens),
                stop=stop,
                sampling=self.settings.sampling,
                seed=self._seed(sample, "trace", largest, extended),
            )
            completion, left = get(request), thinking.extensions - extended
            steps.append(Step(request, completion, left + len(budgets)))
            if completion is None:
                return steps, None
            tokens += completion.tokens
            parts.append((len(completion.tokens), routes_of(completion)))
            stopped_by = completion.stopped_by
            if stopped_by is None or not left:
                break
            tokens += thinking.extend_with
            parts.append((len(thinking.extend_with), None))
            if len(tokens) >= largest:
                tokens, stopped_by = tokens[:largest], None
                break
        routes = _joined(parts)
        if routes is not None:
            routes = routes[: len(tokens)]
        return steps, DrawnTrace(budgets, first_seed, Completion(tokens, stopped_by), routes)

    def _seed(self, sample: Sample, phase: str, budget: int, extended: int = 0) -> int:
        settings = self.settings
        if isinstance(settings.seed, tuple):
            return settings.seed[sample.repeat]
        place: list[str | int] = [phase]
        place += ["budget", budget] if settings.independent else []
        place += ["extension", extended] if extended else []
        return derive_seed(settings.seed, sample.problem, sample.repeat, *place)


def needed(sweep: Sweep, samples: Iterable[Sample], get: Get) -> Iterator[Request]:
    """Every request of the samples whose predecessors have completions, stored or not."""
    for sample in samples:
        for step in sweep.steps(sample, get):
            yield step.request


def run_sweep(
    sweep: Sweep,
    samples: list[Sample],
    store: Store,
    start_engine: Callable[[], Engine],
    report: Callable[[int, int], None],
) -> None:
    """Bring everything that the samples need into the store.

    Only what the store lacks is decoded; the engine starts when something is. An answer, and an
    extension, is queued as soon as its trace is there. After each completion `report` is told its
    tokens and the most completions that are still to come, which is exact once all traces have
    ended: before that it is not known what they lead to.
    """
    plan = _Plan(sweep, store.get)
    for sample in samples:
        plan.add(sample)
    if not plan.queue:
        return
    for request, completion in start_engine().generate(plan.queue):
        store.add(request, completion)
        plan.go_on_from(request)
        report(len(completion.tokens), plan.most_left)


class _Plan:
    """What is left to decode: the queue, and the samples that wait for what is in it.

    Requests that differ in `max_tokens` alone start the same: only the first, which is the longest,
    is queued, and the store has it serve the others.
    """

    def __init__(self, sweep: Sweep, get: Get) -> None:
        self.queue: deque[Request] = deque()
        self._sweep, self._get = sweep, get
        self._most_to_follow = 0
        # for each start that is queued or being decoded: the samples that wait for it, and how many
        # completions may follow from each request that it serves
        self._waiting: dict[Request, tuple[dict[Sample, None], dict[Request, int]]] = {}

    @property
    def most_left(self) -> int:
        """The most completions that are still to come; exact once all traces have ended."""
        return len(self._waiting) + self._most_to_follow

    def add(self, sample: Sample, front: bool = False) -> None:
        """Queue what a sample needs and the store lacks."""
        for request, completion, most_to_follow in self._sweep.steps(sample, self._get):
            if completion is not None:
                continue
            start = replace(request, max_tokens=0)
            if start not in self._waiting:
                self._waiting[start] = {}, {}
                (self.queue.appendleft if front else self.queue.append)(request)
            samples, served = self._waiting[start]
            if most_to_follow:
                samples[sample] = None
                self._most_to_follow += most_to_follow - served.get(request, 0)
                served[request] = most_to_follow

    def go_on_from(self, request: Request) -> None:
        """Queue, first of all, what follows from a request that the store now has."""
        samples, served = self._waiting.pop(replace(request, max_tokens=0))
        self._most_to_follow -= sum(served.values())
        for sample in samples:
            self.add(sample, front=True)
