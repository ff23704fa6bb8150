"""The catalogue, and that a figure or a table is its module and one entry of it."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from tests.workflow.checkout import copy_project
from workflow_scripts.config.entry import as_json
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.methods.depth import SLEB
from workflow_scripts.config.methods.dynamic import SkipGPT
from workflow_scripts.config.overlays import read_config
from workflow_scripts.config.schedules import Gradual
from workflow_scripts.config.screening import Screening
from workflow_scripts.config.tables import Pair
from workflow_scripts.config.tasks import Task
from workflow_scripts.paths import CONFIG
from workflow_scripts.tables import catalogue, plot
from workflow_scripts.tables.all_figures import FIGURES
from workflow_scripts.tables.all_tables import TABLES
from workflow_scripts.tables.calibrations import calibrations_of
from workflow_scripts.tables.conditions import (
    dense_variant,
    has_families,
    recovered_in_run,
    sweeps_sizes,
    sweeps_sparsity,
)
from workflow_scripts.tables.content.columns import COLUMNS
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.entries import SOME


@pytest.fixture(scope="module")
def settings():
    return load_settings(read_config([]))


def test_every_entry_has_its_module():
    for name, table in TABLES.items():
        assert import_module(f"workflow_scripts.tables.content.{name}").build
        assert {name, *table.also} <= set(COLUMNS)
    for figure in FIGURES.values():
        assert import_module(f"workflow_scripts.tables.drawing.{figure.module}").draw


OF = {"model": "m", "benchmark": "b", "calibration": "c", "influence": "i", "variant": "v"}


def test_titles_and_captions_are_filled_in():
    for name, figure in FIGURES.items():
        of = catalogue.values_of(name, {key: [value] for key, value in OF.items()})
        options = catalogue.kind_options(name, of, {"reference": "base", "ways": []})
        (one,) = plot.drawings(figure.module, Source(Path("r"), Path("t"), options), Path(name))
        first, told = figure.wildcards[0], one.source.options
        assert OF[first] in told["title"] and "{" not in told["title"]
        assert told["reference"] == "base" and dict(of).keys() <= told.keys()
        assert not {"values"} & told.keys() and "{" not in catalogue.kind_caption(name, of, "base")


def test_a_caption_for_several_figures_names_what_they_share():
    caption = catalogue.kind_caption("differences", [("model", ["m"]), ("benchmark", ["b"])], "x")
    assert caption.startswith("How each variant of m differs from x on b, a panel")
    several = [("model", ["m", "n"]), ("benchmark", ["b"])]
    caption = catalogue.kind_caption("differences", several, "x")
    assert caption.startswith("How each variant of the model differs from x on b, a panel")


def test_what_a_kind_of_figure_is_told_fits_in_a_command(settings):
    """An argument has at most 128 KiB, and the shell gets a whole command as one."""
    names = [f"a-variant-with-a-long-name-{number}" for number in range(400)]
    sleb = SLEB(method="sleb", remove_blocks=1, calibration="chains")
    many = settings.model_copy(update={"variants": settings.variants | dict.fromkeys(names, sleb)})
    many = changed(many, run={"variants": ("dense", *names)})
    every = {name: [f"a-{name}-with-a-long-name-{n}" for n in range(6)] for name in OF}
    for name in FIGURES:
        values = catalogue.values_of(name, every | {"variant": names})
        options = catalogue.kind_options(name, values, catalogue.shared_options(many))
        assert len(as_json(options)) < 100 * 1024, name


OF_DYNAMIC = {"unused", "dynamic_curves", "routes", "token_kinds"}


def changed(settings, **keys):
    """Settings with other values below some of their keys."""
    sections = {
        name: getattr(settings, name).model_copy(update=values) for name, values in keys.items()
    }
    return settings.model_copy(update=sections)


def test_a_figure_exists_where_the_run_has_what_it_shows(settings):
    def kinds(settings):
        return {path.split("/")[2] for path in catalogue.figure_files(settings, ["svg"])}

    sleb = SLEB(method="sleb", remove_blocks=1, calibration="chains")
    other = settings.variants["wanda-50"].model_copy(update={"calibration": "own"})
    added = {"sleb-1": sleb, "wanda-own-50": other}
    more = settings.model_copy(update={"variants": {**settings.variants, **added}})
    more = changed(more, run={"variants": (*settings.run.variants, *added)})
    others = {
        "pair",
        "recovered",
        "recovery_losses",
        "tasks",
        "screening",
        "frontier_time",
        "surface",
    }
    others |= OF_DYNAMIC
    assert kinds(more) == set(FIGURES) - others
    assert kinds(changed(more, tables={"timed": True})) == set(FIGURES) - others | {"frontier_time"}
    (figure,) = [p for p in catalogue.figure_files(more, ["svg"]) if "block_choice" in p]
    assert figure == "results/figures/block_choice/reasoner/sleb-1.svg"
    alone = changed(settings, run={"variants": ("dense",)}, generation={"repeats": 1})
    assert kinds(alone) == {"scaling_curves", "token_curves", "allocation", "endings"}


def test_a_screened_run_has_its_table_and_figure_and_tells_all_of_it(settings):
    screened = changed(settings, run={"screen": Screening(keep=2, by="loss")})
    assert not TABLES["screening"].exists(settings) and TABLES["screening"].exists(screened)
    file = "results/figures/screening/reasoner/chains.svg"
    assert file in catalogue.figure_files(screened, ["svg"])
    alone = changed(screened, run={"variants": ("dense",)})
    assert file not in catalogue.figure_files(alone, ["svg"])  # nothing to lose accuracy against
    options = catalogue.shared_options(screened)
    expected = {"benchmark": "chains", "problems": 32, "by": "loss", "drops": True}
    assert options["screening"] == expected | {"models": ["reasoner"]}
    assert "screening" in catalogue.needed(TABLES["accuracy"], options)
    assert "screening" not in catalogue.shared_options(settings)
    every = changed(settings, run={"screen": Screening()})
    assert catalogue.shared_options(every)["screening"]["drops"] is False


def paired(settings, **tables):
    """Two models, and variants that are trained after pruning."""
    lora = {name: settings.variants[name].model_copy(update={"recovery": "lora"})
            for name in ("dense", "wanda-50")}  # fmt: skip
    catalogues = {
        "models": {**settings.models, "other": settings.models["reasoner"]},
        "variants": {**settings.variants, "dense-lora": lora["dense"], "w-lora": lora["wanda-50"]},
    }
    pair = Pair(instruct="other", think="reasoner")
    more = settings.model_copy(update=catalogues)
    return changed(more, tables={"pair": pair} | tables, run={"models": ("reasoner", "other")})


def test_a_pair_and_recoveries_have_tables_and_figures_where_there_are_some(settings):
    def of(settings):
        figures = [p for p in catalogue.figure_files(settings, ["svg"]) if "scaling" not in p]
        tables = {name for name, table in TABLES.items() if table.exists(settings)}
        return tables & {"pair", "recovered"}, {path.split("/")[2] for path in figures}

    both = paired(settings)
    assert of(settings)[0] == set() and of(both)[0] == {"pair"}
    assert "results/figures/pair/chains.svg" in catalogue.figure_files(both, ["svg"])
    trained = changed(both, run={"variants": ("dense", "wanda-50", "dense-lora", "w-lora")})
    tables, figures = of(trained)
    assert tables == {"pair", "recovered"}
    assert figures >= {"pair", "recovered", "recovery_losses"}
    assert of(changed(trained, run={"variants": ("w-lora",)}, tables={"pair": None}))[0] == {
        "recovered"
    }
    assert of(changed(both, run={"variants": ("wanda-50",)}))[0] == set()  # nothing to compare with


ROUTERS = {
    "kind": "lora", "rank": 4, "alpha": 8, "routers": {}, "texts": "chains", "length": 96,
    "steps": 2, "batch": 2, "learning_rate": 0.01, "validation": 2, "evaluate_every": 1,
}  # fmt: skip


def with_dynamic(*more):
    """A config that runs the dense model, two levels of a dynamic method, and some others."""
    entries = {
        f"skipgpt-{level}": {"method": "skipgpt", "skip": level / 100, "recovery": "routers"}
        for level in (20, 40)
    }
    return {
        "run": {"variants": ["dense", *entries, *more]},
        "variants": entries,
        "recoveries": {"routers": ROUTERS},
    }


def test_dynamic_variants_have_a_table_and_figures_where_some_are_run(settings):
    def of(settings):
        figures = {path.split("/")[2] for path in catalogue.figure_files(settings, ["svg"])}
        return TABLES["routes"].exists(settings), figures

    assert of(settings)[0] is False and not of(settings)[1] & OF_DYNAMIC

    def loaded(*more):
        config, changes = read_config([]), with_dynamic(*more)
        return load_settings(config | {key: config[key] | some for key, some in changes.items()})

    alone = loaded()
    has_table, figures = of(alone)
    assert has_table and figures >= OF_DYNAMIC
    # they remove nothing: no sweep of what is removed, and no families of it
    assert not figures & {"sparsity", "parameters", "families"}
    assert catalogue.shared_options(alone)["dynamic"] == ["skipgpt-20", "skipgpt-40"]
    beside = loaded("wanda-50", "wanda-70")
    assert of(beside)[1] >= OF_DYNAMIC | {"sparsity", "families"}
    assert "parameters" not in of(beside)[1]


def test_what_tokens_skip_is_read_of_dynamic_variants_alone(tmp_path_factory):
    """The rules know which have routes: those of others no job makes."""
    checkout = copy_project(tmp_path_factory.mktemp("project"))
    (checkout.folder / "mine.yaml").write_text(yaml.safe_dump(with_dynamic("wanda-50")))
    plan = ("--dry-run", "--configfile", "mine.yaml")
    figures = (f"results/figures/{name}/reasoner/chains.svg" for name in sorted(OF_DYNAMIC))
    said = checkout.run("results/tables/routes.csv", *figures, *plan)
    assert "results/reasoner/skipgpt-20/routes/chains.json" in said
    assert "wanda-50/routes" not in said and "dense/routes" not in said
    # without one no job reads any
    assert "routes" not in checkout.run("results/report.html", "--dry-run")


def with_tasks(settings, **entries):
    """Settings with entries of `tasks`, all of them run."""
    known = settings.model_copy(update={"tasks": entries})
    return changed(known, run={"tasks": tuple(entries)})


def test_tasks_have_tables_and_a_figure_where_some_are_run(settings):
    def of(settings):
        tables = {name for name, table in TABLES.items() if table.exists(settings)}
        figures = {path.split("/")[2] for path in catalogue.figure_files(settings, ["svg"])}
        return (tables | figures) & {"tasks", "task_claims"}

    piqa = Task(family="classification")
    both = with_tasks(settings, piqa=piqa, wikitext=Task(family="language", limit=5))
    assert of(settings) == set() and of(both) == {"tasks", "task_claims"}
    assert "results/figures/tasks/reasoner.svg" in catalogue.figure_files(both, ["svg"])
    shared = catalogue.shared_options(both)
    assert shared["tasks"] == [["piqa", "classification"], ["wikitext", "language"]]
    assert shared["task_limits"] == {"wikitext": 5} and "data_pairs" not in shared
    told = {name: catalogue.needed(TABLES[name], shared) for name in ("tasks", "task_claims")}
    assert "task_limits" in told["tasks"] and "task_limits" not in told["task_claims"]
    # nothing to compare with: numbers, and no figure of losses
    alone = changed(both, run={"variants": ("dense",)})
    assert not [path for path in catalogue.figure_files(alone, ["svg"]) if "/tasks/" in path]


def test_starts_and_controls_are_found_among_what_is_run(settings):
    both = paired(settings)

    def found(*variants):
        return recovered_in_run(changed(both, run={"variants": variants}))

    assert found("dense", "wanda-50", "dense-lora", "w-lora") == [
        ["dense-lora", "dense", "dense-lora"], ["w-lora", "wanda-50", "dense-lora"],
    ]  # fmt: skip
    assert found("dense", "w-lora") == [["w-lora", "", ""]]
    # what was trained is no reference, wherever it stands in the list
    first = changed(both, run={"variants": ("dense-lora", "dense", "w-lora")})
    assert dense_variant(first) == "dense"


def test_what_is_pruned_in_rounds_stands_beside_what_is_pruned_as_much_at_once(settings):
    rounds = Gradual(kind="gradual", rounds=2)
    entry = settings.variants["magnitude-50"].model_copy(
        update={"recovery": "lora", "schedule": rounds}
    )
    more = settings.model_copy(update={"variants": {**settings.variants, "rounds": entry}})
    run = changed(more, run={"variants": ("dense", "magnitude-50", "rounds")})
    assert recovered_in_run(run) == [["rounds", "magnitude-50", ""]]


def test_what_only_some_runs_have_is_told_to_what_needs_it_alone(settings):
    both = paired(settings)
    trained = changed(both, run={"variants": ("dense", "wanda-50", "dense-lora", "w-lora")})
    shared = catalogue.shared_options(trained)
    for name, figure in FIGURES.items():
        options = catalogue.kind_options(name, [], shared)
        told = {*SOME} & options.keys()
        assert told == {figure.needs} & shared.keys(), name
    plain = catalogue.shared_options(changed(settings))
    assert plain.keys() == {"reference", "ways"} and {len(way) for way in plain["ways"]} == {5}


def test_a_sweep_is_two_variants_that_differ_in_how_much_they_remove(settings):
    def sweeps(*variants):
        return sweeps_sparsity(changed(settings, run={"variants": variants}))

    assert sweeps("dense", "wanda-20", "wanda-50") and sweeps("shortgpt-1", "shortgpt-2")
    assert not sweeps("dense", "wanda-20", "magnitude-50")


def test_calibration_sets_are_drawn_where_variants_differ_in_nothing_else(settings):
    wanda, owl = settings.variants["wanda-50"], settings.variants["wanda-owl-50"]
    own, own_owl = (one.model_copy(update={"calibration": "own"}) for one in (wanda, owl))
    added = {"wanda-own-50": own, "wanda-owl-own-50": own_owl}
    added["wanda-own-60"] = own.model_copy(update={"sparsity": 0.6})
    more = settings.model_copy(update={"variants": {**settings.variants, **added}})

    def sets(*variants):
        found = calibrations_of(changed(more, run={"variants": variants}))
        assert bool(found) == ("calibrations" in catalogue.shared_options(
            changed(more, run={"variants": variants})
        ))  # fmt: skip
        return found

    assert sets("dense", "wanda-50", "wanda-own-60", "magnitude-50", "shortgpt-1") == {}
    both = {"wanda-50": ["Wanda", "chains"], "wanda-own-50": ["Wanda", "own"]}
    assert sets("dense", "wanda-50", "wanda-own-50", "wanda-own-60", "magnitude-50") == both
    # one way of a method is not compared with another
    assert sets("wanda-50", "wanda-own-50", "wanda-owl-50", "wanda-owl-own-50") == both | {
        "wanda-owl-50": ["Wanda (wanda-owl-50)", "chains"],
        "wanda-owl-own-50": ["Wanda (wanda-owl-50)", "own"],
    }


def test_a_surface_is_drawn_where_one_way_has_four_levels(settings):
    wanda = settings.variants["wanda-50"]
    more = {f"wanda-{n}": wanda.model_copy(update={"sparsity": n / 100}) for n in (55, 65)}
    known = settings.model_copy(update={"variants": {**settings.variants, **more}})

    def of(*variants):
        run = changed(known, run={"variants": variants})
        figures = {path.split("/")[2] for path in catalogue.figure_files(run, ["svg"])}
        return "surface" in figures, TABLES["onset"].exists(run)

    four = ("wanda-50", "wanda-55", "wanda-65", "wanda-60")
    assert of("dense", *four) == (True, True)
    assert of(*four) == of("dense", *four[:3], "magnitude-50") == (False, False)
    skips = {f"skipgpt-{n}": SkipGPT(method="skipgpt", skip=n / 100) for n in (10, 20, 30, 40)}
    known = known.model_copy(update={"variants": {**known.variants, **skips}})
    assert of("dense", *skips) == (False, False), "which remove nothing"


def test_families_are_drawn_where_several_are_run(settings):
    def families(*variants):
        of_run = changed(settings, run={"variants": variants})
        return has_families(of_run), sweeps_sizes(of_run)

    assert families("dense", "wanda-20", "shortgpt-1") == (True, False)
    assert families("dense", "wanda-20", "shortgpt-1", "shortgpt-2") == (True, True)
    assert families("dense", "wanda-20", "wanda-50", "magnitude-50") == (False, False)


NEW = '''
"""How many problems there are."""

from matplotlib.figure import Figure

from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style


def draw(source: Source) -> Figure:
    rows = source.rows("accuracy")
    figure = style.new_figure(2.0, "a bar")
    figure.subplots().bar([0], [rows["problems"].iloc[0]])
    return figure
'''
ENTRY = """
    "sizes": Figure(
        "sizes",
        "accuracy",
        "{model} on {benchmark}: problems",
        "Problems of {benchmark}.",
        ("results/tables/accuracy.csv",),
    ),
"""


def test_a_new_figure_is_a_module_and_an_entry(tmp_path_factory):
    checkout = copy_project(tmp_path_factory.mktemp("project"))
    tables = checkout.folder / "workflow_scripts/tables"
    (tables / "drawing/sizes.py").write_text(NEW, encoding="utf-8")
    text = (tables / "all_figures.py").read_text(encoding="utf-8")
    text = text.replace("FIGURES = {", "FIGURES = {" + ENTRY)
    (tables / "all_figures.py").write_text(text, encoding="utf-8")
    shown = checkout.run(
        "--dry-run", "--printshellcmds", "results/figures/sizes/reasoner/chains.svg"
    )
    assert "rule sizes_figure:" in shown and "--figure sizes" in shown


def test_the_catalogue_is_light():
    """The rules import it whenever snakemake starts."""
    import subprocess
    import sys

    code = "import sys; import workflow_scripts.tables.catalogue; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=CONFIG.parent, capture_output=True, text=True, check=True
    )
    assert not {"pandas", "numpy", "matplotlib", "torch", "jinja2"} & set(found.stdout.split())
