"""Rows of text, of this project or of the user: found, ordered by a seed, tokenised.

A row (see `text_files`) is either `{"prompt": ..., "completion": ...}`: the prompt goes through the
model's chat template up to where the model would answer, the completion follows as it is; or
`{"text": ...}`: tokenised plainly.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models.chat_templates import ChatTemplate


def load_tokenizer(model: Path) -> PreTrainedTokenizerBase:
    """The model's tokenizer. Raises `InputError` where transformers cannot open it."""
    try:
        found = AutoTokenizer.from_pretrained(model, trust_remote_code=False, local_files_only=True)
        encode(found, "a")  # some odd settings show at the first text
        return found
    except Exception as error:  # the parsers of odd files raise errors of any class
        reason = " ".join(str(error).split())
        raise InputError(f"{model}: its tokenizer cannot be opened: {reason}") from None


def end_of_turn_ids(model: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Ids that end the model's turn, ascending.

    Those that the model's folder declares, as transformers reads it: in generation_config.json or,
    where there is no such file, in config.json. And the tokenizer's end of sequence. Raises
    `InputError` where something else than ids is declared.
    """
    path = model / "generation_config.json"
    path = path if path.exists() else model / "config.json"
    declared = read_json(path).get("eos_token_id")
    ids = declared if isinstance(declared, list) else [declared]
    if any(type(i) not in (int, NoneType) for i in ids):
        raise InputError(
            f"{path}: eos_token_id is {str(declared)[:40]!r}; must be a token's id or a list of ids"
        )
    return tuple(sorted({i for i in [*ids, tokenizer.eos_token_id] if i is not None}))


def encode_pair(
    template: ChatTemplate, row: dict[str, str], where: str
) -> tuple[list[int], list[int]]:
    """The token ids of a row's prompt, through the chat template, and of its completion.

    Raises `InputError` where the tokenizer has no chat template.
    """
    tokenizer = template.tokenizer
    if not tokenizer.chat_template:
        raise InputError(f"{where}: has prompts, the tokenizer has no chat template")
    # apart, as at generation: no token may reach over from the prompt into the completion
    prompt = template.render(row["prompt"], where)
    return encode(tokenizer, prompt), encode(tokenizer, row["completion"])


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str, where: str) -> list[int]:
    """The token ids of a plain text and of the end of a sequence.

    Raises `InputError` where the tokenizer has no token for that.
    """
    if tokenizer.eos_token_id is None:
        raise InputError(f"{where}: has texts, the tokenizer has no eos token to end them")
    return [*encode(tokenizer, text), tokenizer.eos_token_id]


def check_ids(
    tokenizer: PreTrainedTokenizerBase, ids: Iterable[int], rows: int, where: str
) -> None:
    """Raise `InputError` for a token that the model's embedding of `rows` rows does not have."""
    for token in ids:
        if token >= rows:
            raise InputError(
                f"{where}: {tokenizer.convert_ids_to_tokens(token)!r} is token {token} of the "
                f"tokenizer, and the model's embedding has {rows} rows: it was added to the "
                "tokenizer alone; take it out there, or out of the chat template or text"
            )


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The token ids of a text as it is, without the tokens that a tokenizer puts around texts."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def tokens_before(
    tokenizer: PreTrainedTokenizerBase, text: str, places: Sequence[int]
) -> list[int]:
    """How many tokens of a text lie wholly before each of some places, counted in characters.

    What a model wrote may be other tokens with the same text; these are the tokenizer's own.
    """
    if tokenizer.is_fast:
        found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ends = np.maximum.accumulate([end for _, end in found["offset_mapping"]] or [0])
        return np.searchsorted(ends[: len(found["input_ids"])], places, side="right").tolist()
    # one that does not say where its tokens are: those that are the same for the text's beginning
    whole = encode(tokenizer, text)
    counts = []
    for place in places:
        pairs = zip(encode(tokenizer, text[:place]), whole, strict=False)
        counts.append(next((n for n, (one, two) in enumerate(pairs) if one != two), None))
        if counts[-1] is None:
            counts[-1] = min(len(whole), len(encode(tokenizer, text[:place])))
    return counts
