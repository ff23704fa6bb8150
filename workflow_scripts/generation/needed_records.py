"""Which records of a generation store configs need: its samples walked, nothing decoded."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.artefacts.masks import dense_mask, read_mask
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.stage_options import generation_options, trace_options
from workflow_scripts.errors import InputError
from workflow_scripts.generation.job import Job, describe_job
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.sweep import needed
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint
from workflow_scripts.paths import PROJECT

DEFAULT = Path("config/config.yaml")


def needed_records(store: Path, configs: Iterable[Path]) -> dict[Path, set[str]]:
    """Keys of the records that any of the configs uses, by the folder of their generator.

    Must not run beside jobs: see `store_files.locked_alone`. Raises `InputError` where a config is
    wrong, or where masks, models or benchmarks of it are not there or not up to date, so that what
    it needs cannot be known.
    """
    keys: dict[Path, set[str]] = {}
    for config in configs:
        settings = _settings(config)
        _check_up_to_date(config, settings)
        for job in _jobs(settings):
            generator = Store(store, job.identity, shared=False)
            used = keys.setdefault(generator.folder, set())
            for request in needed(job.sweep, job.samples, generator.get):
                if generator.has(request):
                    used.add(generator.key(request))
    return keys


def _settings(config: Path) -> Settings:
    """A config over the default one, merged as Snakemake merges them."""
    from snakemake.common.configfile import load_configfile
    from snakemake.exceptions import WorkflowError
    from snakemake.utils import update_config

    merged: dict[str, Any] = {}
    for path in (DEFAULT, config):
        try:
            update_config(merged, load_configfile(path))
        except (OSError, ValueError, RecursionError, WorkflowError) as error:
            raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    return load_settings(merged)


def _check_up_to_date(config: Path, settings: Settings) -> None:
    """Let Snakemake say whether what determines a config's completions is what it would make."""
    run = settings.run
    targets = [f"resources/models/{model}/manifest.json" for model in run.models]
    targets += [f"resources/benchmarks/{name}.jsonl" for name in run.benchmarks]
    targets += [f"results/{m}/{v}/mask.json" for m in run.models for v in run.variants]
    targets += [f"resources/benchmarks/{name}.jsonl" for name in _traced(settings)]
    command = [sys.executable, "-m", "snakemake", "--snakefile", PROJECT / "Snakefile"]
    command += ["--dry-run", *dict.fromkeys(targets), "--configfile", config]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Nothing to be done" not in said.stdout + said.stderr:
        raise InputError(
            f"{config}: its masks or benchmarks are not there or not up to date, so what it needs "
            "is not known; nothing was removed. Make them first: snakemake --cores all --until "
            f"fetch_model fetch_benchmark build_mask --configfile {config}"
        )


def _jobs(settings: Settings) -> Iterator[Job]:
    """The generation jobs of a config, as the rules of generation have them."""
    run = settings.run
    files = {name: Path(f"resources/benchmarks/{name}.jsonl") for name in settings.benchmarks}
    for name in run.models:
        model = Path("resources/models", name)
        digest = model_digest(model)
        asked = {benchmark: files[benchmark] for benchmark in run.benchmarks}
        for variant in run.variants:
            folder = Path("results", name, variant)
            mask = read_mask(folder / "mask.safetensors", folder / "mask.json", digest)
            yield describe_job(model, mask, asked, generation_options(settings, name))
        for benchmark in _traced(settings):
            mask = dense_mask(digest, open_checkpoint(model).blocks)
            traced = {benchmark: files[benchmark]}
            yield describe_job(model, mask, traced, trace_options(settings, name))


def _traced(settings: Settings) -> list[str]:
    """The benchmarks whose traces the variants that are run are calibrated on."""
    variants = [settings.variants[name] for name in settings.run.variants]
    sets = [variant.calibration for variant in variants]
    sets += [(variant.allocation or {}).get("calibration") for variant in variants]
    sources = [settings.calibration_sets[name].source for name in sets if name is not None]
    return list(dict.fromkeys(s["benchmark"] for s in sources if s["kind"] == "generated"))
