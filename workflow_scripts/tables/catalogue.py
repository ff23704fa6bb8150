"""Which tables and figures there are. Light: the rules read it when they are parsed.

A new one is a module, of `tables.content` with `build` or of `tables.drawing` with `draw`, and an
entry here. Titles and captions may name an entry's wildcards and the reference, `{model}`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from workflow_scripts.config.entry import plain
from workflow_scripts.config.places import run_folder
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.uses import in_use, statistics_in_use
from workflow_scripts.tables.calibrations import calibrations_of, sweeps_calibration
from workflow_scripts.tables.conditions import (
    Condition,
    always,
    compares,
    dense_variant,
    has_families,
    has_pair,
    judges,
    recovered_in_run,
    recovers,
    repeats,
    sweeps_sizes,
    sweeps_sparsity,
    ways_in_run,
)
from workflow_scripts.tables.ways import as_lists

CELLS = "{run}/tables/cells.parquet"
MASKS = "results/{model}/{variant}/mask.json"
SPEEDS = "results/{model}/{variant}/speed.json"  # what benchmarks.export_speed leaves
CURVES = ("{run}/tables/accuracy.csv", "{run}/tables/comparison.csv", MASKS)
RECOVERIES = "results/{model}/{recovered}/recovery.json"
# options that only some runs have
PAIR, RECOVERED, CALIBRATIONS = SOME = ("pair", "recovered", "calibrations")
FIGURE_FORMATS = ("svg", "pdf", "png")


@dataclass(frozen=True)
class Table:
    """`reads` are its inputs, `{run}` standing for the folder of the run and `{model}` and so on
    for all of it, and `reads_if_there` those that only some users have made; `also` are the CSV
    files that come with it. `needs` names an option that it cannot be made without."""

    title: str
    caption: str
    reads: tuple[str, ...] = (CELLS,)
    reads_if_there: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    exists: Condition = always
    needs: str | None = None


@dataclass(frozen=True)
class Figure:
    """One figure for every combination of values of its `wildcards`.

    `module` draws it; `reads` are its inputs, `{variant}` standing for all of the run. `part` is
    that of the report which it belongs to, `options` what the module must know besides, `needs` an
    option of the run without which there is none.
    """

    module: str
    part: str
    title: str
    caption: str
    reads: tuple[str, ...]
    wildcards: tuple[str, ...] = ("model", "benchmark")
    exists: Condition = always
    options: Mapping[str, str] = field(default_factory=dict)
    needs: str | None = None


TABLES = {
    "accuracy": Table(
        "Accuracy",
        "Accuracy of every variant under every budget: the mean over problems and repeats. The "
        "intervals take the problem as the unit, because repeats of one problem resemble each "
        "other: Wilson's score interval at 95 %, with the number of independent answers that the "
        "resemblance leaves. Variants are sampled on the same problems, so that a difference "
        "between two of them can be clearer than their overlapping intervals suggest: see the "
        "comparison. Standard errors, exact bounds and mean token counts are in accuracy.csv, "
        "means over benchmarks in mean_accuracy.csv, what each variant removes in size.csv.",
        reads=(CELLS, MASKS),
        also=("mean_accuracy",),
    ),
    "comparison": Table(
        "Comparison",
        "Every variant against {reference} on the same problems and repeats, unstructured against "
        "structured pruning of at most as many of the blocks' weights, and structured variants of "
        "different kinds with about as many of all parameters. p values come from the exact "
        "permutation test that flips the signs of problems, corrected (Holm) within each of these "
        "families for every model. A difference is better or worse where the corrected p is below "
        "0.05. Where it "
        "is not, the verdict says how large a difference the 95 % interval still allows or, if "
        "that is more than 0.1, inconclusive.",
        reads=(CELLS, MASKS),
        also=("areas",),
    ),
    "parallel": Table(
        "Sequential and parallel scaling",
        "What the repeats of a problem are worth together: pass@k is the chance that one of k is "
        "right, majority@k that their commonest answer is. Both are means over all choices of k "
        "repeats. Wrong answers are told apart as they are written, so that majority@k is an upper "
        "bound where answers are expressions: 1/2 and 0.5 are two answers with a vote each.",
    ),
    "pair": Table(
        "What pruning costs the model that answers at once and the one that thinks",
        "What every variant costs the one model and the other, as lost accuracy and as a share of "
        "what the dense model has, and the interaction: how much more the one that thinks loses on "
        "the same problems. p values come from the exact permutation test that flips the signs of "
        "problems, corrected (Holm) over the table.",
        reads=(CELLS, MASKS),
        exists=has_pair,
        needs=PAIR,
    ),
    "recovered": Table(
        "What training after pruning gives back",
        "The accuracy of every variant that was trained after pruning beside that of {reference} "
        "and of the variant that it starts from: what it gains, in per cent of what was lost, and "
        "how much more than the dense model gains by the same training.",
        reads=(CELLS, MASKS),
        exists=recovers,
        needs=RECOVERED,
    ),
    "published": Table(
        "Beside the published values",
        "The run in the form of the paper's tables, mean ± population standard deviation over "
        "repeats, beside what arXiv 2604.25098 published about the same model, variant, benchmark "
        "and budget, where it did; and which of its claims hold here.",
        reads=(CELLS, MASKS, "{run}/tables/comparison.csv"),
        also=("claims",),
    ),
    "size": Table(
        "Size",
        "What every variant removes, and what it is as an exported checkpoint: parameters, bytes "
        "and, where it was measured, speed beside {reference}. A mask of single weights makes "
        "nothing smaller.",
        reads=(MASKS,),
        reads_if_there=(SPEEDS,),
    ),
    "judge_agreement": Table(
        "Judge and grader",
        "How far the judge and the deterministic grader agree, by model, variant and benchmark. "
        "Answers on which they differ are in judge_disagreements.csv.",
        reads=(
            "{run}/{model}/{variant}/grades/{benchmark}.jsonl",
            "{run}/{model}/{variant}/judgements/{benchmark}.jsonl",
        ),
        also=("judge_disagreements",),
        exists=judges,
    ),
}

FIGURES = {
    "scaling_curves": Figure(
        "scaling_curves",
        "accuracy",
        "{model} on {benchmark}: accuracy against thinking budget",
        "Accuracy of {model} on {benchmark} against the thinking budget, a line for every variant. "
        "Bands are 95 % intervals, those of pruned variants of their difference to {reference} on "
        "the same problems; with more than eight variants only one is drawn. The hue names the "
        "method, marker and dashes its way of pruning, the shade how much is removed of the "
        "blocks' weights; lines that coincide lie on top of one another, the later one thinner. "
        "The numbers are in accuracy.csv and comparison.csv.",
        CURVES,
    ),
    "families": Figure(
        "families",
        "accuracy",
        "{model} on {benchmark}: accuracy against thinking budget, by what is taken out",
        "Accuracy of {model} on {benchmark} against the thinking budget, in one colour for each "
        "kind of pruning: single weights (unstructured), whole blocks, attentions or MLPs (depth), "
        "heads and neurons (width), the width of hidden states (slicing). The darker, "
        "the larger the share of all parameters that is gone.",
        CURVES,
        exists=has_families,
    ),
    "token_curves": Figure(
        "scaling_curves",
        "accuracy",
        "{model} on {benchmark}: accuracy against tokens used",
        "Accuracy of {model} on {benchmark} against the tokens that trace and answer really took, "
        "on average: a budget is a cap, and most traces end before a large one.",
        CURVES,
        options={"against": "tokens"},
    ),
    "differences": Figure(
        "differences",
        "comparison",
        "{model} on {benchmark}: difference to {reference}",
        "How each variant of {model} differs from {reference} on {benchmark}, a panel for every "
        "budget, with 95 % intervals. Filled marks are differences that the permutation test finds "
        "after Holm's correction.",
        ("{run}/tables/comparison.csv", MASKS),
        exists=compares,
    ),
    "pair": Figure(
        "pair",
        "pair",
        "what pruning costs both models of the pair on {benchmark}",
        "What every variant costs the model that answers at once and the one that thinks, on "
        "{benchmark} under the largest budget, with 95 % intervals, and how much more the one that "
        "thinks loses. One colour for each kind of pruning. Filled marks in the right panel are "
        "interactions that the permutation test finds after Holm's correction. The numbers are in "
        "pair.csv.",
        ("{run}/tables/pair.csv",),
        ("benchmark",),
        exists=has_pair,
        needs=PAIR,
    ),
    "recovered": Figure(
        "recovered",
        "recovery",
        "{model} on {benchmark}: what training after pruning gives back",
        "Accuracy of {model} on {benchmark} under the largest budget before and after the training "
        "that follows pruning, with 95 % intervals of the gain. The black line is {reference}, the "
        "broken one {reference} with the same training.",
        ("{run}/tables/recovered.csv", MASKS),
        exists=recovers,
        needs=RECOVERED,
    ),
    "recovery_losses": Figure(
        "recovery_losses",
        "recovery",
        "{model}: loss while variants are trained after pruning",
        "Loss of {model} while its variants are trained after pruning: of every step's tokens, and "
        "of the rows that were kept apart. The broken line is at the step whose weights were kept.",
        (RECOVERIES,),
        ("model",),
        exists=recovers,
        needs=RECOVERED,
    ),
    "parallel": Figure(
        "parallel",
        "parallel",
        "{model} on {benchmark}: sequential and parallel scaling",
        "Thinking longer against thinking several times: {model} on {benchmark}. Where a coloured "
        "line is above the black one at the same number of tokens, the majority of several short "
        "thoughts is worth more than one long thought.",
        ("{run}/tables/parallel.csv",),
        exists=repeats,
    ),
    "sparsity": Figure(
        "sparsity",
        "pruning",
        "{model} on {benchmark}: accuracy against share of the blocks' weights removed",
        "Accuracy of {model} on {benchmark} under the largest budget against the share of the "
        "linear weights of all blocks that a variant removes.",
        CURVES,
        exists=sweeps_sparsity,
    ),
    "parameters": Figure(
        "sparsity",
        "pruning",
        "{model} on {benchmark}: accuracy against share of all parameters removed",
        "Accuracy of {model} on {benchmark} under the largest budget against the share of all "
        "parameters that a variant removes: embeddings, head, norms and biases count as well. One "
        "colour for each kind of pruning: single weights (unstructured), whole blocks, attentions "
        "or MLPs (depth), heads and neurons (width), the width of hidden states (slicing).",
        CURVES,
        exists=sweeps_sizes,
        options={"ratio": "removed_of_all"},
    ),
    "allocation": Figure(
        "allocation",
        "pruning",
        "{model}: what each variant removes, block by block",
        "What every variant removes from {model}, block by block. A row is a variant, a column a "
        "block; the upper half of a cell is its attention, the lower half its MLP. The shade is "
        "the share of their weights that is pruned, as achieved; a black cell is a block that was "
        "taken out whole.",
        (MASKS,),
        ("model",),
    ),
    "block_influence": Figure(
        "block_scores",
        "pruning",
        "{model}: Block Influence on {calibration}",
        "Block Influence of every block of {model}: one minus the mean cosine between what goes "
        "into a block and what comes out. ShortGPT removes the blocks with the least.",
        (MASKS, "results/{model}/statistics/{calibration}.safetensors"),
        ("model", "calibration"),
    ),
    "block_choice": Figure(
        "block_choice",
        "pruning",
        "{model}: what {variant} measured of each block",
        "What {variant} measured of every block of {model} before it took some out: the lowest "
        "went. Where it measured in rounds, each is a line, from light to dark, and the blocks "
        "that had gone are left out of those that follow.",
        (MASKS,),
        ("model", "variant"),
    ),
    "influence": Figure(
        "block_scores",
        "pruning",
        "{model}: influence scores on {influence}",
        "LayerIF's influence scores of the attention and the MLP of every block of {model}, which "
        "a layerif allocation turns into sparsities.",
        ("results/{model}/influence/{influence}.json",),
        ("model", "influence"),
    ),
    "calibration_sources": Figure(
        "calibration_sources",
        "pruning",
        "{model} on {benchmark}: accuracy by calibration set",
        "Accuracy of {model} on {benchmark} under the largest budget, a line for every set that "
        "variants were pruned on. Variants of one panel differ in their set and in how much of the "
        "blocks' linear weights they remove, and in nothing else. Intervals are 95 % intervals of "
        "the difference to {reference}, the black line.",
        CURVES,
        exists=sweeps_calibration,
        needs=CALIBRATIONS,
    ),
}


def drawn_of(settings: Settings) -> dict[str, list[str]]:
    """By wildcard, what has figures of its own beside a run's models and benchmarks: sets with
    statistics or scores that variants are made with, and variants that score blocks themselves."""
    names = settings.run.variants
    return {
        "calibration": statistics_in_use(settings),
        "influence": in_use(settings)["influence_sets"],
        "variant": [name for name in names if settings.variants[name].scores_blocks],
    }


def places(figure: str, values: Mapping[str, list[str]]) -> Iterator[dict[str, str]]:
    """The wildcards of every figure of one kind, from what each of them may be."""
    names = FIGURES[figure].wildcards
    for one in product(*(values[name] for name in names)):
        yield dict(zip(names, one, strict=True))


def figure_files(settings: Settings, endings: list[str]) -> list[str]:
    """The files of every figure of a run."""
    run = settings.run
    values = {"model": run.models, "benchmark": run.benchmarks, **drawn_of(settings)}
    return [
        f"{run_folder(run.name)}/figures/{name}/{'/'.join(place.values())}.{ending}"
        for name, figure in FIGURES.items()
        if figure.exists(settings)
        for place in places(name, values)
        for ending in endings
    ]


def figure_title(figure: str, place: Mapping[str, str], reference: str) -> str:
    return FIGURES[figure].title.format(reference=reference, **place)


def shared_options(settings: Settings) -> dict[str, Any]:
    """What figures must know of the run: `needed` says which of them what."""
    ways = as_lists(ways_in_run(settings))
    some: dict[str, Any] = {}
    if sets := calibrations_of(settings):
        some[CALIBRATIONS] = sets
    if has_pair(settings):
        some[PAIR] = plain(settings.tables.pair)
    if recovers(settings):
        some[RECOVERED] = recovered_in_run(settings)
    return {"reference": dense_variant(settings), "ways": ways, **shared_folder(settings), **some}


def needed(entry: Table | Figure, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that every table or figure is told, and of those that some runs have its own."""
    return {k: value for k, value in options.items() if k not in SOME or k == entry.needs}


def shared_folder(settings: Settings) -> dict[str, str]:
    """The option that says where masks and statistics are, where that is not with the answers."""
    return {"shared": run_folder(None)} if settings.run.name else {}


def plot_options(
    figure: str, place: Mapping[str, str], shared: Mapping[str, Any]
) -> dict[str, Any]:
    """What drawing a figure must know beside its files."""
    entry = FIGURES[figure]
    return {
        **entry.options,
        **{name: place[name] for name in entry.wildcards},
        "title": figure_title(figure, place, shared["reference"]),
        **needed(entry, shared),
    }
