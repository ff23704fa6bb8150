"""Which tokens end a model's turn."""

import json

import pytest
from transformers import AutoModelForCausalLM

from tests.models.tiny_models import save_tiny_model, tiny_tokenizer
from workflow_scripts.errors import InputError
from workflow_scripts.models.tokenizers import encode, end_of_turn_ids, tokens_before

TOKENIZER = tiny_tokenizer()  # ends sequences with 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model"), blocks=1)


@pytest.mark.parametrize(
    ("generation", "config", "ids"),
    [
        (None, None, {1}),
        (None, 3, {1, 3}),
        (None, [2, 3], {1, 2, 3}),
        ([5, 2], 3, {1, 2, 5}),
        (1, [1, 3], {1}),
        ("nothing", 3, {1}),
    ],
)
def test_they_are_what_transformers_takes_and_the_tokenizer_s(folder, generation, config, ids):
    changed = json.loads((folder / "config.json").read_text()) | {"eos_token_id": config}
    (folder / "config.json").write_text(json.dumps(changed))
    path = folder / "generation_config.json"
    path.unlink(missing_ok=True)
    if generation is not None:
        declared = {} if generation == "nothing" else {"eos_token_id": generation}
        path.write_text(json.dumps(declared))
    assert end_of_turn_ids(folder, TOKENIZER) == tuple(sorted(ids))
    taken = AutoModelForCausalLM.from_pretrained(folder).generation_config.eos_token_id
    assert {1, *(taken if isinstance(taken, list) else [taken])} - {None} == ids


@pytest.mark.parametrize("ids", ["</s>", 2.0, [1, "2"], True])
def test_what_is_no_id_is_one_line(tmp_path, ids):
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": ids}))
    with pytest.raises(InputError) as caught:
        end_of_turn_ids(tmp_path, TOKENIZER)
    assert str(caught.value) == (
        f"{tmp_path}/config.json: eos_token_id is {str(ids)!r}; must be a token's id or a list of "
        "ids"
    )


class Slow:
    """A tokenizer that does not say where its tokens are."""

    is_fast = False

    def __call__(self, text, add_special_tokens):
        return TOKENIZER(text, add_special_tokens=add_special_tokens)


@pytest.mark.parametrize("text", ["", "ab", "What is 2 + 2? 4, of course: four.", "é 等 🤔!"])
def test_tokens_before_a_place_are_those_that_end_there(text):
    places = [*range(len(text) + 1)]
    found = tokens_before(TOKENIZER, text, places)
    ids = encode(TOKENIZER, text)
    assert found == sorted(found) and found[-1] == len(ids)
    slow = tokens_before(Slow(), text, places)
    assert all(0 <= one - other <= 1 for one, other in zip(found, slow, strict=True))
