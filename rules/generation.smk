# Let a variant think under every budget and answer: one engine start for all benchmarks.


rule generate:
    input:
        **generation_inputs(),
        # not ancient, as in generation_inputs
        decoded=decoded_before,
        order=order("generate"),
    output:
        traces=expand(
            of_run("{{model}}/{{variant}}/traces/{benchmark}.jsonl"),
            benchmark=RUN.benchmarks,
        ),
        answers=expand(
            of_run("{{model}}/{{variant}}/answers/{benchmark}.jsonl"),
            benchmark=RUN.benchmarks,
        ),
        provenance=of_run("{model}/{variant}/generation.json"),
    log:
        log_of_run("generate/{model}/{variant}.log"),
    benchmark:
        log_of_run("generate/{model}/{variant}.tsv")
    conda:
        f"../envs/{SETTINGS.generation.environment}.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=lambda wildcards: (0 if only_takes(wildcards) else SETTINGS.generation.gpus),
        # no parameters: nothing is to rerun for them
        part=lambda wildcards: "--from-store" if only_takes(wildcards) else "",
        speed=as_json(SETTINGS.generation, include=Generation.SPEED),
        mem_mb=memory("generate"),
        runtime=minutes("generate"),
    params:
        **generation_params(),
    shell:
        # descriptor 3 is the terminal that waits for the job: progress goes there and into the log
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.generation.generate --terminal-fd 3"
        " --model {params.model} --variant {input.mask} {input.weights} {input.record}"
        " --benchmarks {params.benchmarks}"
        " --options {params.options:q} --speed {resources.speed:q} {resources.part}"
        " --store store --output {params.output} --provenance {output.provenance}"
        " 3>&2 > {log} 2>&1"


# A part of a variant's problems, decoded by a job of its own into the one store; nothing asks for
# this rule unless generation.shards is more than 1.
use rule generate as generate_shard with:
    input:
        **generation_inputs(),
        order=order("generate_shard"),
    output:
        provenance=of_run("{model}/{variant}/shards/{shard}.json"),
    log:
        log_of_run("generate_shard/{model}/{variant}/{shard}.log"),
    benchmark:
        log_of_run("generate_shard/{model}/{variant}/{shard}.tsv")
    resources:
        gpu=SETTINGS.generation.gpus,
        part=lambda wildcards: f"--shard {wildcards.shard}",
        speed=as_json(SETTINGS.generation, include=Generation.SPEED),
        mem_mb=memory("generate_shard"),
        runtime=minutes("generate_shard"),


# Several variants, decoded one after another with one engine into the one store; nothing asks for
# this rule unless run.variants_per_engine is more than 1.
rule generate_variants:
    input:
        manifest="resources/models/{model}/manifest.json",
        records=of_shared_engine("results/{model}/{variant}/mask.json"),
        masks=ancient(of_shared_engine("results/{model}/{variant}/mask.safetensors")),
        weights=ancient(
            of_shared_engine("results/{model}/{variant}/weights.safetensors")
        ),
        benchmarks=run_benchmarks(),
        before=traces_of_calibration_sets,
        order=order("generate_variants"),
    output:
        provenance=of_run("{model}/engines/{engine}/{shard}.json"),
    log:
        log_of_run("generate_variants/{model}/{engine}/{shard}.log"),
    benchmark:
        log_of_run("generate_variants/{model}/{engine}/{shard}.tsv")
    conda:
        f"../envs/{SETTINGS.generation.environment}.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=SETTINGS.generation.gpus,
        # no parameters: nothing is to rerun for them
        part=lambda wildcards: f"--shard {wildcards.shard}" if SHARDS else "",
        speed=as_json(SETTINGS.generation, include=Generation.SPEED),
        mem_mb=memory("generate_variants"),
        runtime=minutes("generate_variants"),
    params:
        **generation_params(of_shared_engine("results/{model}/{variant}")),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.generation.generate --terminal-fd 3"
        " --model {params.model} --variants {params.output}"
        " --benchmarks {params.benchmarks}"
        " --options {params.options:q} --speed {resources.speed:q} {resources.part}"
        " --store store --provenance {output.provenance}"
        " 3>&2 > {log} 2>&1"


