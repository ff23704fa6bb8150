"""Prompts: the texts that questions are put in.

`{question}` and `{choices}` stand in such a text for what a problem has; `{A}`, `{B}`, ... for one
choice each; `{question_lines}` for the question without blank lines. Empty braces are a part of the
text (`\\boxed{}`), and so are doubled ones, which are written as one: `\\boxed{{ANSWER}}`.
"""

import re
from collections.abc import Iterator, Mapping
from string import ascii_uppercase
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.sources.problems import KINDS, Kind
from workflow_scripts.config.types import AnyText, From, Text, check_name, in_words

QUESTIONS = ("question", "question_lines")  # the question, and without blank lines
PLACES = (*QUESTIONS, "choices", *ascii_uppercase)
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


def places(text: str) -> list[str]:
    """The names that stand in braces."""
    return [match[1] for match in _BRACES.finditer(text) if match[1]]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its values in place."""
    return _BRACES.sub(lambda match: values[match[1]] if match[1] else match[0][0], text)


def questions_of(question: str) -> dict[str, str]:
    """What stands for a question in a text: as it is, and with one line end for two in a row, as
    Evalchemy puts those of JEEBench."""
    return dict(zip(QUESTIONS, (question, question.replace("\n\n", "\n").strip()), strict=True))


def mistakes(text: str) -> Iterator[str]:
    """What is wrong with a text."""
    for name in places(text):
        if name not in PLACES:
            yield (
                f"{'{' + name[:40] + '}'!r} is no placeholder; must be {{question}}, {{choices}}, "
                "or {A}, {B}, ...; braces of the text itself are doubled"
            )
            return
    if not {*places(text)} & {*QUESTIONS}:
        yield "has no {question}, which the question is put in place of"


def _text_type(value: Any) -> str:
    return "object" if isinstance(value, dict) else "string"


TextOrTexts = Annotated[
    Annotated[Text, Tag("string")] | Annotated[dict[Kind, Text], Tag("object")],
    Discriminator(_text_type),
    Field(**in_words(f"text, or a mapping of kinds ({', '.join(KINDS)}) to texts")),
]


def texts_of(prompt: str | Mapping[str, str]) -> dict[str, str]:
    """The texts of a prompt by the kinds of problems that they are for; "" is any kind."""
    return {"": prompt} if isinstance(prompt, str) else {**prompt}


class Prompt(Entry):
    """A text that benchmarks name."""

    text: TextOrTexts
    """The text, with `{question}` (or `{question_lines}`, without its blank lines) and, for
    multiple choice, `{choices}` (lines `A) ...`) or `{A}`, `{B}`, ... in place of what a problem
    has. Braces of the text itself are doubled, empty ones need not be. Where kinds of problems are
    put in other words, a mapping of kinds to texts."""
    origin: Text = absent()
    """Whose wording it is, for the report: project, version and file."""

    def contradictions(self) -> Iterator[Said]:
        for kind, text in texts_of(self.text).items():
            place = ("text", kind) if kind else ("text",)
            yield from ((place, said) for said in mistakes(text))


def is_text(prompt: Any) -> bool:
    """Whether a benchmark's prompt is the text itself, and not the name of one."""
    return isinstance(prompt, str) and not re.fullmatch(r"[A-Za-z0-9._-]+", prompt)


def _known(prompt: str, info: ValidationInfo) -> str:
    if is_text(prompt):
        return prompt
    if info.context is not None and "prompts" not in info.context:  # the catalogue may be left out
        raise PydanticCustomError("unknown_name", "unknown", {"catalogue": "prompts"})
    return check_name("prompts", prompt, info)


TextOrName = Annotated[
    AnyText,
    AfterValidator(_known),
    WithJsonSchema({"type": "string", "x-allowed": "text with {question}, or a name from prompts"}),
    From("prompts", lambda prompt: prompt is not None and not is_text(prompt)),
]


class Wording(Entry):
    """How a benchmark's questions are put to models; without a prompt as they are."""

    prompt: TextOrTexts = absent()
    system: Text = absent()


BARE = Wording()
