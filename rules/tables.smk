# What people read: the accuracy table and the curves.


rule accuracy_table:
    input:
        grades=expand(
            "results/{model}/{variant}/grades/{benchmark}.jsonl",
            model=RUN.models,
            variant=RUN.variants,
            benchmark=RUN.benchmarks,
        ),
        answers=expand(
            "results/{model}/{variant}/answers/{benchmark}.jsonl",
            model=RUN.models,
            variant=RUN.variants,
            benchmark=RUN.benchmarks,
        ),
    output:
        csv="results/tables/accuracy.csv",
        markdown="results/tables/accuracy.md",
        html=report(
            "results/tables/accuracy.html",
            caption="../report/accuracy.rst",
            category="Tables",
        ),
    log:
        "logs/accuracy_table.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.accuracy_table"),
        models=RUN.models,
        variants=RUN.variants,
        benchmarks=RUN.benchmarks,
    shell:
        "python -m workflow_scripts.tables.accuracy_table --results results"
        " --models {params.models} --variants {params.variants}"
        " --benchmarks {params.benchmarks} --csv {output.csv} --markdown {output.markdown} --html {output.html}"
        " > {log} 2>&1"


rule scaling_curves:
    input:
        "results/tables/accuracy.csv",
    output:
        svg=report(
            "results/figures/scaling_curves/{model}/{benchmark}.svg",
            caption="../report/scaling_curves.rst",
            category="Figures",
            labels={"model": "{model}", "benchmark": "{benchmark}"},
        ),
        png="results/figures/scaling_curves/{model}/{benchmark}.png",
    log:
        "logs/scaling_curves/{model}/{benchmark}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.scaling_curves"),
    shell:
        "python -m workflow_scripts.tables.scaling_curves --table {input}"
        " --model {wildcards.model} --benchmark {wildcards.benchmark}"
        " --svg {output.svg} --png {output.png} > {log} 2>&1"


rule allocation_plot:
    input:
        expand("results/{{model}}/{variant}/mask.json", variant=RUN.variants),
    output:
        svg=report(
            "results/figures/allocation/{model}.svg",
            caption="../report/allocation.rst",
            category="Figures",
            labels={"model": "{model}", "benchmark": ""},
        ),
        png="results/figures/allocation/{model}.png",
    log:
        "logs/allocation_plot/{model}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.allocation_plot"),
        variants=RUN.variants,
    shell:
        "python -m workflow_scripts.tables.allocation_plot --model {wildcards.model}"
        " --variants {params.variants} --records {input}"
        " --svg {output.svg} --png {output.png} > {log} 2>&1"
