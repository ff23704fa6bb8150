# What jobs of generation are made from: a variant's files, problems, and what was decoded before.
from snakemake.exceptions import IncompleteCheckpointException


def traces_of_calibration_sets(wildcards):
    """The dense model's traces that are drawn for calibration sets, on benchmarks that are run too.

    A job finds in the store what was there when it began, so that the dense variant's would decode
    them a second time beside those that draw them.
    """
    shared = wildcards.get("engine")
    variants = sharing(wildcards.model)[shared] if shared else [wildcards.variant]
    if not any(SETTINGS.variants[variant].is_dense for variant in variants):
        return []
    return [
        f"results/{wildcards.model}/calibration_traces/traces/{benchmark}.jsonl"
        for benchmark in sorted({*answered_in_use(SETTINGS)} & {*RUN.benchmarks})
    ]


def run_benchmarks():
    return [f"resources/benchmarks/{name}.jsonl" for name in RUN.benchmarks]


def generation_inputs():
    """What a variant thinks with and about."""
    return {
        "manifest": "resources/models/{model}/manifest.json",
        "record": "results/{model}/{variant}/mask.json",
        "mask": ancient("results/{model}/{variant}/mask.safetensors"),
        "weights": ancient("results/{model}/{variant}/weights.safetensors"),
        "benchmarks": run_benchmarks(),
        # not ancient: Snakemake then passes over what else has changed for this job
        "before": traces_of_calibration_sets,
    }


def sharing(model):
    """The variants of a model that share engines, by the numbers of these."""
    return RUN.sharing(going_on(model)) if ENGINES else {}


def decoded_before(wildcards):
    """What other jobs say that decode a variant, where its own job only takes it from the store."""
    for engine, variants in sharing(wildcards.model).items():
        if wildcards.variant in variants:
            return expand(
                of_run("{model}/engines/{engine}/{shard}.json"),
                model=wildcards.model,
                engine=engine,
                shard=PARTS,
            )
    return expand(
        of_run("{model}/{variant}/shards/{shard}.json"), **wildcards, shard=SHARDS
    )


def only_takes(wildcards):
    """Whether a variant's own job only takes from the store what others decode.

    Resources are asked for in a dry run too, before it is known which variants share engines.
    """
    try:
        return bool(decoded_before(wildcards))
    except IncompleteCheckpointException:
        return True


def of_shared_engine(path):
    """A file of every variant that an engine decodes."""
    return lambda wildcards: expand(
        path,
        model=wildcards.model,
        variant=sharing(wildcards.model)[wildcards.engine],
    )


def generation_params(
    output=lambda wildcards: of_run(f"{wildcards.model}/{wildcards.variant}"),
    stage="generation.generate",
):
    return {
        "code": code(stage),
        "model": model_folder,
        "benchmarks": [
            f"{name}=resources/benchmarks/{name}.jsonl"
            for name in sorted(RUN.benchmarks)
        ],
        "options": lambda wildcards: as_json(
            SETTINGS.generation_job(wildcards.model), exclude=Generation.SPEED
        ),
        "output": output,
    }
