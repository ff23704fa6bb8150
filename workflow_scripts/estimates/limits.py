"""What is said before jobs that prune or train a model start and ask for more than they can get.

They are no mistakes: estimates are generous, and a workstation may have the time.
"""

from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.config.settings import Settings
from workflow_scripts.config.source_files import checkpoint_shards
from workflow_scripts.config.uses import (
    in_use,
    pruned_in_use,
    recovered_in_use,
    searches_in_use,
    statistics_in_use,
)
from workflow_scripts.estimates.jobs import Ask, Job
from workflow_scripts.estimates.resources import MAX_MINUTES, RULES

SAMPLES = {  # by rule, the keys of its set that make a job shorter
    "collect_statistics": "samples or a smaller length of calibration_sets.{}",
    "score_influence": "train_samples or a smaller length of influence_sets.{}",
    "build_mask": "samples or a smaller length of calibration_sets.{}",
    "recover": "steps or a smaller batch or length of recoveries.{}",
    "screen_variant": "problems of run.screen",
}
SEARCHING = ("allocate_sparsity", "build_mask")
SEARCHED = "generations or offspring of variants.{}"
# those of jobs that go on where they were when they were killed
GO_ON = (SAMPLES["score_influence"], SAMPLES["recover"], SAMPLES["screen_variant"], SEARCHED)


def too_long(settings: Settings, root: Path = Path()) -> Iterator[str]:
    """A line for what is missing and takes longer than the jobs of a cluster live."""
    threads = f"more generation.threads than {settings.generation.threads}"
    on_gpu = settings.pruning.device == "cuda"
    for what, ask, fewer, name in _asks(settings, root):
        if ask.minutes > MAX_MINUTES:
            again = "the next goes on" if fewer in GO_ON else "the next begins anew"
            remedies = [threads] if on_gpu else ["device: cuda", threads]
            others = "" if on_gpu and fewer == SAMPLES["recover"] else f"{', '.join(remedies)}, or "
            yield (
                f"{what}: some {ask.minutes / 60:,.0f} hours; a job of a cluster has "
                f"{MAX_MINUTES // 60} and {again}; set {others}fewer {fewer.format(name)}"
            )


def too_large(settings: Settings, megabytes: float, root: Path = Path()) -> Iterator[str]:
    """A line for what is missing and is made in more memory than this machine has."""
    remedy = "" if settings.pruning.device == "cuda" else "; device: cuda takes less"
    for what, ask, _, _ in _asks(settings, root):
        if ask.memory > megabytes:
            needed, there = ask.memory / 1e3, megabytes / 1e3
            yield f"{what}: up to {needed:,.0f} GB, this machine has {there:,.0f}{remedy}"


def _asks(settings: Settings, root: Path) -> Iterator[tuple[str, Ask, str, str]]:
    """What is missing, what a job asks for, the keys that make it less, and whose keys they are.

    Masks of one model from one calibration set come as one; models of unknown size are left out.
    """
    searches = searches_in_use(settings)
    for model in settings.run.models:
        entry = settings.models[model]
        if not (entry.parameters or checkpoint_shards(model, entry.source, root)):
            continue
        jobs = [
            (f"statistics/{name}.safetensors", "collect_statistics", "calibration", name, name)
            for name in statistics_in_use(settings)
        ]
        jobs += [
            (f"{name}/allocation.json", "allocate_sparsity", "variant", name, f"{name}.allocation")
            for name, (search, _) in searches.items()
            if search is not settings.variants[name]
        ]
        jobs += [
            (f"influence/{name}.json", "score_influence", "influence", name, name)
            for name in in_use(settings)["influence_sets"]
        ]
        jobs += [
            (
                f"{name}/mask.json",
                "build_mask",
                "variant",
                name,
                name if name in searches else variant.calibration,
            )
            for name, variant in pruned_in_use(settings).items()
            if variant.runs_model
        ]
        jobs += [
            (f"{name}/mask.json", "recover", "variant", name, settings.recovery_name(name, model))
            for name in recovered_in_use(settings)
        ]
        screened = settings.run.variants if settings.run.screen else ()
        jobs += [
            (f"{name}/screen.json", "screen_variant", "variant", name, "run.screen")
            for name in screened
        ]
        missing: dict[tuple[str, str, str], list[tuple[str, Ask]]] = {}
        for place, rule, wildcard, name, of in jobs:
            result = root / "results" / model / place
            if not result.exists():
                ask = RULES[rule](Job(settings, {"model": model, wildcard: name}, root))
                searched = rule in SEARCHING and name in searches
                fewer = SEARCHED if searched else SAMPLES[rule]
                missing.setdefault((rule, fewer, of), []).append((str(result), ask))
        for (_, fewer, of), found in missing.items():
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            yield found[0][0] + more, found[0][1], fewer, of
