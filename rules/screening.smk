# How far every variant is from the dense model on its traces; and which of them go on to generation.


# The dense model's traces on the benchmark are those that calibration sets are made of too.
rule screen_variant:
    input:
        manifest="resources/models/{model}/manifest.json",
        record="results/{model}/{variant}/mask.json",
        mask=ancient("results/{model}/{variant}/mask.safetensors"),
        weights=ancient("results/{model}/{variant}/weights.safetensors"),
        sequences=lambda wildcards: calibration_traces(screened_on(SETTINGS))[
            "sequences"
        ],
        order=order("screen_variant"),
    output:
        "results/{model}/{variant}/screen.json",
    log:
        "logs/screen_variant/{model}/{variant}.log",
    benchmark:
        "logs/screen_variant/{model}/{variant}.tsv"
    priority: AWAITED
    conda:
        "../envs/torch.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=int(SETTINGS.pruning.device == "cuda"),
        mem_mb=memory("screen_variant"),
        runtime=minutes("screen_variant"),
    params:
        code=code("screening.screen_variant"),
        model=model_folder,
        options=as_json(screen_job(SETTINGS)),
        pruning=as_json(SETTINGS.pruning),
        threads=SETTINGS.generation.threads,
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.screening.screen_variant --model {params.model}"
        " --variant {input.mask} {input.weights} {input.record} --sequences {input.sequences}"
        " --options {params.options:q} --pruning {params.pruning:q} --threads {params.threads}"
        " --output {output} > {log} 2>&1"


# A checkpoint: which jobs of generation there are is not known before. Nothing asks for it unless
# the config has run.screen.
checkpoint choose_variants:
    input:
        screens=expand("results/{{model}}/{variant}/screen.json", variant=RUN.variants),
        order=order("choose_variants"),
    output:
        of_run("{model}/screening.json"),
    log:
        log_of_run("choose_variants/{model}.log"),
    priority: AWAITED
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("screening.choose_variants"),
        options=as_json(choice_job(SETTINGS)),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.screening.choose_variants --screens {input.screens}"
        " --options {params.options:q} --output {output} > {log} 2>&1"
