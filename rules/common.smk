# What the rules share: the config behind its door, digests of source code, and what a job is about.
import os
import shutil
import sys
from functools import cache
from inspect import signature
from operator import attrgetter

from workflow_scripts.allocation import kinds as allocation_kinds
from workflow_scripts.artefacts.screens import read_choice
from workflow_scripts.config.catalogues import CalibrationSet, FetchedBenchmark
from workflow_scripts.config.entry import as_json, plain
from workflow_scripts.config.generation import Generation
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.methods.base import Share
from workflow_scripts.config.places import (
    calibration_traces,
    fetched_texts,
    run_folder,
    run_logs,
    variant_of,
)
from workflow_scripts.config.recoveries import Recovery
from workflow_scripts.config.runs import check_other_runs, note_definitions
from workflow_scripts.config.screen_jobs import (
    choice_job,
    drops_variants,
    screen_job,
    screened_on,
)
from workflow_scripts.config.source_files import (
    BYTES_READ_WHOLE,
    source_files,
    sources_digest,
)
from workflow_scripts.config.sources.texts import HubFile
from workflow_scripts.config.tables import require_package
from workflow_scripts.config.task_files import function_modules, task_files
from workflow_scripts.config.tasks import FetchedTask, TaskJob
from workflow_scripts.config.uses import CATALOGUES, answered_in_use, named_by
from workflow_scripts.estimates.limits import too_large, too_long
from workflow_scripts.estimates.resources import RULES as SLOW_RULES, resources
from workflow_scripts.files.digests import value_digest
from workflow_scripts.jobs.gpus import visible_gpus
from workflow_scripts.jobs.name_patterns import one_of
from workflow_scripts.jobs.orders import Orders
from workflow_scripts.jobs.orphans import (
    forget_runs,
    mark_runner,
    note_run,
    remove_stale_lock,
)
from workflow_scripts.jobs.short_log import shorten_log
from workflow_scripts.jobs.stage_digests import stage_digest
from workflow_scripts.masking import methods as masking_methods

mark_runner(os.environ)

# a parameter of every stage: editing a stage reruns what it made
code = stage_digest


try:
    SETTINGS = load_settings(config, command_line=workflow.config_settings.config)
    if workflow.is_main_process:
        check_other_runs(SETTINGS)
    require_package(SETTINGS.tables.log_to)
except InputError as error:
    refuse(error)

if workflow.is_main_process:
    for line in too_long(SETTINGS):
        print(f"warning: {line}", file=sys.stderr)

remove_stale_lock(SNAKEMAKE_FOLDER, workflow.is_main_process)

RUN = SETTINGS.run
ORDERS = Orders(SNAKEMAKE_FOLDER / "asked", workflow.is_main_process)

# as many jobs that want a GPU at once as this machine has, unless --resources gpu=N says otherwise
GPUS = len(visible_gpus()) if workflow.is_main_process else 0
if GPUS and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", GPUS)


def report_of_run():
    """Where the report is, if this run is to make it."""
    path = str(rules.write_report.output[0])
    return path if any(path in job.output for job in workflow.dag.jobs) else None


if workflow.is_main_process and workflow.modifier.is_main_snakefile():
    shorten_log(
        workflow.logger_manager.logger,
        workflow.output_settings,
        SLOW_RULES,
        report_of_run,
        lambda: workflow.dag.stats()[1],
    )


onstart:
    # without it every submission would fail, after 40 seconds, with a message about something else
    if workflow.executor_plugin.name == "slurm" and not shutil.which("sbatch"):
        sys.exit(
            "error: there is no sbatch on this machine: --executor slurm needs a machine that can "
            "submit to SLURM; `snakemake` without that profile runs its jobs here"
        )
    if GPUS and "cuda" not in {SETTINGS.generation.device, SETTINGS.pruning.device}:
        print(
            f"{GPUS} GPU(s) here, and models run on the CPU: `device: cuda` in the config uses them",
            file=sys.stderr,
        )
    note_definitions(SETTINGS)
    is_local = workflow.executor_plugin.name == "local"
    if is_local:
        here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6
        for line in too_large(SETTINGS, here):
            print(f"warning: {line}", file=sys.stderr)
    note_run(SNAKEMAKE_FOLDER, is_local=is_local)


onsuccess:
    forget_runs(SNAKEMAKE_FOLDER)


onerror:
    forget_runs(SNAKEMAKE_FOLDER)


def of_run(path):
    """A path in the folder of the run; what is not asked for here, all runs share."""
    return f"{run_folder(RUN.name)}/{path}"


def log_of_run(path):
    """Likewise of a log."""
    return f"{run_logs(RUN.name)}/{path}"


# the priority of jobs that generation waits for: none of them is left for the end, on its own
AWAITED = 1