# Where in its traces a dynamic variant ran which blocks, from the store: no engine starts.
rule write_routes:
    input:
        **generation_inputs(),
        traces=expand(
            of_run("{{model}}/{{variant}}/traces/{benchmark}.jsonl"),
            benchmark=RUN.benchmarks,
        ),
        order=order("write_routes"),
    output:
        expand(
            of_run("{{model}}/{{variant}}/routes/{benchmark}.json"),
            benchmark=RUN.benchmarks,
        ),
    log:
        log_of_run("write_routes/{model}/{variant}.log"),
    benchmark:
        log_of_run("write_routes/{model}/{variant}.tsv")
    wildcard_constraints:
        variant=one_of(DYNAMIC),
    conda:
        f"../envs/{SETTINGS.generation.environment}.yaml"
    threads: 1
    resources:
        # no parameter: nothing is to rerun for it
        speed=as_json(SETTINGS.generation, include=Generation.SPEED),
        mem_mb=memory("write_routes"),
        runtime=minutes("write_routes"),
    params:
        **generation_params(stage="generation.write_routes"),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.generation.write_routes --model {params.model}"
        " --variant {input.mask} {input.weights} {input.record}"
        " --benchmarks {params.benchmarks}"
        " --options {params.options:q} --speed {resources.speed:q}"
        " --store store --output {params.output}/routes > {log} 2>&1"


# Every prompt as it would be put to a model: no engine is needed for them.
rule write_prompts:
    input:
        manifest="resources/models/{model}/manifest.json",
        benchmarks=run_benchmarks(),
        order=order("write_prompts"),
    output:
        expand(of_run("{{model}}/prompts/{benchmark}.jsonl"), benchmark=RUN.benchmarks),
    log:
        log_of_run("write_prompts/{model}.log"),
    localrule: True
    conda:
        "../envs/torch.yaml"
    threads: 1
    params:
        code=code("generation.write_prompts"),
        model=model_folder,
        benchmarks=[
            f"{name}=resources/benchmarks/{name}.jsonl"
            for name in sorted(RUN.benchmarks)
        ],
        options=lambda wildcards: as_json(
            SETTINGS.generation_job(wildcards.model), exclude=Generation.SPEED
        ),
        output=of_run("{model}/prompts"),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.generation.write_prompts --model {params.model}"
        " --benchmarks {params.benchmarks} --options {params.options:q}"
        " --output {params.output} > {log} 2>&1"


# The dense model's own traces on a benchmark, for calibration sets of kind generated. The benchmark
# need not be among those that are run; where it is, the dense variant takes them from the store.
rule generate_calibration_traces:
    input:
        manifest="resources/models/{model}/manifest.json",
        benchmark="resources/benchmarks/{benchmark}.jsonl",
        order=order("generate_calibration_traces"),
    output:
        traces="results/{model}/calibration_traces/traces/{benchmark}.jsonl",
        answers="results/{model}/calibration_traces/answers/{benchmark}.jsonl",
        sequences="results/{model}/calibration_traces/sequences/{benchmark}.jsonl",
        provenance="results/{model}/calibration_traces/generation/{benchmark}.json",
    log:
        "logs/generate_calibration_traces/{model}/{benchmark}.log",
    benchmark:
        "logs/generate_calibration_traces/{model}/{benchmark}.tsv"
    conda:
        f"../envs/{SETTINGS.generation.environment}.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=SETTINGS.generation.gpus,
        # no parameter: nothing is to rerun for it
        speed=as_json(SETTINGS.generation, include=Generation.SPEED),
        mem_mb=memory("generate_calibration_traces"),
        runtime=minutes("generate_calibration_traces"),
    params:
        code=code("generation.generate"),
        model=model_folder,
        options=lambda wildcards: as_json(
            SETTINGS.trace_job(wildcards.model, wildcards.benchmark),
            exclude=Generation.SPEED,
        ),
        output="results/{model}/calibration_traces",
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.generation.generate --terminal-fd 3 --model {params.model}"
        " --benchmarks {wildcards.benchmark}={input.benchmark}"
        " --options {params.options:q} --speed {resources.speed:q}"
        " --store store --sequences --output {params.output} --provenance {output.provenance}"
        " 3>&2 > {log} 2>&1"
