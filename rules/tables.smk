# What people read: tables, figures and the report.
#
# On a cluster these run where snakemake runs: each takes seconds and little memory.


rule collect_cells:
    input:
        choices(),
        run_inputs("{run}/{model}/{variant}/grades/{benchmark}.jsonl"),
        run_inputs("{run}/{model}/{variant}/answers/{benchmark}.jsonl"),
        order=order("collect_cells"),
    output:
        of_run("tables/cells.parquet"),
    log:
        log_of_run("collect_cells.log"),
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        run=folder_of_run,
        code=code("tables.collect_cells"),
        options=as_json(
            {
                **RUN_LISTS,
                **DROPS,
                "budgets": SETTINGS.generation.budgets,
                "repeats": SETTINGS.generation.repeats,
            }
        ),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.collect_cells --results {params.run}"
        " --options {params.options:q} --output {output} > {log} 2>&1"


rule collect_task_scores:
    input:
        choices(),
        run_inputs("{run}/{model}/{variant}/tasks/{family}.json"),
        run_inputs("{run}/{model}/{variant}/tasks/{family}.scores.jsonl"),
        order=order("collect_task_scores"),
    output:
        of_run("tables/task_scores.parquet"),
    log:
        log_of_run("collect_task_scores.log"),
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        run=folder_of_run,
        code=code("tables.collect_task_scores"),
        options=as_json(
            {
                "models": RUN.models,
                "variants": RUN.variants,
                "tasks": FIGURE_OPTIONS.get("tasks", []),
                **DROPS,
            }
        ),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.collect_task_scores --results {params.run}"
        " --options {params.options:q} --output {output} > {log} 2>&1"


rule collect_samples:
    input:
        choices(),
        run_files("resources/benchmarks/{benchmark}.jsonl"),
        run_inputs("{run}/{model}/{variant}/traces/{benchmark}.jsonl"),
        run_inputs("{run}/{model}/{variant}/answers/{benchmark}.jsonl"),
        run_inputs("{run}/{model}/{variant}/grades/{benchmark}.jsonl"),
        of_run("tables/traces.parquet"),
        order=order("collect_samples"),
    output:
        samples=of_run("tables/samples.parquet"),
        page=report(
            of_run("samples.html"),
            caption="../report/entry.rst",
            category="Samples",
            labels={"page": "what was answered"},
        ),
    log:
        log_of_run("collect_samples.log"),
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        run=folder_of_run,
        code=code("tables.collect_samples"),
        caption="Answers that were lost or won against the dense model, cut or in circles.",
        options=as_json({"reference": REFERENCE, **RUN_LISTS, **DROPS}),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.collect_samples --results {params.run}"
        " --benchmarks resources/benchmarks --tables {params.run}/tables"
        " --options {params.options:q}"
        " --output {output.samples} --page {output.page} > {log} 2>&1"


rule collect_traces:
    input:
        choices(),
        run_files("resources/models/{model}/manifest.json"),
        run_files("resources/benchmarks/{benchmark}.jsonl"),
        run_inputs("{run}/{model}/{variant}/traces/{benchmark}.jsonl"),
        cells=of_run("tables/cells.parquet"),
        order=order("collect_traces"),
    output:
        traces=of_run("tables/traces.parquet"),
        page=report(
            of_run("departures.html"),
            caption="../report/entry.rst",
            category="Samples",
            labels={"page": "lost problems, side by side"},
        ),
    log:
        log_of_run("collect_traces.log"),
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 4
    params:
        run=folder_of_run,
        code=code("tables.collect_traces"),
        caption="Traces of problems that were lost, beside those of the dense model.",
        options=as_json(
            {"reference": REFERENCE, "diagnosis": plain(SETTINGS.diagnosis)}
        ),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.collect_traces --results {params.run}"
        " --resources resources --tables {params.run}/tables --options {params.options:q}"
        " --workers {threads} --output {output.traces} --page {output.page} > {log} 2>&1"


