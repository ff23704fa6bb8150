"""Places for labels at the ends of lines, so that none covers another."""

from collections.abc import Sequence


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights as near as can be to those wanted, at least `gap` apart and inside [low, high].

    The sum of squared moves is the smallest possible. Equal wishes keep their order, the first on
    top. Where `gap` does not fit, the heights divide [low, high] evenly.
    """
    count = len(wanted)
    if count > 1 and gap * (count - 1) > high - low:
        gap = (high - low) / (count - 1)
    order = sorted(range(count), key=lambda place: (wanted[place], -place))
    # With i gaps taken off the i-th height from below, the heights need only not decrease: isotonic
    # regression, by pooling neighbours that do (each pool: sum of its wishes, their number).
    pools: list[tuple[float, int]] = []
    for rank, place in enumerate(order):
        pool = (wanted[place] - rank * gap, 1)
        while pools and pools[-1][0] / pools[-1][1] > pool[0] / pool[1]:
            below = pools.pop()
            pool = (below[0] + pool[0], below[1] + pool[1])
        pools.append(pool)
    # the bound that the top height must keep holds for all heights once the gaps are taken off
    top = high - gap * (count - 1)
    level = [min(max(total / size, low), top) for total, size in pools for _ in range(size)]
    heights = [0.0] * count
    for rank, place in enumerate(order):
        heights[place] = level[rank] + rank * gap
    return heights
