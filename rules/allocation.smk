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
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory("allocate_sparsity"),
        runtime=minutes("allocate_sparsity"),
    params:
        code=allocation_code,
        model=model_folder,
        options=options_of("variants", only=Share),
        files=flags_of("allocations"),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.allocation.allocate_sparsity --model {params.model}"
        " --options {params.options:q} {params.files} --output {output} > {log} 2>&1"
