"""Numbers of kept weights for layers: by hand, against a search, and as properties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.methods.layout import Layout
from rps_bench.methods.pruning.quotas import layer_quotas

CONV, LINEAR, THIN = (4, 3, 3, 3), (10, 16), (2, 1)  # sizes 108, 160, 2; sums 13, 26, 3

shapes = st.one_of(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3), st.just(3)),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.integers(1, 5)),
)


def name_layers(*layers: tuple[int, ...]) -> Layout:
    return tuple((f"layer{k}.weight", shape) for k, shape in enumerate(layers))


@pytest.mark.parametrize(
    ("density", "layers", "total", "expected"),
    [
        # 26 / 39 = 2/3 of the sums: 8.67 and 17.33.
        ("erk", (CONV, LINEAR), 26, [9, 17]),
        ("erk", (CONV, LINEAR), 39, [13, 26]),
        # 250 / 39 of 26 is above 160: all of the linear layer, what is left for the convolution.
        ("erk", (CONV, LINEAR), 250, [90, 160]),
        # Of 42 shares the thin layer would get 2.0: just full.
        ("erk", (CONV, LINEAR, THIN), 28, [9, 17, 2]),
        # 3 / 42 of 210 is above 2; then 208 / 39 of the sums are 69.33 and 138.67.
        ("erk", (CONV, LINEAR, THIN), 210, [69, 139, 2]),
        # Filling the thin layer raises the others, and only then is the linear layer full, too.
        ("erk", (CONV, LINEAR, THIN), 245, [83, 160, 2]),
        ("balanced", (CONV, LINEAR), 26, [13, 13]),
        ("balanced", (CONV, LINEAR, THIN), 26, [12, 12, 2]),
        ("balanced", (CONV, LINEAR, THIN), 250, [108, 140, 2]),
        # Ties of remainders go to the earlier layers.
        ("balanced", (CONV, LINEAR, THIN), 4, [2, 1, 1]),
        ("balanced", (THIN, LINEAR, CONV), 2, [1, 1, 0]),
        *((density, (CONV, LINEAR, THIN), 270, [108, 160, 2]) for density in ("erk", "balanced")),
        *((density, (CONV,), 5, [5]) for density in ("erk", "balanced")),
    ],
)
def test_by_hand(
    density: str, layers: tuple[tuple[int, ...], ...], total: int, expected: list[int]
) -> None:
    assert layer_quotas(density, name_layers(*layers), total) == expected


def search_exact(shares: list[float], sizes: list[int], total: int) -> list[float]:
    """min(size, factor * share) that sum to the total: the factor by halving an interval."""
    low, high = 0.0, max(size / share for size, share in zip(sizes, shares, strict=True))
    for _ in range(200):
        middle = (low + high) / 2
        if sum(min(z, middle * s) for z, s in zip(sizes, shares, strict=True)) < total:
            low = middle
        else:
            high = middle
    return [min(z, high * s) for z, s in zip(sizes, shares, strict=True)]


@pytest.mark.parametrize("density", ["erk", "balanced"])
@given(layers=st.lists(shapes, min_size=1, max_size=12), share=st.floats(0, 1))
def test_they_are_the_exact_ones_rounded(
    density: str, layers: list[tuple[int, ...]], share: float
) -> None:
    sizes = [math.prod(shape) for shape in layers]
    total = round(share * sum(sizes))
    quotas = layer_quotas(density, name_layers(*layers), total)
    assert sum(quotas) == total
    assert all(0 <= quota <= size for quota, size in zip(quotas, sizes, strict=True))
    # ERK as it is published: the density of each layer is proportional to sum / product.
    shares = [
        size * sum(shape) / math.prod(shape) if density == "erk" else 1.0
        for shape, size in zip(layers, sizes, strict=True)
    ]
    exact = search_exact(shares, sizes, total)
    slack = 1 + 1e-9 * total
    assert all(abs(q - e) < slack for q, e in zip(quotas, exact, strict=True))
    # The largest remainders are rounded up: none that was rounded down has a larger one.
    up = [e % 1 for q, e in zip(quotas, exact, strict=True) if q > e + 1e-6]
    down = [e % 1 for q, e in zip(quotas, exact, strict=True) if q < e - 1e-6]
    assert not up or not down or min(up) >= max(down) - 1e-6
    assert layer_quotas(density, name_layers(*layers), total) == quotas
