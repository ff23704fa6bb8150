"""How often intervals hold the truth, and verdicts are false, on made-up benchmarks.

    python -m benchmarks.interval_coverage [--experiments 1000]

Every experiment draws new problems and answers from a known accuracy and judges them as the tables
do. A problem's own accuracy comes from a Beta distribution whose correlation between two answers to
one problem is given: 0 where all problems are equally hard, near 1 where each is always or never
solved. Prints, as Markdown:

- the coverage of the 95 % interval of an accuracy;
- the coverage of the 95 % interval of a mean of each problem's pass@k or area;
- the coverage of the 95 % interval of a difference, where some answers are copies of the other's;
- the same where pruning loses whole problems for good, at several numbers of repeats;
- the same of a pair of models: how much more the one loses, both relative losses and their
  difference, the mean over four variants, and what came back of a loss;
- how often a family of comparisons in which nothing differs has a false verdict;
- the power to find a difference, alone and in the paper's whole family.
"""

import argparse
import math
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import beta
from tabulate import tabulate

from workflow_scripts.tables.statistics.areas import budget_weights
from workflow_scripts.tables.statistics.differences import (
    ALPHA,
    detectable,
    difference_intervals,
    independent_repeats,
    sign_flip_p,
)
from workflow_scripts.tables.statistics.intervals import accuracy_intervals, mean_intervals
from workflow_scripts.tables.statistics.parallel import pass_at_k
from workflow_scripts.tables.statistics.ratios import (
    difference_of_ratios,
    error_correlation,
    regained_shares,
    relative_losses,
)

REPEATS = 3
PROBLEMS = (30, 40, 100, 198, 500)
ACCURACIES = (0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98)
CORRELATIONS = (0.0, 0.3, 0.6, 0.9)
BENCHMARKS = {"AIME24": 30, "AMC23": 40, "GPQA-Diamond": 198, "MATH500": 500}
VARIANTS, BUDGETS = 22, 5
FAMILY = VARIANTS * BUDGETS * len(BENCHMARKS)
ATTEMPTS = ((4, 2), (8, 4), (16, 8), (16, 16))  # repeats, and k of pass@k
LOST = (0.01, 0.02, 0.05, 0.1)  # shares of problems
PAIRS = (
    ((0.3, 0.9), (0.05, 0.05)),
    ((0.3, 0.9), (0.3, 0.3)),
    ((0.3, 0.9), (0.02, 0.5)),
    ((0.6, 0.6), (0.3, 0.3)),
)  # accuracies of two models, and the shares of it that are lost
FEW = 4  # variants whose mean is taken
DIFFERENCES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def generator(problems: int, *settings: float) -> Generator:
    """Random numbers of a cell's own, so that one can be looked at alone."""
    return np.random.default_rng([problems, *(round(1000 * setting) for setting in settings)])


def difficulties(random: Generator, accuracy: float, correlation: float, *shape: int) -> NDArray:
    """Each problem's own accuracy, in an array of this shape."""
    if correlation == 0:
        return np.full(shape, accuracy)
    alike = 1 / correlation - 1
    return random.beta(accuracy * alike, (1 - accuracy) * alike, size=shape)


def answers(random: Generator, of_problems: NDArray, repeats: int = REPEATS) -> NDArray:
    """Repeats of each problem, in a last axis."""
    return random.random((*of_problems.shape, repeats), dtype=np.float32) < of_problems[..., None]


def coverage(experiments: int) -> list[list[str]]:
    """Rows of the coverage of an accuracy's interval, in percent."""
    lines = []
    for problems in PROBLEMS:
        for correlation in CORRELATIONS:
            line = [str(problems), f"{correlation:g}"]
            for accuracy in ACCURACIES:
                random = np.random.default_rng(
                    [problems, int(10 * correlation), int(100 * accuracy)]
                )
                of_problems = difficulties(random, accuracy, correlation, experiments, problems)
                _, _, low, high = accuracy_intervals(answers(random, of_problems).astype(float))
                line.append(_percent(np.mean((low <= accuracy) & (accuracy <= high))))
            lines.append(line)
    return lines


