"""Which variants differ in nothing but the calibration set that they are pruned on."""

from workflow_scripts.config.entry import as_json
from workflow_scripts.config.settings import Settings


def calibrations_of(settings: Settings) -> dict[str, list[str]]:
    """By variant of a run, the method and the calibration set, where others have another set.

    Only variants that remove as much and have the same keys otherwise are others of a variant. Two
    ways of one method, as with two allocations, are told apart by the first variant of the second.
    """
    variants = {name: settings.variants[name] for name in settings.run.variants}
    sets: dict[str, set[str]] = {}
    alike: dict[str, str] = {}
    for name, entry in variants.items():
        calibration = getattr(entry, "calibration", None)
        if calibration is not None:
            alike[name] = as_json(entry, exclude={"calibration"})
            sets.setdefault(alike[name], set()).add(calibration)
    found: dict[str, list[str]] = {}
    ways: dict[str, str] = {}
    for name, key in alike.items():
        if len(sets[key]) > 1:
            entry = variants[name]
            way = as_json(entry, exclude={"calibration", entry.amount})
            title = entry.title if entry.title not in ways.values() else f"{entry.title} ({name})"
            found[name] = [ways.setdefault(way, title), entry.calibration]
    return found


def sweeps_calibration(settings: Settings) -> bool:
    """Whether two variants of a run differ in their calibration set and in nothing else."""
    return bool(calibrations_of(settings))
