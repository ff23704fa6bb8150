# What tables, figures and the report of a run are made from, and which of them there are.
import json

from workflow_scripts.config.entry import plain
from workflow_scripts.config.uses import in_use, statistics_in_use, variants_in_use
from workflow_scripts.files.atomic import write_json, write_text
from workflow_scripts.files.digests import file_digest


def dense_variant():
    """The variant that the others are compared with: the first of those run that removes nothing."""
    dense = [v for v in RUN.variants if SETTINGS.variants[v].method == "dense"]
    return dense[0] if dense else "dense"


def sweeps_sparsity():
    """Whether two variants that are run differ in how much they remove and in nothing else."""
    pruned = [variant for variant in variants_in_use(SETTINGS) if variant.amount]
    ways = [
        (as_json(variant, exclude={variant.amount}), getattr(variant, variant.amount))
        for variant in pruned
    ]
    return len({way for way, _ in ways}) < len(set(ways))


def figures(form):
    """Every figure of the run."""
    calibration = statistics_in_use(SETTINGS)
    influence = in_use(SETTINGS)["influence_sets"]
    kinds = ["scaling_curves", "token_curves"]
    kinds += (
        ["differences"]
        if dense_variant() in RUN.variants and len(RUN.variants) > 1
        else []
    )
    kinds += ["parallel"] if SETTINGS.generation.repeats > 1 else []
    kinds += ["sparsity"] if sweeps_sparsity() else []
    return [
        *expand(
            "results/figures/{kind}/{model}/{benchmark}.{form}",
            kind=kinds,
            model=RUN.models,
            benchmark=RUN.benchmarks,
            form=form,
        ),
        *expand(
            "results/figures/allocation/{model}.{form}", model=RUN.models, form=form
        ),
        *expand(
            "results/figures/block_influence/{model}/{calibration}.{form}",
            model=RUN.models,
            calibration=calibration,
            form=form,
        ),
        *expand(
            "results/figures/influence/{model}/{influence}.{form}",
            model=RUN.models,
            influence=influence,
            form=form,
        ),
    ]


TABLES = expand(
    "results/tables/{table}.{form}",
    table=["accuracy", "comparison", "parallel", "published"],
    form=["csv", "md", "tex", "html"],
)


def masks(wildcards):
    return expand(
        "results/{model}/{variant}/mask.json", model=RUN.models, variant=RUN.variants
    )


def published_digests():
    """The published numbers come with the project, so they are no inputs: digests, in their stead."""
    folder = Path(workflow.basedir) / "config" / "published"
    return [file_digest(path) for path in sorted(folder.glob("*.csv"))]


def run_config():
    """What the report tells of the config: the catalogue entries that are used, and generation."""
    used = {
        catalogue: {name: plain(getattr(SETTINGS, catalogue)[name]) for name in names}
        for catalogue, names in in_use(SETTINGS).items()
    }
    return as_json(
        {"run": plain(RUN), "generation": plain(SETTINGS.generation), **used}
    )
