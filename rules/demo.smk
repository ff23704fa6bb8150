# The demo's pair of models and its data, made again. Nothing asks for these files unless you do:
# bundled/ holds what they made, and the default run starts from there.


rule train_demo_reasoner:
    input:
        order=order("train_demo_reasoner"),
    output:
        directory("results/demo/reasoner"),
    log:
        "logs/demo/train_demo_reasoner.log",
    conda:
        "../envs/torch.yaml"
    threads: 2
    params:
        code=code("demo.train"),
        kind="reasoner",
    shell:
        # the weights depend on the number of threads, so it is not the scheduler's to choose
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.demo.train --kind {params.kind} --output {output:q}"
        " --threads 2 2>&1 | tee {log:q}"


use rule train_demo_reasoner as train_demo_answerer with:
    input:
        order=order("train_demo_answerer"),
    output:
        directory("results/demo/answerer"),
    log:
        "logs/demo/train_demo_answerer.log",
    params:
        code=code("demo.train"),
        kind="answerer",


rule make_demo_data:
    input:
        order=order("make_demo_data"),
    output:
        benchmark="results/demo/benchmarks/chains.jsonl",
        training="results/demo/benchmarks/chains-training.jsonl",
        calibration="results/demo/calibration/chains.jsonl",
        with_steps="results/demo/calibration/chains-with-steps.jsonl",
        without_steps="results/demo/calibration/chains-without-steps.jsonl",
    log:
        "logs/demo/make_demo_data.log",
    conda:
        "../envs/torch.yaml"
    threads: 1
    params:
        code=code("demo.make_data"),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.demo.make_data --benchmark {output.benchmark:q}"
        " --training-benchmark {output.training:q}"
        " --calibration {output.calibration:q} --with-steps {output.with_steps:q}"
        " --without-steps {output.without_steps:q} > {log:q} 2>&1"


rule make_demo_tasks:
    input:
        order=order("make_demo_tasks"),
    output:
        next_step="results/demo/tasks/chains-next-step.jsonl",
        result="results/demo/tasks/chains-result.jsonl",
        answer="results/demo/tasks/chains-answer.jsonl",
    log:
        "logs/demo/make_demo_tasks.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    params:
        code=code("demo.make_tasks"),
    shell:
        "PRUNETHINK_ORDER={input.order}"
        " python -m workflow_scripts.demo.make_tasks --next-step {output.next_step:q}"
        " --result {output.result:q} --answer {output.answer:q} > {log:q} 2>&1"
