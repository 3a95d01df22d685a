import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from rps_bench.core.errors import UserError
from rps_bench.datasets import load_dataset
from rps_bench.studies import build_study
from rps_bench.studies.embeddings import BARE, Embeddings, count_tokens
from rps_bench.studies.rows import describe_rows, expect_zero_rows
from tests.studies.conftest import draw, rows_of

SHARING = ("stable_rps", "rpg", "hashednet", "roast")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return Embeddings(BARE, (1.0, 8.0, 100.0, 1000.0), 16, 4, (0, 1, 2)).measure(Path("unused"))


def test_rows_counted_by_eye() -> None:
    rows = torch.tensor(
        [
            [0.0, 0.0, 0.0],
            [1.0, 2.0, 0.0],
            [1.0, 2.0, 0.0],  # equal
            [-1.0, -2.0, -0.0],  # parallel
            [0.0, 0.0, 5.0],
            [0.0, -0.0, 7.0],  # parallel
            [1.0, 2.0, 1.0],
            [0.0, 0.0, 0.0],
        ]
    )
    assert describe_rows(rows) == {
        "zero_rows": 25, "equal_rows": 25, "parallel_rows": 62.5, "rank": 2,
    }  # fmt: skip
    assert describe_rows(torch.zeros(4, 2)) == {
        "zero_rows": 100, "equal_rows": 0, "parallel_rows": 0, "rank": 0,
    }  # fmt: skip


def test_the_chance_of_a_zero_row() -> None:
    # 2 rows of 2 numbers, 1 kept: one row is zero for sure. 3 rows of 2, 2 kept: C(4, 2)/C(6, 2).
    assert expect_zero_rows(2, 2, 1) == pytest.approx(50)
    assert expect_zero_rows(3, 2, 2) == pytest.approx(100 * 6 / 15)
    n, d, m = 1000 * 32, 32, 1000
    exact = math.exp(
        math.lgamma(n - d + 1) - math.lgamma(n - d - m + 1) - math.lgamma(n + 1)
        + math.lgamma(n - m + 1)
    )  # fmt: skip
    assert expect_zero_rows(1000, 32, 1000) == pytest.approx(100 * exact, rel=1e-6)
    assert expect_zero_rows(1000, 32, 1000) == pytest.approx(100 * (1 - 1 / 32) ** 32, rel=0.01)


def test_pruning_empties_the_rows_that_chance_expects(table: pd.DataFrame) -> None:
    pruned = table[table["method"].isin(["rand", "mag"])]
    for row in rows_of(pruned):
        share = row["expected_zero_rows"] / 100
        # Rows exclude each other's numbers, so they spread less than independent ones would.
        spread = 100 * math.sqrt(share * (1 - share) / row["num_rows"])
        assert abs(row["zero_rows"] - row["expected_zero_rows"]) <= 4 * spread
        assert row["zero_rows"] >= 100 * (1 - row["num_stored"] / row["num_rows"]) - 1e-9
        assert row["num_stored"] == math.floor(1088 * 16 / row["compression"])
    assert (pruned[pruned["compression"] == 8]["zero_rows"] > 0).all()  # long before c = d = 16
    assert (pruned[pruned["compression"] == 1000]["rank"] <= 16).all()


def test_a_shared_table_has_no_empty_and_hardly_a_twin_row(table: pd.DataFrame) -> None:
    shared = table[table["method"].isin(SHARING)]
    assert len(shared) == 4 * 4 * 3
    for column in ("zero_rows", "expected_zero_rows"):
        assert (shared[column] == 0).all()
    # roast with 17 numbers has 2 starts of a tile of 16: 4 starts and 16 signs can agree.
    assert (shared[shared["compression"] < 1000]["equal_rows"] == 0).all()
    assert (shared["equal_rows"] < 0.5).all()
    assert (shared["rank"] == 16).all()
    accuracy = table.groupby(["method", "compression"])["test_accuracy"].mean()
    for method in SHARING:
        assert accuracy[method, 1000.0] > accuracy["rand", 1000.0] + 5


def test_documents_are_the_pixels_of_the_digits() -> None:
    from sklearn.datasets import load_digits

    test = load_dataset("digits").test
    documents = count_tokens(test)
    assert documents.counts.shape == (360, 64 * 17)
    assert (documents.counts.sum(1) == 64).all()
    seen = documents.counts.view(360, 64, 17).argmax(2)  # the grey level of each pixel
    known = {tuple(row) for row in load_digits().data.astype(int).tolist()}
    assert all(tuple(row) in known for row in seen.tolist())


def test_a_tile_larger_than_the_repository_has_no_row() -> None:
    study = Embeddings(("roast", "rpg"), (1000.0,), 16, 16, (0,))
    assert list(study.measure(Path("unused"))["method"]) == ["rpg"]


def test_figure() -> None:
    figure = draw(Embeddings(("rand", "rpg"), (1.0, 16.0), 8, 4, (0,)))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Rows that are all zero (%)", "Other rows parallel to another (%)",
        "Rank of the table", "Test accuracy (%)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("methods", ["snip"], "methods must be one of rand, mag, stable_rps, rpg, hashednet, roa"),
        ("width", 0, "width must be a whole number from 1 up, got 0"),
        ("seeds", [], "seeds must be a list with at least one value"),
        ("compressions", [0.5], "compression must be a finite number >= 1, got 0.5"),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    options = {"methods": ["rand"], "compressions": [1.0], "width": 8, "tile": 4, "seeds": [0]}
    with pytest.raises(UserError, match=message):
        build_study("embeddings", **(options | {option: value}))
