"""Which variants differ in nothing but the texts that they are made with. Light: the rules read it
when they are parsed."""

from collections.abc import Callable
from itertools import permutations

from workflow_scripts.config.catalogues import CalibrationSet
from workflow_scripts.config.entry import as_json
from workflow_scripts.config.methods.base import Method
from workflow_scripts.config.settings import Settings

NOT_TEXTS = ("generated", "random")  # the model's own traces, and no texts

Comes = Callable[[str, str, str], bool]


def data_pairs(settings: Settings) -> dict[str, list[list[str]]]:
    """By what they differ in, pairs of variants of a run: a model, and the two for it.

    - `calibration`: calibrated on what the model was trained on, and on other texts
    - `samples`: calibrated on more samples of the same texts, and on fewer
    - `recovery`: trained after pruning on what the model was trained on, and on other texts

    Sets and recoveries are the same otherwise. Without pairs there is no entry.
    """
    found = {
        "calibration": _pairs(settings, "calibration", _other_calibration(settings)),
        "samples": _pairs(settings, "calibration", _more_samples(settings)),
        "recovery": _pairs(settings, "recovery", _other_recovery(settings)),
    }
    return {kind: pairs for kind, pairs in found.items() if pairs}


def _pairs(settings: Settings, key: str, comes_first: Comes) -> list[list[str]]:
    """Pairs of variants that have `key` and are the same but for it, where one comes first."""
    variants = {
        name: settings.variants[name]
        for name in settings.run.variants
        if getattr(settings.variants[name], key, None)
    }
    rest = {name: as_json(entry, exclude={key}) for name, entry in variants.items()}
    return [
        [model, one, other]
        for model in settings.run.models
        for one, other in permutations(variants, 2)
        if rest[one] == rest[other] and comes_first(model, one, other)
    ]


def _set_of(settings: Settings, variant: str) -> CalibrationSet:
    entry: Method = settings.variants[variant]
    return settings.calibration_sets[entry.calibration]


def _other_calibration(settings: Settings) -> Comes:
    def comes_first(model: str, one: str, other: str) -> bool:
        sets = [_set_of(settings, name) for name in (one, other)]
        own = settings.models[model].trained_on
        texts = [settings.texts_of(entry, model) for entry in sets]
        alike = len({as_json(entry, exclude={"source"}) for entry in sets}) == 1
        is_text = sets[1].source.kind not in NOT_TEXTS
        return alike and is_text and own is not None and texts[0] == own != texts[1]

    return comes_first


def _more_samples(settings: Settings) -> Comes:
    def comes_first(model: str, one: str, other: str) -> bool:
        more, fewer = (_set_of(settings, name) for name in (one, other))
        rest = {as_json(entry, exclude={"samples"}) for entry in (more, fewer)}
        return len(rest) == 1 and more.samples > fewer.samples

    return comes_first


def _other_recovery(settings: Settings) -> Comes:
    def comes_first(model: str, one: str, other: str) -> bool:
        entries = [settings.recovery_of(name, model) for name in (one, other)]
        own = settings.models[model].trained_on
        texts = [settings.texts_of(entry, model) for entry in entries]
        alike = len({as_json(entry, exclude={"texts"}) for entry in entries}) == 1
        return alike and own is not None and texts[0] == own != texts[1]

    return comes_first
