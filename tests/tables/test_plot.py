"""All figures of one kind in one process, as a rule asks for them."""

from pathlib import Path

import pytest

from tests.tables.sources import plot_flags, rows_of, source_of
from workflow_scripts.tables import plot
from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import scaling_curves
from workflow_scripts.tables.entries import FIGURE_FORMATS

MODELS, BENCHMARKS = ["m", "m1.5-7B"], ["b", "c"]


def source_with(folder: Path, models: list[str] = MODELS) -> Source:
    """A source of accuracies of dense models that differ."""
    rows = [
        (model, "dense", benchmark, budget, 20, 3, p, 0.05, p - 0.1, p + 0.1, budget, 2.0)
        for i, model in enumerate(models)
        for j, benchmark in enumerate(BENCHMARKS)
        for budget, p in ((6, 0.2 + 0.1 * i), (12, 0.5 + 0.2 * j))
    ]
    return source_of(folder, {"accuracy": rows_of("accuracy", rows)})


def draw(source: Source, output: Path, models: list[str], benchmarks: list[str]) -> None:
    of = {"model": models, "benchmark": benchmarks}
    plot.main(plot_flags("scaling_curves", source, output, **of))


def files(folder: Path) -> dict[str, bytes]:
    found = [p for p in folder.rglob("[!.]*") if p.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_figures_are_drawn_together_to_the_bytes_that_each_has_alone(tmp_path):
    source = source_with(tmp_path)
    draw(source, tmp_path / "all", MODELS, BENCHMARKS)
    together = files(tmp_path / "all")
    assert together.keys() == {
        f"{m}/{b}.{form}" for m in MODELS for b in BENCHMARKS for form in FIGURE_FORMATS
    }
    for model in MODELS:
        for benchmark in BENCHMARKS:
            draw(source, tmp_path / "alone", [model], [benchmark])
    assert files(tmp_path / "alone") == together
    assert len({*together.values()}) == len(together)
    assert b"<dc:title>m1.5-7B on c</dc:title>" in together["m1.5-7B/c.svg"]


def test_a_figure_without_rows_is_an_error_in_a_run_that_drops_none(tmp_path):
    source = source_with(tmp_path, ["m"])
    with pytest.raises(NoRows, match=r"no row for m1\.5-7B on b"):
        draw(source, tmp_path / "figures", MODELS, BENCHMARKS)


def test_a_defect_names_the_figure_that_was_drawn(tmp_path, monkeypatch):
    def fail(source: Source) -> None:
        if source.options["benchmark"] == "c":
            raise ZeroDivisionError
        return drawn(source)

    drawn = scaling_curves.draw
    monkeypatch.setattr(scaling_curves, "draw", fail)
    with pytest.raises(ZeroDivisionError) as raised:
        draw(source_with(tmp_path), tmp_path / "curves", MODELS, BENCHMARKS)
    assert raised.value.__notes__ == ["This was curves of m on c."]
