"""Every figure: a module of `tables.drawing` with `draw`, and an entry here.

Titles and captions may name an entry's wildcards and the reference, `{model}`.
"""

from workflow_scripts.tables.calibrations import sweeps_calibration
from workflow_scripts.tables.conditions import (
    Condition,
    compares,
    compares_masks,
    compares_screens,
    compares_tasks,
    has_dynamic,
    has_families,
    has_pair,
    recovers,
    repeats,
    sweeps_levels,
    sweeps_sizes,
    sweeps_sparsity,
    times,
)
from workflow_scripts.tables.entries import (
    CALIBRATIONS,
    CURVES,
    DYNAMIC,
    FRONT,
    LEVELS,
    MASKS,
    PAIR,
    RECOVERED,
    RECOVERIES,
    ROUTES,
    SCREENING,
    TASKS,
    TRACES,
    Figure,
)


def _against(price: str, name: str, said: str, exists: Condition = compares) -> Figure:
    """Accuracy against a price, a column of costs."""
    return Figure(
        "frontier",
        "cost",
        f"{{model}} on {{benchmark}}: accuracy against {name}",
        f"Accuracy of {{model}} on {{benchmark}} against {said}, a line for every variant through "
        "its budgets. The broad line joins the Pareto front: nothing is more accurate for as "
        "little. It is made of the luckiest of many points, which frontier.csv takes into account. "
        "The numbers are in front.csv.",
        FRONT,
        exists=exists,
        options={"price": price},
    )


