# Compare every answer with the right one; where it is asked for, let a judge do so beside it.


# On a cluster it runs where snakemake runs: it waits for a server that nodes often cannot reach.
localrules:
    judge_answers,


rule grade_answers:
    input:
        benchmark="resources/benchmarks/{benchmark}.jsonl",
        answers=of_run("{model}/{variant}/answers/{benchmark}.jsonl"),
        order=order("grade_answers"),
    output:
        grades=of_run("{model}/{variant}/grades/{benchmark}.jsonl"),
        grader=of_run("{model}/{variant}/grades/{benchmark}.grader.json"),
    log:
        log_of_run("grade_answers/{model}/{variant}/{benchmark}.log"),
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=memory("grade_answers"),
        runtime=minutes("grade_answers"),
    params:
        code=code("grading.grade_answers"),
        options=lambda wildcards: as_json(SETTINGS.answer_prefix(wildcards.model)),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.grading.grade_answers"
        " --benchmark {input.benchmark} --answers {input.answers}"
        " --options {params.options:q} --workers {threads}"
        " --output {output.grades} --grader {output.grader} > {log} 2>&1"


use rule grade_answers as grade_calibration_traces with:
    input:
        benchmark="resources/benchmarks/{benchmark}.jsonl",
        answers="results/{model}/calibration_traces/answers/{benchmark}.jsonl",
        order=order("grade_calibration_traces"),
    output:
        grades="results/{model}/calibration_traces/grades/{benchmark}.jsonl",
        grader="results/{model}/calibration_traces/grades/{benchmark}.grader.json",
    log:
        "logs/grade_calibration_traces/{model}/{benchmark}.log",


# Nothing asks for this rule unless judge.enabled is true. The key stays in the environment.
rule judge_answers:
    input:
        benchmark="resources/benchmarks/{benchmark}.jsonl",
        answers=of_run("{model}/{variant}/answers/{benchmark}.jsonl"),
        order=order("judge_answers"),
    output:
        of_run("{model}/{variant}/judgements/{benchmark}.jsonl"),
    log:
        log_of_run("judge_answers/{model}/{variant}/{benchmark}.log"),
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("grading.judge_answers"),
        options=lambda wildcards: as_json(SETTINGS.judge_job(wildcards.model)),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.grading.judge_answers"
        " --benchmark {input.benchmark} --answers {input.answers}"
        " --options {params.options:q} --cache judge_store --output {output} > {log} 2>&1"