# variants that are pruned and those that are trained after it, each in a rule of its own
RECOVERED = [name for name in SETTINGS.variants if SETTINGS.start_of(name)]
PRUNED = [name for name in SETTINGS.variants if name not in RECOVERED]
# those whose tokens skip sublayers
DYNAMIC = [
    name for name, variant in SETTINGS.variants.items() if variant.family == "dynamic"
]

# the parts that a variant's problems are decoded in, where there are several
SHARDS = [
    f"{number}-of-{SETTINGS.generation.shards}"
    for number in range(1, SETTINGS.generation.shards + 1)
    if SETTINGS.generation.shards > 1
]


# the numbers of the engines that variants share, where they do, and what each decodes at once
ENGINES = RUN.shared_engines
PARTS = SHARDS or ["1-of-1"]


# a typo in a requested path is an error before anything runs
wildcard_constraints:
    model=one_of(SETTINGS.models),
    variant=one_of(SETTINGS.variants),
    texts=one_of(SETTINGS.texts),
    benchmark=one_of(SETTINGS.benchmarks),
    task=one_of(SETTINGS.tasks),
    family=one_of(SETTINGS.families),
    calibration=one_of(SETTINGS.calibration_sets),
    influence=one_of(SETTINGS.influence_sets),
    shard=one_of(PARTS),
    engine=one_of(ENGINES),


def order(name):
    """What the config asks of a job, as its input: see jobs/orders.py. `name` is its rule's."""

    @cache
    def asking():
        asked = getattr(rules, name)
        # no function of inputs: where files are is no matter of what is in them
        params = {
            key: value
            for key, value in asked.params.items()
            if not callable(value) or [*signature(value).parameters] == ["wildcards"]
        }
        functions = {key: value for key, value in params.items() if callable(value)}
        fixed = {key: value_digest(params[key]) for key in params.keys() - functions}
        return fixed, functions, [str(path) for path in asked.output]

    def place(wildcards):
        fixed, functions, patterns = asking()
        found = {
            key: value_digest(value(wildcards)) for key, value in functions.items()
        }
        outputs = [pattern.format(**wildcards) for pattern in patterns]
        return ORDERS.place(os.path.join(name, *wildcards), fixed | found, outputs)

    return place


def with_signature(function):
    """The function, telling its parameters at once: Snakemake asks for them again and again."""
    function.__signature__ = signature(function)
    return function


def entry_of(catalogue, wildcards):
    """The entry of the config that a job is about; `allocations` are those of variants."""
    if catalogue == "allocations":
        return entry_of("variants", wildcards).allocation
    if catalogue == "calibration_sets" and "model" in wildcards.keys():
        return SETTINGS.calibration_set(wildcards.calibration, wildcards.model)[0]
    return getattr(SETTINGS, catalogue)[getattr(wildcards, CATALOGUES[catalogue])]


def local_files(catalogue, wildcards):
    source = getattr(entry_of(catalogue, wildcards), "source", None)
    return source_files(catalogue, source) if source else []


def is_made_here(file):
    """Whether a rule makes a local file."""
    return any(made.is_producer(str(file)) for made in workflow.rules)


def as_source(file):
    """A local file as an input; its time does not matter where `digest_of` reads all of it."""
    is_large = os.path.isfile(file) and os.path.getsize(file) > BYTES_READ_WHOLE
    return file if is_large or is_made_here(file) else ancient(file)


def made_files(catalogue, wildcards):
    """Files of other jobs that an entry is made from, by the stage's flags."""
    if catalogue == "allocations":
        return entry_of("variants", wildcards).allocation_files()
    if catalogue == "calibration_sets":
        return SETTINGS.calibration_set(wildcards.calibration, wildcards.model)[1]
    entry = entry_of(catalogue, wildcards)
    before = entry.start_files() if catalogue == "variants" else {}
    return entry.files() | before


def as_inputs(files):
    """Files by the names of a rule's inputs in place of flags."""
    return {flag.replace("-", "_"): path for flag, path in files.items()}


def inputs_of(catalogue):
    """What an entry is made from: files of other jobs, by the stage's flags, and local ones."""
    return lambda wildcards: {
        "files": [as_source(file) for file in local_files(catalogue, wildcards)],
        **as_inputs(made_files(catalogue, wildcards)),
    }


def flags_of(catalogue):
    """The files of other jobs as flags of the stage."""
    return lambda wildcards: [
        f"--{name} {path.format(**wildcards)}"
        for name, path in made_files(catalogue, wildcards).items()
    ]


def digest_of(catalogue):
    """A digest of the local files; of wildcards alone, as parameters made of inputs rerun nothing."""
    return lambda wildcards: sources_digest(local_files(catalogue, wildcards))


def options_of(catalogue, only=None, part=lambda entry: entry):
    """An entry or a part of it as `--options` of a stage: `only` the keys of a class, or all."""
    keys = {"include": {*only.model_fields}} if only else {}
    return lambda wildcards: as_json(part(entry_of(catalogue, wildcards)), **keys)