# One rule for each table of the catalogue.
for NAME, TABLE in TABLES.items():

    rule:
        name:
            f"{NAME}_table"
        input:
            table_inputs(NAME),
            order=order(f"{NAME}_table"),
        output:
            expand(of_run(f"tables/{NAME}.{{ending}}"), ending=["csv", "md", "tex"]),
            expand(of_run("tables/{also}.csv"), also=TABLE.also),
            report(
                of_run(f"tables/{NAME}.html"),
                caption="../report/entry.rst",
                category="Tables",
                labels={"table": NAME},
            ),
        log:
            log_of_run(f"tables/{NAME}.log"),
        localrule: True
        conda:
            "../envs/data.yaml"
        threads: 1
        params:
            **table_params(NAME),
            run=folder_of_run,
            code=table_code(NAME),
            table=NAME,
            published=published_digests(TABLE.published) if TABLE.published else [],
        shell:
            "PRUNETHINK_ORDER={input.order}"
            " python -m workflow_scripts.tables.table --table {params.table}"
            " --results {params.run} --tables {params.run}/tables --options {params.options:q}"
            " > {log} 2>&1"


# One rule for each kind of figure that the run has, which draws all of that kind in one process: to
# import what draws takes as long as to draw one.
for NAME in FIGURES_OF_RUN:

    rule:
        name:
            f"{NAME}_figure"
        input:
            figure_inputs(NAME),
            order=order(f"{NAME}_figure"),
        output:
            figure_outputs(NAME),
        log:
            log_of_run(f"figures/{NAME}.log"),
        localrule: True
        conda:
            "../envs/data.yaml"
        threads: 1
        params:
            **figure_params(NAME),
            run=folder_of_run,
            kind=NAME,
        shell:
            "PRUNETHINK_ORDER={input.order}"
            " python -m workflow_scripts.tables.plot --figure {params.module}"
            " --results {params.run} --tables {params.run}/tables --options {params.options:q}"
            " --output {params.run}/figures/{params.kind} > {log} 2>&1"


# A file, because an argument of a command has at most 128 KiB and a config can have more. The log
# is empty, like that of every job that has nothing to say.
rule write_config:
    input:
        order=order("write_config"),
    output:
        of_run("config.json"),
    log:
        log_of_run("write_config.log"),
    localrule: True
    params:
        config=lambda wildcards: run_config(),
    run:
        note_definitions(SETTINGS)  # again: of a module Snakemake calls no onstart
        write_made(json.loads(params.config), output[0], log[0], input.order)


# Not in Snakemake's own report: it is one itself.
rule write_report:
    input:
        table_files(),
        choices(),
        run_inputs("{run}/{model}/{variant}/generation.json"),
        figures=catalogue.figure_files(SETTINGS, ["svg"]),
        config=of_run("config.json"),
        manifests=run_files("resources/models/{model}/manifest.json"),
        samples=of_run("tables/samples.parquet"),
        order=order("write_report"),
    output:
        of_run("report.html"),
    log:
        log_of_run("write_report.log"),
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        run=folder_of_run,
        logs=LOG_FOLDERS,
        code=code("tables.report"),
        options=as_json(shared_by_tables()),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.report --tables {params.run}/tables --results {params.run}"
        " --resources resources --logs {params.logs} --config {input.config}"
        " --options {params.options:q} --figures {input.figures} --output {output}"
        " > {log} 2>&1"


# Off unless the config names where to; the package is not one of ours.
rule log_run:
    input:
        [file for file in table_files() if file.endswith(".csv")],
        report=rules.write_report.output,
        config=rules.write_config.output,
        order=order("log_run"),
    output:
        of_run("logged.json"),
    log:
        log_of_run("log_run.log"),
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        run=folder_of_run,
        code=code("tables.log_run"),
        to=SETTINGS.tables.log_to or "",
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.log_run --to {params.to:q}"
        " --tables {params.run}/tables --config {input.config} --report {input.report}"
        " --output {output} > {log} 2>&1"


# What can be told of a run that is not complete. What it is made from is no input of it, so ask for
# it with `--forcerun tables_so_far`.
rule tables_so_far:
    input:
        config=of_run("config.json"),
        order=order("tables_so_far"),
    output:
        directory(of_run("tables/so_far")),
    log:
        log_of_run("tables_so_far.log"),
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 4
    params:
        run=folder_of_run,
        logs=LOG_FOLDERS,
        code=code_of_everything(),
        options=run_options(),
        published=published_digests("*"),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.tables.everything --results {params.run}"
        " --resources resources --logs {params.logs} --config {input.config}"
        " --options {params.options:q} --workers {threads} --output {output} > {log} 2>&1"
