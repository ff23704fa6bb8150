"""The notebook of the documentation, on the results of a small run."""

import json
from typing import Any

from matplotlib import pyplot

from tests.workflow.checkout import PROJECT, SMALL


def test_the_notebook_reads_the_results_and_draws_the_main_figure(finished, monkeypatch):
    text = (PROJECT / "docs/results.ipynb").read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    monkeypatch.chdir(finished.folder / "docs")  # where Jupyter runs it
    pyplot.switch_backend("Agg")
    names: dict[str, Any] = {}
    for cell in cells:
        exec("".join(cell["source"]), names)
    (axis,) = names["figure"].axes
    drawn = {line.get_label(): [*line.lines[0].get_ydata()] for line in axis.containers}
    table = names["accuracy"].groupby("variant", sort=False)["accuracy"]
    assert drawn == {variant: [*values] for variant, values in table}
    assert [*drawn] == SMALL["run"]["variants"] and names["cells"]["cut"].any()
    assert len(names["lost"]) > 0
    pyplot.close("all")
