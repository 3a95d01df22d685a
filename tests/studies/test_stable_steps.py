"""Stable steps against gradient descent itself, against dense linear algebra, and by hand."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.core.errors import UserError
from rps_bench.methods.scaling import SCALINGS, gradient_scale
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.reports.styles import TIMES
from rps_bench.studies import build_study
from rps_bench.studies.curvature import CURVATURES, power_law, scaled_matrix
from rps_bench.studies.stable_steps import StableSteps
from tests.studies.conftest import draw, rows_of

LAYOUT = (("first.weight", (2, 4)), ("second.weight", (3, 5)), ("third.weight", (41,)))  # n = 64
SCALES = (7.0, 2.0, 0.5)
OPTIONS = {
    "arch": "resnet20", "width": 2, "tile": 4, "methods": ["stable_rps", "hashednet"],
    "scalings": list(SCALINGS), "init_stds": [0.01, 1.0], "compressions": [1.0, 10.0],
    "curvatures": ["isotropic", "power_law"], "decay": 1.0, "drawn_init_std": 0.01,
    "drawn_compression": 10.0, "seed": 0,
}  # fmt: skip


def make_map(kind: type[SharingMap], num_stored: int, seed: int = 0) -> SharingMap:
    return kind(LAYOUT, SCALES, num_stored, seed).to(torch.float64)


def random_curvature(n: int, seed: int) -> torch.Tensor:
    """(n, n) symmetric, eigenvalues from 0 to 1."""
    generator = torch.Generator().manual_seed(seed)
    square = torch.randn(n, n, generator=generator, dtype=torch.float64)
    rotation: torch.Tensor = torch.linalg.qr(square)[0]
    eigenvalues = torch.rand(n, generator=generator, dtype=torch.float64) ** 4
    eigenvalues[0] = 1.0
    return rotation @ torch.diag(eigenvalues) @ rotation.T


def dense_matrix(weight_map: SharingMap) -> torch.Tensor:
    """A (n, m), one weight at a time."""
    matrix = torch.zeros(weight_map.num_weights, weight_map.num_stored, dtype=torch.float64)
    for row, (slot, value) in enumerate(
        zip(weight_map.slots().tolist(), weight_map.coefficients().tolist(), strict=True)
    ):
        matrix[row, slot] = value
    return matrix


def test_two_layers_by_hand() -> None:
    """Slot 0 serves a weight of scale 3 and one of scale 1; slot 1 one of scale 1."""

    class ByHand(RandomFoldMap):
        def slots(self) -> torch.Tensor:
            return torch.tensor([0, 0, 1])

    weight_map = ByHand((("a", (1,)), ("b", (2,))), (3.0, 1.0), 2, 0).to(torch.float64)
    # Slot 0: gram 10, sum 4; slot 1: gram 1, sum 1. The smaller of s / gram.
    expected = {
        "none": 1 / 10,
        "gram": 1.0,
        "squared_mean": (4**2 / 2) / 10,
        "sum": 4 / 10,
        "mean": 2 / 10,
        "root_gram": 10**0.5 / 10,
    }
    for scaling, ratio in expected.items():
        largest = CURVATURES["isotropic"](scaled_matrix(weight_map, scaling), 1.0, 0)
        assert 1 / largest == pytest.approx(ratio, rel=1e-12), scaling


@pytest.mark.parametrize("kind", [RandomFoldMap, BalancedMap, HashedMap])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_gradient_descent_converges_below_the_step_and_diverges_above(
    kind: type[SharingMap], scaling: str
) -> None:
    weight_map = make_map(kind, 16)
    multiply = power_law(64, 1.0, 0)
    curvature = torch.from_numpy(np.stack([multiply(row) for row in np.eye(64)]))
    assert torch.linalg.eigvalsh(curvature)[-1] == pytest.approx(1.0)
    largest = CURVATURES["power_law"](scaled_matrix(weight_map, scaling), 1.0, 0)
    scale = gradient_scale(weight_map, scaling)

    def loss_after(step: float, num_steps: int) -> list[float]:
        stored = torch.randn(16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        stored.requires_grad_()
        losses = []
        for _ in range(num_steps):
            weights = weight_map.recover(stored)
            loss = 0.5 * weights @ curvature @ weights
            (gradient,) = torch.autograd.grad(loss, stored)
            with torch.no_grad():
                stored -= step * gradient / scale
            losses.append(float(loss.detach()))
        return losses

    below = loss_after(0.99 * 2 / largest, 250)
    assert all(later <= earlier for earlier, later in itertools.pairwise(below))
    above = loss_after(1.01 * 2 / largest, 250)
    assert above[-1] > 10 * min(above)


@given(
    kind=st.sampled_from([RandomFoldMap, BalancedMap, HashedMap]),
    num_stored=st.integers(2, 64),
    seed=st.integers(0, 10_000),
)
def test_with_gram_no_curvature_makes_the_step_smaller(
    kind: type[SharingMap], num_stored: int, seed: int
) -> None:
    weight_map = make_map(kind, num_stored, seed)
    matrix = dense_matrix(weight_map)
    curvature = random_curvature(64, seed)
    root = gradient_scale(weight_map, "gram").rsqrt()
    seen = root[:, None] * (matrix.T @ curvature @ matrix) * root
    assert float(torch.linalg.eigvalsh(seen)[-1]) <= 1 + 1e-12
    squared_mean = 1 / CURVATURES["isotropic"](scaled_matrix(weight_map, "squared_mean"), 1.0, 0)
    assert squared_mean <= 1 + 1e-12  # Cauchy-Schwarz


@pytest.mark.parametrize("num_stored", [20, 40])  # written out, and by Lanczos
def test_the_eigenvalue_is_that_of_the_whole_matrix(num_stored: int) -> None:
    weight_map = make_map(HashedMap, num_stored)
    multiply = power_law(64, 0.5, 3)
    curvature = torch.from_numpy(np.stack([multiply(row) for row in np.eye(64)]))
    eigenvalues = torch.linalg.eigvalsh(curvature).flip(0)
    expected = torch.arange(1, 65, dtype=torch.float64) ** -0.5
    torch.testing.assert_close(eigenvalues, expected, rtol=1e-10, atol=1e-12)
    matrix = dense_matrix(weight_map)
    for scaling in SCALINGS:
        inverse = torch.diag(1 / gradient_scale(weight_map, scaling))
        whole = torch.linalg.eigvals(inverse @ matrix.T @ curvature @ matrix).real.max()
        found = CURVATURES["power_law"](scaled_matrix(weight_map, scaling), 0.5, 3)
        assert found == pytest.approx(float(whole), rel=1e-9)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return build_study("stable_steps", **OPTIONS).measure(Path("unused"))


def test_gram_and_squared_mean_do_not_know_the_init_std(table: pd.DataFrame) -> None:
    powers = {"none": 2, "sum": 1, "mean": 1, "root_gram": 1, "gram": 0, "squared_mean": 0}
    keys = ["method", "compression", "scaling", "curvature"]
    wide = table.pivot_table(index=keys, columns="init_std", values="ratio").reset_index()
    assert len(wide) == 2 * 2 * 6 * 2
    for row in rows_of(wide):
        growth = float(row["1.0"] / row["0.01"])
        assert growth == pytest.approx(100.0 ** powers[row["scaling"]], rel=1e-7)
    gram = table[table["scaling"] == "gram"]
    assert gram["ratio"].min() > 1 - 1e-9
    assert (gram.loc[gram["curvature"] == "isotropic", "ratio"] - 1).abs().max() < 1e-12


def test_without_scaling_at_1x_the_layer_of_least_fan_in_decides(table: pd.DataFrame) -> None:
    """stable_rps at c = 1: one weight a slot, so the ratio is 1 / max lambda^2."""
    rows = table[(table["method"] == "stable_rps") & (table["compression"] == 1)]
    rows = rows[(rows["scaling"] == "none") & (rows["curvature"] == "isotropic")]
    largest = 2 / 2  # the 1x1 shortcut that reads 2 channels: std^2 = 2 / fan-in
    expected = (rows["init_std"] ** 2 / largest).tolist()
    assert rows["ratio"].tolist() == pytest.approx(expected, rel=1e-12)


def test_a_tile_larger_than_the_repository_has_no_row() -> None:
    study = build_study("stable_steps", **(OPTIONS | {"methods": ["roast"], "tile": 40}))
    assert set(study.measure(Path("unused"))["compression"]) == {1.0}


def test_figure() -> None:
    study = build_study("stable_steps", **OPTIONS)
    assert isinstance(study, StableSteps)
    figure = draw(study)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 6
    assert titles[0] == f"stable_rps, isotropic, 10{TIMES}"
    assert set(SCALINGS) < {text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("scalings", ["cubed"], "scalings must be one of none, gram, "),
        ("curvatures", ["flat"], "curvatures must be one of isotropic, power_law, got flat"),
        ("init_stds", [0.0], "init_stds must be a finite number above 0, got 0.0"),
        ("drawn_init_std", 0.5, "drawn_init_std must be one of init_stds, got 0.5"),
        ("drawn_compression", 7.0, "drawn_compression must be one of compressions, got 7.0"),
        ("decay", -1.0, "decay must be a number >= 0, got -1.0"),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_study("stable_steps", **(OPTIONS | {option: value}))