def chat_template_args(wildcards):
    """What a model's chat template is told besides, as JSON."""
    return as_json(SETTINGS.models[wildcards.model].chat_template_args or {})


def resource(name, key):
    """A resource of a rule's job, by its name in `estimates.resources`."""

    @with_signature
    def asked_for(wildcards, attempt):
        return resources(name, SETTINGS, wildcards, attempt)[key]

    return asked_for


def memory(name):
    """MB that a job asks a cluster for, by the size of its model; more when it is tried again.

    The job is of the rule `name`, which another workflow may call otherwise.
    """
    return resource(name, "mem_mb")


def minutes(name):
    """The time that a job asks a cluster for, likewise."""
    return resource(name, "runtime")


def model_folder(wildcards, input):
    return os.path.dirname(input.manifest)


def mask_device(wildcards):
    """Only a mask that runs the model on a calibration set needs a GPU."""
    runs_model = entry_of("variants", wildcards).runs_model
    return SETTINGS.pruning.device if runs_model else "cpu"


def mask_code(wildcards):
    """Editing a method reruns the masks that it makes."""
    method = entry_of("variants", wildcards).method
    return code("masking.build_mask", masking_methods.module_of(method))


def recovery_of(wildcards):
    """The entry of the recovery that trains a variant of a model."""
    return SETTINGS.recovery_of(wildcards.variant, wildcards.model)


def recovery_texts(wildcards):
    """The entry of `texts` that it trains on, by its name."""
    return SETTINGS.texts_of(recovery_of(wildcards), wildcards.model)


def local_texts(wildcards):
    return source_files("texts", SETTINGS.texts[recovery_texts(wildcards)].source)


def recovery_files(wildcards):
    """What a recovery starts from and trains on, by the flags of its stage."""
    texts = recovery_texts(wildcards)
    fetched = fetched_texts(texts, SETTINGS.texts[texts].source.kind)
    return variant_of(SETTINGS.start_of(wildcards.variant)) | fetched


def recovery_inputs(wildcards):
    files = as_inputs(recovery_files(wildcards))
    return {"files": [as_source(file) for file in local_texts(wildcards)], **files}


def recovery_flags(wildcards):
    files = recovery_files(wildcards).items()
    return [f"--{flag} {path.format(**wildcards)}" for flag, path in files]


def own_task_files(wildcards):
    """What a task is made of on this machine; nothing of the harness's own."""
    return task_files(wildcards.task, SETTINGS.tasks[wildcards.task])


def task_job(wildcards):
    return SETTINGS.task_job(wildcards.model, wildcards.get("family"))


# whether a job runs all tasks on a variant; without tasks nothing asks for one
RUNS_ALL_TASKS = SETTINGS.harness.jobs == "variant" and bool(RUN.tasks)


def of_families(path):
    """A file of each family of tasks that a job runs."""
    families = SETTINGS.families if RUNS_ALL_TASKS else ["{family}"]
    return [path.replace("{family}", family) for family in families]


def allocated_variant(wildcards):
    """The whole entry of a variant for an allocation that is made for its method, as a flag."""
    variant = entry_of("variants", wildcards)
    return ["--variant", as_json(variant)] if variant.allocation.for_method else []


def allocation_threads(wildcards):
    takes_long = entry_of("allocations", wildcards).takes_long
    return SETTINGS.generation.threads if takes_long else 1


def allocation_device(wildcards):
    """Only an allocation that runs the model on a calibration set needs a GPU."""
    runs_model = entry_of("allocations", wildcards).runs_model
    return SETTINGS.pruning.device if runs_model else "cpu"


def allocation_code(wildcards):
    kind = entry_of("allocations", wildcards).kind
    return code("allocation.allocate_sparsity", allocation_kinds.module_of(kind))


def drawn_from(entry, model):
    """The entry of `texts` that what a variant names draws from for a model, if any."""
    draws = isinstance(entry, (CalibrationSet, Recovery))
    return SETTINGS.texts_of(entry, model) if draws else None


def made_from(wildcards):
    """What the card of an export tells of the config."""
    variant, sets = entry_of("variants", wildcards), {}
    for catalogue, name in sorted(named_by(variant)):
        entry = getattr(SETTINGS, catalogue)[name]
        if (catalogue, name) == ("recoveries", variant.recovery):
            entry = SETTINGS.recovery_of(wildcards.variant, wildcards.model)
        sets.setdefault(catalogue, {})[name] = plain(entry)
        texts = drawn_from(entry, wildcards.model)
        if texts is not None:
            sets[catalogue][name]["texts"] = texts
            sets.setdefault("texts", {})[texts] = plain(SETTINGS.texts[texts])
    about = {"entry": plain(variant), "device": SETTINGS.pruning.device, "sets": sets}
    return as_json({**dict(wildcards), **about})


def folder_of_run(wildcards):
    return run_folder(RUN.name)
