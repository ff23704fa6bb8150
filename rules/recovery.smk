# Training after pruning: what a variant with a recovery has in place of the mask that it starts from.


rule recover:
    input:
        unpack(recovery_inputs),
        manifest="resources/models/{model}/manifest.json",
        order=order("recover"),
    output:
        mask="results/{model}/{variant}/mask.safetensors",
        weights="results/{model}/{variant}/weights.safetensors",
        record="results/{model}/{variant}/mask.json",
        recovery="results/{model}/{variant}/recovery.json",
    log:
        "logs/recover/{model}/{variant}.log",
    benchmark:
        "logs/recover/{model}/{variant}.tsv"
    wildcard_constraints:
        variant=one_of(RECOVERED),
    priority: AWAITED
    conda:
        "../envs/torch.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=int(SETTINGS.pruning.device == "cuda"),
        mem_mb=memory("recover"),
        runtime=minutes("recover"),
    params:
        code=code("recovery.recover"),
        model=model_folder,
        options=lambda wildcards: as_json(recovery_of(wildcards)),
        texts=lambda wildcards: as_json(
            SETTINGS.texts[recovery_texts(wildcards)].source
        ),
        sources=lambda wildcards: sources_digest(local_texts(wildcards)),
        files=recovery_flags,
        date=SETTINGS.generation.date,
        chat=chat_template_args,
        device=SETTINGS.pruning.device,
        threads=SETTINGS.generation.threads,
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.recovery.recover --model {params.model}"
        " --options {params.options:q} --texts {params.texts:q} {params.files}"
        " --date {params.date} --chat {params.chat:q}"
        " --device {params.device} --threads {params.threads}"
        " --mask {output.mask} --weights {output.weights} --record {output.record}"
        " --recovery {output.recovery} > {log} 2>&1"
