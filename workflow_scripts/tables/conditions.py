"""What a run holds, which decides which tables and figures there are of it."""

from collections import Counter
from collections.abc import Callable

from workflow_scripts.config.methods.base import Method
from workflow_scripts.config.settings import Settings
from workflow_scripts.tables.ways import Way, ways_of

Condition = Callable[[Settings], bool]
LEVELS = 4  # of one way of pruning, from which on it is seen where its losses begin


def always(settings: Settings) -> bool:
    return True


def dense_variant(settings: Settings) -> str:
    """What the others are compared with: the first of the run's variants that changes nothing."""
    names = settings.run.variants
    return next((v for v in names if settings.variants[v].is_dense), "dense")


def compares(settings: Settings) -> bool:
    return dense_variant(settings) in settings.run.variants and len(settings.run.variants) > 1


def compares_masks(settings: Settings) -> bool:
    """Whether single weights are set to zero in some of the variants that are compared."""
    families = {way.family for way in ways_in_run(settings).values()}
    return compares(settings) and "unstructured" in families


def times(settings: Settings) -> bool:
    return compares(settings) and settings.tables.timed


def repeats(settings: Settings) -> bool:
    return settings.generation.repeats > 1


def judges(settings: Settings) -> bool:
    return settings.judge.enabled


def sweeps_sparsity(settings: Settings) -> bool:
    """Whether two variants that are run differ in how much they remove and in nothing else."""
    ways = [way for way in ways_in_run(settings).values() if way.removes]
    return len({way.name for way in ways}) < len(ways)


def sweeps_levels(settings: Settings) -> bool:
    """Whether there are so many of some way that it can be told where losses begin."""
    sizes = Counter(way.name for way in ways_in_run(settings).values() if way.removes)
    return compares(settings) and max(sizes.values(), default=0) >= LEVELS


def has_families(settings: Settings) -> bool:
    """Whether the variants that are run take out different things: weights, blocks, heads."""
    return len({way.family for way in ways_in_run(settings).values()} - {"none"}) > 1


def sweeps_sizes(settings: Settings) -> bool:
    """Whether shares of all parameters tell more than those of the blocks' weights: of families."""
    families = {way.family for way in ways_in_run(settings).values() if way.removes}
    return sweeps_sparsity(settings) and len(families) > 1


def has_pair(settings: Settings) -> bool:
    return settings.tables.pair is not None and compares(settings)


def has_tasks(settings: Settings) -> bool:
    return bool(settings.run.tasks)


def compares_tasks(settings: Settings) -> bool:
    return has_tasks(settings) and compares(settings)


def recovers(settings: Settings) -> bool:
    """Whether a variant that is run was trained after it was pruned."""
    return bool(recovered_in_run(settings))


def screens(settings: Settings) -> bool:
    """Whether the run screens its variants."""
    return settings.run.screen is not None


def compares_screens(settings: Settings) -> bool:
    """Whether what was screened can be held against what it cost."""
    return screens(settings) and compares(settings)


def has_dynamic(settings: Settings) -> bool:
    """Whether tokens of a variant that is run skip sublayers."""
    return bool(dynamic_in_run(settings))


def dynamic_in_run(settings: Settings) -> list[str]:
    """The variants of a run whose tokens skip sublayers."""
    return [name for name, way in ways_in_run(settings).items() if way.is_dynamic]


def ways_in_run(settings: Settings) -> dict[str, Way]:
    return ways_of({name: settings.variants[name] for name in settings.run.variants})


def recovered_in_run(settings: Settings) -> list[list[str]]:
    """For each variant of a run that was trained: its name, the variant that is pruned likewise and
    not trained, and its control, the dense model with the same training; empty where not run.

    Of a schedule the former is pruned as much at once."""
    variants = {name: settings.variants[name] for name in settings.run.variants}
    dense = settings.variants[dense_variant(settings)]

    def named(entry: Method) -> str:
        return next((name for name, other in variants.items() if other == entry), "")

    return [
        [
            name,
            named(entry.model_copy(update={"recovery": None, "schedule": None})),
            named(dense.model_copy(update={"recovery": entry.recovery})),
        ]
        for name, entry in variants.items()
        if entry.recovery
    ]
