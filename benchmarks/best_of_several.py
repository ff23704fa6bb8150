"""What is said of the best of several variants at equal price, on made-up benchmarks.

    python -m benchmarks.best_of_several [--experiments 200]

Every experiment draws problems, answers under five budgets and their prices, for the dense model
and some variants that lose known shares of its right answers, and judges them as the table
`frontier` does. Prints, as Markdown, how much too large the difference of the best variant is on
average, before and after its optimism is taken off, in percentage points; how often the 95 %
interval holds the true difference of the variant that was chosen; and how often one of five budgets
has a verdict that is false: a difference of the other sign, or one where there is none.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from tabulate import tabulate

from benchmarks.interval_coverage import answers, difficulties
from workflow_scripts.tables.statistics.differences import holm
from workflow_scripts.tables.statistics.equal_price import Curve, best_at_equal_price
from workflow_scripts.tables.statistics.verdicts import ALPHA

SIZES = ((30, 1), (30, 3), (100, 3), (240, 3))  # problems, repeats
MANY = "20, nothing"
# what variants lose of the right answers
LOSSES = {
    "one, 5 %": [0.05],
    MANY: [0.0] * 20,
    "20, 0 to 30 %": [*np.linspace(0, 0.3, 20)],
    "5, 20 %": [0.2] * 5,
}
ACCURACY, OTHERS = 0.6, (0.1, 0.95)  # of the dense model under the largest budget
CORRELATION = 0.33  # of two answers
GROWTH = np.linspace(0.5, 1, 5)  # of the accuracy with the budget
PRICES = np.linspace(1, 5, 5)
SPREAD = 0.3  # of prices over problems, relative


def curve(random: Generator, chances: np.ndarray, repeats: int) -> Curve:
    """Answers with the chances (budgets, problems), and prices that differ between problems."""
    own = 1 + SPREAD * np.clip(random.standard_normal(chances.shape[1]), -2, 2)
    return Curve(answers(random, chances, repeats).astype(float), PRICES[:, np.newaxis] * own)


def experiment(
    random: Generator, problems: int, repeats: int, losses: Sequence[float], accuracy: float
):
    """For each budget with a best variant: errors of its difference, as it is and without optimism,
    whether the interval holds the truth, and the family's false verdicts."""
    easy = GROWTH[:, np.newaxis] * difficulties(random, accuracy, CORRELATION, problems)
    dense = curve(random, easy, repeats)
    variants = [curve(random, easy * (1 - loss), repeats) for loss in losses]
    found = [(n, best) for n, best in enumerate(best_at_equal_price(dense, variants)) if best]
    truths = [
        accuracy * (best.shares @ GROWTH * (1 - losses[best.variant]) - GROWTH[n])
        for n, best in found
    ]
    corrected = holm([best.p for _, best in found])
    judged = []
    for (_, best), truth, p in zip(found, truths, corrected, strict=True):
        difference = best.difference - best.optimism
        judged.append(
            (
                best.difference - truth,
                difference - truth,
                best.low <= truth <= best.high,
                p < ALPHA and difference * truth <= 0,
            )
        )
    return judged


def rows(experiments: int):
    for problems, repeats in SIZES:
        for name, accuracy in [*((n, ACCURACY) for n in LOSSES), *((MANY, a) for a in OTHERS)]:
            losses = LOSSES[name]
            random = np.random.default_rng([problems, repeats, len(losses)])
            made = [
                experiment(random, problems, repeats, losses, accuracy) for _ in range(experiments)
            ]
            errors, left, holds, _ = np.array([row for one in made for row in one]).T
            false = np.mean([any(row[3] for row in one) for one in made])
            yield [
                str(problems), str(repeats), f"{accuracy:g}", name, f"{100 * errors.mean():+.1f}",
                f"{100 * left.mean():+.1f}", f"{100 * holds.mean():.1f}", f"{100 * false:.1f}",
            ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=200)
    given = parser.parse_args(arguments)
    heads = ("problems", "repeats", "accuracy", "variants, what they lose", "too large",
             "corrected", "coverage", "false verdicts")  # fmt: skip
    print(tabulate(rows(given.experiments), heads, "pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
