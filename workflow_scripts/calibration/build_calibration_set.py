"""Make a calibration set: rows of text or of token ids, drawn by a seed and cut to one length.

    python -m workflow_scripts.calibration.build_calibration_set \\
        --model resources/models/reasoner --options '{"source": {"kind": "bundled", \\
        "name": "chains"}, "samples": 128, "length": 128}' \\
        --output resources/calibration/reasoner/chains.safetensors

Rows come from a file of texts (bundled, local, or fetched from the hub: `--corpus`), see
`text_files`, or are the dense model's own traces (`--traces`, `--grades`, `--sequences`). Sampling
`packed` shuffles them, puts them end to end, each plain text ended with the end-of-sequence token,
and cuts the stream.
Sampling `windows` is the recipe of the Wanda code (arXiv 2306.11695): rows longer than a sample are
drawn with replacement, and of each a random contiguous window is taken.
Sampling `passages` is that of ShortGPT's texts in the public code of arXiv 2604.25098: the lines of
every text are put together, whole, to passages of so many characters; of the passages of all texts
some are drawn without replacement, and each is cut to the length.

A source of kind random has no rows: its token ids are drawn one by one. With `token_order` shuffled
the tokens of every sequence, drawn in whichever way, come in an order that is drawn as well.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from workflow_scripts.calibration.set_rows import TRACES, open_rows
from workflow_scripts.config.catalogues import CalibrationSet
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.places import check_given
from workflow_scripts.errors import InputError
from workflow_scripts.inputs.corpora import Rows, shuffled
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models.chat_templates import AUTO, ChatTemplate
from workflow_scripts.models.checkpoints import EMBEDDING, model_digest, open_checkpoint
from workflow_scripts.models.rope import context_length
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.models.tokenizers import check_ids, encode_pair, encode_text, load_tokenizer


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--options", required=True, help="the calibration set's entry, as JSON")
    parser.add_argument("--corpus", type=Path, help="manifest of a fetched corpus (kind hub)")
    for kind in TRACES:
        parser.add_argument(f"--{kind}", type=Path, help="of the dense model (kind generated)")
    parser.add_argument("--date", default=AUTO, help="what chat templates are told, or auto")
    parser.add_argument("--chat", default={}, type=json.loads, help="what else, as JSON")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args(argv)
    wanted: CalibrationSet = parser_of(CalibrationSet)(arguments.options)
    check_given(wanted, arguments)
    digest = model_digest(arguments.model)
    check_window(arguments.model, wanted.length)
    tokenizer = load_tokenizer(arguments.model)
    embedded = open_checkpoint(arguments.model).shapes[EMBEDDING][0]
    if wanted.source.kind == "random":
        input_ids = random_tokens(tokenizer, embedded, wanted)
    else:
        traces = {kind: getattr(arguments, kind) for kind in TRACES}
        rows = open_rows(wanted.source, arguments.corpus, traces, arguments.output.parent)
        with ChatTemplate(tokenizer, arguments.date, arguments.chat) as template:
            input_ids = SAMPLINGS[wanted.sampling](template, rows, wanted)
        check_ids(tokenizer, input_ids.unique().tolist(), embedded, rows.where)
    if wanted.token_order == "shuffled":
        input_ids = with_shuffled_tokens(input_ids, wanted.seed)
    save_tensors(arguments.output, {"input_ids": input_ids}, {"model_digest": digest})


def packed(template: ChatTemplate, rows: Rows, wanted: CalibrationSet) -> Tensor:
    """Shuffled rows end to end, cut, int32 (samples, length)."""
    ordered = (rows[number] for number in shuffled(range(len(rows)), wanted.seed))
    tokens = tokenise(template, ordered, rows.where)
    return pack_windows(tokens, wanted.samples, wanted.length, rows.where)


def windows(template: ChatTemplate, rows: Rows, wanted: CalibrationSet) -> Tensor:
    """A random window of each of some random rows that are longer, int32 (samples, length).

    A text is tokenised as the tokenizer does it by itself, with the tokens that it puts around
    texts and no other, as in the Wanda code.
    """

    def tokens(number: int) -> list[int]:
        row = rows[number]
        if isinstance(row, dict) and "text" in row:
            return template.tokenizer(row["text"], verbose=False)["input_ids"]
        return next(tokenise(template, [row], rows.where))

    samples, length, seed = wanted.samples, wanted.length, wanted.seed
    return draw_windows(tokens, len(rows), samples, length, seed, rows.where)


def passages(template: ChatTemplate, rows: Rows, wanted: CalibrationSet) -> Tensor:
    """The beginnings of random passages of all texts, int32 (samples, length).

    No passage is drawn twice, and those of fewer tokens are passed over. Raises `InputError` for
    rows that are no plain texts, and where too few passages are long enough.
    """
    size, length = wanted.passage, wanted.length
    places: list[tuple[int, int]] = []
    for number in range(len(rows)):
        if "text" not in rows[number]:
            raise InputError(f"{rows.where}: passages are drawn from texts, these are prompts")
        count = len(lines_together(rows[number]["text"], size))
        places += [(number, passage) for passage in range(count)]
    found: list[list[int]] = []
    for number, passage in shuffled(places, wanted.seed):
        if len(found) == wanted.samples:
            break
        text = lines_together(rows[number]["text"], size)[passage]
        ids = template.tokenizer(text, verbose=False)["input_ids"]
        if len(ids) >= length:
            found.append(ids[:length])
    if len(found) < wanted.samples:
        raise InputError(
            f"{rows.where}: {len(found)} of {len(places)} passages of {size} characters have "
            f"{length} tokens; {wanted.samples} are needed"
        )
    return torch.tensor(found, dtype=torch.int32)


def lines_together(text: str, size: int) -> list[str]:
    """A text's lines that hold something, joined by spaces as long as `size` characters allow.

    Lines stay whole; one that is longer is cut.
    """
    together: list[str] = []
    for line in filter(None, map(str.strip, text.split("\n"))):
        if together and len(together[-1]) + 1 + len(line) <= size:
            together[-1] += f" {line}"
        else:
            together.append(line[:size])
    return together


def random_tokens(
    tokenizer: PreTrainedTokenizerBase, embedded: int, wanted: CalibrationSet
) -> Tensor:
    """Ids of a tokenizer's tokens but its special ones, each as likely, int32 (samples, length).

    Of tokens that the model's embedding of `embedded` rows does not have there are none.
    """
    # the first are those that have a part to play; models reserve others
    special = {*tokenizer.all_special_ids}
    special |= {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    ids = sorted(i for i in {*tokenizer.get_vocab().values()} - special if i < embedded)
    draw = random.Random(wanted.seed)
    count = wanted.samples * wanted.length
    # Python promises of random() alone that its numbers stay the same for a seed
    drawn = [ids[int(draw.random() * len(ids))] for _ in range(count)]
    return torch.tensor(drawn, dtype=torch.int32).reshape(wanted.samples, wanted.length)


def with_shuffled_tokens(input_ids: Tensor, seed: int) -> Tensor:
    """Each sequence with its own tokens in an order that the seed decides, as `input_ids`."""
    draw = random.Random(seed)
    sequences = input_ids.tolist()
    for sequence in sequences:
        draw.shuffle(sequence)
    return torch.tensor(sequences, dtype=input_ids.dtype)


SAMPLINGS = {"packed": packed, "windows": windows, "passages": passages}


def draw_windows(
    tokens: Callable[[int], list[int]],
    count: int,
    samples: int,
    length: int,
    seed: int,
    where: str,
) -> Tensor:
    """Windows of rows 0 to count - 1, int32 (samples, length); `tokens` gives a row's ids.

    With equal rows the draws are those of the Wanda code, number by number: a row with
    `randint(0, count - 1)` until one is longer than `length` (not equal to it), then the window's
    start with `randint(0, its length - length - 1)`, all from one `random.Random(seed)`. Raises
    `InputError` where no row is long enough; the Wanda code would not end.
    """
    draw = random.Random(seed)
    found: list[list[int]] = []
    short: set[int] = set()
    while len(found) < samples:
        if len(short) == count:
            raise InputError(f"{where}: none of {count} texts is longer than {length} tokens")
        number = draw.randint(0, count - 1)
        ids = [] if number in short else tokens(number)
        if len(ids) > length:
            start = draw.randint(0, len(ids) - length - 1)
            found.append(ids[start : start + length])
        else:
            short.add(number)
    return torch.tensor(found, dtype=torch.int32)


def tokenise(
    template: ChatTemplate,
    rows: Iterator[Any] | Sequence[Any],
    where: str,
) -> Iterator[list[int]]:
    """The token ids of row after row; of a row that is token ids, these.

    Raises `InputError` for prompts where the tokenizer has no chat template, and for texts where it
    has no end-of-sequence token.
    """
    for row in rows:
        if isinstance(row, list):
            yield row
        elif "text" in row:
            yield encode_text(template.tokenizer, row["text"], where)
        else:
            prompt, completion = encode_pair(template, row, where)
            yield prompt + completion


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


def check_window(model: Path, length: int) -> None:
    """Raise `InputError` for samples that are longer than the model's positions."""
    longest = context_length(open_checkpoint(model))
    if length > longest:
        raise InputError(f"calibration length {length}: the model takes {longest} tokens at most")


if __name__ == "__main__":
    run_stage(main)
