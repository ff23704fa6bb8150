# Tasks of the evaluation harness, beside generation: fetched by task, run by variant or by family.

TASK_JOB = "{model}/{variant}" if RUNS_ALL_TASKS else "{model}/{variant}/{family}"


localrules:
    fetch_task,


rule fetch_task:
    input:
        files=lambda wildcards: [as_source(file) for file in own_task_files(wildcards)],
        order=order("fetch_task"),
    output:
        "resources/tasks/{task}/manifest.json",
    log:
        "logs/fetch_task/{task}.log",
    conda:
        "../envs/torch.yaml"
    threads: 1
    params:
        code=code("download.fetch_task"),
        options=options_of("tasks", only=FetchedTask),
        sources=lambda wildcards: sources_digest(own_task_files(wildcards)),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.download.fetch_task --name {wildcards.task}"
        " --options {params.options:q} --lock config/hub.lock --output {output} > {log} 2>&1"


rule run_tasks:
    input:
        manifest="resources/models/{model}/manifest.json",
        record="results/{model}/{variant}/mask.json",
        mask=ancient("results/{model}/{variant}/mask.safetensors"),
        weights=ancient("results/{model}/{variant}/weights.safetensors"),
        tasks=lambda wildcards: expand(
            "resources/tasks/{task}/manifest.json",
            task=task_job(wildcards).tasks,
        ),
        order=order("run_tasks"),
    output:
        results=of_families(of_run("{model}/{variant}/tasks/{family}.json")),
        scores=of_families(of_run("{model}/{variant}/tasks/{family}.scores.jsonl")),
        samples=of_families(of_run("{model}/{variant}/tasks/{family}.samples.jsonl")),
    log:
        log_of_run(f"run_tasks/{TASK_JOB}.log"),
    benchmark:
        log_of_run(f"run_tasks/{TASK_JOB}.tsv")
    conda:
        f"../envs/{SETTINGS.generation.environment}.yaml"
    threads: SETTINGS.generation.threads
    resources:
        gpu=SETTINGS.generation.gpus,
        # no parameter: nothing is to rerun for it
        speed=lambda wildcards: as_json(task_job(wildcards), include=TaskJob.SPEED),
        mem_mb=memory("run_tasks"),
        runtime=minutes("run_tasks"),
    params:
        code=code("tasks.run_tasks", *function_modules()),
        model=model_folder,
        options=lambda wildcards: as_json(task_job(wildcards), exclude=TaskJob.SPEED),
        output=of_run("{model}/{variant}/tasks"),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tasks.run_tasks --model {params.model}"
        " --variant {input.mask} {input.weights} {input.record}"
        " --options {params.options:q} --speed {resources.speed:q}"
        " --store store --output {params.output} > {log} 2>&1"