FIGURES = {
    "scaling_curves": Figure(
        "scaling_curves",
        "accuracy",
        "{model} on {benchmark}: accuracy against thinking budget",
        "Accuracy of {model} on {benchmark} against the thinking budget, a line for every variant. "
        "Bands are 95 % intervals, those of pruned variants of their difference to {reference} on "
        "the same problems; with more than eight variants only one is drawn. The hue names the "
        "method, marker and dashes its way of pruning, the shade how much of the blocks' weights "
        "is removed, or not used by a token; lines that coincide lie on top of one another, the "
        "later one thinner. The numbers are in accuracy.csv and comparison.csv.",
        CURVES,
    ),
    "families": Figure(
        "families",
        "accuracy",
        "{model} on {benchmark}: accuracy against thinking budget, by what is taken out",
        "Accuracy of {model} on {benchmark} against the thinking budget, in one colour for each "
        "kind of pruning: single weights (unstructured), whole blocks, attentions or MLPs (depth), "
        "heads and neurons (width), the width of hidden states (slicing), sublayers token by token "
        "(dynamic). The darker, the larger the share of all parameters that is gone or, in a run "
        "with dynamic variants, of the blocks' weights that a token does not use.",
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
    "endings": Figure(
        "endings",
        "diagnosis",
        "{model} on {benchmark}: how traces end",
        "How the traces of {model} on {benchmark} end under every budget: by themselves, with the "
        "model's turn inside its thinking, cut by the budget, or cut in a loop, which is the same "
        "characters over and over. A panel for every variant. The numbers are in diagnosis.csv.",
        ("{run}/tables/diagnosis.csv",),
    ),
    "departures": Figure(
        "departures",
        "diagnosis",
        "{model} on {benchmark}: where traces depart from {reference}, and where accuracy falls",
        "Traces of {model} on {benchmark} beside those of {reference}, drawn with the same random "
        "numbers. Left, the share of a variant's traces that are still the same after so many "
        "tokens. Right, accuracy under the largest budget by the length of the trace and by how "
        "often {reference} is right in other repeats of the problem.",
        (
            TRACES,
            "{run}/tables/diagnosis_lengths.csv",
            "{run}/tables/diagnosis_difficulty.csv",
            MASKS,
        ),
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
    "screening": Figure(
        "screening",
        "screening",
        "{model} on {benchmark}: accuracy lost against divergence",
        "What variants of {model} lose of {reference}'s accuracy on {benchmark} under the largest "
        "budget, with 95 % intervals, against their KL divergence from the dense model on its own "
        "traces, which was measured before they generated. Spearman's rank correlation is over "
        "variants. Ticks at the bottom are variants that were screened out. The numbers are in "
        "screening_losses.csv and screening_correlations.csv.",
        (
            *(f"{{run}}/tables/screening{name}.csv" for name in ("", "_losses", "_correlations")),
            MASKS,
        ),
        exists=compares_screens,
        needs=SCREENING,
    ),
    "tasks": Figure(
        "tasks",
        "tasks",
        "{model}: loss by family of tasks",
        "What every variant of {model} loses of the mean over the tasks of a family, against the "
        "share of all parameters that it removes or, in a run with dynamic variants, of the "
        "blocks' weights that a token does not use, with 95 % intervals of the difference to "
        "{reference} on the same samples. One colour for each kind of pruning; hollow marks were "
        "trained after pruning. A variant that can only guess loses no more than down to chance. "
        "The numbers are in tasks.csv.",
        ("{run}/tables/tasks.csv",),
        ("model",),
        exists=compares_tasks,
        needs=TASKS,
    ),
    "unused": Figure(
        "sparsity",
        "routes",
        "{model} on {benchmark}: accuracy against share of the blocks' weights not used",
        "Accuracy of {model} on {benchmark} under the largest budget against the share of the "
        "linear weights of all blocks that a token does not use, on average: what is removed, or "
        "what a dynamic variant's tokens skip on rows kept apart from training. One colour for "
        "each kind of pruning.",
        CURVES,
        exists=has_dynamic,
        options={"ratio": "unused"},
        needs=DYNAMIC,
    ),
    "dynamic_curves": Figure(
        "dynamic_curves",
        "routes",
        "{model} on {benchmark}: dynamic variants beside static ones of as many unused weights",
        "Accuracy of {model} on {benchmark} against the thinking budget, a panel for every dynamic "
        "variant, with its unused share of the blocks' weights in per cent. Beside it stand "
        "{reference} and the variants that lack about as many weights for all tokens, within 5 "
        "points, of each kind of pruning the nearest. Bands are 95 % intervals, of the dynamic "
        "variant of its difference to {reference}. The differences are in comparison.csv.",
        CURVES,
        exists=has_dynamic,
        needs=DYNAMIC,
    ),
    "routes": Figure(
        "routes",
        "routes",
        "{model} on {benchmark}: which blocks run where in a trace",
        "The share of tokens that run each block's attention (above) and MLP (below) of {model}, "
        "by where in a trace of {benchmark} they are, under the largest budget: light runs seldom, "
        "dark always. Late places hold only the traces that are so long.",
        (ROUTES, MASKS),
        exists=has_dynamic,
        needs=DYNAMIC,
    ),
    "token_kinds": Figure(
        "token_kinds",
        "routes",
        "{model} on {benchmark}: what runs at which kinds of tokens",
        "The share of blocks whose attention and MLP a token runs, on average over tokens of one "
        "kind in the traces of {model} on {benchmark} under the largest budget. Lines are those of "
        "all tokens. Right of each panel the share of tokens that are of a kind. The numbers are "
        "in routes_by_kind.csv.",
        (ROUTES, MASKS),
        exists=has_dynamic,
        needs=DYNAMIC,
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
    "frontier": _against("flops", "work", "the mean work of an answer, in FLOPs of dense kernels"),
    "frontier_kept": _against(
        "kept_flops",
        "work without zeros",
        "the mean work of an answer that is left without weights that are zero, which no kernel "
        "here leaves out",
        compares_masks,
    ),
    "frontier_moved": _against(
        "moved_bytes",
        "bytes moved",
        "the mean bytes of weights and of keys and values that an answer moves by itself",
    ),
    "frontier_held": _against(
        "held_bytes",
        "memory",
        "the mean bytes of weights and of keys and values at the end of an answer",
    ),
    "frontier_time": _against(
        "seconds", "time", "the mean time of an answer, as the jobs of this run took it", times
    ),
    "sparsity": Figure(
        "sparsity",
        "pruning",
        "{model} on {benchmark}: accuracy against share of the blocks' weights removed",
        "Accuracy of {model} on {benchmark} under the largest budget against the share of the "
        "linear weights of all blocks that a variant removes. Dynamic variants remove none and are "
        "left out.",
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
        "or MLPs (depth), heads and neurons (width), the width of hidden states (slicing). Dynamic "
        "variants remove none and are left out.",
        CURVES,
        exists=sweeps_sizes,
        options={"ratio": "removed_of_all"},
    ),
    "surface": Figure(
        "surface",
        "comparison",
        "{model} on {benchmark}: accuracy over sparsity and budget",
        "Accuracy of {model} on {benchmark} over the share of the blocks' weights that is removed "
        "and the thinking budget, a panel for every way of pruning with at least four levels; the "
        "first column is {reference}. The line is where a loss becomes as large as this benchmark "
        "finds in 80 of 100 runs: left of it no loss is found, which is late where {reference} is "
        "seldom right. Bars are 95 % intervals, with an arrow where they have no upper end. The "
        "numbers are in accuracy.csv and onset.csv.",
        ("{run}/tables/accuracy.csv", "{run}/tables/onset.csv", MASKS),
        exists=sweeps_levels,
        needs=LEVELS,
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
