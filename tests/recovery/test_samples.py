"""Which rows are trained on, which are measured, and which tokens have a loss."""

import json
from pathlib import Path

import pytest
import torch

from tests.models.tiny_models import tiny_tokenizer
from tests.recovery.recovering import LORA
from workflow_scripts.config.recoveries import Lora, Recovery
from workflow_scripts.errors import InputError
from workflow_scripts.inputs.corpora import Rows
from workflow_scripts.models.chat_templates import ChatTemplate
from workflow_scripts.recovery.samples import IGNORED, Course, Drawn, Sample, batch_of, draw

VOCABULARY, END, USER, MODEL = 64, 1, 2, 3


def recovery(**keys: object) -> Recovery:
    return Lora.model_validate_json(json.dumps(LORA | keys))


def drawn(place: Path, rows: list[dict[str, str]], vocabulary: int = VOCABULARY, **keys) -> Drawn:
    tokenizer = tiny_tokenizer()
    with ChatTemplate(tokenizer, "2026-11-27") as template:
        found = Rows(rows, "rows.jsonl", place)
        return draw(found, template, recovery(**keys), (END,), vocabulary, place)


def samples(found: Drawn) -> list[Sample]:
    return [found.sample(number) for number in range(len(found.train))]


def letters(text: str) -> list[int]:
    return tiny_tokenizer()(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("row", "loss", "before", "after"),
    [
        ({"prompt": "a+b", "completion": "cd"}, "completion", [USER, "a+b", MODEL], ["cd", END]),
        # a turn that ends by itself does not end twice
        ({"prompt": "a", "completion": "c<end>"}, "completion", [USER, "a", MODEL], ["c", END]),
        ({"prompt": "a", "completion": "cd"}, "all", [USER], ["a", MODEL, "cd", END]),
        ({"text": "abc"}, "completion", ["a"], ["bc", END]),
        # cut after eight tokens, and so without an end
        ({"prompt": "ab", "completion": "cdefg"}, "completion", [USER, "ab", MODEL], ["cdef"]),
    ],
)
def test_tokens_of_completions_have_a_loss(
    tmp_path: Path, row: dict[str, str], loss: str, before: list, after: list
) -> None:
    def ids(parts: list) -> list[int]:
        return [i for p in parts for i in ([p] if isinstance(p, int) else letters(p))]

    (sample,) = samples(drawn(tmp_path, [row], loss=loss, length=8))
    assert sample.ids == ids(before + after)
    assert sample.given == len(ids(before))
    batch = batch_of([(0, sample), (1, Sample([*sample.ids, END], sample.given, False))])
    labels = [IGNORED] * (sample.given - 1) + ids(after) + [IGNORED] * 2
    assert batch["labels"][0].tolist() == labels
    assert batch["input_ids"].shape == (2, len(sample.ids) + 1)


def test_measured_rows_are_never_trained_on(tmp_path: Path) -> None:
    """Not even where the file has them twice; and the seed chooses them."""
    rows = [{"prompt": f"{n}", "completion": f"{n}{n}"} for n in [*range(30), *range(30)]]
    chosen = []
    for seed in (0, 1):
        found = drawn(tmp_path, rows, validation=8, evaluate_every=1, steps=20, seed=seed)
        measured = {tuple(sample.ids) for sample in found.validation}
        trained = {tuple(sample.ids) for sample in samples(found)}
        assert len(found.validation) == 8 and len(found.train) + len(measured) > 40
        assert measured.isdisjoint(trained)
        assert len(measured | trained) == 30
        chosen.append(measured)
    assert chosen[0] != chosen[1]


def test_rows_without_a_loss_are_left_out_and_the_cut_are_counted(tmp_path: Path) -> None:
    rows = [{"prompt": "a" * n, "completion": "bcd"} for n in range(1, 21)]
    found = drawn(tmp_path, rows, length=12, steps=9)
    # <user>, n letters, <model>, four more tokens
    assert sorted(len(sample.ids) for sample in samples(found)) == [7, 8, 9, 10, 11, 12, 12, 12, 12]
    assert found.cut == 3


def test_a_course_has_every_row_once_before_any_twice(tmp_path: Path) -> None:
    rows = [{"text": f"{n}"} for n in range(10, 17)]
    found = drawn(tmp_path, rows, steps=5, batch=4)
    course = Course(found, recovery(steps=5, batch=4))
    seen = [tuple(course[place][1].ids) for place in range(len(course))]
    assert len(seen) == 20
    first, second = seen[:7], seen[7:14]
    assert set(first) == set(second) and len(set(first)) == 7
    assert first != second
    again = Course(found, recovery(steps=5, batch=4))
    assert tuple(again[9][1].ids) == seen[9]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"length": 5},
            "no row has a token of its completion within length 5; set a larger one, or take other "
            "texts",
        ),
        (
            {"length": 12, "validation": 3, "evaluate_every": 1, "samples": 4},
            "6 rows have a token with a loss within length 12; 3 validation and 4 training rows "
            "are needed",
        ),
        (
            {"validation": 6, "evaluate_every": 1},
            "6 rows have a token with a loss within length 20; 6 validation and 1 training rows "
            "are needed",
        ),
    ],
)
def test_too_few_rows_are_one_line(tmp_path: Path, keys: dict, said: str) -> None:
    rows = [{"prompt": f"abc{n}", "completion": "xy"} for n in range(6)]
    with pytest.raises(InputError) as found:
        drawn(tmp_path, rows, **keys)
    assert str(found.value) == f"rows.jsonl: {said}"


def test_a_token_beyond_the_embedding_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is token 29 of the tokenizer, and the model's embedding"):
        drawn(tmp_path, [{"text": "az"}], vocabulary=29)


def test_padding_changes_no_loss(tmp_path: Path) -> None:
    short, long = Sample([5, 6, 7], 1, False), Sample([8, 9, 10, 11, 12], 3, False)
    batch = batch_of([(0, short), (1, long)])
    assert torch.equal(batch["labels"][0], torch.tensor([6, 7, IGNORED, IGNORED, IGNORED]))
    assert torch.equal(batch["labels"][1], torch.tensor([IGNORED, IGNORED, 11, 12, IGNORED]))
