import itertools
import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from rps_bench.core.errors import UserError
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.studies import build_study
from rps_bench.studies.inner_products import InnerProducts
from rps_bench.studies.sketches import compress_rows
from rps_bench.studies.variances import VARIANCES, estimate_variance
from tests.studies.conftest import draw, rows_of

X = torch.tensor([3.0, -1.0, 0.5, 2.0, 1.0], dtype=torch.float64)
Y = torch.tensor([1.0, 2.0, -4.0, 0.5, 3.0], dtype=torch.float64)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    kinds = ("gaussian", "signs", "power_law", "blocks")
    return InnerProducts(kinds, (1.0, 5.0), 40, 1500, 40, 0).measure(Path("unused"))


def variance_over(outcomes: list[tuple[float, float]]) -> float:
    """Variance of (probability, value) pairs; the probabilities sum to 1."""
    assert sum(p for p, _ in outcomes) == pytest.approx(1)
    mean = sum(p * value for p, value in outcomes)
    assert mean == pytest.approx(torch.dot(X, Y).item())  # unbiased
    return sum(p * (value - mean) ** 2 for p, value in outcomes)


@pytest.mark.parametrize("num_stored", [1, 2, 3])
def test_pruning_by_listing_every_choice(num_stored: int) -> None:
    products, keep = (X * Y).tolist(), num_stored / 5
    coins = []
    for mask in itertools.product((0, 1), repeat=5):
        chance = math.prod(keep if kept else 1 - keep for kept in mask)
        coins.append((chance, sum(p for p, k in zip(products, mask, strict=True) if k) / keep))
    assert VARIANCES["coin_flips"](X, Y, num_stored) == pytest.approx(variance_over(coins))
    choices = list(itertools.combinations(products, num_stored))
    fixed = [(1 / len(choices), sum(choice) / keep) for choice in choices]
    assert VARIANCES["fixed_size"](X, Y, num_stored) == pytest.approx(variance_over(fixed))


@pytest.mark.parametrize("num_stored", [1, 2, 3])
def test_sharing_by_listing_every_map(num_stored: int) -> None:
    every = list(itertools.product(range(num_stored), repeat=5))
    assert VARIANCES["hashing"](X, Y, num_stored) == pytest.approx(over_all_signs(every))
    folds = -(-5 // num_stored)
    rotated = [
        tuple((rotations[i // num_stored] + i) % num_stored for i in range(5))
        for rotations in itertools.product(range(num_stored), repeat=folds)
    ]
    assert VARIANCES["randomfold"](X, Y, num_stored) == pytest.approx(over_all_signs(rotated))


def over_all_signs(slots: list[tuple[int, ...]]) -> float:
    """The variance where each choice of slots, with all 32 choices of signs, is as likely."""
    outcomes = []
    for choice, signs in itertools.product(slots, itertools.product((1.0, -1.0), repeat=5)):
        matrix = torch.zeros(5, 5, dtype=torch.float64)
        matrix[range(5), choice] = torch.tensor(signs, dtype=torch.float64)
        outcomes.append((1 / (32 * len(slots)), torch.dot(X @ matrix, Y @ matrix).item()))
    return variance_over(outcomes)


def test_a_sketch_is_the_transposed_map_times_the_vector() -> None:
    weight_map = RandomFoldMap((("a", (4,)), ("b", (3,))), (2.0, 0.5), 3, 5)
    dense = torch.stack([weight_map.expand(row) for row in torch.eye(3)])  # (m, n) = A'
    rows = torch.randn(2, 7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(compress_rows(weight_map, rows), rows @ dense.T)


def test_the_projects_maps_do_what_the_closed_forms_say(table: pd.DataFrame) -> None:
    assert len(table) == 4 * 2 * 4 * 2
    for row in rows_of(table):
        if row["variance"] < 1e-20:
            assert row["variance_monte_carlo"] < 1e-20
            continue
        error = row["variance_monte_carlo"] - row["variance"]
        assert abs(error) < 4.5 * row["variance_std_error"], row
        mean_error = row["mean_monte_carlo"] - row["exact"]
        assert abs(mean_error) < 4.5 * math.sqrt(row["variance"] / 1500), row


def test_who_wins_depends_on_the_data(table: pd.DataFrame) -> None:
    norms = table[(table["quantity"] == "norm") & (table["compression"] == 5)]
    found = norms.set_index(["data", "method"])["relative_variance"]
    assert found["signs", "fixed_size"] == 0
    # Of n equal squares, 4 n(n-1)/2 pairs; a fold of 8 of 40 rules out 7 of 39 partners.
    assert found["signs", "hashing"] == pytest.approx(2 * 39 / 40 / 8)
    assert found["signs", "randomfold"] == pytest.approx(2 * 32 / 40 / 8)
    assert found["power_law", "fixed_size"] > 5 * found["power_law", "randomfold"]
    assert found["blocks", "fixed_size"] > 2 * found["blocks", "randomfold"]
    average = norms.set_index(["data", "method"])["mean_relative_variance"]
    # Kurtosis 3: (3 - 1) against 2, over m and with the same 1 - m/n, up to terms of 1/n.
    ratio = average["gaussian", "fixed_size"] / average["gaussian", "randomfold"]
    assert ratio == pytest.approx(1, abs=0.15)
    worse = norms.set_index(["data", "method"])["worse_than_randomfold"]
    assert (worse["signs", "fixed_size"], worse["power_law", "fixed_size"]) == (0, 1)
    assert (worse.xs("hashing", level="method") == 1).all()


def test_no_compression_is_exact_but_for_hashing(table: pd.DataFrame) -> None:
    whole = table[table["compression"] == 1].set_index("method")["variance"]
    assert (whole[["randomfold", "coin_flips", "fixed_size"]] == 0).all()
    assert (whole[["hashing"]] > 0).all()


def test_the_standard_error_of_a_variance() -> None:
    """Of N normal draws it is sigma^2 sqrt(2 / (N - 1))."""
    draws = 3 * torch.randn(200_000, generator=torch.Generator().manual_seed(1)).double()
    variance, error = estimate_variance(draws)
    assert variance == pytest.approx(9, rel=0.02)
    assert error == pytest.approx(9 * math.sqrt(2 / 199_999), rel=0.05)


def test_figure() -> None:
    figure = draw(InnerProducts(("gaussian", "signs"), (1.0, 5.0), 40, 50, 5, 0))
    assert [axes.get_title(loc="left") for axes in figure.axes][-1] == (
        "+1 and -1: squared norm <x, x>"
    )
    assert len(figure.axes) == 4


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("data", ["cauchy"], "data must be one of gaussian, signs, power_law, blocks, got cauchy"),
        ("compressions", [1.0, 50.0], "compressions must be at most num_weights = 40, got 50"),
        ("compressions", [0.5], "compression must be a finite number >= 1, got 0.5"),
        ("num_draws", 3, "num_draws must be a whole number from 4 up, got 3"),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    options = {
        "data": ["signs"], "compressions": [1.0], "num_weights": 40, "num_draws": 4,
        "num_data_draws": 1, "seed": 0,
    }  # fmt: skip
    with pytest.raises(UserError, match=message):
        build_study("inner_products", **(options | {option: value}))
