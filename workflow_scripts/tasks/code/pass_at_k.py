"""How likely one of k samples passes, from more samples than k."""

from math import comb

# the k that are reported, as far as there are samples for them
KS = (1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100)


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The unbiased estimate 1 - C(n - c, k) / C(n, k), of n samples of which c passed.

    Equation 1 of arXiv 2107.03374: over all choices of k samples, the share with one that passed.
    """
    return 1 - comb(samples - passed, k) / comb(samples, k)


def metrics(verdicts: list[bool]) -> dict[str, float]:
    """`pass@k` for every k of KS that there are samples for, from a problem's verdicts."""
    count = len(verdicts)
    return {f"pass@{k}": pass_at_k(count, sum(verdicts), k) for k in KS if k <= count}
