"""What is known of each block: its Block Influence, or LayerIF's scores of it.

Blocks that a variant takes out whole are black, and named below the title.
"""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from safetensors import SafetensorError, safe_open

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.files.checksums import verify_checksum
from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import SUBLAYERS
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.looks import HUES

HEIGHT = 3.0  # inches


def read_block_influence(path: Path) -> list[float]:
    """Block Influence of every block, from a model's statistics."""
    try:
        verify_checksum(path)
        with safe_open(path, "numpy") as file:
            return [float(score) for score in file.get_tensor("block_influence")]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise InputError(f"{path}: holds no block_influence ({error})") from None


def read_scores(path: Path) -> dict[str, list[float]]:
    """LayerIF's scores of every block's attention and MLP."""
    record = read_json(path)
    try:
        return {
            name: [float(row[part]) for row in record["blocks"]] for part, name in SUBLAYERS.items()
        }
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: not influence scores") from None


def draw(source: Source) -> Figure:
    options = source.options
    folder, by_influence = source.shared / options["model"], "influence" in options
    if by_influence:
        path = folder / "influence" / f"{options['influence']}.json"
    else:
        path = folder / "statistics" / f"{options['calibration']}.safetensors"
    if not path.exists():
        raise NoRows(f"{path}: no such file")
    if by_influence:
        scores = read_scores(path)
        removed: dict[str, tuple[int, ...]] = {}
        label = "influence score"
        note = "LayerIF: influence of training rows on the validation loss, by block"
    else:
        label = "Block Influence"
        scores = {label: read_block_influence(path)}
        removed = {v: m.removed_blocks for v, m in source.masks().items() if m.removed_blocks}
        note = f"how far each block turns its input{removed_note(removed)}"
    black = {block for blocks in removed.values() for block in blocks}
    figure = style.new_figure(HEIGHT, note)
    axes = figure.subplots()
    blocks, size = len(next(iter(scores.values()))), 0.8 / len(scores)
    for number, (name, values) in enumerate(scores.items()):
        offset = (number - (len(scores) - 1) / 2) * size
        colour = HUES[number][0]
        axes.bar(
            [block + offset for block in range(blocks)], values, width=size * 0.92, zorder=2,
            color=[style.INK if block in black else colour for block in range(blocks)], label=name,
        )  # fmt: skip
    axes.axhline(0, color=style.INK, linewidth=0.8, zorder=3)
    axes.set_xlim(-0.6, blocks - 0.4)
    axes.margins(y=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(20, integer=True, steps=[1, 2, 4, 5, 10]))
    axes.tick_params(length=0, pad=4)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)
    axes.set_xlabel("block", labelpad=3)
    axes.set_ylabel(label, labelpad=6)
    if len(scores) > 1:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=len(scores), frameon=False,
            fontsize=style.SMALL, borderaxespad=0.2, handlelength=1, columnspacing=1.4,
        )  # fmt: skip
    return figure


def removed_note(removed: Mapping[str, tuple[int, ...]]) -> str:
    """Which variant takes out which blocks, in words; nothing where none does."""
    said = [f"{v} removes {', '.join(map(str, blocks))}" for v, blocks in removed.items()]
    return f"; black: {'; '.join(said)}" if said else ""
