# What people read: tables, figures and the report.
#
# On a cluster these run where snakemake runs: each takes seconds and little memory.


rule collect_cells:
    input:
        grades=run_files("results/{model}/{variant}/grades/{benchmark}.jsonl"),
        answers=run_files("results/{model}/{variant}/answers/{benchmark}.jsonl"),
        order=order("collect_cells"),
    output:
        "results/tables/cells.parquet",
    log:
        "logs/collect_cells.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.collect_cells"),
        options=as_json(
            {
                **plain(RUN),
                "budgets": SETTINGS.generation.budgets,
                "repeats": SETTINGS.generation.repeats,
            }
        ),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.collect_cells --results results"
        " --options {params.options:q} --output {output} > {log} 2>&1"


rule collect_samples:
    input:
        run_files("resources/benchmarks/{benchmark}.jsonl"),
        run_files("results/{model}/{variant}/traces/{benchmark}.jsonl"),
        run_files("results/{model}/{variant}/answers/{benchmark}.jsonl"),
        run_files("results/{model}/{variant}/grades/{benchmark}.jsonl"),
        order=order("collect_samples"),
    output:
        samples="results/tables/samples.parquet",
        page=report(
            "results/samples.html",
            caption="../report/entry.rst",
            category="Samples",
            labels={"page": "what was answered"},
        ),
    log:
        "logs/collect_samples.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.collect_samples"),
        caption="Answers that were lost or won against the dense model, cut or in circles.",
        options=as_json({"reference": REFERENCE, **plain(RUN)}),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.collect_samples --results results"
        " --benchmarks resources/benchmarks --options {params.options:q}"
        " --output {output.samples} --page {output.page} > {log} 2>&1"


# One rule for each table of the catalogue.
for NAME, TABLE in catalogue.TABLES.items():

    rule:
        name:
            f"{NAME}_table"
        input:
            table_inputs(NAME),
            order=order(f"{NAME}_table"),
        output:
            expand(f"results/tables/{NAME}.{{ending}}", ending=["csv", "md", "tex"]),
            expand("results/tables/{also}.csv", also=TABLE.also),
            report(
                f"results/tables/{NAME}.html",
                caption="../report/entry.rst",
                category="Tables",
                labels={"table": NAME},
            ),
        log:
            f"logs/tables/{NAME}.log",
        localrule: True
        conda:
            "../envs/data.yaml"
        threads: 1
        params:
            **table_params(NAME),
            code=table_code(NAME),
            table=NAME,
            published=published_digests() if NAME == "published" else [],
        shell:
            "PRUNETHINK_ORDER={input.order}"
            " python -m workflow_scripts.tables.table --table {params.table}"
            " --results results --tables results/tables --options {params.options:q}"
            " > {log} 2>&1"


# One rule draws the figures of the catalogue; those that follow differ in their wildcards alone.
rule plot:
    input:
        plot_inputs,
        order=order("plot"),
    output:
        svg=figure("results/figures/{figure}/{model}/{benchmark}.svg"),
        pdf="results/figures/{figure}/{model}/{benchmark}.pdf",
        png="results/figures/{figure}/{model}/{benchmark}.png",
    log:
        "logs/plot/{figure}/{model}/{benchmark}.log",
    wildcard_constraints:
        figure=figures_of("model", "benchmark"),
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=plot_code,
        module=plot_module,
        options=plot_options,
        caption=plot_caption,
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.plot --figure {params.module}"
        " --results results --tables results/tables --options {params.options:q}"
        " --outputs {output} > {log} 2>&1"


use rule plot as plot_model with:
    input:
        plot_inputs,
        order=order("plot_model"),
    output:
        svg=figure("results/figures/{figure}/{model}.svg"),
        pdf="results/figures/{figure}/{model}.pdf",
        png="results/figures/{figure}/{model}.png",
    log:
        "logs/plot/{figure}/{model}.log",
    wildcard_constraints:
        figure=figures_of("model"),


use rule plot as plot_calibration with:
    input:
        plot_inputs,
        order=order("plot_calibration"),
    output:
        svg=figure("results/figures/{figure}/{model}/{calibration}.svg"),
        pdf="results/figures/{figure}/{model}/{calibration}.pdf",
        png="results/figures/{figure}/{model}/{calibration}.png",
    log:
        "logs/plot/{figure}/{model}/{calibration}.log",
    wildcard_constraints:
        figure=figures_of("model", "calibration"),


use rule plot as plot_influence with:
    input:
        plot_inputs,
        order=order("plot_influence"),
    output:
        svg=figure("results/figures/{figure}/{model}/{influence}.svg"),
        pdf="results/figures/{figure}/{model}/{influence}.pdf",
        png="results/figures/{figure}/{model}/{influence}.png",
    log:
        "logs/plot/{figure}/{model}/{influence}.log",
    wildcard_constraints:
        figure=figures_of("model", "influence"),


# A file, because an argument of a command has at most 128 KiB and a config can have more. The log
# is empty, like that of every job that has nothing to say.
rule write_config:
    input:
        order=order("write_config"),
    output:
        "results/config.json",
    log:
        "logs/write_config.log",
    localrule: True
    params:
        config=lambda wildcards: run_config(),
    run:
        write_made(json.loads(params.config), output[0], log[0], input.order)


# Not in Snakemake's own report: it is one itself.
rule write_report:
    input:
        table_files(),
        figures=catalogue.figure_files(SETTINGS, ["svg"]),
        config="results/config.json",
        manifests=run_files("resources/models/{model}/manifest.json"),
        provenance=run_files("results/{model}/{variant}/generation.json"),
        samples="results/tables/samples.parquet",
        order=order("write_report"),
    output:
        "results/report.html",
    log:
        "logs/write_report.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("tables.report"),
        options=as_json(shared_by_tables()),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.report --tables results/tables --results results"
        " --resources resources --logs logs --config {input.config}"
        " --options {params.options:q} --figures {input.figures} --output {output}"
        " > {log} 2>&1"


# What can be told of a run that is not complete. What it is made from is no input of it, so ask for
# it with `--forcerun tables_so_far`.
rule tables_so_far:
    input:
        config="results/config.json",
        order=order("tables_so_far"),
    output:
        directory("results/tables/so_far"),
    log:
        "logs/tables_so_far.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code_of_everything(),
        options=run_options(),
        published=published_digests(),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.everything --results results"
        " --resources resources --logs logs --config {input.config}"
        " --options {params.options:q} --output {output} > {log} 2>&1"
