# What the rules share: the config behind its door, digests of source code, and input functions.
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(workflow.basedir))  # the package stands beside the Snakefile
from workflow_scripts.config_files import source_files
from workflow_scripts.digests import source_digest
from workflow_scripts.errors import InputError
from workflow_scripts.job_environment import prepare
from workflow_scripts.settings import (
    as_json,
    as_options,
    generation_options,
    load_settings,
    needs_allocation,
    needs_statistics,
)

prepare(os.environ, Path(workflow.basedir))

try:
    SETTINGS = load_settings(config)
except InputError as error:
    # not an exception: Snakemake would print it with its own place in this file around it
    print(error, file=sys.stderr)
    sys.exit(1)

RUN = SETTINGS.run


def one_of(names):
    """A wildcard constraint: a typo in a requested path is an error before anything runs."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


wildcard_constraints:
    model=one_of(SETTINGS.models),
    variant=one_of(SETTINGS.variants),
    benchmark=one_of(SETTINGS.benchmarks),
    calibration=one_of(SETTINGS.calibration_sets),


def code(module):
    """The digest of a stage's source, as a parameter: editing a stage reruns what it made."""
    return source_digest(module)


def variant_of(wildcards):
    return SETTINGS.variants[wildcards.variant]


def calibration_of(wildcards):
    return SETTINGS.calibration_sets[wildcards.calibration]


def model_files(wildcards):
    return source_files("models", SETTINGS.models[wildcards.model].source)


def benchmark_files(wildcards):
    return source_files("benchmarks", SETTINGS.benchmarks[wildcards.benchmark].source)


def calibration_files(wildcards):
    return source_files("calibration_sets", calibration_of(wildcards).source)


def model_folder(wildcards, input):
    return os.path.dirname(input.manifest)


def variant_folder(wildcards, input):
    return os.path.dirname(input.record)


def sha256_flag(wildcards):
    sha256 = SETTINGS.benchmarks[wildcards.benchmark].sha256
    return f"--sha256 {sha256}" if sha256 else ""


def mask_inputs(wildcards):
    """The files that a variant's mask is made from, under the names of build_mask's flags."""
    variant, files = variant_of(wildcards), {}
    if needs_allocation(variant):
        files["allocation"] = "results/{model}/{variant}/allocation.json"
    if needs_statistics(variant):
        files["statistics"] = (
            f"results/{{model}}/statistics/{variant.calibration}.safetensors"
        )
    return files


def mask_flags(wildcards):
    files = mask_inputs(wildcards)
    return [f"--{name} {path.format(**wildcards)}" for name, path in files.items()]
