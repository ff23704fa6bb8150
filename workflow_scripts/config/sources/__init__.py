"""Sources: where models, problems and texts come from, one class for each kind of a catalogue."""

from typing import Any

from workflow_scripts.config.sources.models import BundledModel, Gguf, HubModel, LocalModel
from workflow_scripts.config.sources.problems import BundledProblems, HubProblems, LocalProblems
from workflow_scripts.config.sources.texts import (
    BundledTexts,
    FromTexts,
    GeneratedTexts,
    HubPairs,
    HubTexts,
    LocalPairs,
    LocalTexts,
    OwnTexts,
    RandomTokens,
)
from workflow_scripts.config.types import one_of

TEXTS = {"bundled": BundledTexts, "local": LocalTexts, "hub": HubTexts}
CALIBRATION = TEXTS | {
    "generated": GeneratedTexts,
    "texts": FromTexts,
    "own": OwnTexts,
    "random": RandomTokens,
}

# by catalogue and kind
SOURCES = {
    "models": {"bundled": BundledModel, "local": LocalModel, "hub": HubModel, "gguf": Gguf},
    "benchmarks": {"bundled": BundledProblems, "local": LocalProblems, "hub": HubProblems},
    "texts": TEXTS,
    "calibration_sets": CALIBRATION,
    "influence_sets": {"bundled": BundledTexts, "local": LocalPairs, "hub": HubPairs},
}


def source_of(catalogue: str) -> Any:
    """Any source of a catalogue, told apart by its kind."""
    return one_of(SOURCES[catalogue], "kind")


ModelSource = source_of("models")
