"""Thinking as token ids: what opens a trace, what closes it, and how a budget cuts it.

The flow is s1's budget forcing (arXiv 2501.19393): prompt + `open`, a trace of at most the budget,
then `after_stop` where the model closed its thinking itself or `after_cap` where the budget cut it,
then the answer. With extensions, the end of the thinking is dropped, `extend_with` put in its place
and the model thinks on, `extensions` times at most; what is appended counts, so that a trace is
never longer than its budget.
"""

from collections.abc import Callable
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from workflow_scripts.config.thinking import ThinkingFormat as Texts
from workflow_scripts.engines.interface import Completion
from workflow_scripts.errors import InputError
from workflow_scripts.models.tokenizers import encode

# tokens that are decoded to see how a text ends: more than any one character is made of
LAST_TOKENS = 8


@dataclass(frozen=True)
class ThinkingFormat:
    """The delimiters of a trace as token ids; it ends at one of `stop` or of `end_of_turn`.

    `newline` goes before `after_cap` where the text of the trace does not end in a newline; empty
    where the format has no such rule. `decode` gives the text of token ids.
    """

    open: tuple[int, ...]
    stop: tuple[int, ...]
    after_stop: tuple[int, ...]
    after_cap: tuple[int, ...]
    end_of_turn: tuple[int, ...]
    newline: tuple[int, ...] = ()
    extend_with: tuple[int, ...] = ()
    extensions: int = 0
    decode: Callable[[list[int]], str] | None = None


@dataclass(frozen=True)
class Cut:
    """A trace as one budget leaves it; `finish` is `stop`, `eos` or `length`."""

    tokens: tuple[int, ...]
    finish: str


def tokenise_format(
    tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    name: str,
    end_of_turn: tuple[int, ...],
    model: str,
) -> ThinkingFormat:
    """A configured format as ids; `name` and `model` are what messages call the two.

    Raises `InputError` where a delimiter is not one token of this tokenizer, since a trace is
    watched token by token, and where the tokenizer cannot express one of the texts.
    """

    def ids(key: str, text: str) -> tuple[int, ...]:
        found = tuple(encode(tokenizer, text))
        unknown = tokenizer.unk_token_id in found and tokenizer.unk_token not in text
        if unknown or (text and not found):
            raise InputError(
                f"thinking_formats.{name}.{key}: the tokenizer of {model} has no token "
                f"for a part of {text!r}; write it with what that tokenizer knows"
            )
        return found

    def stop_id(text: str) -> int:
        found = ids("stop", text)
        if len(found) != 1:
            raise InputError(
                f"thinking_formats.{name}.stop: {text!r} is {len(found)} tokens of the "
                f"tokenizer of {model}; each must be exactly one"
            )
        return found[0]

    stops = [texts.stop] if isinstance(texts.stop, str) else texts.stop
    same = ("open", "after_stop", "after_cap", "extend_with")
    return ThinkingFormat(
        **{key: ids(key, getattr(texts, key)) for key in same},
        stop=tuple(sorted(set(map(stop_id, stops)))),
        newline=ids("newline_before_cap", "\n") if texts.newline_before_cap else (),
        extensions=texts.extensions,
        end_of_turn=end_of_turn,
        decode=tokenizer.decode,
    )


def finish_of(trace: Completion, thinking: ThinkingFormat) -> str:
    """`stop`: closed by its own delimiter; `eos`: the turn ended inside it; `length`: cut."""
    if trace.stopped_by is None:
        return "length"
    return "stop" if trace.stopped_by in thinking.stop else "eos"


def cut_trace(trace: Completion, budget: int, thinking: ThinkingFormat) -> Cut:
    """The trace as a smaller budget would have left it, its extensions included.

    A trace that ends by itself needs one token more than it has, for its delimiter: under a budget
    equal to its length it is cut before that token, exactly as if it had been drawn under it.
    """
    if len(trace.tokens) < budget:
        return Cut(trace.tokens, finish_of(trace, thinking))
    return Cut(trace.tokens[:budget], "length")


def answer_prompt(prompt: tuple[int, ...], cut: Cut, thinking: ThinkingFormat) -> tuple[int, ...]:
    """Token ids from which the answer is generated."""
    if cut.finish != "length":
        return prompt + cut.tokens + thinking.after_stop
    end = thinking.decode(list(cut.tokens[-LAST_TOKENS:])) if thinking.newline else ""
    newline = () if end.endswith("\n") else thinking.newline
    return prompt + cut.tokens + newline + thinking.after_cap


def put_between(thinking: ThinkingFormat) -> dict[str, int]:
    """How many tokens stand between a trace and its answer at most, by how the trace ended."""
    after_cap = len(thinking.newline) + len(thinking.after_cap)
    after_stop = len(thinking.after_stop)
    return {"stop": after_stop, "eos": after_stop, "length": after_cap}


def longest_marker(thinking: ThinkingFormat) -> int:
    """The most tokens that stand between a trace and its answer."""
    return max(put_between(thinking).values())
