"""The beginnings of a config's local files, read while jobs are planned as the stages read them.

So a wrong column, an answer that cannot be graded and a chat template that is none are one line
before any job starts. What is further down in a file its stage finds.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from workflow_scripts.config.catalogues import (
    Benchmark,
    CalibrationSet,
    Corpus,
    InfluenceSet,
    Model,
)
from workflow_scripts.config.entry import Entry, plain
from workflow_scripts.config.messages import Problem
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.source_files import source_files
from workflow_scripts.config.sources.base import Source
from workflow_scripts.config.uses import in_use
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.inputs.problems.problems import check_count, layout_of, problems_from_rows
from workflow_scripts.inputs.problems.rows import rows_of_file
from workflow_scripts.inputs.text_files import numbered_rows, pairs_of_file
from workflow_scripts.models.file_names import CONFIG
from workflow_scripts.models.template_texts import check_template, template_of

FIRST_ROWS = 1000
FIRST_CHARACTERS = 4_000_000  # a row can be a book


def local_mistakes(settings: Settings, is_made: Callable[[str], bool]) -> Iterator[Problem]:
    """What is wrong in the local files of what is run, at most one for each entry of the config.

    A path for which `is_made` holds is left alone: a job makes that file.
    """
    for catalogue, names in in_use(settings).items():
        for name in names:
            entry = getattr(settings, catalogue)[name]
            source = getattr(entry, "source", None)
            if source is None or source.kind != "local" or is_made(source.path):
                continue
            try:
                READ[catalogue](name, entry)
            except InputError as error:
                yield Problem((catalogue, name, "source"), str(error))


def unfit_variants(settings: Settings) -> Iterator[Problem]:
    """What of a run's variants its models have too few blocks for, where their config.json is here.

    One that is still to be fetched is told by its first job.
    """
    for model in settings.run.models:
        blocks = _blocks(model, settings.models[model].source)
        for name in in_use(settings)["variants"] if blocks else ():
            for path, said in settings.variants[name].unfit(blocks):
                yield Problem(("variants", name, *path), f"{said} (model {model})")


def _blocks(model: str, source: Source) -> int | None:
    """The number of blocks of a model that is here, if its config.json says it."""
    here = source_files("models", source) if source.kind in ("local", "bundled") else ()
    fetched = Path("resources/models") / model / CONFIG
    for file in (*here, fetched):
        if file.name == CONFIG and file.is_file():
            found = read_json(file).get("num_hidden_layers")
            return found if type(found) is int and found > 0 else None
    return None


def _problems(name: str, benchmark: Benchmark) -> None:
    rows = list(islice(rows_of_file(Path(benchmark.source.path)), FIRST_ROWS + 1))
    problems_from_rows(rows[:FIRST_ROWS], name, layout_of(benchmark.source))
    if len(rows) <= FIRST_ROWS:
        check_count(len(rows), name, benchmark)


def _texts(name: str, texts: CalibrationSet | Corpus) -> None:
    _go_through(numbered_rows(Path(texts.source.path), **texts.source.form()))


def _pairs(name: str, pairs: InfluenceSet) -> None:
    made_of = plain(pairs.source, include={"prompt", "completion"})
    _go_through(pairs_of_file(Path(pairs.source.path), made_of or None))


def _template(name: str, model: Model) -> None:
    folder = Path(model.source.path)
    check_template(template_of(folder), model.chat_template_args or {}, str(folder))


def _go_through(rows: Iterable[tuple[object, dict[str, str]]]) -> None:
    characters = 0
    for _, row in islice(rows, FIRST_ROWS):
        characters += sum(map(len, row.values()))
        if characters > FIRST_CHARACTERS:
            return


READ: dict[str, Callable[[str, Entry], None]] = {
    "benchmarks": _problems,
    "texts": _texts,
    "calibration_sets": _texts,
    "influence_sets": _pairs,
    "models": _template,
}
