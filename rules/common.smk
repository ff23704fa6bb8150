# What the rules share: the config behind its door, digests of source code, and input functions.
import os
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(workflow.basedir))  # the package stands beside the Snakefile
from workflow_scripts.config.sources import source_files, sources_digest
from workflow_scripts.config.consistency import may_be_vllm
from workflow_scripts.jobs.source_digests import source_digest
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.environment import prepare
from workflow_scripts.estimates.resources import resources
from workflow_scripts.jobs.orphans import (
    forget_runs,
    mark_runner,
    note_run,
    remove_stale_lock,
)
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.stage_options import (
    as_json,
    as_options,
    generation_options,
    leads,
    needs_allocation,
    needs_calibration,
    needs_statistics,
    result_options,
    speed_options,
    trace_options,
)

SNAKEMAKE_FOLDER = Path(".snakemake")

prepare(os.environ, Path(workflow.basedir))
mark_runner(os.environ)


try:
    SETTINGS = load_settings(config)
except InputError as error:
    # not an exception: Snakemake would print it with its own place in this file around it
    print(error, file=sys.stderr)
    sys.exit(1)

remove_stale_lock(SNAKEMAKE_FOLDER, workflow.is_main_process)

RUN = SETTINGS.run


onstart:
    # without it every submission would fail, after 40 seconds, with a message about something else
    if workflow.executor_plugin.name == "slurm" and not shutil.which("sbatch"):
        sys.exit(
            "error: there is no sbatch on this machine: --executor slurm needs a machine that can "
            "submit to SLURM; `snakemake` without that profile runs its jobs here"
        )
    note_run(SNAKEMAKE_FOLDER, is_local=workflow.executor_plugin.name == "local")


onsuccess:
    forget_runs(SNAKEMAKE_FOLDER)


onerror:
    forget_runs(SNAKEMAKE_FOLDER)


def one_of(names):
    """A wildcard constraint: a typo in a requested path is an error before anything runs."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


wildcard_constraints:
    model=one_of(SETTINGS.models),
    variant=one_of(SETTINGS.variants),
    benchmark=one_of(SETTINGS.benchmarks),
    calibration=one_of(SETTINGS.calibration_sets),
    influence=one_of(SETTINGS.influence_sets),


def code(module):
    """The digest of a stage's source, as a parameter: editing a stage reruns what it made."""
    return source_digest(module)


def variant_of(wildcards):
    return SETTINGS.variants[wildcards.variant]


def calibration_of(wildcards):
    return SETTINGS.calibration_sets[wildcards.calibration]


def influence_of(wildcards):
    return SETTINGS.influence_sets[wildcards.influence]


def model_files(wildcards):
    return source_files("models", SETTINGS.models[wildcards.model].source)


def benchmark_files(wildcards):
    return source_files("benchmarks", SETTINGS.benchmarks[wildcards.benchmark].source)


# Of wildcards alone: Snakemake reruns nothing for a parameter that is made from inputs.


def model_sources(wildcards):
    return sources_digest(model_files(wildcards))


def benchmark_sources(wildcards):
    return sources_digest(benchmark_files(wildcards))


def calibration_sources(wildcards):
    return sources_digest(calibration_inputs(wildcards).get("files", []))


def influence_sources(wildcards):
    return sources_digest(influence_inputs(wildcards).get("files", []))


def calibration_inputs(wildcards):
    """The files that a calibration set is drawn from."""
    source = calibration_of(wildcards).source
    if source["kind"] == "hub":
        return {"corpus": "resources/corpora/{calibration}/manifest.json"}
    if source["kind"] == "generated":
        kinds = ("traces", "grades", "sequences")
        folder = "results/{model}/calibration_traces"
        return {kind: f"{folder}/{kind}/{source['benchmark']}.jsonl" for kind in kinds}
    return {"files": source_files("calibration_sets", source)}


def calibration_flags(wildcards):
    kind = calibration_of(wildcards).source["kind"]
    files = {
        "hub": {"corpus": "resources/corpora/{calibration}/manifest.json"},
        "generated": {"traces": "results/{model}/calibration_traces"},
    }
    return as_flags(files.get(kind, {}), wildcards)


