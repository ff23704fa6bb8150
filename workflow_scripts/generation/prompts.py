"""The prompt of a problem as token ids: its chat template, then what opens the thinking."""

from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from transformers import PreTrainedTokenizerBase

from workflow_scripts.artefacts.records import Problem
from workflow_scripts.config.prompts import BARE, QUESTIONS, Wording, filled, places, questions_of
from workflow_scripts.config.thinking import ThinkingFormat
from workflow_scripts.errors import InputError
from workflow_scripts.models.chat_templates import ChatTemplate
from workflow_scripts.models.tokenizers import encode


def prompts(
    template: ChatTemplate,
    problems: Iterable[Problem],
    texts: ThinkingFormat,
    opening: tuple[int, ...],
    benchmark: str,
    wording: Wording = BARE,
) -> dict[str, tuple[int, ...]]:
    """The prompt of each problem by its id, up to and with the opening of its trace.

    `opening` is `texts.open` as ids. Where the template has opened the thinking itself, as those of
    R1 distills do, it is not appended. Raises `InputError` naming model, benchmark and problem
    where the template has ended the thinking too, for a wording that has not places for exactly the
    choices of a problem, and for whatever `ChatTemplate` refuses.
    """
    found = {}
    for problem in problems:
        where = f"benchmark {benchmark}, problem {problem.id}"
        question = _content(problem, wording.prompt, benchmark)
        prompt = template.render(question, where, wording.system)
        after = prompt.rpartition(question.strip())[2]
        opens, closes = texts.open.strip(), texts.after_stop.strip()
        is_open = opens != "" and opens in after
        if opens and closes and closes in after.rpartition(opens)[2]:
            raise InputError(
                f"{template.tokenizer.name_or_path}: its chat template ends the thinking before it "
                f"begins, with {closes!r} ({where}); take a template or a thinking format without"
            )
        found[problem.id] = (*encode(template.tokenizer, prompt), *(() if is_open else opening))
    return found


def shown(tokenizer: PreTrainedTokenizerBase, problem: str, ids: Sequence[int]) -> dict[str, Any]:
    """A prompt for people: the problem's id, how many tokens, and the text that these are."""
    text = tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return {"id": problem, "tokens": len(ids), "text": text}


def _content(problem: Problem, text: str | Mapping[str, str] | None, benchmark: str) -> str:
    """A question in its text; without one bare, as the paper gives it, and choices below it."""
    letters = dict(zip(ascii_uppercase, problem.choices or (), strict=False))
    lines = "\n".join(f"{letter}) {choice}" for letter, choice in letters.items())
    if text is None:
        text = "{question}\n\n{choices}" if lines else "{question}"
    if not isinstance(text, str):
        if problem.kind not in text:
            raise InputError(
                f"benchmarks.{benchmark}.prompt: problem {problem.id} is of kind {problem.kind}, "
                f"and the prompt has texts for {', '.join(text)}"
            )
        text = text[problem.kind]
    put, choices = {*places(text)} - {*QUESTIONS}, {"choices", *letters} if letters else set()
    if not put <= choices or (letters and "choices" not in put and put != letters.keys()):
        has = f"the choices A to {max(letters)}" if letters else "no choices"
        raise InputError(
            f"benchmarks.{benchmark}.prompt: problem {problem.id} has {has}, and the prompt has "
            f"places for {', '.join(sorted(put)) or 'none'}"
        )
    return filled(text, {**questions_of(problem.question), "choices": lines, **letters})
