# Token ids to calibrate on, and one pass over the model that collects what every method needs.


rule build_calibration_set:
    input:
        unpack(calibration_inputs),
        manifest="resources/models/{model}/manifest.json",
    output:
        "resources/calibration/{model}/{calibration}.safetensors",
    log:
        "logs/build_calibration_set/{model}/{calibration}.log",
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("calibration.build_calibration_set"),
        model=model_folder,
        source=lambda wildcards: as_json(calibration_of(wildcards).source),
        sources=calibration_sources,
        files=calibration_flags,
        sampling=lambda wildcards: calibration_of(wildcards).sampling,
        samples=lambda wildcards: calibration_of(wildcards).samples,
        length=lambda wildcards: calibration_of(wildcards).length,
        seed=lambda wildcards: calibration_of(wildcards).seed,
    shell:
        "python -m workflow_scripts.calibration.build_calibration_set"
        " --model {params.model} --source {params.source:q} {params.files}"
        " --sampling {params.sampling} --samples {params.samples} --length {params.length}"
        " --seed {params.seed} --output {output} > {log} 2>&1"


rule collect_statistics:
    input:
        manifest="resources/models/{model}/manifest.json",
        calibration="resources/calibration/{model}/{calibration}.safetensors",
    output:
        "results/{model}/statistics/{calibration}.safetensors",
    log:
        "logs/collect_statistics/{model}/{calibration}.log",
    benchmark:
        "logs/collect_statistics/{model}/{calibration}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=int(SETTINGS.pruning.device == "cuda"),
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("calibration.collect_statistics"),
        model=model_folder,
        device=SETTINGS.pruning.device,
        threads=SETTINGS.generation.threads,
    shell:
        "python -m workflow_scripts.calibration.collect_statistics"
        " --model {params.model} --calibration {input.calibration} --device {params.device}"
        " --threads {params.threads} --output {output} > {log} 2>&1"


rule score_influence:
    input:
        unpack(influence_inputs),
        manifest="resources/models/{model}/manifest.json",
    output:
        "results/{model}/influence/{influence}.json",
    log:
        "logs/score_influence/{model}/{influence}.log",
    benchmark:
        "logs/score_influence/{model}/{influence}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: SETTINGS.generation.threads
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("calibration.score_influence"),
        model=model_folder,
        source=lambda wildcards: as_json(influence_of(wildcards).source),
        sources=influence_sources,
        files=influence_flags,
        train=lambda wildcards: influence_of(wildcards).train_samples,
        validation=lambda wildcards: influence_of(wildcards).validation_samples,
        length=lambda wildcards: influence_of(wildcards).length,
        seed=lambda wildcards: influence_of(wildcards).seed,
        hessian=lambda wildcards: influence_of(wildcards).hessian,
        threads=SETTINGS.generation.threads,
    shell:
        "python -m workflow_scripts.calibration.score_influence"
        " --model {params.model} --source {params.source:q} {params.files}"
        " --train-samples {params.train} --validation-samples {params.validation}"
        " --length {params.length} --seed {params.seed} --hessian {params.hessian}"
        " --threads {params.threads} --output {output} > {log} 2>&1"
