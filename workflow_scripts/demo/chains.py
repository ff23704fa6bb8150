"""The demo task: chains of +, - and * modulo 10, worked left to right one operation at a time.

A question is `7*2+5-3=?`; there is no precedence, and every result is taken modulo 10. Its trace is
`7*2=4;4+5=9;9-3=6;` (STEP_TOKENS tokens an operation) and its answer is the last digit, `6`.

Two models learn it from the same examples: the reasoner with the trace, the answerer without.

The task has two sides, split by a hash of the question: the benchmark draws only from the held-out
side, training and calibration only from the other. So no benchmark problem can be met in training.
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from workflow_scripts.artefacts.records import Problem

DIGITS = "0123456789"
OPERATIONS = "+-*"
MIN_OPERATIONS = 2
MAX_OPERATIONS = 12
STEP_TOKENS = 6

THINK = "<think>"
THINK_END = "</think>"
USER = "<|user|>"
ASSISTANT = "<|assistant|>"
TURN_END = "<|end|>"

# One question in HELD_OUT_SHARE belongs to the benchmark's side.
HELD_OUT_SHARE = 8
CUT_SHARE = 0.3


@dataclass(frozen=True)
class Chain:
    """One problem: len(operations) + 1 digits with an operation between each two of them."""

    digits: tuple[int, ...]
    operations: str


@dataclass(frozen=True)
class Example:
    """A worked chain as the model is trained on it. `cut` says that the trace was cut short."""

    question: str
    trace: str
    answer: str
    cut: bool

    @property
    def completion(self) -> str:
        """What follows the prompt: the trace between its delimiters, the answer, the turn's end."""
        return THINK + self.trace + THINK_END + self.answer + TURN_END

    @property
    def without_steps(self) -> "Example":
        """The same problem for a model that answers at once: it is itself that ends the trace."""
        return replace(self, trace="", cut=False)


# what each model of the demo's pair learns from an example: its steps, or the answer alone
KINDS: dict[str, Callable[[Example], Example]] = {
    "reasoner": lambda example: example,
    "answerer": lambda example: example.without_steps,
}


def apply_operation(left: int, operation: str, right: int) -> int:
    """`left operation right` modulo 10."""
    if operation == "+":
        return (left + right) % 10
    if operation == "-":
        return (left - right) % 10
    if operation == "*":
        return (left * right) % 10
    raise ValueError(f"operation {operation!r} is none of {OPERATIONS}")


def question(chain: Chain) -> str:
    """The chain as the user asks it, e.g. `7*2+5-3=?`."""
    rest = (f"{op}{digit}" for op, digit in zip(chain.operations, chain.digits[1:], strict=True))
    return f"{chain.digits[0]}{''.join(rest)}=?"


def chain_of(question: str) -> Chain:
    """The chain that a question asks."""
    text = question.removesuffix("=?")
    return Chain(digits=tuple(map(int, text[::2])), operations=text[1::2])


def trace_and_answer(chain: Chain) -> tuple[str, str]:
    """The chain worked out: `7*2=4;4+5=9;9-3=6;` and `6`."""
    steps = []
    value = chain.digits[0]
    for operation, digit in zip(chain.operations, chain.digits[1:], strict=True):
        result = apply_operation(value, operation, digit)
        steps.append(f"{value}{operation}{digit}={result};")
        value = result
    return "".join(steps), str(value)


def is_held_out(text: str) -> bool:
    """Whether a question is on the benchmark's side of the task."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % HELD_OUT_SHARE == 0


def benchmark_problems(count: int, seed: int) -> list[Problem]:
    """`count` different held-out problems, spread evenly over 2 to 12 operations."""
    return _problems("chains", random.Random(f"benchmark {seed}"), count, held_out=True)


def training_problems(count: int, seed: int) -> list[Problem]:
    """The same from the training side, for models to answer before they are evaluated."""
    rng = random.Random(f"training problems {seed}")
    return _problems("chains-training", rng, count, held_out=False)


def _problems(name: str, rng: random.Random, count: int, *, held_out: bool) -> list[Problem]:
    lengths = MAX_OPERATIONS - MIN_OPERATIONS + 1
    answers: dict[str, str] = {}
    while len(answers) < count:
        chain = _draw(rng, MIN_OPERATIONS + len(answers) % lengths, held_out=held_out)
        # a question that was drawn before changes nothing, and its length is drawn again
        answers.setdefault(question(chain), trace_and_answer(chain)[1])
    return [
        Problem(id=f"{name}-{number:03}", question=text, answer=answer, kind="integer")
        for number, (text, answer) in enumerate(answers.items())
    ]


def training_example(rng: random.Random) -> Example:
    """One worked chain from the training side, 2 to 12 operations alike.

    CUT_SHARE of the traces end at a random token. Their answer is still the true one, so that the
    model learns to answer, as well as it can, when its thinking is stopped early.
    """
    lengths = MAX_OPERATIONS - MIN_OPERATIONS + 1
    chain = _draw(rng, MIN_OPERATIONS + _below(rng, lengths), held_out=False)
    trace, answer = trace_and_answer(chain)
    cut = rng.random() < CUT_SHARE
    if cut:
        trace = trace[: _below(rng, len(trace))]
    return Example(question=question(chain), trace=trace, answer=answer, cut=cut)


def training_examples(seed: int) -> Iterator[Example]:
    """What training meets, one example after another, without end: the same for both models."""
    rng = random.Random(f"training {seed}")
    while True:
        yield training_example(rng)


def _draw(rng: random.Random, operations: int, *, held_out: bool) -> Chain:
    """A chain from one side of the task, all chains of that side and length equally likely."""
    while True:
        chain = Chain(
            digits=tuple(_below(rng, 10) for _ in range(operations + 1)),
            operations="".join(OPERATIONS[_below(rng, 3)] for _ in range(operations)),
        )
        if is_held_out(question(chain)) == held_out:
            return chain


def _below(rng: random.Random, end: int) -> int:
    """A number from 0 to end - 1. Python promises only random() to stay the same for a seed."""
    return int(rng.random() * end)
