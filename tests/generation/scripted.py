"""Engines that replay given tokens, and a store in memory, for tests of the token flow."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.generation.sweep import Sweep, SweepSettings
from workflow_scripts.generation.thinking import ThinkingFormat

OPEN, STOP, OTHER_STOP, EOS = 90, 91, 96, 99
AFTER_STOP, AFTER_CAP = (92, 93), (92, 93, 94, 95)
WAIT = (80, 81)
NEWLINE, STOP_AND_NEWLINE, NO_TEXT = 10, 11, 12
PROMPT = (7, 8, OPEN)

GREEDY = Sampling(temperature=0.0, top_p=1.0, top_k=0)
WARM = Sampling(temperature=0.7, top_p=0.9, top_k=20)


def decode(tokens: list[int]) -> str:
    texts = {NEWLINE: "\n", STOP_AND_NEWLINE: ".\n", NO_TEXT: ""}
    return "".join(texts.get(token, "x") for token in tokens)


S1 = ThinkingFormat(
    open=(OPEN,),
    stop=(STOP,),
    after_stop=AFTER_STOP,
    after_cap=AFTER_CAP,
    end_of_turn=(EOS,),
    newline=(NEWLINE,),
    decode=decode,
)
THINK = replace(S1, after_stop=(STOP,), after_cap=(STOP,), newline=())


class MemoryStore:
    """A store that cuts what it holds to what is asked for."""

    def __init__(self) -> None:
        self.records: dict[Request, Completion] = {}

    def get(self, request: Request) -> Completion | None:
        found = self.records.get(replace(request, max_tokens=0))
        if found is None:
            return None
        if len(found.tokens) >= request.max_tokens:
            return Completion(found.tokens[: request.max_tokens], None)
        return found if found.stopped_by is not None else None

    def add(self, request: Request, completion: Completion) -> None:
        self.records[replace(request, max_tokens=0)] = completion


class Engine:
    """Continues prompts by what `tokens_of(request)` yields, and notes what it was asked."""

    def __init__(self, tokens_of: Callable[[Request], Iterator[int]]) -> None:
        self._tokens_of = tokens_of
        self.asked: list[Request] = []

    def generate(self, queue):
        while queue:
            request = queue.popleft()
            self.asked.append(request)
            yield request, self.complete(request)

    def complete(self, request: Request) -> Completion:
        tokens = []
        for token in self._tokens_of(request):
            if token in request.stop:
                return Completion(tuple(tokens), token)
            tokens.append(token)
            if len(tokens) == request.max_tokens:
                return Completion(tuple(tokens), None)
        raise AssertionError(f"the script of {request.prompt} is too short")


def scripted(scripts: dict[tuple[int, ...], list[int]]) -> Engine:
    """A prompt that has a script is continued by it, any other answered with its length."""

    def tokens_of(request: Request) -> Iterator[int]:
        return iter(scripts.get(request.prompt, [len(request.prompt), EOS]))

    return Engine(tokens_of)


def drawing(words: list[int]) -> Engine:
    """Tokens are drawn from `words` by a stream that prompt and seed determine, as in an engine."""

    def tokens_of(request: Request) -> Iterator[int]:
        stream = random.Random(repr((request.prompt, request.seed)))
        while True:
            yield stream.choice(words)

    return Engine(tokens_of)


def sweep_of(budgets, thinking: ThinkingFormat = THINK, **changes) -> Sweep:
    given = {
        "budgets": tuple(budgets),
        "repeats": 1,
        "answer_tokens": 4,
        "sampling": WARM,
        "answer_sampling": WARM,
        "seed": 0,
    }
    return Sweep(SweepSettings(**(given | changes)), thinking)
