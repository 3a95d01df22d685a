from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rps_bench.core.errors import UserError
from rps_bench.datasets import load_dataset
from rps_bench.methods import build_method
from rps_bench.methods.weight_map import WeightMap
from rps_bench.studies import build_study
from rps_bench.studies.linear_models import METHODS, LinearModels, build_regression, fit
from tests.studies.conftest import draw, rows_of


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    study = LinearModels(("digits",), METHODS, (1.0, 3.16, 10.0, 100.0), (0, 1, 2), 1437, 360)
    return study.measure(Path("unused"))


def draw_map(method: str, num_features: int, compression: float, seed: int) -> WeightMap:
    layer = torch.nn.Linear(num_features, 1, bias=False)
    probe = (torch.empty(0), torch.empty(0))
    return build_method(method, compression, seed).compress(layer, probe).weight_map


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("compression", [1.0, 2.0, 4.0])
def test_a_fit_is_the_projection_on_the_compressed_features(
    method: str, compression: float
) -> None:
    """On matrices one can write out: residual |Y - P Y|^2, P = Z pinv(Z), Z = X A."""
    random = np.random.default_rng(3)
    x, x_test = random.normal(size=(30, 8)), random.normal(size=(7, 8))
    labels, labels_test = np.arange(30) % 3, np.arange(7) % 3
    weight_map = draw_map(method, 8, compression, 1)
    a = torch.stack([weight_map.expand(row) for row in torch.eye(weight_map.num_stored)]).T.numpy()
    y = np.eye(3)[labels] - np.eye(3)[labels].mean(0)
    z = (x - x.mean(0)) @ a
    beta = a @ np.linalg.pinv(z) @ y  # (n, classes): weights w = A theta of each class
    scores = (x_test - x.mean(0)) @ beta + np.eye(3)[labels].mean(0)
    regression = build_regression(
        *(torch.from_numpy(part) for part in (x, labels, x_test, labels_test))
    )
    found = fit(regression, weight_map)
    residual = ((y - z @ np.linalg.pinv(z) @ y) ** 2).sum() / (y**2).sum()
    assert found["train_residual"] == pytest.approx(100 * residual, rel=1e-9)
    assert found["test_accuracy"] == pytest.approx(100 * (scores.argmax(1) == labels_test).mean())
    centred = np.eye(3)[labels_test] - np.eye(3)[labels].mean(0)
    test_residual = ((np.eye(3)[labels_test] - scores) ** 2).sum() / (centred**2).sum()
    assert found["test_residual"] == pytest.approx(100 * test_residual, rel=1e-9)


def test_more_features_than_images_leave_no_residual() -> None:
    random = np.random.default_rng(4)
    x, labels = torch.from_numpy(random.normal(size=(6, 20))), torch.arange(6) % 2
    regression = build_regression(x, labels, x, labels)
    assert fit(regression, None)["train_residual"] < 1e-20
    assert fit(regression, None)["test_accuracy"] == 100


def test_a_signed_permutation_loses_nothing_and_hashing_does(table: pd.DataFrame) -> None:
    whole = table[table["compression"] == 1]
    for row in rows_of(whole):
        if row["method"] == "hashednet":
            assert row["excess_residual"] > 0.05
        else:
            assert abs(row["excess_residual"]) < 1e-10
            assert row["test_accuracy"] == row["full_test_accuracy"]


def test_real_digits_against_plain_least_squares(table: pd.DataFrame) -> None:
    from sklearn.linear_model import LinearRegression

    data = load_dataset("digits")
    x, x_test = (
        split.images[:, 0, ::4, ::4].flatten(1).numpy() for split in (data.train, data.test)
    )
    y = np.eye(10)[data.train.labels.numpy()]
    model = LinearRegression().fit(x, y)
    accuracy = 100 * (model.predict(x_test).argmax(1) == data.test.labels.numpy()).mean()
    residual = ((y - model.predict(x)) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()
    row = rows_of(table)[0]
    assert row["full_train_residual"] == pytest.approx(100 * residual)
    assert row["full_test_accuracy"] == pytest.approx(accuracy)


def test_sharing_keeps_more_of_the_digits_than_random_pruning(table: pd.DataFrame) -> None:
    means = table.groupby(["method", "compression"])["train_residual"].mean()
    for compression in (3.16, 10.0):
        assert means["stable_rps", compression] < means["rand", compression] - 3
    assert set(table["num_stored"]) == {64, 20, 6}  # 100 would leave none of 64: no row


def test_a_larger_family_of_weights_never_fits_worse(table: pd.DataFrame) -> None:
    assert (table["excess_residual"] > -1e-10).all()
    assert (table["train_residual"] <= 100 + 1e-9).all()


def test_missing_files_say_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise UserError(f"{name}: not found")

    monkeypatch.setattr("rps_bench.studies.linear_models.load_dataset", fail)
    study = LinearModels(("digits", "cifar10"), ("rand",), (1.0,), (0,), 10, 10)
    with pytest.raises(UserError, match=r"not found. Or leave digits out: datasets=\[cifar10\]"):
        study.measure(Path("unused"))


def test_figure() -> None:
    figure = draw(LinearModels(("digits",), ("rand", "stable_rps"), (1.0, 10.0), (0, 1), 200, 50))
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "Train residual (%)", "Test accuracy (%)",
    ]  # fmt: skip
    assert {text.get_text() for text in figure.axes[0].texts} == {"rand", "stable_rps"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("methods", ["mag"], "methods must be one of rand, hashednet, rpg, stable_rps, got mag"),
        ("datasets", ["mnist"], "datasets must be one of digits, "),
        ("seeds", [-1], "seeds must be a whole number from 0 up, got -1"),
        ("num_test", 0, "num_test must be a whole number from 1 up, got 0"),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    options = {
        "datasets": ["digits"], "methods": ["rand"], "compressions": [1.0], "seeds": [0],
        "num_train": 100, "num_test": 10,
    }  # fmt: skip
    with pytest.raises(UserError, match=message):
        build_study("linear_models", **(options | {option: value}))
