# Compare every answer with the gold answer.


rule grade_answers:
    input:
        benchmark="resources/benchmarks/{benchmark}.jsonl",
        answers="results/{model}/{variant}/answers/{benchmark}.jsonl",
    output:
        "results/{model}/{variant}/grades/{benchmark}.jsonl",
    log:
        "logs/grade_answers/{model}/{variant}/{benchmark}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("grading.grade_answers"),
    shell:
        "python -m workflow_scripts.grading.grade_answers"
        " --benchmark {input.benchmark} --answers {input.answers}"
        " --output {output} > {log} 2>&1"


use rule grade_answers as grade_calibration_traces with:
    input:
        benchmark="resources/benchmarks/{benchmark}.jsonl",
        answers="results/{model}/calibration_traces/answers/{benchmark}.jsonl",
    output:
        "results/{model}/calibration_traces/grades/{benchmark}.jsonl",
    log:
        "logs/grade_calibration_traces/{model}/{benchmark}.log",
