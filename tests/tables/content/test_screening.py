"""A run that screens its variants: its table and figure, and what is left out of all others."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.tables.conftest import cells_of as made_answers
from tests.tables.sources import (
    drawn,
    mask,
    named_ways,
    overlapping,
    plot_flags,
    shown_texts,
    write_masks,
)
from workflow_scripts.artefacts.records import write_records
from workflow_scripts.artefacts.screens import Choice, Distance, Screen, write_choice, write_screen
from workflow_scripts.tables import everything, plot, report
from workflow_scripts.tables.content.cells import (
    FILE,
    cells_of,
    load_cells,
    read_cells,
    write_cells,
)
from workflow_scripts.tables.content.columns import ALL, read_table
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import families, screening
from workflow_scripts.tables.statistics.differences import paired_difference
from workflow_scripts.tables.statistics.ranks import rank_correlation
from workflow_scripts.tables.table import make
from workflow_scripts.tables.ways import as_lists

BUDGETS = (6, 24)
# KL of a trace's token and accuracy under the largest budget
VARIANTS = {
    "dense": (0.0, 0.9),
    "wanda-50": (0.001, 0.88),
    "wanda-60": (0.02, 0.7),
    "wanda-70": (0.3, 0.4),
    "shortgpt-1": (0.05, 0.6),
    "shortgpt-2": (1.5, 0.1),
    "magnitude-70": (0.9, 0.3),
}
OUT = ("shortgpt-2", "magnitude-70")
LISTS = {"models": ["m"], "variants": [*VARIANTS], "benchmarks": ["b"]}


def screen_of(kl: float) -> Screen:
    trace = {
        "digit": Distance(tokens=100, kl=kl, agreement=1 - kl / 2, loss=0.1 + kl),
        "word": Distance(tokens=300, kl=2 * kl, agreement=1 - kl / 3, loss=0.2 + kl),
    }
    answer = {"digit": Distance(tokens=40, kl=kl / 2, agreement=1 - kl / 4, loss=0.1)}
    known = {"model_digest": "m", "digest": "d", "benchmark": "b", "problems": 4}
    return Screen(**known, trace=trace, answer=answer)


def write_run(folder: Path, out: tuple[str, ...] = OUT) -> Source:
    """A run that is graded whole, of which some variants were screened out later."""
    results = folder / "results"
    ways = named_ways(VARIANTS)
    for number, (variant, (kl, accuracy)) in enumerate(VARIANTS.items()):
        chances = {budget: accuracy * budget / BUDGETS[-1] for budget in BUDGETS}
        grades, answers = made_answers(chances, problems=40, seed=number)
        write_records(results / "m" / variant / "grades" / "b.jsonl", grades)
        write_records(results / "m" / variant / "answers" / "b.jsonl", answers)
        write_screen(results / "m" / variant / "screen.json", screen_of(kl))
    write_masks(results, {v: mask(0.1 * (n + 1)) for n, v in enumerate(VARIANTS) if v != "dense"})
    scores = {name: screen_of(kl).all.kl for name, (kl, _) in VARIANTS.items()}
    chosen = [name for name in VARIANTS if name not in (*out, "dense")]
    choice = Choice(by="kl", variants=[*VARIANTS], scores=scores, always=["dense"], chosen=chosen)
    write_choice(results / "m/screening.json", choice)
    drops = bool(out)
    write_cells(folder / "tables" / FILE, read_cells(results, **LISTS, drops=drops))
    told = {"models": ["m"], "by": "kl", "benchmark": "b", "problems": 4, "drops": drops}
    options = {
        "reference": "dense", "ways": as_lists(ways), "screening": told, "model": "m",
        "benchmark": "b", "title": "m on b: a title", **LISTS,
    }  # fmt: skip
    return Source(results, folder / "tables", options)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    source = write_run(tmp_path_factory.mktemp("screened"))
    for table in ("accuracy", "comparison", "screening"):
        make(table, source)
    return source


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The same run with `keep: all`."""
    source = write_run(tmp_path_factory.mktemp("whole"), out=())
    make("screening", source)
    return source


