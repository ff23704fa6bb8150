"""Chat templates as texts: where a model's folder has one, and what can be said before it is run.

No transformers here: local models are looked at while jobs are planned.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from pydantic import BaseModel, ValidationError

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json

TEMPLATE, TOKENIZER = "chat_template.jinja", "tokenizer_config.json"

# one, several by their names, or none
Template = str | Mapping[str, str] | None


class _Generation(Extension):
    """`{% generation %}`, transformers' mark around what a model writes."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Named(BaseModel):
    name: str
    template: str


class _Settings(BaseModel):
    """tokenizer_config.json, as far as it is about chat templates."""

    chat_template: str | list[_Named] | dict[str, str] | None = None


PARSER = Environment(extensions=[_Generation, LoopControlExtension])


def template_of(folder: Path) -> Template:
    """The chat template in a model's folder, where transformers would find it.

    Raises `InputError` for files that cannot be read.
    """
    path = folder / TEMPLATE
    if path.exists():
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 ({error.reason})") from None
    path = folder / TOKENIZER
    try:
        found = _Settings.model_validate(read_json(path) if path.exists() else {}).chat_template
    except ValidationError:
        raise InputError(
            f"{path}: chat_template is neither a text nor several, each with its name"
        ) from None
    return {one.name: one.template for one in found} if isinstance(found, list) else found


def check_template(template: Template, arguments: Iterable[str], model: str) -> None:
    """Raise `InputError` where there is no template, it is not Jinja, or an argument is not in it.

    `model` is what messages call the model.
    """
    if not template:
        raise InputError(f"{model}: the tokenizer has no chat template; add {TEMPLATE}")
    texts = list(template.values()) if isinstance(template, Mapping) else [template]
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{model}: its chat template is no text; correct {TEMPLATE}")
    for text in texts:
        try:
            PARSER.parse(text)
        except (TemplateSyntaxError, RecursionError) as error:
            is_syntax = isinstance(error, TemplateSyntaxError)
            said = f"line {error.lineno}: {error.message}" if is_syntax else "nested too deep"
            raise InputError(
                f"{model}: its chat template is not Jinja: {said}; correct {TEMPLATE}"
            ) from None
    for name in arguments:
        if not any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts):
            raise InputError(
                f"{model}: its chat template has no use for {name!r}; correct chat_template_args "
                "of the model"
            )
