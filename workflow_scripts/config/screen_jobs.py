"""What screening variants and choosing among them are told, and how many of them go on."""

from workflow_scripts.config.screening import ChoiceJob, Screening, ScreenJob, always_go_on
from workflow_scripts.config.settings import Settings


def screened_on(settings: Settings) -> str:
    """The benchmark whose traces variants are screened on, also where that is asked by hand."""
    return _of(settings).benchmark or settings.run.benchmarks[0]


def drops_variants(settings: Settings) -> bool:
    """Whether only some of the run's variants go on to generation."""
    return settings.run.screen is not None and settings.run.screen.keep != "all"


def count_going_on(settings: Settings) -> int:
    """How many variants of each model go on to generation."""
    if not drops_variants(settings):
        return len(settings.run.variants)
    return len(_always(settings)) + settings.run.screen.keep


def count_engines(settings: Settings) -> int:
    """How many engines those of a model need, one for each shard."""
    return -(-count_going_on(settings) // settings.run.variants_per_engine)


def screen_job(settings: Settings) -> ScreenJob:
    """What screening a variant is told."""
    return ScreenJob(benchmark=screened_on(settings), problems=_of(settings).problems)


def choice_job(settings: Settings) -> ChoiceJob:
    """What choosing among a model's variants is told."""
    screen, always = _of(settings), _always(settings)
    return ChoiceJob(variants=settings.run.variants, always=always, keep=screen.keep, by=screen.by)


def _of(settings: Settings) -> Screening:
    return settings.run.screen or Screening()


def _always(settings: Settings) -> tuple[str, ...]:
    return always_go_on(_of(settings), settings.run.variants, settings.variants)
