"""What a run uses of the catalogues."""

from collections.abc import Iterator

from workflow_scripts.config.catalogues import CalibrationSet
from workflow_scripts.config.entry import Entry
from workflow_scripts.config.methods.base import Method
from workflow_scripts.config.recoveries import ByModel
from workflow_scripts.config.screen_jobs import screened_on
from workflow_scripts.config.search import Search
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.types import From

# and the rules' wildcard for a name from each; prompts, thinking formats and recoveries have none
CATALOGUES = {
    "models": "model",
    "benchmarks": "benchmark",
    "tasks": "task",
    "prompts": None,
    "texts": "texts",
    "calibration_sets": "calibration",
    "influence_sets": "influence",
    "thinking_formats": None,
    "recoveries": None,
    "variants": "variant",
}


def in_use(settings: Settings) -> dict[str, list[str]]:
    """The names of what is run, by catalogue: also what an entry needs that no list names."""
    used: dict[str, list[str]] = {catalogue: [] for catalogue in CATALOGUES}
    waiting = [(key, name) for key in ("models", "variants") for name in getattr(settings.run, key)]
    for key in ("benchmarks", "tasks"):
        waiting += [(key, name) for name in getattr(settings.run, key)]
    if settings.run.screen:
        waiting.append(("benchmarks", screened_on(settings)))
    while waiting:
        catalogue, name = waiting.pop(0)
        if name not in used[catalogue]:
            used[catalogue].append(name)
            waiting += _needed(settings, catalogue, name)
    return used


def _needed(settings: Settings, catalogue: str, name: str) -> Iterator[tuple[str, str]]:
    """The catalogues and names that an entry cannot do without."""
    entry = getattr(settings, catalogue)[name]
    found = named_by(entry)
    if catalogue == "models":  # what it was trained on, only what draws from that needs
        yield from (one for one in found if one[0] != "texts")
        return
    yield from found
    if catalogue == "variants" and (start := settings.start_of(name)):
        yield catalogue, start
    if isinstance(entry, ByModel):
        yield from ((catalogue, entry.models[model]) for model in settings.run.models)
    elif catalogue in ("calibration_sets", "recoveries"):
        texts = (settings.texts_of(entry, model) for model in settings.run.models)
        yield from (("texts", one) for one in texts if one)


def variants_in_use(settings: Settings) -> list[Method]:
    """The variants that are run, in their order."""
    return [settings.variants[name] for name in settings.run.variants]


def pruned_in_use(settings: Settings) -> dict[str, Method]:
    """The variants of a run that a mask is built for, by name: also what recoveries start from."""
    variants = {name: settings.variants[name] for name in in_use(settings)["variants"]}
    return {name: variant for name, variant in variants.items() if variant.recovery is None}


def recovered_in_use(settings: Settings) -> list[str]:
    """The variants of a run that are trained after they were pruned."""
    names = in_use(settings)["variants"]
    return [name for name in names if settings.variants[name].recovery is not None]


def statistics_in_use(settings: Settings) -> list[str]:
    """The calibration sets whose statistics a run collects."""
    variants = pruned_in_use(settings).values()
    entries = [*variants, *(getattr(variant, "allocation", None) for variant in variants)]
    names = [entry.calibration for entry in entries if entry and "statistics" in entry.files()]
    return list(dict.fromkeys(names))


def searches_in_use(settings: Settings) -> dict[str, tuple[Search, CalibrationSet]]:
    """The searches of a run with the sets that they measure on, by the variants they are for."""
    found = {}
    for name, variant in pruned_in_use(settings).items():
        for entry in (variant, getattr(variant, "allocation", None)):
            if isinstance(entry, Search):
                found[name] = entry, settings.calibration_sets[entry.calibration]
    return found


def answered_in_use(settings: Settings) -> list[str]:
    """The benchmarks that the dense model answers for the calibration sets and screens of a run."""
    names = in_use(settings)["calibration_sets"]
    sources = [settings.calibration_sets[name].source for name in names]
    found = [source.benchmark for source in sources if source.kind == "generated"]
    found += [screened_on(settings)] if settings.run.screen else []
    return list(dict.fromkeys(found))


def named_by(entry: Entry) -> Iterator[tuple[str, str]]:
    """The catalogues and names in an entry's keys."""
    for key, field in type(entry).model_fields.items():
        value = getattr(entry, key)
        if isinstance(value, Entry):
            yield from named_by(value)
        for mark in field.metadata:
            if isinstance(mark, From) and mark.is_name(value):
                yield mark.catalogue, value
