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
from workflow_scripts.tables.figure_places import figure_file, places
from workflow_scripts.tables.limits import limits_note

REFERENCE = dense_variant(SETTINGS)


FIGURE_OPTIONS = catalogue.shared_options(SETTINGS)
FIGURES_OF_RUN = catalogue.figures_of_run(SETTINGS)
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


def run_inputs(pattern, **wildcards):
    """As `run_files`, for an input: of what variants generate, that of those that go on."""
    is_generated = "{run}" in pattern and (
        "{variant}" in pattern or "{dynamic}" in pattern
    )
    if DROPS and is_generated:
        return of_going_on(pattern)
    return run_files(pattern, **wildcards)


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


def figure_inputs(name):
    """What the figures of a kind are made from, all of them together."""
    values = dict(FIGURES_OF_RUN[name])
    return [run_inputs(read, **values) for read in FIGURES[name].reads]


def figure_outputs(name):
    """The files of every figure of a kind."""
    folder = catalogue.figure_folder(SETTINGS, name)
    files = []
    for place in places(FIGURES_OF_RUN[name]):
        svg, *others = (figure_file(folder, place, form) for form in FIGURE_FORMATS)
        files += [shown_figure(svg, name, place), *others]
    return files


def shown_figure(path, name, place):
    """Shown in Snakemake's report, found by its title, among those about a model or a benchmark.

    A second label could become a switch there, which hides what lacks one of its values.
    """
    about, *_ = place.values()
    return report(
        path,
        caption="../report/entry.rst",
        category="Figures",
        subcategory=about,
        labels={"figure": catalogue.figure_title(name, place, REFERENCE)},
    )


def figure_params(name):
    """The module that draws a kind of figure, and what it must know beside its files."""
    entry, values = FIGURES[name], FIGURES_OF_RUN[name]
    options = as_json(catalogue.kind_options(name, values, FIGURE_OPTIONS))
    return {
        "code": code("tables.plot", f"tables.drawing.{entry.module}"),
        "module": entry.module,
        # a function, as Snakemake would take the {model} of a title for a wildcard
        "options": lambda wildcards: options,
        # one for all: of a job Snakemake's report has one caption, and a title for each file
        "caption": catalogue.kind_caption(name, values, REFERENCE),
    }


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
