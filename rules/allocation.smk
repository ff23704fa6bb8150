# How much of every linear a variant prunes.


rule allocate_sparsity:
    input:
        unpack(allocation_inputs),
        manifest="resources/models/{model}/manifest.json",
    output:
        "results/{model}/{variant}/allocation.json",
    log:
        "logs/allocate_sparsity/{model}/{variant}.log",
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("allocation.allocate_sparsity"),
        model=model_folder,
        allocation=lambda wildcards: as_json(variant_of(wildcards).allocation),
        sparsity=lambda wildcards: variant_of(wildcards).sparsity,
        scope=lambda wildcards: variant_of(wildcards).scope,
        files=allocation_flags,
    shell:
        "python -m workflow_scripts.allocation.allocate_sparsity"
        " --model {params.model} --allocation {params.allocation:q}"
        " --sparsity {params.sparsity} --scope {params.scope} {params.files}"
        " --output {output} > {log} 2>&1"
