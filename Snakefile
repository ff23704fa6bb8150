# prunethink: does pruning hurt a model's thinking?
# A table of contents; what happens in a stage stands in rules/ and workflow_scripts/.
from snakemake.utils import min_version

min_version("9.27.1")


include: "rules/door.smk"


configfile: "config/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/download.smk"
include: "rules/calibration.smk"
include: "rules/allocation.smk"
include: "rules/masking.smk"
include: "rules/recovery.smk"
include: "rules/screening.smk"
include: "rules/screened_files.smk"
include: "rules/generation_files.smk"
include: "rules/generation.smk"
include: "rules/grading.smk"
include: "rules/tasks.smk"
include: "rules/table_files.smk"
include: "rules/tables.smk"
include: "rules/demo.smk"
include: "rules/local_files.smk"
include: "rules/signatures.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        table_files(),
        catalogue.figure_files(SETTINGS, FIGURE_FORMATS),
        of_run("samples.html"),
        of_run("report.html"),
        logged_files(),


# Without an output: it shows what models are given whenever it is asked for.
rule prompts:
    input:
        run_files("{run}/{model}/prompts/{benchmark}.jsonl"),
    log:
        log_of_run("prompts.log"),
    localrule: True
    conda:
        "envs/data.yaml"
    shell:
        "python -m workflow_scripts.generation.show_prompts {input} 2>&1 | tee {log}"
