"""Which variants go on, by their screens."""

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.artefacts.screens import Choice, Distance, Screen, read_choice, write_screen
from workflow_scripts.config.screening import ChoiceJob
from workflow_scripts.errors import InputError
from workflow_scripts.screening import choose_variants
from workflow_scripts.screening.choose_variants import choose

# KL, agreement and loss over the trace's tokens and the answer's
SCREENS = {
    "dense": (0.0, 1.0, 0.1),
    "mild": (0.2, 0.9, 0.5),
    "odd": (0.3, 0.95, 0.2),
    "twin": (0.2, 0.9, 0.5),
    "wild": (4.0, 0.1, 6.0),
}


def screen(kl: float, agreement: float, loss: float, **changes: Any) -> Screen:
    distance = Distance(tokens=10, kl=kl, agreement=agreement, loss=loss)
    known = {"model_digest": "m", "digest": "d", "benchmark": "b", "problems": 3}
    return Screen(**known | changes, trace={"digit": distance}, answer={"word": distance})


def job(**changes: Any) -> ChoiceJob:
    asked = {"variants": [*SCREENS], "always": ["dense"], "keep": 1, "by": "kl"}
    return ChoiceJob(**asked | changes)


def chosen(**changes: Any) -> Choice:
    return choose({name: screen(*values) for name, values in SCREENS.items()}, job(**changes))


@pytest.mark.parametrize(
    ("by", "keep", "expected"),
    [
        ("kl", 1, ["mild"]),  # the first of equals
        ("kl", 2, ["mild", "twin"]),
        ("kl", 3, ["mild", "odd", "twin"]),
        ("agreement", 1, ["odd"]),
        ("loss", 1, ["odd"]),
        ("loss", 2, ["mild", "odd"]),
        ("kl", "all", ["mild", "odd", "twin", "wild"]),
    ],
)
def test_the_best_go_on_in_the_order_of_the_run(by: str, keep: object, expected: list) -> None:
    choice = chosen(by=by, keep=keep)
    assert [*choice.chosen] == expected
    assert choice.going_on == ["dense", *expected]
    assert choice.scores["wild"] == screen(*SCREENS["wild"]).all.model_dump()[by]


def test_what_always_goes_on_takes_no_place() -> None:
    choice = chosen(always=["dense", "wild"], keep=1)
    assert choice.going_on == ["dense", "mild", "wild"]
    assert (choice.always, choice.chosen) == (("dense", "wild"), ("mild",))


def test_all_tokens_weigh_the_same() -> None:
    whole = Screen(
        model_digest="m",
        digest="d",
        benchmark="b",
        problems=1,
        trace={
            "digit": Distance(tokens=30, kl=0.1, agreement=1.0, loss=1.0),
            "word": Distance(tokens=60, kl=0.4, agreement=0.5, loss=2.0),
        },
        answer={"digit": Distance(tokens=10, kl=2.0, agreement=0.0, loss=0.0)},
    ).all
    assert whole.tokens == 100
    assert (whole.kl, whole.agreement, whole.loss) == pytest.approx((0.47, 0.6, 1.5))


@pytest.mark.parametrize("change", [{"benchmark": "c"}, {"problems": 4}, {"model_digest": "n"}])
def test_screens_of_other_problems_are_not_compared(change: dict) -> None:
    screens = {"dense": screen(0, 1, 0), "mild": screen(1, 1, 1, **change)}
    with pytest.raises(InputError, match=f"dense has {[*change][0]} .*cannot be compared"):
        choose(screens, job(variants=["dense", "mild"]))


def test_the_stage_reads_screens_and_says_who_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {name: tmp_path / name / "screen.json" for name in SCREENS}
    for name, values in SCREENS.items():
        write_screen(paths[name], screen(*values))
    output = tmp_path / "screening.json"
    options = json.dumps(job(keep=2).model_dump())
    flags = ["--screens", *map(str, reversed(paths.values()))]
    flags += ["--options", options, "--output", str(output)]
    choose_variants.main(flags)
    assert read_choice(output) == chosen(keep=2)
    assert capsys.readouterr().out == "go on: dense, mild, twin\n"
    (tmp_path / "mild/screen.json").unlink()
    with pytest.raises(InputError, match="mild/screen.json: no such file"):
        choose_variants.main(flags)