def test_every_screen_has_its_means_by_part_and_kind(source: Source) -> None:
    rows = read_table(source.tables, "screening").set_index(["variant", "part", "kind"])
    assert len(rows) == 6 * len(VARIANTS)
    for variant, (kl, _) in VARIANTS.items():
        of_all = (100 * kl + 300 * 2 * kl + 40 * kl / 2) / 440
        assert rows.loc[(variant, ALL, ALL), "kl"] == pytest.approx(of_all, abs=1e-6)
        assert rows.loc[(variant, "trace", ALL), "kl"] == pytest.approx(1.75 * kl, abs=1e-6)
        assert rows.loc[(variant, "trace", "word"), "tokens"] == 300
        assert rows.loc[(variant, "answer", "digit"), "loss"] == 0.1
        assert rows.loc[(variant, ALL, ALL), "goes_on"] == ("no" if variant in OUT else "yes")


def marks(source: Source) -> Mapping[str, object]:
    cells = cells_of(load_cells(source.tables))
    return {cell.variant: cell.marks for cell in cells if cell.budget == BUDGETS[-1]}


@pytest.mark.parametrize("left_out", [True, False])
def test_losses_and_correlations_are_of_those_that_went_on(
    source: Source, whole: Source, left_out: bool
) -> None:
    one = source if left_out else whole
    losses = read_table(one.tables, "screening_losses").set_index("variant")
    expected = [name for name in VARIANTS if name != "dense" and not (left_out and name in OUT)]
    assert list(losses.index) == expected
    found = marks(one)
    for variant in expected:
        lost = paired_difference(found["dense"], found[variant])
        row = losses.loc[variant]
        assert row["budget"] == BUDGETS[-1] and row["screened"] == "b"
        values = [row["lost"], row["ci_low"], row["ci_high"]]
        assert values == pytest.approx([lost.difference, lost.low, lost.high], abs=1e-6)
    rows = read_table(one.tables, "screening_correlations").set_index("measure")
    kls = [screen_of(VARIANTS[name][0]).all.kl for name in expected]
    rho = rank_correlation(kls, losses["lost"])
    assert tuple(rows.loc["kl", ["rho", "ci_low", "ci_high"]]) == pytest.approx(rho, abs=1e-6)
    assert rows.loc["agreement", "rho"] == pytest.approx(-rho.rho, abs=1e-6)
    said = f"{rho.rho:+.2f}"
    assert said in (one.tables / "screening.md").read_text(encoding="utf-8")


def test_what_was_screened_out_is_in_no_other_table_and_named_in_each(source: Source) -> None:
    """Although it is graded: results depend on the config and not on what was run before."""
    note = "Screened out before generation: m/shortgpt-2 (KL 2.45), m/magnitude-70 (KL 1.47)."
    for name in ("accuracy", "comparison"):
        assert not {*OUT} & {*read_table(source.tables, name)["variant"]}
        for ending in ("md", "html"):
            assert note in (source.tables / f"{name}.{ending}").read_text(encoding="utf-8")
    text = (source.tables / "screening.md").read_text(encoding="utf-8")
    assert "| shortgpt-2   | screened out |" in text and "| wanda-50     | yes " in text
    assert "Missing" not in text


def test_without_a_variant_left_out_nothing_is_said_of_it(whole: Source) -> None:
    make("accuracy", whole)
    text = (whole.tables / "accuracy.md").read_text(encoding="utf-8")
    assert "Screened out" not in text and "shortgpt-2" in text


def figure_of(source: Source) -> Figure:
    return drawn(screening.draw, source)


