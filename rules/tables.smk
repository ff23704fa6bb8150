# What people read: tables, figures and the report.


# On a cluster these run where snakemake runs: each takes seconds and little memory.
localrules:
    collect_cells,
    accuracy_table,
    comparison_table,
    parallel_table,
    published_table,
    scaling_curves,
    token_curves,
    difference_plot,
    parallel_plot,
    sparsity_curves,
    allocation_plot,
    judge_agreement,
    block_influence_plot,
    influence_plot,
    write_config,
    write_report,
    tables_so_far,


rule collect_cells:
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
        "results/tables/cells.jsonl",
    log:
        "logs/collect_cells.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.collect_cells"),
        models=RUN.models,
        variants=RUN.variants,
        benchmarks=RUN.benchmarks,
        budgets=SETTINGS.generation.budgets,
        repeats=SETTINGS.generation.repeats,
    shell:
        "python -m workflow_scripts.tables.collect_cells --results results"
        " --models {params.models} --variants {params.variants}"
        " --benchmarks {params.benchmarks} --budgets {params.budgets}"
        " --repeats {params.repeats} --output {output} > {log} 2>&1"


rule accuracy_table:
    input:
        "results/tables/cells.jsonl",
    output:
        csv="results/tables/accuracy.csv",
        mean="results/tables/mean_accuracy.csv",
        markdown="results/tables/accuracy.md",
        latex="results/tables/accuracy.tex",
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
    shell:
        "python -m workflow_scripts.tables.accuracy_table --cells {input}"
        " --csv {output.csv} --mean {output.mean} --markdown {output.markdown}"
        " --latex {output.latex} --html {output.html} > {log} 2>&1"


rule comparison_table:
    input:
        masks,
        cells="results/tables/cells.jsonl",
    output:
        csv="results/tables/comparison.csv",
        areas="results/tables/areas.csv",
        markdown="results/tables/comparison.md",
        latex="results/tables/comparison.tex",
        html=report(
            "results/tables/comparison.html",
            caption="../report/comparison.rst",
            category="Tables",
        ),
    log:
        "logs/comparison_table.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.comparison_table"),
        reference=dense_variant(),
    shell:
        "python -m workflow_scripts.tables.comparison_table --cells {input.cells}"
        " --results results --reference {params.reference} --csv {output.csv}"
        " --areas {output.areas} --markdown {output.markdown} --latex {output.latex}"
        " --html {output.html} > {log} 2>&1"


rule parallel_table:
    input:
        "results/tables/cells.jsonl",
    output:
        csv="results/tables/parallel.csv",
        markdown="results/tables/parallel.md",
        latex="results/tables/parallel.tex",
        html=report(
            "results/tables/parallel.html",
            caption="../report/parallel.rst",
            category="Tables",
        ),
    log:
        "logs/parallel_table.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.parallel_table"),
    shell:
        "python -m workflow_scripts.tables.parallel_table --cells {input} --csv {output.csv}"
        " --markdown {output.markdown} --latex {output.latex} --html {output.html}"
        " > {log} 2>&1"


rule published_table:
    input:
        masks,
        cells="results/tables/cells.jsonl",
        comparison="results/tables/comparison.csv",
    output:
        csv="results/tables/published.csv",
        claims="results/tables/claims.csv",
        markdown="results/tables/published.md",
        latex="results/tables/published.tex",
        html=report(
            "results/tables/published.html",
            caption="../report/published.rst",
            category="Tables",
        ),
    log:
        "logs/published_table.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.published_table"),
        reference=dense_variant(),
        published=published_digests(),
    shell:
        "python -m workflow_scripts.tables.published_table --cells {input.cells}"
        " --comparison {input.comparison} --results results"
        " --reference {params.reference}"
        " --csv {output.csv} --claims {output.claims} --markdown {output.markdown}"
        " --latex {output.latex} --html {output.html} > {log} 2>&1"


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
        reference=dense_variant(),
    shell:
        "python -m workflow_scripts.tables.scaling_curves --table {input}"
        " --model {wildcards.model} --benchmark {wildcards.benchmark}"
        " --reference {params.reference}"
        " --svg {output.svg} --png {output.png} > {log} 2>&1"


