# What a variant removes, as a mask; and, on request, the pruned model as a folder of its own.


rule build_mask:
    input:
        unpack(inputs_of("variants")),
        manifest="resources/models/{model}/manifest.json",
        order=order("build_mask"),
    output:
        mask="results/{model}/{variant}/mask.safetensors",
        weights="results/{model}/{variant}/weights.safetensors",
        record="results/{model}/{variant}/mask.json",
    log:
        "logs/build_mask/{model}/{variant}.log",
    benchmark:
        "logs/build_mask/{model}/{variant}.tsv"
    wildcard_constraints:
        variant=one_of(PRUNED),
    priority: AWAITED
    conda:
        "../envs/torch.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=lambda wildcards: int(mask_device(wildcards) == "cuda"),
        mem_mb=memory("build_mask"),
        runtime=minutes("build_mask"),
    params:
        code=mask_code,
        model=model_folder,
        options=options_of("variants"),
        files=flags_of("variants"),
        device=mask_device,
        threads=SETTINGS.generation.threads,
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.masking.build_mask"
        " --model {params.model} --options {params.options:q} {params.files}"
        " --device {params.device} --threads {params.threads}"
        " --mask {output.mask} --weights {output.weights} --record {output.record} > {log} 2>&1"


rule export_checkpoint:
    input:
        record="results/{model}/{variant}/mask.json",
        mask=ancient("results/{model}/{variant}/mask.safetensors"),
        weights=ancient("results/{model}/{variant}/weights.safetensors"),
        manifest="resources/models/{model}/manifest.json",
        order=order("export_checkpoint"),
    output:
        directory("results/{model}/{variant}/checkpoint"),
    log:
        "logs/export_checkpoint/{model}/{variant}.log",
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory("export_checkpoint"),
        runtime=minutes("export_checkpoint"),
    params:
        code=code("masking.export_checkpoint"),
        model=model_folder,
        made_from=made_from,
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.masking.export_checkpoint"
        " --model {params.model} --mask {input.mask} --weights {input.weights}"
        " --record {input.record} --made-from {params.made_from:q} --output {output}"
        " > {log} 2>&1"
