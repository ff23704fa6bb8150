"""What a run uses of the catalogues."""

from collections.abc import Iterable

from workflow_scripts.config.settings import Settings


def in_use(settings: Settings) -> dict[str, list[str]]:
    """The names of what is run, by catalogue: also what a variant needs that no list names."""
    variants = [settings.variants[name] for name in settings.run.variants]
    allocations = [variant.allocation or {} for variant in variants]
    calibrations = [variant.calibration for variant in variants]
    calibrations += [allocation.get("calibration") for allocation in allocations]
    influences = [allocation.get("influence") for allocation in allocations]
    sets = _named(calibrations)
    answered = [settings.calibration_sets[name].source.get("benchmark") for name in sets]
    return {
        "models": [*settings.run.models],
        "benchmarks": _named([*settings.run.benchmarks, *answered]),
        "calibration_sets": sets,
        "influence_sets": _named(influences),
    }


def _named(names: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name is not None))
