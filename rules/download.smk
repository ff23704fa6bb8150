# Bring models and benchmarks into resources/, checked and with a digest of every file.


# On a cluster these run where snakemake runs: its nodes often have no way to the hub.
localrules:
    fetch_model,
    fetch_corpus,
    fetch_influence_corpus,
    fetch_texts,
    fetch_benchmark,


rule fetch_model:
    input:
        unpack(inputs_of("models")),
        order=order("fetch_model"),
    output:
        "resources/models/{model}/manifest.json",
    log:
        "logs/fetch_model/{model}.log",
    conda:
        "../envs/torch.yaml"  # a GGUF file is opened by transformers
    threads: 1
    params:
        code=code("download.fetch_model"),
        options=options_of("models", part=attrgetter("source")),
        sources=digest_of("models"),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.download.fetch_model"
        " --options {params.options:q} --lock config/hub.lock --output {output} > {log} 2>&1"


rule fetch_corpus:
    input:
        order=order("fetch_corpus"),
    output:
        "resources/corpora/{calibration}/manifest.json",
    log:
        "logs/fetch_corpus/{calibration}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("download.fetch_corpus"),
        options=options_of("calibration_sets", only=HubFile, part=attrgetter("source")),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.download.fetch_corpus"
        " --options {params.options:q} --lock config/hub.lock --output {output} > {log} 2>&1"


use rule fetch_corpus as fetch_influence_corpus with:
    input:
        order=order("fetch_influence_corpus"),
    output:
        "resources/influence_corpora/{influence}/manifest.json",
    log:
        "logs/fetch_influence_corpus/{influence}.log",
    params:
        code=code("download.fetch_corpus"),
        options=options_of("influence_sets", only=HubFile, part=attrgetter("source")),


use rule fetch_corpus as fetch_texts with:
    input:
        order=order("fetch_texts"),
    output:
        "resources/texts/{texts}/manifest.json",
    log:
        "logs/fetch_texts/{texts}.log",
    params:
        code=code("download.fetch_corpus"),
        options=options_of("texts", only=HubFile, part=attrgetter("source")),


rule fetch_benchmark:
    input:
        unpack(inputs_of("benchmarks")),
        order=order("fetch_benchmark"),
    output:
        "resources/benchmarks/{benchmark}.jsonl",
    log:
        "logs/fetch_benchmark/{benchmark}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("download.fetch_benchmark"),
        options=options_of("benchmarks", only=FetchedBenchmark),
        sources=digest_of("benchmarks"),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.download.fetch_benchmark"
        " --options {params.options:q} --lock config/hub.lock --output {output} > {log} 2>&1"
