"""Made-up tables and masks, as the figures and tables read them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from workflow_scripts.files.atomic import write_json
from workflow_scripts.tables.content.columns import COLUMNS, as_frame, write_table
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.ways import Way, as_lists

OPTIONS = {"model": "m", "benchmark": "b", "reference": "dense", "title": "m on b: a title"}


def rows_of(name: str, rows: Iterable[Sequence[Any]]):
    """A table's frame from values in the order of its columns."""
    return as_frame(name, [dict(zip(COLUMNS[name], row, strict=True)) for row in rows])


PARAMETERS = 1000  # of the model that records are made up of
BYTES = 2  # of each


def mask(
    share: float,
    removed: Sequence[int] = (),
    linears=None,
    blocks: int = 4,
    method="wanda",
    of_all: float | None = None,
    exported: int | None = PARAMETERS,
):
    """A mask's record; `of_all` is less than `share` unless it is given."""
    of_all = 0.9 * share if of_all is None else of_all
    export = exported and {"parameters": exported, "bytes": BYTES * exported}
    return {
        "format": 1, "method": method, "options": {}, "model_digest": "0" * 64, "blocks": blocks,
        "removed_blocks": sorted(removed), "linears": linears or {}, "requested": share,
        "removed_fraction": share, "removed_of_all": of_all, "parameters": PARAMETERS,
        "export": export, "digest": "0" * 64,
    }  # fmt: skip


def write_masks(results: Path, masks: Mapping[str, Mapping[str, Any]], model: str = "m") -> None:
    for variant, record in masks.items():
        write_json(results / model / variant / "mask.json", record)


FAMILIES = (
    {"dense": "none", "base": "none"}
    | dict.fromkeys(("shortgpt", "short", "sleb"), "depth")
    | dict.fromkeys(("flap", "slicegpt"), "width")
)


def named_ways(variants: Iterable[str]) -> dict[str, Way]:
    """Ways of pruning as names usually say them: the method first, how much last."""
    found = {}
    for variant in variants:
        name, _, level = variant.rpartition("-")
        method = variant.split("-")[0]
        family = FAMILIES.get(method, "unstructured")
        found[variant] = Way(method, name or variant, level if name else "", family)
    return found


def source_of(folder: Path, tables=None, masks=None, variants=(), **options: Any) -> Source:
    """A source below `folder` of the given frames by name and records by variant."""
    tables = {"comparison": rows_of("comparison", []), **(tables or {})}
    for name, frame in tables.items():
        write_table(folder / "tables", name, frame)
    write_masks(folder, masks or {})
    reference = options.get("reference", "dense")
    named = [v for frame in tables.values() if "variant" in frame for v in frame["variant"]]
    ways = named_ways(dict.fromkeys([reference, *(masks or {}), *named, *variants]))
    known = {**OPTIONS, "variants": [*ways], "ways": as_lists(ways)}
    return Source(folder, folder / "tables", known | options)


def plot_flags(figure: str, source: Source, output: Path, **values: Sequence[str]) -> list[str]:
    """What a rule tells the stage that draws a kind of figure, for values of its wildcards."""
    title = " on ".join(f"{{{name}}}" for name in values)
    told = source.options | {"title": title, "values": [*values.items()]}
    folders = {"results": source.results, "tables": source.tables, "output": output}
    flags = {"figure": figure, "options": json.dumps(told), **folders}
    return [word for name, value in flags.items() for word in (f"--{name}", str(value))]


def drawn(draw, source: Source) -> Figure:
    """The figure, laid out."""
    with style.applied():
        figure = draw(source)
        FigureCanvasAgg(figure).draw()
    return figure


def boxes(figure: Figure, texts: Iterable[Text]):
    renderer = FigureCanvasAgg(figure).get_renderer()
    # of the words alone, without an annotation's leader
    return [Text.get_window_extent(text, renderer) for text in texts]


def shown_texts(figure: Figure) -> list[Text]:
    """Every text that is drawn, each of which must be inside the figure."""
    axes = figure.axes
    ticks = [
        tick for one in axes for axis in (one.xaxis, one.yaxis) for tick in axis.get_major_ticks()
    ]
    drawn_ticks = [
        t for one in axes for axis in (one.xaxis, one.yaxis) for t in axis._update_ticks()
    ]
    hidden = {id(t.label1) for t in ticks} - {id(t.label1) for t in drawn_ticks}
    texts = [
        text
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible() and id(text) not in hidden
    ]
    for text, box in zip(texts, boxes(figure, texts), strict=True):
        assert figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1, text
        assert figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1, text
    return texts


def overlapping(figure: Figure, texts: Sequence[Text]) -> list[tuple[str, str]]:
    found = list(zip(texts, boxes(figure, texts), strict=True))
    return [
        (one.get_text(), other.get_text())
        for place, (one, box) in enumerate(found)
        for other, beside in found[place + 1 :]
        if box.overlaps(beside)
    ]
