# What tables, figures and the report of a run are made from, and which of them there are.
import json

from workflow_scripts.config.entry import plain
from workflow_scripts.config.uses import in_use
from workflow_scripts.files.atomic import write_json
from workflow_scripts.files.digests import file_digest
from workflow_scripts.files.making import note_making
from workflow_scripts.tables import catalogue
from workflow_scripts.tables.all_figures import FIGURES
from workflow_scripts.tables.all_tables import TABLES
from workflow_scripts.tables.conditions import dense_variant
from workflow_scripts.tables.entries import CELLS, FIGURE_FORMATS, SCORES
from workflow_scripts.tables.limits import limits_note

REFERENCE = dense_variant(SETTINGS)


FIGURE_OPTIONS = catalogue.shared_options(SETTINGS)
# what gathers files of variants must know where not all go on
DROPS = {"drops": True} if drops_variants(SETTINGS) else {}
LIMITS = SETTINGS.limits(RUN.benchmarks)
RUN_LISTS = plain(RUN, include={"models", "variants", "benchmarks"})
RUN_FOLDER = run_folder(RUN.name)
# where logs of what all runs share are, and of what they do not
LOG_FOLDERS = ["logs", *([run_logs(RUN.name)] if RUN.name else [])]


def run_files(pattern, **wildcards):
    """A pattern for all models, variants and benchmarks of the run, or for given ones.

    `{run}` is the folder of the run.
    """
    lists = {
        "run": RUN_FOLDER,
        "model": RUN.models,
        "variant": RUN.variants,
        "recovered": [name for name in RUN.variants if name in RECOVERED],
        "dynamic": [name for name in RUN.variants if name in DYNAMIC],
        "benchmark": RUN.benchmarks,
        "family": [*SETTINGS.families],
    }
    return expand(pattern, **lists | wildcards)


def table_code(name):
    return code("tables.table", f"tables.content.{name}")


def run_inputs(pattern):
    """As `run_files`, for an input: of what variants generate, that of those that go on."""
    is_generated = "{run}" in pattern and (
        "{variant}" in pattern or "{dynamic}" in pattern
    )
    return of_going_on(pattern) if DROPS and is_generated else run_files(pattern)


def table_inputs(name):
    table = TABLES[name]
    there = [path for read in table.reads_if_there for path in run_files(read)]
    return [
        *map(run_inputs, table.reads),
        *filter(os.path.exists, there),
        *choices(),
    ]


def shared_by_tables():
    """What every table and the report must know; nothing of limits where there are none."""
    return {**FIGURE_OPTIONS, **({"limits": LIMITS} if LIMITS else {})}


def table_params(name):
    """A table's caption, and what it must know beside its files."""
    options = catalogue.needed(TABLES[name], shared_by_tables())
    if not {CELLS, SCORES} & {*TABLES[name].reads}:  # which tell the others
        options |= RUN_LISTS
    return {
        "caption": TABLES[name].caption.format(**options) + limits_note(LIMITS),
        "options": as_json(options),
    }


def table_files():
    """Every table of the run, in every format."""
    return [
        of_run(f"tables/{name}.{ending}")
        for name, table in TABLES.items()
        if table.exists(SETTINGS)
        for ending in ("csv", "md", "tex", "html")
    ]


def logged_files():
    """The record of what was logged elsewhere, where the config asks for it."""
    return [of_run("logged.json")] if SETTINGS.tables.log_to else []


def figures_of(*wildcards):
    """A wildcard constraint: the figures that are drawn for these wildcards."""
    return one_of([n for n, f in FIGURES.items() if f.wildcards == wildcards])


def plot_labels(wildcards):
    title = catalogue.figure_title(wildcards.figure, dict(wildcards), REFERENCE)
    return {"figure": title}


def figure(path, about="{model}"):
    """Shown in Snakemake's report, found by its title, among those about a model or a benchmark.

    A second label could become a switch there, which hides what lacks one of its values.
    """
    return report(
        path,
        caption="../report/entry.rst",
        category="Figures",
        subcategory=about,
        labels=plot_labels,
    )


def plot_inputs(wildcards):
    reads, found = FIGURES[wildcards.figure].reads, dict(wildcards)
    if any("{dynamic}" in read for read in reads):
        found["dynamic"] = dynamic_going_on(wildcards.model)
    return [path for read in reads for path in run_files(read, **found)]


def plot_module(wildcards):
    return FIGURES[wildcards.figure].module


def plot_code(wildcards):
    return code("tables.plot", f"tables.drawing.{plot_module(wildcards)}")


def plot_options(wildcards):
    return as_json(
        catalogue.plot_options(wildcards.figure, dict(wildcards), FIGURE_OPTIONS)
    )


def plot_caption(wildcards):
    caption = FIGURES[wildcards.figure].caption
    return caption.format(reference=REFERENCE, **dict(wildcards))


def code_of_everything():
    """Of the modules too that are found by their names in the catalogue."""
    tables = [f"tables.content.{name}" for name in TABLES]
    figures = [f"tables.drawing.{f.module}" for f in FIGURES.values()]
    return code("tables.everything", *tables, *figures)


def published_digests(pattern):
    """What was published comes with the project, so it is no input: digests, in its stead."""
    folder = PROJECT / "config" / "published"
    return [file_digest(path) for path in sorted(folder.glob(pattern))]


def run_options():
    """What making all tables and figures of the run at once must know beside the files."""
    return as_json(
        {
            **FIGURE_OPTIONS,
            **shared_by_tables(),
            **RUN_LISTS,
            "diagnosis": plain(SETTINGS.diagnosis),
            **catalogue.drawn_of(SETTINGS),
        }
    )


def run_config():
    """What the report tells of the config: the catalogue entries that are used, and generation."""
    used = {
        kind: {name: plain(getattr(SETTINGS, kind)[name]) for name in names}
        for kind, names in in_use(SETTINGS).items()
    }
    return as_json(
        {
            "run": plain(RUN),
            "pruning": plain(SETTINGS.pruning),
            "generation": plain(SETTINGS.generation),
            **used,
        }
    )


def write_made(value, path, log, order):
    """What a stage does, in the process of snakemake: a JSON file, a log and a record."""
    write_json(Path(path), value)
    Path(log).touch()
    note_making(Path(order))
