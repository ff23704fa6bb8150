"""How each variant is drawn, the same in every figure of a model.

A method has one hue, the dense model is black. Within it marker and dashes tell the ways of pruning
apart (allocation, scope, pattern, ...), and the shade says how much is removed, or not used by a
token: from light, the least of all variants, to dark, the most. A variant that was trained after
pruning has the marker of one that was not, hollow, and other dashes; the dense model with that
training is black, too. Where a figure is about what is taken out, each family of methods has one
hue instead. The hues are Okabe and Ito's, which readers with any common colour blindness tell
apart, without the yellow that is lost on white.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.colors import to_hex, to_rgb

from workflow_scripts.tables.content.removals import sizes_of, unused_of
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.ways import DYNAMIC, Way

# (line, the same hue darkened until text in it is readable on white)
HUES = (
    ("#0072b2", "#005a8e"),  # blue
    ("#d55e00", "#a84a00"),  # vermillion
    ("#009e73", "#00704f"),  # bluish green
    ("#cc79a7", "#97436f"),  # reddish purple
    ("#e69f00", "#8a5f00"),  # orange
    ("#56b4e9", "#1c6d9c"),  # sky blue
    ("#7f7f7f", "#5c5c5c"),  # grey
)
MARKERS = ("s", "^", "D", "v", "P", "X", "h")
DASHES: tuple[tuple[float, ...], ...] = ((), (4.2, 1.6), (1.2, 1.3), (5.0, 1.3, 1.2, 1.3))
# in the order of their hues
FAMILIES = ("unstructured", "depth", "width", "slicing", DYNAMIC)
LIGHTEST = 0.45  # of white in the shade of the least that is removed
DARKEST = 0.3  # of black in that of the most


@dataclass(frozen=True)
class Look:
    """How one variant is drawn; `hue` is its method's or family's, `colour` the shade of it, `fill`
    what its marker is filled with where that is not the same."""

    hue: str
    colour: str
    text_colour: str
    marker: str
    dashes: tuple[float, ...]
    width: float
    fill: str | None = None

    @property
    def marker_fill(self) -> str:
        return self.fill or self.colour


HOLLOW = "#ffffff"
DENSE = Look("#000000", "#000000", "#000000", "o", dashes=(), width=2.5)


def looks_of(source: Source) -> dict[str, Look]:
    """A look for every variant of the run, from its way and what a token really does without."""
    removed = {variant: unused_of(mask) for variant, mask in source.masks().items()}
    return looks(source.ways, removed, source.reference)


def family_looks_of(source: Source) -> dict[str, Look]:
    """The same with one hue for each family, the same in every run, and shades by size."""
    return looks(source.ways, sizes_of(source.masks()), source.reference, "family", FAMILIES)


def looks(
    ways: Mapping[str, Way],
    removed: Mapping[str, float],
    reference: str,
    hue_by: str = "method",
    known: Sequence[str] = (),
) -> dict[str, Look]:
    """A look for every variant; no two of different ways or levels are equal.

    `removed` holds shares of weights; a variant without one has its plain hue. Of the methods or
    families, as `hue_by` says, those that are `known` have the first hues, whether run or not.
    """
    shares = [share for variant, share in removed.items() if variant != reference]
    shares = [share for share in shares if not math.isnan(share)]
    low, high = min(shares, default=0.0), max(shares, default=0.0)
    hues = {kind: number for number, kind in enumerate(known)}
    recoveries = [*dict.fromkeys(way.recovery for way in ways.values() if way.recovery)]
    after = {"": 0} | {name: number for number, name in enumerate(recoveries, 1)}
    signs: dict[int, dict[str, int]] = {}  # by hue, the ways that have it
    found = {}
    for variant, way in ways.items():
        if variant == reference:
            found[variant] = DENSE
            continue
        fill = HOLLOW if way.recovery else None
        if way.recovery and way.family == "none":
            dashes = DASHES[after[way.recovery] % len(DASHES)]
            found[variant] = replace(DENSE, dashes=dashes, width=1.7, fill=fill)
            continue
        hue = hues.setdefault(getattr(way, hue_by), len(hues)) % len(HUES)
        of_hue = signs.setdefault(hue, {})
        turn, number = divmod(of_hue.setdefault(way.base, len(of_hue)), len(MARKERS))
        line, text = HUES[hue]
        place = (removed.get(variant, math.nan) - low) / (high - low) if high > low else 0.5
        found[variant] = Look(
            line,
            shade(line, 0.5 if math.isnan(place) else place),
            text,
            marker=MARKERS[(hue + number) % len(MARKERS)],
            dashes=DASHES[(number + turn + after[way.recovery]) % len(DASHES)],
            width=1.7,
            fill=fill,
        )
    return found


def shade(hue: str, place: float) -> str:
    """A hue from its lightest, at 0, through itself, at 1/2, to its darkest, at 1."""
    towards, most = (1.0, LIGHTEST) if place < 0.5 else (0.0, DARKEST)
    part = most * abs(2 * place - 1)
    return to_hex([channel + part * (towards - channel) for channel in to_rgb(hue)])