rule token_curves:
    input:
        "results/tables/accuracy.csv",
    output:
        svg=report(
            "results/figures/token_curves/{model}/{benchmark}.svg",
            caption="../report/token_curves.rst",
            category="Figures",
            labels={"model": "{model}", "benchmark": "{benchmark}"},
        ),
        png="results/figures/token_curves/{model}/{benchmark}.png",
    log:
        "logs/token_curves/{model}/{benchmark}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.scaling_curves"),
        reference=dense_variant(),
    shell:
        "python -m workflow_scripts.tables.scaling_curves --table {input}"
        " --model {wildcards.model} --benchmark {wildcards.benchmark} --against tokens"
        " --reference {params.reference}"
        " --svg {output.svg} --png {output.png} > {log} 2>&1"


rule difference_plot:
    input:
        "results/tables/comparison.csv",
    output:
        svg=report(
            "results/figures/differences/{model}/{benchmark}.svg",
            caption="../report/differences.rst",
            category="Figures",
            labels={"model": "{model}", "benchmark": "{benchmark}"},
        ),
        png="results/figures/differences/{model}/{benchmark}.png",
    log:
        "logs/difference_plot/{model}/{benchmark}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.difference_plot"),
    shell:
        "python -m workflow_scripts.tables.difference_plot --table {input}"
        " --model {wildcards.model} --benchmark {wildcards.benchmark}"
        " --svg {output.svg} --png {output.png} > {log} 2>&1"


rule parallel_plot:
    input:
        "results/tables/parallel.csv",
    output:
        svg=report(
            "results/figures/parallel/{model}/{benchmark}.svg",
            caption="../report/parallel_plot.rst",
            category="Figures",
            labels={"model": "{model}", "benchmark": "{benchmark}"},
        ),
        png="results/figures/parallel/{model}/{benchmark}.png",
    log:
        "logs/parallel_plot/{model}/{benchmark}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.parallel_plot"),
    shell:
        "python -m workflow_scripts.tables.parallel_plot --table {input}"
        " --model {wildcards.model} --benchmark {wildcards.benchmark}"
        " --svg {output.svg} --png {output.png} > {log} 2>&1"


rule sparsity_curves:
    input:
        masks,
        table="results/tables/accuracy.csv",
    output:
        svg=report(
            "results/figures/sparsity/{model}/{benchmark}.svg",
            caption="../report/sparsity.rst",
            category="Figures",
            labels={"model": "{model}", "benchmark": "{benchmark}"},
        ),
        png="results/figures/sparsity/{model}/{benchmark}.png",
    log:
        "logs/sparsity_curves/{model}/{benchmark}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.sparsity_curves"),
        reference=dense_variant(),
    shell:
        "python -m workflow_scripts.tables.sparsity_curves --table {input.table}"
        " --model {wildcards.model} --benchmark {wildcards.benchmark} --results results --reference {params.reference}"
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


# Where a judge is asked: how far it and the grader agree.
rule judge_agreement:
    input:
        grades=expand(
            "results/{model}/{variant}/grades/{benchmark}.jsonl",
            model=RUN.models,
            variant=RUN.variants,
            benchmark=RUN.benchmarks,
        ),
        judgements=expand(
            "results/{model}/{variant}/judgements/{benchmark}.jsonl",
            model=RUN.models,
            variant=RUN.variants,
            benchmark=RUN.benchmarks,
        ),
    output:
        csv="results/tables/judge_agreement.csv",
        markdown="results/tables/judge_agreement.md",
        disagreements="results/tables/judge_disagreements.csv",
    log:
        "logs/judge_agreement.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.judge_agreement"),
        models=RUN.models,
        variants=RUN.variants,
        benchmarks=RUN.benchmarks,
    shell:
        "python -m workflow_scripts.tables.judge_agreement --results results"
        " --models {params.models} --variants {params.variants}"
        " --benchmarks {params.benchmarks} --csv {output.csv} --markdown {output.markdown}"
        " --disagreements {output.disagreements} > {log} 2>&1"


