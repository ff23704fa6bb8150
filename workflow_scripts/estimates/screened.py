"""What screening costs, and the jobs behind it, which a dry run does not show.

Which variants go on is not known before they are screened, but how many do, of each model.
"""

from collections.abc import Iterator

from workflow_scripts.config.screen_jobs import count_engines, count_going_on, drops_variants
from workflow_scripts.config.settings import Settings
from workflow_scripts.estimates.sizes import screened_tokens


def screened(settings: Settings) -> Iterator[str]:
    """What screens read, as lines of text."""
    if settings.run.screen:
        models, variants = len(settings.run.models), len(settings.run.variants)
        tokens = screened_tokens(settings)
        yield (
            f"screens, {models} models x {variants} variants: tokens at most, which the dense "
            f"model and the variant read; {count_going_on(settings)} variants of a model go on"
        )
        yield f"  {'each':<24}{tokens:>16,}"
        yield f"  {'all':<24}{models * variants * tokens:>16,}"


def jobs_behind_screens(settings: Settings) -> dict[str, int]:
    """Jobs by the rule file they stand in; none where all variants go on."""
    if not drops_variants(settings):
        return {}
    run, shards = settings.run, settings.generation.shards
    variants, engines = count_going_on(settings), count_engines(settings)
    generation = variants
    if run.variants_per_engine > 1:
        generation += engines * shards
    elif shards > 1:
        generation += variants * shards
    grading = variants * len(run.benchmarks) * (2 if settings.judge.enabled else 1)
    parts = 1 if settings.harness.jobs == "variant" else len(settings.families)
    found = {"generation": len(run.models) * generation, "grading": len(run.models) * grading}
    if run.tasks:
        found["tasks"] = len(run.tasks) + len(run.models) * variants * parts
    return found