def mean_coverage(experiments: int) -> list[list[str]]:
    """Rows of the coverage of the interval of a mean over problems: pass@k, and the area."""
    weights = budget_weights([512 * 2**step for step in range(BUDGETS)])
    growth = np.linspace(0.4, 1, BUDGETS)  # of a problem's accuracy with the budget
    lines = []
    for repeats, k in (*ATTEMPTS, (REPEATS, 0)):
        for problems in (30, 198):
            for correlation in CORRELATIONS:
                name = f"pass@{k} of {repeats}" if k else f"area, {repeats} repeats"
                line = [name, str(problems), f"{correlation:g}"]
                for accuracy in ACCURACIES:
                    random = generator(problems, repeats, k, correlation, accuracy)
                    of_problems = difficulties(random, accuracy, correlation, experiments, problems)
                    if k:
                        values = pass_at_k(answers(random, of_problems, repeats), k)
                        truth = true_pass_at_k(accuracy, correlation, k)
                    else:
                        # the same random numbers under every budget: a longer trace goes on
                        draws = random.random((*of_problems.shape, repeats), dtype=np.float32)
                        by_budget = [(draws < g * of_problems[..., None]).mean(-1) for g in growth]
                        values = np.tensordot(weights, by_budget, 1)
                        truth = accuracy * float(weights @ growth)
                    _, _, low, high = mean_intervals(values)
                    line.append(_percent(np.mean((low <= truth) & (truth <= high))))
                lines.append(line)
    return lines


def true_pass_at_k(accuracy: float, correlation: float, k: int) -> float:
    """1 less the mean of (1 - a problem's accuracy)^k, a moment of the Beta distribution."""
    if correlation == 0:
        return 1 - (1 - accuracy) ** k
    alike = 1 / correlation - 1
    return 1 - math.prod(((1 - accuracy) * alike + i) / (alike + i) for i in range(k))


def difference_coverage(experiments: int) -> list[list[str]]:
    """Rows of the coverage of a difference's interval: copied share, problems, true differences."""
    lines = []
    for copied in (0.0, 0.8):
        for problems in PROBLEMS:
            line = [str(problems), f"{copied:.0%}"]
            for accuracy in (0.1, 0.5, 0.9):
                for lost in (0.0, 0.2):
                    random = generator(problems, copied, accuracy)
                    of_problems = difficulties(random, accuracy, 0.6, experiments, problems)
                    one = answers(random, of_problems)
                    kept = random.random(one.shape) >= lost
                    again = np.where(
                        random.random(one.shape) < copied, one, answers(random, of_problems)
                    )
                    changes = (again & kept).astype(np.int8) - one
                    _, low, high = difference_intervals(
                        changes.mean(axis=-1), independent_repeats(changes)
                    )
                    truth = -lost * accuracy
                    line.append(_percent(np.mean((low <= truth) & (truth <= high))))
            lines.append(line)
    return lines


def loss_coverage(experiments: int) -> list[list[str]]:
    """Rows of the coverage of a difference's interval where some problems are never solved again.

    Both draw the same random numbers, as the runs do, so that no other answer differs, or only a
    tenth of the answers, which are redrawn. Without sampling there is one random number for all
    repeats.
    """
    lines = []
    for kind, redrawn in (("greedy", 0.0), ("sampled", 0.0), ("tenth redrawn", 0.1)):
        for repeats in (1, 3, 10):
            for problems in PROBLEMS:
                line = [kind, str(repeats), str(problems)]
                for lost in LOST:
                    random = generator(problems, repeats, lost, redrawn)
                    of_problems = difficulties(random, 0.9, 0.6, experiments, problems)
                    one = answers(random, of_problems, 1 if kind == "greedy" else repeats)
                    one = np.broadcast_to(one, (*of_problems.shape, repeats))
                    fresh = answers(random, of_problems, repeats)
                    again = np.where(random.random(one.shape) < redrawn, fresh, one)
                    kept = random.random(of_problems.shape) >= lost
                    changes = (again & kept[..., None]).astype(np.int8) - one
                    _, low, high = difference_intervals(
                        changes.mean(axis=-1), independent_repeats(changes)
                    )
                    truth = -lost * 0.9
                    line.append(_percent(np.mean((low <= truth) & (truth <= high))))
                lines.append(line)
    return lines


def pair_coverage(experiments: int) -> list[list[str]]:
    """Rows of the coverage of what is told of two models that answer the same problems.

    One has an accuracy of 0.3, the other of 0.9, or both of 0.6; 6 of 10 problems are as hard for
    the one as for the other. Each loses a share of its right answers: drawn anew, or whole problems
    for good. Of shares the last number is how often the smaller one is stated.
    """
    lines = []
    for kind in ("anew", "whole problems"):
        for problems in (30, 100, 240):
            for repeats in (1, REPEATS):
                for accuracies, lost in PAIRS:
                    random = generator(problems, repeats, *accuracies, *lost)
                    of_problems = alike(random, experiments, problems, accuracies)
                    found = [
                        _lose(random, chances, share, repeats, kind)
                        for chances, share in zip(of_problems, lost, strict=True)
                    ]
                    covered, stated = _of_pair(found, accuracies, lost)
                    name = f"{accuracies[0]:g} − {lost[0]:.0%}, {accuracies[1]:g} − {lost[1]:.0%}"
                    shown = [*map(_percent, covered), _percent(stated)]
                    lines.append([kind, str(problems), str(repeats), name, *shown])
    return lines


