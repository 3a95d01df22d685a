"""How many weights each layer keeps where that is chosen beforehand, not by the scores.

ERK: Mocanu et al. 2018 for linear layers, Evci et al. 2020 (RigL, arXiv 1911.11134) for
convolutions. Balanced: Gadhikar, Mukherjee and Burkholz 2023 (arXiv 2210.02412).
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

from rps_bench.methods.layout import Layout, layer_sizes

# What a layer's number of kept weights is proportional to, by the shape of its weight.
SHARES: dict[str, Callable[[tuple[int, ...]], int]] = {
    "erk": sum,  # so that its density is proportional to sum / product of the dimensions
    "balanced": lambda shape: 1,
}


def layer_quotas(density: str, layout: Layout, num_stored: int) -> list[int]:
    """The weights that each layer keeps, in flat order: ``num_stored`` in all.

    Args:
        density: A name of ``SHARES``.
        layout: The layer table.
        num_stored: m, at most n.
    """
    shares = [SHARES[density](shape) for _, shape in layout]
    return divide(num_stored, shares, layer_sizes(layout))


def divide(total: int, shares: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Divide a number in proportion to shares, with no part above its size.

    A part that would exceed its size is filled, and the rest divided again among the others. What
    rounding down leaves over goes to the largest remainders, one each, ties to the earlier part.

    Args:
        total: At most the sum of the sizes.
        shares: Above 0.
        sizes: 0 or above.
    """
    assert 0 <= total <= sum(sizes)
    quotas, is_open = list(sizes), [True] * len(sizes)
    while True:
        # In fractions: a float may come out just below a quota that is whole, and lose a weight.
        left = total - sum(size for size, free in zip(sizes, is_open, strict=True) if not free)
        open_shares = sum(share for share, free in zip(shares, is_open, strict=True) if free)
        factor = Fraction(left, open_shares or 1)
        full = [k for k, free in enumerate(is_open) if free and factor * shares[k] >= sizes[k]]
        if not full:
            break
        for k in full:  # it takes at most its part, so the factor never falls and none reopens
            is_open[k] = False
    exact = {k: factor * shares[k] for k, free in enumerate(is_open) if free}
    for k, quota in exact.items():
        quotas[k] = int(quota)
    by_remainder = sorted(exact, key=lambda k: (quotas[k] - exact[k], k))
    for k in by_remainder[: total - sum(quotas)]:
        quotas[k] += 1
    return quotas
