"""Rows of text, of this project or of the user: found, ordered by a seed, tokenised.

A row (see `text_files`) is either `{"prompt": ..., "completion": ...}`: the prompt goes through the
model's chat template up to where the model would answer, the completion follows as it is; or
`{"text": ...}`: tokenised plainly.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from workflow_scripts.errors import InputError


def load_tokenizer(model: Path) -> PreTrainedTokenizerBase:
    """The model's tokenizer. Raises `InputError` where transformers cannot open it."""
    try:
        return AutoTokenizer.from_pretrained(model, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{model}: its tokenizer cannot be opened: {reason}") from None


@contextmanager
def template_errors(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Raise `InputError` where a chat template fails, also at leaving its sandbox."""
    try:
        yield
    except (TemplateError, TypeError, ValueError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{tokenizer.name_or_path}: its chat template fails ({type(error).__name__}: {reason})"
        ) from None


def encode_pair(
    tokenizer: PreTrainedTokenizerBase, row: dict[str, str], where: str
) -> tuple[list[int], list[int]]:
    """The token ids of a row's prompt, through the chat template, and of its completion.

    Raises `InputError` where the tokenizer has no chat template.
    """
    if not tokenizer.chat_template:
        raise InputError(f"{where}: has prompts, the tokenizer has no chat template")
    turn = [{"role": "user", "content": row["prompt"]}]
    with template_errors(tokenizer):
        prompt = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    # apart, as at generation: no token may reach over from the prompt into the completion
    return encode(tokenizer, prompt), encode(tokenizer, row["completion"])


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The token ids of a text as it is, without the tokens that a tokenizer puts around texts."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]
