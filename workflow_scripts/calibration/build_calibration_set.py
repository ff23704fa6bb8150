"""Make a calibration set: rows of text, tokenised, packed into one stream and cut into windows.

    python -m workflow_scripts.calibration.build_calibration_set \\
        --model resources/models/reasoner --source '{"kind": "bundled", "name": "chains"}' \\
        --samples 128 --length 128 --seed 0 \\
        --output resources/calibration/reasoner/chains.safetensors

A source is a bundled JSONL file or a local .jsonl or .txt file. A JSONL row is either
`{"prompt": ..., "completion": ...}`: the prompt goes through the model's chat template up to where
the model would answer, the completion follows as it is; or `{"text": ...}`: tokenised plainly and
ended with the end-of-sequence token. Every non-empty line of a .txt file is such a text.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from workflow_scripts.checkpoints import model_digest, open_checkpoint
from workflow_scripts.errors import InputError, run_stage
from workflow_scripts.tensors import save_tensors

BUNDLED = Path(__file__).parents[2] / "bundled" / "calibration"
ROW_FIELDS = ({"prompt", "completion"}, {"text"})


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--source", required=True, type=json.loads, help="JSON: kind, name or path")
    parser.add_argument("--samples", required=True, type=int)
    parser.add_argument("--length", required=True, type=int, help="tokens in a sample")
    parser.add_argument("--seed", required=True, type=int, help="shuffles the rows")
    parser.add_argument("--output", required=True, type=Path)
    options = parser.parse_args(argv)
    digest = model_digest(options.model)
    check_window(options.model, options.samples, options.length)
    path = source_path(options.source)
    rows = shuffled(read_rows(path), options.seed)
    tokens = tokenise(load_tokenizer(options.model), rows, str(path))
    input_ids = pack_windows(tokens, options.samples, options.length, str(path))
    save_tensors(options.output, {"input_ids": input_ids}, {"model_digest": digest})


def source_path(source: dict[str, Any]) -> Path:
    """The file that a source names: of this project (`bundled`) or of the user (`local`)."""
    if source.get("kind") == "bundled":
        return BUNDLED / f"{source['name']}.jsonl"
    if source.get("kind") == "local":
        return Path(source["path"])
    raise InputError(f"calibration source {source!r}: its kind is neither bundled nor local")


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a .jsonl or .txt file of rows. Raises `InputError` naming the line that is no row."""
    if path.suffix not in (".jsonl", ".txt"):
        raise InputError(f"{path}: a calibration file is .jsonl or .txt")
    try:
        # split at line feeds alone: other line ends may stand inside a JSON string
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if path.suffix == ".txt":
        return [{"text": line} for _, line in numbered]
    return [_row(line, f"{path}:{number}") for number, line in numbered]


def _row(line: str, where: str) -> dict[str, str]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(row, dict) or set(row) not in ROW_FIELDS:
        raise InputError(f"{where}: a row has the fields prompt and completion, or the field text")
    for name, value in row.items():
        if not isinstance(value, str):
            raise InputError(f"{where}: field {name!r} is {value!r}, not a string")
    return row


def shuffled(rows: list[dict[str, str]], seed: int) -> list[dict[str, str]]:
    """The rows in an order that the seed alone determines."""
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    return rows


def load_tokenizer(model: Path) -> PreTrainedTokenizerBase:
    """The model's tokenizer. Raises `InputError` where transformers cannot open it."""
    try:
        return AutoTokenizer.from_pretrained(model, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{model}: its tokenizer cannot be opened: {reason}") from None


def tokenise(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[dict[str, str]], where: str
) -> Iterator[list[int]]:
    """The token ids of row after row.

    Raises `InputError` for prompts where the tokenizer has no chat template, and for texts where it
    has no end-of-sequence token.
    """
    for row in rows:
        if "text" in row:
            if tokenizer.eos_token_id is None:
                raise InputError(f"{where}: has texts, the tokenizer has no eos token to end them")
            yield [*_plain(tokenizer, row["text"]), tokenizer.eos_token_id]
        else:
            if not tokenizer.chat_template:
                raise InputError(f"{where}: has prompts, the tokenizer has no chat template")
            turn = [{"role": "user", "content": row["prompt"]}]
            prompt = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
            # apart, as at generation: no token may reach over from the prompt into the completion
            yield _plain(tokenizer, prompt) + _plain(tokenizer, row["completion"])


def _plain(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def pack_windows(rows: Iterator[list[int]], samples: int, length: int, where: str) -> Tensor:
    """Put rows of token ids end to end and cut the stream, int32 (samples, length).

    No token is padding and none is left out between two windows. Rows are drawn only until there
    are enough. Raises `InputError` where there are too few.
    """
    needed = samples * length
    stream: list[int] = []
    for row in rows:
        stream += row
        if len(stream) >= needed:
            return torch.tensor(stream[:needed], dtype=torch.int32).reshape(samples, length)
    raise InputError(
        f"{where}: has {len(stream)} tokens, {samples} samples of {length} tokens need {needed}"
    )


def check_window(model: Path, samples: int, length: int) -> None:
    """Raise `InputError` for samples that are none or longer than the model's positions."""
    if samples < 1 or length < 1:
        raise InputError(f"calibration set of {samples} x {length} tokens: both must be 1 or more")
    longest = open_checkpoint(model).config.get("max_position_embeddings")
    if type(longest) is int and length > longest:
        raise InputError(f"calibration length {length}: the model takes {longest} tokens at most")


if __name__ == "__main__":
    run_stage(main)
