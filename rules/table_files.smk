# What tables, figures and the report of a run are made from, and which of them there are.
import json

from workflow_scripts.files.digests import file_digest
from workflow_scripts.files.atomic import write_json, write_text


def dense_variant():
    """The variant that the others are compared with: the first of those run that removes nothing."""
    dense = [v for v in RUN.variants if SETTINGS.variants[v].method == "dense"]
    return dense[0] if dense else "dense"


def removed_by(variant):
    """Roughly what a variant removes, to see whether a config sweeps it."""
    return variant.sparsity or variant.options.get("remove_blocks")


def sweeps_sparsity():
    """Whether two variants that are run differ in how much they remove and in nothing else."""
    ways = [
        (as_json({**vars(v), "name": 0, "sparsity": 0, "options": {}}), removed_by(v))
        for v in (SETTINGS.variants[name] for name in RUN.variants)
        if v.method != "dense"
    ]
    return len({way for way, _ in ways}) < len(set(ways))


def used_sets():
    """The calibration and influence sets that the variants which are run are made with."""
    variants = [SETTINGS.variants[name] for name in RUN.variants]
    allocations = [variant.allocation or {} for variant in variants]
    calibration = [v.calibration for v in variants if needs_statistics(v)]
    calibration += [a.get("calibration") for a in allocations]
    influence = [a.get("influence") for a in allocations]
    return [
        list(dict.fromkeys(filter(None, names))) for names in (calibration, influence)
    ]


def figures(form):
    """Every figure of the run."""
    calibration, influence = used_sets()
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
    calibration, influence = used_sets()
    used = {
        "models": RUN.models,
        "benchmarks": RUN.benchmarks,
        "variants": RUN.variants,
        "calibration_sets": calibration,
        "influence_sets": influence,
    }
    entries = {
        catalogue: {name: vars(getattr(SETTINGS, catalogue)[name]) for name in names}
        for catalogue, names in used.items()
    }
    return as_json(
        {"run": vars(RUN), "generation": vars(SETTINGS.generation), **entries}
    )