def test_the_figure_has_a_mark_for_each_that_went_on_and_a_tick_for_the_others(
    source: Source,
) -> None:
    figure = figure_of(source)
    (axes,) = figure.axes
    bars = {line[0].get_xdata()[0]: line[0].get_ydata()[0] for line in axes.containers}
    losses = read_table(source.tables, "screening_losses")
    expected = dict(zip(losses["kl"], 100 * losses["lost"], strict=True))
    assert bars == pytest.approx(expected)
    (ticks,) = [line for line in axes.lines if line.get_label() == "screened out"]
    assert sorted(ticks.get_xdata()) == pytest.approx([1.47, 2.454], abs=0.01)
    texts = shown_texts(figure)
    names = [text for text in texts if text.get_text() in VARIANTS]
    assert {text.get_text() for text in names} == {*VARIANTS} - {*OUT, "dense"}
    assert not overlapping(figure, names)
    said = "Spearman's ρ of KL and lost accuracy over 4 variants: +"
    assert any(said in text.get_text() for text in texts)


def test_a_divergence_of_zero_has_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a variant that changes nothing that shows, or less than rounding does."""
    monkeypatch.setitem(VARIANTS, "wanda-50", (0.0, 0.88))
    source = write_run(tmp_path)
    make("screening", source)
    (axes,) = figure_of(source).axes
    low, high = axes.get_xlim()
    assert all(low < line[0].get_xdata()[0] < high for line in axes.containers)


def test_a_figure_of_which_all_was_screened_out_says_so(tmp_path: Path) -> None:
    """`families` compares kinds of pruning, of which one is left."""
    source = write_run(tmp_path, out=("shortgpt-1", "shortgpt-2"))
    for table in ("accuracy", "comparison"):
        make(table, source)
    output = tmp_path / "families"
    plot.main(plot_flags("families", source, output, model=["m"], benchmark=["b"]))
    assert len(list(output.glob("m/b.*"))) == 3
    with pytest.raises(families.NoRows):
        drawn(families.draw, source)


def test_the_report_has_a_part_about_it(source: Source, tmp_path: Path) -> None:
    for table in ("parallel", "published", "size", "cost", "frontier"):
        make(table, source)
    figure = tmp_path / "figures/screening/m/b.svg"
    plot.make("screening", source, [figure])
    screen = {"keep": 4, "by": "kl", "problems": 32, "always": ["wanda-70"]}
    config = {"run": {"screen": screen}}
    folders = [tmp_path / "resources", [tmp_path / "logs"]]
    report.write(source, *folders, config, [figure], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="screening"' in text and "m: KL by kind of token" in text
    assert "Screened out before generation: m/shortgpt-2" in text
    assert "answers of 32 problems of b, and its Kullback-Leibler divergence from the" in text
    assert "the 4 variants with the lowest generate, beside the dense model and wanda-70;" in text
    assert "<li>grades of" not in text and "<li>table" not in text


def test_what_can_be_told_of_a_screened_run_that_is_not_complete(tmp_path: Path) -> None:
    source = write_run(tmp_path)
    (tmp_path / "results/m/wanda-60/grades/b.jsonl").unlink()
    (tmp_path / "results/m/wanda-60/screen.json").unlink()
    options = source.options | {"calibration": [], "influence": [], "variant": []}
    folders = [tmp_path / "results", tmp_path / "resources", [tmp_path / "logs"]]
    everything.build(*folders, {"generation": {}}, options, tmp_path / "so_far")
    rows = read_table(tmp_path / "so_far/tables", "screening_losses")
    assert list(rows["variant"]) == ["wanda-50", "wanda-70", "shortgpt-1"]
    rho = read_table(tmp_path / "so_far/tables", "screening_correlations")["rho"]
    assert all(map(math.isnan, rho))  # of three variants
    assert (tmp_path / "so_far/figures/screening/m/b.svg").exists()
    text = (tmp_path / "so_far/report.html").read_text(encoding="utf-8")
    assert "<li>grades of m/wanda-60: b</li>" in text
