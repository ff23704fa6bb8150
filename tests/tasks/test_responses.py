"""Responses that are kept, and the model that starts for those that are not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from workflow_scripts.errors import InputError
from workflow_scripts.tasks.responses import KeptModel, Responses, about


class Scripted(LM):
    """Answers with the length of a text, in batches of two; ends for good after `batches`."""

    max_gen_toks, max_length = 8, 16

    def __init__(self, batches: int = 99) -> None:
        super().__init__()
        self.batches, self.seen = batches, []

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        return self._batched("loglikelihood", requests, lambda a: (-float(len(a[0])), True))

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        return self._batched("loglikelihood_rolling", requests, lambda a: -float(len(a[0])))

    def generate_until(self, requests: list[Instance]) -> list[str]:
        return self._batched("generate_until", requests, lambda a: a[0].upper())

    def _batched(self, kind: str, requests: list[Instance], answer) -> list:
        found = []
        for start in range(0, len(requests), 2):
            self.cache_hook.flush()
            if not self.batches:
                raise KeyboardInterrupt
            self.batches -= 1
            for request in requests[start : start + 2]:
                self.seen.append(request.args[0])
                found.append(answer(request.args))
                self.cache_hook.add_partial(kind, request.args, found[-1])
        return found


def kept(responses: Responses, model: LM) -> KeptModel:
    def start(told: Responses) -> LM:
        told.write_as({"engine": "scripted"})
        model.set_cache_hook(told)
        return model

    return KeptModel(start, template=None, responses=responses, where="task x")


def requests(kind: str, *texts: str) -> list[Instance]:
    second = {"loglikelihood": (" yes",), "generate_until": ({"until": ["."]},)}
    arguments = [(text, *second.get(kind, ())) for text in texts]
    return [Instance(kind, {}, given, number) for number, given in enumerate(arguments)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("loglikelihood", [(-1.0, True), (-2.0, True), (-3.0, True)]),
        ("loglikelihood_rolling", [-1.0, -2.0, -3.0]),
        ("generate_until", ["A", "BB", "CCC"]),
    ],
)
def test_a_model_starts_for_what_is_not_there_alone(tmp_path: Path, kind: str, expected) -> None:
    responses, model = Responses(tmp_path / "x.sqlite"), Scripted()
    asked = requests(kind, "a", "bb", "ccc")
    assert getattr(kept(responses, model), kind)(asked[:2]) == expected[:2]
    assert getattr(kept(responses, model), kind)(asked) == expected
    assert model.seen == ["a", "bb", "ccc"]
    responses.close()
    again = Responses(tmp_path / "x.sqlite")
    never = KeptModel(None, template=None, responses=again, where="task x")
    assert getattr(never, kind)(asked) == expected
    assert list(again.producers().values()) == [{"engine": "scripted"}]


def test_a_kill_loses_the_batch_in_flight_alone(tmp_path: Path) -> None:
    asked = requests("generate_until", *"abcdefg")
    for batches in (1, 3):
        responses, model = Responses(tmp_path / f"{batches}.sqlite"), Scripted(batches)
        with pytest.raises(KeyboardInterrupt):
            kept(responses, model).generate_until(asked)
        responses.close()
        rest = Scripted()
        responses = Responses(tmp_path / f"{batches}.sqlite")
        assert kept(responses, rest).generate_until(asked) == [*"ABCDEFG"]
        assert rest.seen == [*"abcdefg"][2 * batches :]


def test_equal_requests_have_a_response_each(tmp_path: Path) -> None:
    """Repeats of a sampled response are drawn again, and none of them serves another."""

    class Counting(Scripted):
        def _batched(self, kind, requests, answer):
            return super()._batched(kind, requests, lambda a: f"{a[0]}{len(self.seen)}")

    responses = Responses(tmp_path / "x.sqlite")
    asked = requests("generate_until", "a", "a", "b", "a")
    assert kept(responses, Counting()).generate_until(asked) == ["a1", "a2", "b3", "a4"]
    assert kept(responses, Scripted(0)).generate_until(asked) == ["a1", "a2", "b3", "a4"]


def test_a_response_that_is_not_what_was_written_is_asked_for_again(tmp_path: Path) -> None:
    asked = requests("generate_until", "a", "b")
    responses = Responses(tmp_path / "x.sqlite")
    assert kept(responses, Scripted()).generate_until(asked) == ["A", "B"]
    responses.close()
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as database, database:
        database.execute("UPDATE responses SET response = '\"C\"' WHERE response = '\"A\"'")
    again, model = Responses(tmp_path / "x.sqlite"), Scripted()
    assert kept(again, model).generate_until(asked) == ["A", "B"]
    assert model.seen == ["a"]


def test_a_file_that_holds_no_responses_is_one_line(tmp_path: Path) -> None:
    place = tmp_path / "x.sqlite"
    place.write_text("no database, and longer than the beginning of one would be" * 40)
    with pytest.raises(InputError) as error, about(place):
        Responses(place)
    assert str(error.value) == (
        f"{place}: file is not a database; free some space, or delete it and start again: what it "
        "held is asked again"
    )


def test_documents_of_a_perplexity_are_kept_one_by_one(tmp_path: Path) -> None:
    asked = requests("loglikelihood_rolling", "a", "bb", "ccc")
    responses, model = Responses(tmp_path / "x.sqlite"), Scripted(2)
    with pytest.raises(KeyboardInterrupt):
        kept(responses, model).loglikelihood_rolling(asked)
    rest = Scripted()
    assert kept(responses, rest).loglikelihood_rolling(asked) == [-1.0, -2.0, -3.0]
    assert rest.seen == ["ccc"]