def alike(
    random: Generator, experiments: int, problems: int, accuracies: Sequence[float]
) -> list[NDArray]:
    """Each problem's accuracy for two models, the same quantile of both for 6 of 10 problems."""
    ranks = random.random((experiments, problems))
    other = np.where(random.random(ranks.shape) < 0.6, ranks, random.random(ranks.shape))
    return [
        beta.ppf(of_model, accuracy / 1.5, (1 - accuracy) / 1.5)
        for of_model, accuracy in zip((ranks, other), accuracies, strict=True)
    ]


def _lose(
    random: Generator, chances: NDArray, lost: float, repeats: int, kind: str
) -> tuple[NDArray, NDArray]:
    """Answers of a dense model, and the losses of four variants beside each other as repeats."""
    dense = answers(random, chances, repeats).astype(np.int8)
    variants = []
    for _ in range(FEW):
        if kind == "anew":
            variants.append(answers(random, chances * (1 - lost), repeats))
        else:
            variants.append(dense & (random.random(chances.shape) >= lost)[..., None])
    return dense, np.concatenate([dense - one for one in variants], axis=-1)


def _of_pair(
    found: Sequence[tuple[NDArray, NDArray]], accuracies: Sequence[float], lost: Sequence[float]
) -> tuple[list[float], float]:
    """Shares of experiments in which intervals hold the truth, where they are stated."""
    (one, one_lost), (two, two_lost) = found
    repeats, truth = one.shape[-1], accuracies[1] * lost[1] - accuracies[0] * lost[0]
    covered = []
    for last in (repeats, FEW * repeats):  # one variant, and all of them
        more = (two_lost - one_lost)[..., :last]
        of_repeats = independent_repeats(more)
        _, low, high = difference_intervals(more.mean(axis=-1), of_repeats, models=2)
        covered.append(np.mean((low <= truth) & (truth <= high)))
    of_one = [(dense, losses[..., :repeats]) for dense, losses in found]
    ratios = [relative_losses(losses, dense) for dense, losses in of_one]
    errors = [(losses.mean(axis=-1), dense.mean(axis=-1)) for dense, losses in of_one]
    both = difference_of_ratios(ratios[1], ratios[0], error_correlation(errors[1], errors[0]))
    for (_, low, high), share in (
        (ratios[0], lost[0]), (ratios[1], lost[1]), (both, lost[1] - lost[0]),
    ):  # fmt: skip
        known = np.isfinite(low)
        covered.append(np.mean(((low <= share) & (share <= high))[known]))
    return covered, float(np.isfinite(ratios[0][1]).mean())


def recovery_coverage(experiments: int) -> list[list[str]]:
    """Rows of the coverage of the share of a loss that came back, where it is stated.

    The dense model's accuracy is 0.8; pruning loses a share of the right answers, of which training
    brings a half back. The second number of a cell is how often the share is stated.
    """
    lines = []
    for problems in (30, 100, 240):
        for repeats in (1, REPEATS):
            line = [str(problems), str(repeats)]
            for lost in (0.1, 0.2, 0.4, 0.8):
                random = generator(problems, repeats, lost)
                chances = difficulties(random, 0.8, 0.6, experiments, problems)
                dense, start, recovered = (
                    answers(random, chances * kept, repeats).astype(np.int8)
                    for kept in (1.0, 1 - lost, 1 - lost / 2)
                )
                _, low, high = regained_shares(dense, start, recovered)
                known = np.isfinite(low)
                covered = np.mean(((low <= 0.5) & (high >= 0.5))[known])
                line.append(f"{_percent(covered)} ({_percent(np.mean(known))})")
            lines.append(line)
    return lines