rule block_influence_plot:
    input:
        records=expand("results/{{model}}/{variant}/mask.json", variant=RUN.variants),
        statistics="results/{model}/statistics/{calibration}.safetensors",
    output:
        svg=report(
            "results/figures/block_influence/{model}/{calibration}.svg",
            caption="../report/block_influence.rst",
            category="Figures",
            labels={"model": "{model}", "benchmark": ""},
        ),
        png="results/figures/block_influence/{model}/{calibration}.png",
    log:
        "logs/block_influence_plot/{model}/{calibration}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.block_scores_plot"),
        variants=RUN.variants,
    shell:
        "python -m workflow_scripts.tables.block_scores_plot --model {wildcards.model}"
        " --set {wildcards.calibration} --statistics {input.statistics}"
        " --variants {params.variants} --records {input.records}"
        " --svg {output.svg} --png {output.png} > {log} 2>&1"


rule influence_plot:
    input:
        "results/{model}/influence/{influence}.json",
    output:
        svg=report(
            "results/figures/influence/{model}/{influence}.svg",
            caption="../report/influence.rst",
            category="Figures",
            labels={"model": "{model}", "benchmark": ""},
        ),
        png="results/figures/influence/{model}/{influence}.png",
    log:
        "logs/influence_plot/{model}/{influence}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.block_scores_plot"),
    shell:
        "python -m workflow_scripts.tables.block_scores_plot --model {wildcards.model}"
        " --set {wildcards.influence} --influence {input}"
        " --svg {output.svg} --png {output.png} > {log} 2>&1"


# A file, because an argument of a command has at most 128 KiB and a config can have more. The log
# is empty, like that of every job that has nothing to say.
rule write_config:
    output:
        "results/config.json",
    log:
        "logs/write_config.log",
    params:
        config=lambda wildcards: run_config(),
    run:
        write_json(Path(output[0]), json.loads(params.config))
        write_text(Path(log[0]), "", checksum=False)


# Not in Snakemake's own report: it is one itself.
rule write_report:
    input:
        TABLES,
        config="results/config.json",
        figures=figures("svg"),
        more=[
            f"results/tables/{name}.csv"
            for name in ("mean_accuracy", "areas", "claims")
        ],
        manifests=expand("resources/models/{model}/manifest.json", model=RUN.models),
        provenance=expand(
            "results/{model}/{variant}/generation.json",
            model=RUN.models,
            variant=RUN.variants,
        ),
    output:
        "results/report.html",
    log:
        "logs/write_report.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.report"),
        reference=dense_variant(),
    shell:
        "python -m workflow_scripts.tables.report --tables results/tables --results results"
        " --resources resources --logs logs --config {input.config}"
        " --reference {params.reference} --figures {input.figures} --output {output}"
        " > {log} 2>&1"


# What can be told of a run that is not complete. What it is made from is no input of it, so ask for
# it with `--forcerun tables_so_far`.
rule tables_so_far:
    input:
        "results/config.json",
    output:
        directory("results/tables/so_far"),
    log:
        "logs/tables_so_far.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.everything"),
        reference=dense_variant(),
        models=RUN.models,
        variants=RUN.variants,
        benchmarks=RUN.benchmarks,
        published=published_digests(),
    shell:
        "python -m workflow_scripts.tables.everything --results results"
        " --resources resources --logs logs"
        " --config {input} --reference {params.reference}"
        " --models {params.models} --variants {params.variants}"
        " --benchmarks {params.benchmarks} --output {output} > {log} 2>&1"
