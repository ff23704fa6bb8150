# Token ids to calibrate on, and one pass over the model that collects what every method needs.


rule build_calibration_set:
    input:
        unpack(inputs_of("calibration_sets")),
        manifest="resources/models/{model}/manifest.json",
        order=order("build_calibration_set"),
    output:
        "resources/calibration/{model}/{calibration}.safetensors",
    log:
        "logs/build_calibration_set/{model}/{calibration}.log",
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory("build_calibration_set"),
        runtime=minutes("build_calibration_set"),
    params:
        code=code("calibration.build_calibration_set"),
        model=model_folder,
        options=options_of("calibration_sets"),
        sources=digest_of("calibration_sets"),
        files=flags_of("calibration_sets"),
        date=SETTINGS.generation.date,
        chat=chat_template_args,
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.calibration.build_calibration_set --model {params.model}"
        " --options {params.options:q} {params.files} --date {params.date} --chat {params.chat:q}"
        " --output {output}"
        " > {log} 2>&1"


rule collect_statistics:
    input:
        manifest="resources/models/{model}/manifest.json",
        calibration="resources/calibration/{model}/{calibration}.safetensors",
        order=order("collect_statistics"),
    output:
        "results/{model}/statistics/{calibration}.safetensors",
    log:
        "logs/collect_statistics/{model}/{calibration}.log",
    benchmark:
        "logs/collect_statistics/{model}/{calibration}.tsv"
    priority: AWAITED
    conda:
        "../envs/torch.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=int(SETTINGS.pruning.device == "cuda"),
        mem_mb=memory("collect_statistics"),
        runtime=minutes("collect_statistics"),
    params:
        code=code("calibration.collect_statistics"),
        model=model_folder,
        options=as_json(SETTINGS.pruning),
        threads=SETTINGS.generation.threads,
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.calibration.collect_statistics --model {params.model}"
        " --calibration {input.calibration} --options {params.options:q}"
        " --threads {params.threads} --output {output} > {log} 2>&1"


rule score_influence:
    input:
        unpack(inputs_of("influence_sets")),
        manifest="resources/models/{model}/manifest.json",
        order=order("score_influence"),
    output:
        "results/{model}/influence/{influence}.json",
    log:
        "logs/score_influence/{model}/{influence}.log",
    benchmark:
        "logs/score_influence/{model}/{influence}.tsv"
    priority: AWAITED
    conda:
        "../envs/torch.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=int(SETTINGS.pruning.device == "cuda"),
        mem_mb=memory("score_influence"),
        runtime=minutes("score_influence"),
    params:
        code=code("calibration.score_influence"),
        model=model_folder,
        options=options_of("influence_sets"),
        sources=digest_of("influence_sets"),
        files=flags_of("influence_sets"),
        date=SETTINGS.generation.date,
        chat=chat_template_args,
        pruning=as_json(SETTINGS.pruning),
        threads=SETTINGS.generation.threads,
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.calibration.score_influence --model {params.model}"
        " --options {params.options:q} {params.files} --date {params.date} --chat {params.chat:q}"
        " --pruning {params.pruning:q} --threads {params.threads} --output {output}"
        " > {log} 2>&1"
