"""Draw what is known of each block: its Block Influence, or LayerIF's scores of it.

    python -m workflow_scripts.tables.block_scores_plot --model reasoner --set chains \
        --statistics results/reasoner/statistics/chains.safetensors \
        --variants shortgpt-1 --records results/reasoner/shortgpt-1/mask.json \
        --svg results/figures/block_influence/reasoner/chains.svg \
        --png results/figures/block_influence/reasoner/chains.png

With `--influence FILE` in place of `--statistics` it draws influence scores. Blocks that a variant
takes out whole are named where they stand.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from safetensors import SafetensorError, safe_open

from workflow_scripts.artefacts.mask_records import read_mask_record
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.files.checksums import verify_checksum
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.drawing import style

# inches
LEFT, BOTTOM, RIGHT = 0.62, 0.5, 0.15
HEIGHT = 2.3
LABEL = 0.17  # for every line of names above the axes
PARTS = ("attention", "mlp")
NAMES = {"mlp": "MLP"}


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
        return {part: [float(row[part]) for row in record["blocks"]] for part in PARTS}
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: not influence scores") from None


def draw_block_scores(
    scores: Mapping[str, Sequence[float]],
    removed: Mapping[str, Sequence[int]],
    title: str,
    subtitle: str,
    label: str,
) -> Figure:
    """The figure; `scores` maps names of series to a number for every block."""
    names: dict[int, list[str]] = {}
    for variant, blocks in removed.items():
        for block in blocks:
            names.setdefault(block, []).append(variant)
    blocks = len(next(iter(scores.values())))
    above = LABEL * len(scores) if len(scores) > 1 else 0.0
    total = style.HEAD + above + HEIGHT + BOTTOM
    figure = Figure(figsize=(style.WIDTH, total), dpi=style.DPI)
    width = style.WIDTH - LEFT - RIGHT
    axes = style.add_axes(figure, LEFT, BOTTOM, width, HEIGHT)
    size = 0.8 / len(scores)
    for number, (name, values) in enumerate(scores.items()):
        offset = (number - (len(scores) - 1) / 2) * size
        places = [block + offset for block in range(blocks)]
        colour = style.HUES[number][0]
        bars = axes.bar(
            places, values, width=size * 0.92, color=colour, zorder=2, label=NAMES.get(name, name)
        )
        for block, bar in enumerate(bars):
            if block in names:
                bar.set_color(style.INK)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.0), high + 0.06 * (high - low))
    if low < 0:
        axes.axhline(0, color=style.INK, linewidth=0.8, zorder=3)
    axes.set_xlim(-0.6, blocks - 0.4)
    every = next(step for step in (1, 2, 4, 5, 10, 20, 50) if step * width / blocks >= 0.2)
    axes.set_xticks(range(0, blocks, every))
    axes.tick_params(axis="x", length=0, pad=3)
    axes.tick_params(axis="y", length=0, pad=4)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)
    axes.set_xlabel("block", labelpad=3)
    axes.set_ylabel(label, labelpad=6)
    if len(scores) > 1:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=len(scores), frameon=False,
            fontsize=style.SMALL, borderaxespad=0.2, handlelength=1, columnspacing=1.4,
        )  # fmt: skip
    style.title(figure, title, subtitle)
    return figure


def removed_note(removed: Mapping[str, Sequence[int]]) -> str:
    """Which variant takes out which blocks, in words; nothing where none does."""
    said = [
        f"{variant} removes {', '.join(map(str, blocks))}"
        for variant, blocks in removed.items()
        if blocks
    ]
    return f"black: {'; '.join(said)}" if said else ""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--set", required=True, help="what the scores were collected on")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--statistics", type=Path, help="draw the Block Influence in this file")
    given.add_argument("--influence", type=Path, help="draw the influence scores in this file")
    parser.add_argument("--variants", nargs="*", default=[], help="whose removed blocks to mark")
    parser.add_argument("--records", nargs="*", default=[], type=Path, help="their mask.json")
    parser.add_argument("--svg", required=True, type=Path, help="figure to write")
    parser.add_argument("--png", required=True, type=Path, help="figure to write")
    options = parser.parse_args(arguments)
    if options.statistics:
        scores = {"Block Influence": read_block_influence(options.statistics)}
        pairs = zip(options.variants, options.records, strict=True)
        removed = {variant: read_mask_record(path).removed_blocks for variant, path in pairs}
        title = f"{options.model}: Block Influence on {options.set}"
        note = removed_note(removed)
        subtitle = "how far each block turns its input" + (f"; {note}" if note else "")
        label = "Block Influence"
    else:
        scores, removed = read_scores(options.influence), {}
        title = f"{options.model}: influence scores on {options.set}"
        subtitle = "LayerIF: influence of training rows on the validation loss, by block"
        label = "influence score"
    with style.applied():
        figure = draw_block_scores(scores, removed, title, subtitle, label)
    style.save(figure, options.svg, options.png, title)


if __name__ == "__main__":
    run_stage(main)
