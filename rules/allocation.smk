# How much of every linear a variant prunes.


rule allocate_sparsity:
    input:
        unpack(inputs_of("allocations")),
        manifest="resources/models/{model}/manifest.json",
        order=order("allocate_sparsity"),
    output:
        "results/{model}/{variant}/allocation.json",
    log:
        "logs/allocate_sparsity/{model}/{variant}.log",
    priority: AWAITED
    conda:
        "../envs/torch.yaml"
    threads: allocation_threads
    resources:
        gpu=lambda wildcards: int(allocation_device(wildcards) == "cuda"),
        mem_mb=memory("allocate_sparsity"),
        runtime=minutes("allocate_sparsity"),
    params:
        code=allocation_code,
        model=model_folder,
        options=options_of("variants", only=Share),
        variant=allocated_variant,
        files=flags_of("allocations"),
        device=allocation_device,
        threads=allocation_threads,
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.allocation.allocate_sparsity --model {params.model}"
        " --options {params.options:q} {params.variant:q} {params.files}"
        " --device {params.device} --threads {params.threads} --output {output} > {log} 2>&1"
