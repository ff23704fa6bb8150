"""Rows of text as what is trained on: token ids, and which of them have a loss."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from workflow_scripts.config.recoveries import Recovery
from workflow_scripts.errors import InputError
from workflow_scripts.inputs.corpora import Rows, shuffled
from workflow_scripts.models.chat_templates import ChatTemplate
from workflow_scripts.models.routed import ROUTES
from workflow_scripts.models.tokenizers import check_ids, encode_pair, encode_text
from workflow_scripts.recovery.routers import Routes

IGNORED = -100  # the label of a position without a loss
PADDING = 0  # any token: it stands behind the row, where causal attention never looks

Batch = Mapping[str, Tensor]


class Sample(NamedTuple):
    """A row's token ids, cut to the length, and how many of them at its beginning have no loss."""

    ids: list[int]
    given: int
    is_cut: bool

    @property
    def tokens(self) -> int:
        """How many have a loss."""
        return max(0, len(self.ids) - self.given)


class Drawn(NamedTuple):
    """Rows to train on, of which `cut` were longer, and rows that are only measured."""

    train: Rows
    validation: list[Sample]
    cut: int

    def sample(self, number: int) -> Sample:
        """A row to train on."""
        return Sample(*self.train[number])


def draw(
    rows: Rows,
    template: ChatTemplate,
    wanted: Recovery,
    ends: tuple[int, ...],
    embedded: int,
    folder: Path,
) -> Drawn:
    """Rows in an order that the seed decides: first those that are measured, then the others.

    Rows without a token that has a loss are passed over, and so are rows to train on that are equal
    to a measured one. As many are drawn as the steps can use. `ends` are tokens that end a turn,
    `embedded` the rows of the model's embedding, and `folder` is where what is drawn is kept.
    Raises `InputError` where there are too few.
    """
    order = shuffled(range(len(rows)), wanted.seed)
    usable = filter(
        lambda sample: sample.tokens,
        (tokenise(template, rows[number], wanted, ends, rows.where) for number in order),
    )
    validation = list(islice(usable, wanted.validation))
    measured = {tuple(sample.ids) for sample in validation}
    others = (sample for sample in usable if tuple(sample.ids) not in measured)
    most = wanted.steps * wanted.batch
    train = islice(others, min(most, wanted.samples or most))
    found = Drawn(Rows(train, rows.where, folder), validation, 0)
    count = len(found.train)
    if not validation and not count:
        part = "a token of its completion" if wanted.loss == "completion" else "two tokens"
        raise InputError(
            f"{rows.where}: no row has {part} within length {wanted.length}; set a larger one, or "
            "take other texts"
        )
    needed = min(most, wanted.samples or 1)
    if count < needed:
        raise InputError(
            f"{rows.where}: {len(validation) + count} rows have a token with a loss "
            f"within length {wanted.length}; {wanted.validation} validation and {needed} training "
            "rows are needed"
        )
    cut = 0
    for sample in map(found.sample, range(count)):
        check_ids(template.tokenizer, [max(sample.ids)], embedded, rows.where)
        cut += sample.is_cut
    for sample in validation:
        check_ids(template.tokenizer, [max(sample.ids)], embedded, rows.where)
    return found._replace(cut=cut)


def tokenise(
    template: ChatTemplate,
    row: Mapping[str, str],
    wanted: Recovery,
    ends: tuple[int, ...],
    where: str,
) -> Sample:
    """A row as a sample. A completion ends a turn: the end of a sequence follows one that does not.

    A text is all completion. The first token of a row follows nothing and never has a loss.
    """
    tokenizer, prompt = template.tokenizer, []
    if "text" in row:
        ids = encode_text(tokenizer, row["text"], where)
    else:
        prompt, completion = encode_pair(template, row, where)
        eos = tokenizer.eos_token_id
        if eos is not None and completion and completion[-1] not in ends:
            completion = [*completion, eos]
        ids = prompt + completion
    given = max(1, len(prompt) if wanted.loss == "completion" else 0)
    return Sample(ids[: wanted.length], given, len(ids) > wanted.length)


class Course(Dataset):
    """What is trained on, from the first row of the first step to the last of the last.

    All rows in an order that the seed decides, then all in another, and so on.
    """

    def __init__(self, drawn: Drawn, wanted: Recovery) -> None:
        self._drawn, self._length = drawn, wanted.steps * wanted.batch
        count = len(drawn.train)
        self._order = lru_cache(maxsize=1)(
            lambda turn: shuffled(range(count), f"{wanted.seed} {turn}")
        )

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: int) -> tuple[int, Sample]:
        turn, number = divmod(place, len(self._drawn.train))
        return place, self._drawn.sample(self._order(turn)[number])


def batch_of(rows: list[tuple[int, Sample]]) -> dict[str, Tensor]:
    """Rows of a `Course` side by side: ids and labels int64 (rows, longest), places and lengths
    (rows,).

    A label is the token that follows; IGNORED stands where that has no loss, and behind the row.
    """
    longest = max(len(sample.ids) for _, sample in rows)
    ids = torch.full((len(rows), longest), PADDING)
    labels = torch.full((len(rows), longest), IGNORED)
    for row, (_, sample) in enumerate(rows):
        tokens, first = torch.tensor(sample.ids), sample.given
        ids[row, : len(tokens)] = tokens
        labels[row, first - 1 : len(tokens) - 1] = tokens[first:]
    places = torch.tensor([place for place, _ in rows])
    lengths = torch.tensor([len(sample.ids) for _, sample in rows])
    return {"input_ids": ids, "labels": labels, "places": places, "lengths": lengths}


def batches(samples: Sequence[Sample], at_once: int) -> Iterator[dict[str, Tensor]]:
    """Samples that are measured, so many at once."""
    numbered = [*enumerate(samples)]
    for start in range(0, len(samples), at_once):
        yield batch_of(numbered[start : start + at_once])


def summed_loss(model: Any, batch: Batch, routes: Routes | None = None) -> Tensor:
    """The cross-entropy (nats) of all tokens of a batch that have a loss, summed, fp32.

    The head runs at places only where a row has a loss. `routes` pass the blocks of a model with
    routers.
    """
    labels = batch["labels"]
    places = (labels != IGNORED).any(0).nonzero().squeeze(1)
    way = {ROUTES: routes.full} if routes else {}
    output = model(input_ids=batch["input_ids"], use_cache=False, logits_to_keep=places, **way)
    return torch.nn.functional.cross_entropy(
        output.logits.float().flatten(0, 1),
        labels[:, places].flatten(),
        ignore_index=IGNORED,
        reduction="sum",
    )
