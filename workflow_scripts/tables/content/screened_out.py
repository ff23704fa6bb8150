"""Which variants of a run were screened out before generation, and what captions say of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from workflow_scripts.artefacts.screens import Choice, read_choice
from workflow_scripts.tables.content.formats import Section

CHOICE = "screening.json"  # in the folder of a run's model
NAMES = {"kl": "KL", "agreement": "agreement", "loss": "loss"}  # of measures, in words


def read_choices(results: Path, models: Iterable[str]) -> dict[str, Choice]:
    """By model, what was chosen of its variants, where that is there."""
    paths = {model: results / model / CHOICE for model in models}
    return {model: read_choice(path) for model, path in paths.items() if path.exists()}


def dropped(results: Path, models: Iterable[str], drops: bool) -> set[tuple[str, str]]:
    """The models' variants that are screened out, in a run that `drops` some."""
    choices = read_choices(results, models) if drops else {}
    return {(model, name) for model, choice in choices.items() for name in out_of(choice)}


def out_of(choice: Choice) -> list[str]:
    """The variants that do not go on, in the run's order."""
    return [name for name in choice.variants if name not in choice.going_on]


def with_screened_out(sections: Sequence[Section], choices: Mapping[str, Choice]) -> list[Section]:
    """The sections, with what was screened out in their captions, and by which number."""
    said = [
        f"{model}/{name} ({NAMES[choice.by]} {choice.scores[name]:.3g})"
        for model, choice in choices.items()
        for name in out_of(choice)
    ]
    note = f" Screened out before generation: {', '.join(said)}." if said else ""
    return [replace(section, caption=f"{section.caption}{note}") for section in sections]