def false_verdicts(experiments: int) -> list[list[str]]:
    """Rows of how often a family in which nothing differs has a verdict, by correlation."""
    lines = []
    for correlation in (0.0, 0.6, 0.9):
        random = generator(0, correlation)
        counts = dict.fromkeys([*BENCHMARKS, "all four"], 0)
        for _ in range(experiments):
            family: list[float] = []
            for name, problems in BENCHMARKS.items():
                # harder at a small budget: a problem's accuracy grows with the budget
                largest = difficulties(random, 0.7, correlation, problems)
                of_problems = largest * np.linspace(0.4, 1, BUDGETS)[:, None]
                drawn = answers(
                    random, np.broadcast_to(of_problems, (VARIANTS + 1, BUDGETS, problems))
                ).sum(axis=-1)
                changes = drawn[1:] - drawn[0]
                p_values = [sign_flip_p(row) for row in changes.reshape(-1, problems)]
                counts[name] += has_verdict(p_values)
                family += p_values
            counts["all four"] += has_verdict(family)
        lines.append([f"{correlation:g}", *(_percent(c / experiments) for c in counts.values())])
    return lines


def has_verdict(p_values: Sequence[float]) -> bool:
    """Whether Holm's correction leaves any p below 0.05: its first step, which is Bonferroni's.

    statsmodels' own takes 60 ms whatever the family, since it collects garbage.
    """
    return min(p_values) * len(p_values) < ALPHA


def power(experiments: int) -> list[list[str]]:
    """Rows of the power by true difference, in percent, alone and at the family's level."""
    lines = []
    for name, problems in BENCHMARKS.items():
        found, stated = {}, []
        for lost in DIFFERENCES:
            random = generator(problems, lost)
            of_problems = difficulties(random, 0.6, 0.6, experiments, problems)
            one = answers(random, of_problems).astype(np.int8)
            changes = answers(random, of_problems * (1 - lost / 0.6)) - one
            p_values = np.array([sign_flip_p(row) for row in changes.sum(axis=-1)])
            found[lost] = [np.mean(p_values < ALPHA / size) for size in (1, FAMILY)]
            if lost == DIFFERENCES[0]:
                repeats = independent_repeats(changes)
                se, _, _ = difference_intervals(changes.mean(axis=-1), repeats)
                stated = [
                    np.mean(
                        [
                            detectable(of_one, problems, its_repeats, size)
                            for of_one, its_repeats in zip(se, repeats, strict=True)
                        ]
                    )
                    for size in (1, FAMILY)
                ]
        for place, size in enumerate((1, FAMILY)):
            powers = [_percent(found[lost][place]) for lost in DIFFERENCES]
            lines.append([f"{name} ({problems})", str(size), *powers, f"{stated[place]:.3f}"])
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=1000, help="in each cell")
    experiments = parser.parse_args(arguments).experiments
    for title, header, simulate in (
        (
            f"Coverage of the interval of an accuracy, %; {REPEATS} repeats",
            ["problems", "correlation", *map(str, ACCURACIES)],
            coverage,
        ),
        (
            "Coverage of the interval of a mean over problems, %, by accuracy",
            ["mean of", "problems", "correlation", *map(str, ACCURACIES)],
            mean_coverage,
        ),
        (
            "Coverage of the interval of a difference, %; accuracy → that of the other",
            ["problems", "copied", "0.1 → same", "→ 0.08", "0.5 → same", "→ 0.4", "0.9 → same",
             "→ 0.72"],
            difference_coverage,
        ),
        (
            "Coverage of the interval of a difference, %, where pruning loses a share of the "
            "problems; accuracy 0.9",
            ["answers", "repeats", "problems", *map(str, LOST)],
            loss_coverage,
        ),
        (
            "Coverage of intervals of a pair of models, %, by accuracies and what of them is lost: "
            f"of one variant's interaction, of the mean of {FEW}, of relative losses and their "
            "difference; how often the first model's is stated",
            ["lost", "problems", "repeats", "accuracies", "interaction", "mean", "first", "second",
             "difference", "stated"],
            pair_coverage,
        ),
        (
            "Coverage of the interval of the share of a loss that came back, %, and how often that "
            "is stated, by the share of right answers that was lost",
            ["problems", "repeats", "0.1", "0.2", "0.4", "0.8"],
            recovery_coverage,
        ),
        (
            f"Families with a false verdict, %; {VARIANTS} variants × {BUDGETS} budgets each",
            ["correlation", *BENCHMARKS, "all four as one family"],
            false_verdicts,
        ),
        (
            "Power, %, by true difference; detectable as the table states it",
            ["benchmark", "comparisons", *map(str, DIFFERENCES), "detectable"],
            power,
        ),
    ):  # fmt: skip
        lines = simulate(experiments)
        print(f"{title}\n\n{tabulate(lines, header, 'pipe', disable_numparse=True)}\n", flush=True)


if __name__ == "__main__":
    main()