def influence_inputs(wildcards):
    """The files that an influence set is drawn from."""
    source = influence_of(wildcards).source
    if source["kind"] == "hub":
        return {"corpus": "resources/influence_corpora/{influence}/manifest.json"}
    return {"files": source_files("influence_sets", source)}


def influence_flags(wildcards):
    fetched = influence_of(wildcards).source["kind"] == "hub"
    return as_flags(influence_inputs(wildcards) if fetched else {}, wildcards)


def memory(wildcards, attempt, rulename):
    """MB that a job asks a cluster for, by the size of its model; more when it is tried again."""
    return resources(rulename, SETTINGS, wildcards, attempt)["mem_mb"]


def minutes(wildcards, attempt, rulename):
    """The time that a job asks a cluster for, likewise."""
    return resources(rulename, SETTINGS, wildcards, attempt)["runtime"]


def model_folder(wildcards, input):
    return os.path.dirname(input.manifest)


def variant_folder(wildcards, input):
    return os.path.dirname(input.record)


def benchmark_pins(wildcards):
    """What a benchmark must be, as flags: its number of problems and its digest."""
    benchmark = SETTINGS.benchmarks[wildcards.benchmark]
    pins = {"problems": benchmark.problems, "sha256": benchmark.sha256}
    return [f"--{name} {pin}" for name, pin in pins.items() if pin is not None]


def traces_of_calibration_sets(wildcards):
    """The dense model's traces that are drawn for calibration sets, on benchmarks that are run too.

    A job finds in the store what was there when it began, so that the dense variant's would decode
    them a second time beside those that draw them.
    """
    if variant_of(wildcards).method != "dense":
        return []
    calibration, _ = used_sets()
    sources = [SETTINGS.calibration_sets[name].source for name in calibration]
    drawn = {source["benchmark"] for source in sources if source["kind"] == "generated"}
    place = "results/{model}/calibration_traces/traces/{benchmark}.jsonl"
    return [
        place.format(model=wildcards.model, benchmark=benchmark)
        for benchmark in sorted(drawn.intersection(RUN.benchmarks))
    ]


def generation_gpus():
    """GPUs of a job that generates."""
    generation = SETTINGS.generation
    return generation.tensor_parallel if generation.device == "cuda" else 0


def generation_environment():
    """The conda environment with the engine of the config; vLLM's is for GPUs."""
    engine, device = SETTINGS.generation.engine, SETTINGS.generation.device
    is_for_vllm = device == "cuda" and may_be_vllm(engine, device)
    return "../envs/vllm.yaml" if is_for_vllm else "../envs/torch.yaml"


def allocation_inputs(wildcards):
    """The files that a variant's allocation is made from, under the names of the stage's flags."""
    allocation, files = variant_of(wildcards).allocation, {}
    if "calibration" in allocation:
        files["statistics"] = (
            f"results/{{model}}/statistics/{allocation['calibration']}.safetensors"
        )
    if "influence" in allocation:
        files["influence"] = (
            f"results/{{model}}/influence/{allocation['influence']}.json"
        )
    return files


def allocation_flags(wildcards):
    return as_flags(allocation_inputs(wildcards), wildcards)


def mask_inputs(wildcards):
    """The files that a variant's mask is made from, under the names of build_mask's flags."""
    variant, files = variant_of(wildcards), {}
    if needs_allocation(variant):
        files["allocation"] = "results/{model}/{variant}/allocation.json"
    if needs_statistics(variant):
        files["statistics"] = (
            f"results/{{model}}/statistics/{variant.calibration}.safetensors"
        )
    if needs_calibration(variant):
        files["calibration"] = (
            f"resources/calibration/{{model}}/{variant.calibration}.safetensors"
        )
    return files


def mask_device(wildcards):
    """Only a mask that runs the model on a calibration set has use for a GPU."""
    return (
        SETTINGS.pruning.device if needs_calibration(variant_of(wildcards)) else "cpu"
    )


def mask_flags(wildcards):
    return as_flags(mask_inputs(wildcards), wildcards)


def as_flags(files, wildcards):
    """Files by the names of a stage's flags, as these flags."""
    return [f"--{name} {path.format(**wildcards)}" for name, path in files.items()]
