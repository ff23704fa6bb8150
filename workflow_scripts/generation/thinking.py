"""Thinking as token ids: what opens a trace, what closes it, and how a budget cuts it.

The flow is s1's budget forcing (arXiv 2501.19393): prompt + `open`, a trace of at most the budget,
then `after_stop` where the model closed its thinking itself or `after_cap` where the budget cut it,
then the answer.
"""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from workflow_scripts.errors import InputError
from workflow_scripts.generation.engine import Completion
from workflow_scripts.records import Problem
from workflow_scripts.text_rows import encode


@dataclass(frozen=True)
class ThinkingFormat:
    """The delimiters of a trace as token ids; it ends at `stop` or at one of `end_of_turn`."""

    open: tuple[int, ...]
    stop: int
    after_stop: tuple[int, ...]
    after_cap: tuple[int, ...]
    end_of_turn: tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """A trace as one budget leaves it; `finish` is `stop`, `eos` or `length`."""

    tokens: tuple[int, ...]
    finish: str


def tokenise_format(
    tokenizer: PreTrainedTokenizerBase, texts: dict[str, str], end_of_turn: tuple[int, ...]
) -> ThinkingFormat:
    """The configured delimiter texts as ids.

    Raises `InputError` where `stop` is not one token of this tokenizer, since a trace is watched
    token by token.
    """
    ids = {key: tuple(encode(tokenizer, text)) for key, text in texts.items()}
    if len(ids["stop"]) != 1 or ids["stop"][0] == tokenizer.unk_token_id:
        raise InputError(
            f"thinking format: stop {texts['stop']!r} is {len(ids['stop'])} tokens of this model's "
            "tokenizer; it must be exactly one that the tokenizer knows"
        )
    return ThinkingFormat(**(ids | {"stop": ids["stop"][0]}), end_of_turn=end_of_turn)


def end_of_turn_ids(
    tokenizer: PreTrainedTokenizerBase, generation_config: dict[str, Any]
) -> tuple[int, ...]:
    """Ids that end the model's turn: those of generation_config.json and the tokenizer's eos."""
    ids = generation_config.get("eos_token_id")
    listed = ids if isinstance(ids, list) else [ids]
    return tuple(sorted({i for i in [*listed, tokenizer.eos_token_id] if i is not None}))


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, problem: Problem, thinking: ThinkingFormat
) -> tuple[int, ...]:
    """The chat prompt of a problem, up to and with the opening of its trace.

    The question is given bare, as the paper gives it; choices follow it as lines `A) ...`.
    """
    lines = [f"{chr(65 + i)}) {choice}" for i, choice in enumerate(problem.choices or [])]
    message = {"role": "user", "content": "\n".join([problem.question, *lines])}
    ids = tokenizer.apply_chat_template([message], add_generation_prompt=True, return_dict=False)
    return tuple(ids) + thinking.open


def finish_of(trace: Completion, thinking: ThinkingFormat) -> str:
    """`stop`: closed by its own delimiter; `eos`: the turn ended inside it; `length`: cut."""
    if trace.stopped_by is None:
        return "length"
    return "stop" if trace.stopped_by == thinking.stop else "eos"


def cut_trace(trace: Completion, budget: int, thinking: ThinkingFormat) -> Cut:
    """The trace as a smaller budget would have left it.

    A trace that ends by itself needs one token more than it has, for its delimiter: under a budget
    equal to its length it is cut before that token, exactly as if it had been drawn under it.
    """
    if len(trace.tokens) < budget:
        return Cut(trace.tokens, finish_of(trace, thinking))
    return Cut(trace.tokens[:budget], "length")


def answer_prompt(prompt: tuple[int, ...], cut: Cut, thinking: ThinkingFormat) -> tuple[int, ...]:
    """Token ids from which the answer is generated."""
    marker = thinking.after_cap if cut.finish == "length" else thinking.after_stop
    return prompt + cut.tokens + marker
