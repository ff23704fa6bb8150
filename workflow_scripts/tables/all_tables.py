"""Every table: a module of `tables.content` with `build`, and an entry here.

Captions may name the reference.
"""

from workflow_scripts.tables.conditions import (
    has_dynamic,
    has_pair,
    has_tasks,
    judges,
    recovers,
    screens,
    sweeps_levels,
)
from workflow_scripts.tables.entries import (
    CELLS,
    CHOICES,
    DATA_PAIRS,
    DYNAMIC,
    LEVELS,
    LOGS,
    MASKS,
    PAIR,
    RECOVERED,
    ROUTES,
    SCORES,
    SCREENING,
    SCREENS,
    SPEEDS,
    SPENT,
    TASK_LIMITS,
    TASKS,
    TRACES,
    Table,
)

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
        "structured pruning of at most as many of the blocks' weights, structured variants of "
        "different kinds with about as many of all parameters, and dynamic variants against those "
        "that lack about as many of the blocks' weights for all tokens. p values come from the "
        "exact permutation test that flips the signs of problems, corrected (Holm) within each of "
        "these families for every model. A difference is better or worse where the corrected p is "
        "below 0.05. Where it is not, the verdict says how large a difference the 95 % interval "
        "still allows or, if that is more than 0.1, inconclusive.",
        reads=(CELLS, MASKS),
        also=("areas",),
    ),
    "diagnosis": Table(
        "Diagnosis",
        "What traces look like where accuracy falls: how they end, whether they go in circles, how "
        "soon they depart from those of {reference} that were drawn with the same random numbers, "
        "what is lost and won against it, and accuracy by the length of traces and by how hard "
        "problems are. Every budget and all intervals are in diagnosis.csv, diagnosis_lengths.csv "
        "and diagnosis_difficulty.csv; every trace is in traces.parquet.",
        reads=(CELLS, TRACES),
        also=("diagnosis_lengths", "diagnosis_difficulty"),
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
    "routes": Table(
        "What tokens skip",
        "What every dynamic variant skips: the share of tokens × sublayers that was asked for, "
        "that is skipped on rows kept apart from training, and while traces and answers are "
        "decoded, and of the blocks' weights that a token then does not use. Beside them its "
        "accuracy and the difference to {reference} and to variants that lack as much for all "
        "tokens. Means over problems, with Student's intervals at 95 %. What each block skips is "
        "in routes_by_block.csv, what kinds of tokens do in routes_by_kind.csv.",
        reads=(CELLS, MASKS, "{run}/tables/comparison.csv", ROUTES),
        also=("routes_by_block", "routes_by_kind"),
        exists=has_dynamic,
        needs=DYNAMIC,
    ),
    "tasks": Table(
        "Tasks",
        "Every variant on the tasks of the evaluation harness: the number of each task, and means "
        "over the tasks of a family and over all that weigh tasks alike. Samples are the unit: "
        "Wilson's interval at 95 % of shares, Student's of other means, on the logarithmic scale "
        "of perplexities. Differences to {reference} are paired by sample; p values come from the "
        "exact permutation test where samples have marks and from Student's test otherwise, "
        "corrected (Holm) over all tasks and variants of a model, those of means over its means.",
        reads=(SCORES, MASKS),
        exists=has_tasks,
        needs=TASKS,
        told=(TASK_LIMITS,),
    ),
    "task_claims": Table(
        "Claims about tasks",
        "Which claims of arXiv 2601.18091, and of files of your own, hold in this run: supported "
        "or contradicted where the 95 % interval of what is compared leaves out 0, undecided "
        "where it holds 0, not tested where the run lacks what a claim is about.",
        reads=(SCORES, CELLS, MASKS),
        exists=has_tasks,
        needs=TASKS,
        told=(PAIR, RECOVERED, DATA_PAIRS),
        published="claims_*.yaml",
    ),
    "published": Table(
        "Beside the published values",
        "The run in the form of the paper's tables, mean ± population standard deviation over "
        "repeats, beside what arXiv 2604.25098 published about the same model, variant, benchmark "
        "and budget, where it did; and which of its claims hold here.",
        reads=(CELLS, MASKS, "{run}/tables/comparison.csv"),
        also=("claims",),
        published="*.csv",
    ),
    "screening": Table(
        "Screening",
        "How far every variant is from the dense model on the dense model's own traces and "
        "answers, before it generates: KL divergence, agreement on the likeliest token and cross "
        "entropy, by kind of token. Which variants went on to generation, what those lost of "
        "{reference}'s accuracy under the largest budget, and Spearman's rank correlation of the "
        "two with 95 % intervals (Bonett and Wright). Where variants were "
        "screened out, correlations are of the best alone.",
        reads=(CELLS, SCREENS, CHOICES),
        also=("screening_losses", "screening_correlations"),
        exists=screens,
        needs=SCREENING,
    ),
    "cost": Table(
        "Cost",
        "What an answer of every variant costs under every budget, on average: tokens, FLOPs of a "
        "dense kernel and those that are left without zeros, bytes that are moved and held. Masks "
        "of single weights save no work of a dense kernel. How weights are stored, and what "
        "decoded them, is in cost.csv, and so are times where the run asks for them.",
        reads=(CELLS, *SPENT),
        told=(LOGS,),
    ),
    "frontier": Table(
        "Accuracy for a price",
        "For what each budget of {reference} costs, the pruned variant that is right most often at "
        "that price, and by how much more often than {reference}. The best of several looks "
        "better than it is on the problems that chose it: the choice is repeated on resampled "
        "problems, and what it gains by that is taken off. p values are corrected (Holm) over the "
        "budgets of a model, benchmark and price. Every point and the Pareto fronts are in "
        "front.csv.",
        reads=(CELLS, *SPENT, "{run}/tables/cost.csv"),
        also=("front",),
    ),
    "onset": Table(
        "Where pruning begins to show",
        "By way of pruning and budget, the least share of the blocks' weights without which a loss "
        "of accuracy is as large as the benchmark finds in 80 of 100 runs, and by how much that "
        "changes with each doubling of the budget. Losses are made to never fall with what is "
        "removed; intervals are over problems. A loss is a difference in accuracy: under a budget "
        "with which {reference} is seldom right there is little to lose, and pruning shows late.",
        reads=(CELLS, MASKS),
        also=("onset_slopes",),
        exists=sweeps_levels,
        needs=LEVELS,
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
