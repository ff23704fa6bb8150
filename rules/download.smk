# Bring models and benchmarks into resources/, checked and with a digest of every file.


# On a cluster these run where snakemake runs: its nodes often have no way to the hub.
localrules:
    fetch_model,
    fetch_corpus,
    fetch_influence_corpus,
    fetch_benchmark,


rule fetch_model:
    input:
        model_files,
    output:
        "resources/models/{model}/manifest.json",
    log:
        "logs/fetch_model/{model}.log",
    conda:
        "../envs/torch.yaml"  # a GGUF file is opened by transformers
    threads: 1
    params:
        code=code("download.fetch_model"),
        source=lambda wildcards: as_json(SETTINGS.models[wildcards.model].source),
        sources=model_sources,
    shell:
        "python -m workflow_scripts.download.fetch_model"
        " --source {params.source:q} --lock config/hub.lock --output {output} > {log} 2>&1"


rule fetch_corpus:
    output:
        "resources/corpora/{calibration}/manifest.json",
    log:
        "logs/fetch_corpus/{calibration}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("download.fetch_corpus"),
        source=lambda wildcards: as_json(calibration_of(wildcards).source),
    shell:
        "python -m workflow_scripts.download.fetch_corpus"
        " --source {params.source:q} --lock config/hub.lock --output {output} > {log} 2>&1"


use rule fetch_corpus as fetch_influence_corpus with:
    output:
        "resources/influence_corpora/{influence}/manifest.json",
    log:
        "logs/fetch_influence_corpus/{influence}.log",
    params:
        code=code("download.fetch_corpus"),
        source=lambda wildcards: as_json(influence_of(wildcards).source),


rule fetch_benchmark:
    input:
        benchmark_files,
    output:
        "resources/benchmarks/{benchmark}.jsonl",
    log:
        "logs/fetch_benchmark/{benchmark}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("download.fetch_benchmark"),
        source=lambda wildcards: as_json(
            SETTINGS.benchmarks[wildcards.benchmark].source
        ),
        sources=benchmark_sources,
        pins=benchmark_pins,
    shell:
        "python -m workflow_scripts.download.fetch_benchmark"
        " --source {params.source:q} {params.pins} --lock config/hub.lock"
        " --output {output} > {log} 2>&1"
