import math
from pathlib import Path

import pytest

from rps_bench.core.errors import UserError
from rps_bench.studies import build_study
from rps_bench.studies.load import Load
from tests.studies.conftest import draw, rows_of

COMPRESSIONS = (1.0, 3.16, 10.0, 1000.0)
METHODS = ("stable_rps", "rpg", "hashednet", "roast")  # whose loads are known


@pytest.fixture(scope="module")
def load() -> Load:
    return Load(("resnet20",), METHODS, COMPRESSIONS, 10, 0)


def test_shared_evenly_or_as_chance_has_it(load: Load) -> None:
    table = load.measure(Path("unused"))
    assert len(table) == 16
    assert set(table["num_weights"]) == {270_896}
    for row in rows_of(table):
        n, m = 270_896, math.floor(270_896 / row["compression"])
        assert (row["num_stored"], row["mean_load"]) == (m, pytest.approx(n / m))
        rest = (n / m) % 1  # of the slots have one weight more than the others
        if row["method"] in ("stable_rps", "rpg"):
            assert (row["min_load"], row["max_load"]) == (n // m, -(-n // m))
            assert row["used"] == 1
            assert row["std_load"] == pytest.approx(math.sqrt(rest * (1 - rest)), abs=1e-9)
        elif row["method"] == "hashednet":  # n balls in m bins
            unused = (1 - 1 / m) ** n
            assert 1 - row["used"] == pytest.approx(unused, abs=0.004)
            assert row["std_load"] == pytest.approx(math.sqrt(n / m), rel=0.1)
        else:
            assert row["std_load"] > 0.9 * math.sqrt(n / m)


def test_a_tile_larger_than_the_repository_has_no_row() -> None:
    table = Load(("resnet20",), ("roast", "hashednet"), (2000.0,), 10, 0).measure(Path("unused"))
    assert list(table["method"]) == ["hashednet"]


def test_figure(load: Load) -> None:
    figure = draw(load)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["ResNet-20", "ResNet-20"]
    assert {text.get_text() for text in figure.axes[0].texts} == set(METHODS)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("methods", ["mag"], "methods must be one of stable_rps, roast, hashednet, rpg, got mag"),
        ("archs", [], r"archs must be a list with at least one value, got \[\]"),
        ("compressions", [0.5], "compression must be a finite number >= 1, got 0.5"),
        ("num_classes", 1, "num_classes must be a whole number from 2 up, got 1"),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    options = {
        "archs": ["resnet20"], "methods": ["rpg"], "compressions": [1.0], "num_classes": 10,
        "seed": 0,
    }  # fmt: skip
    with pytest.raises(UserError, match=message):
        build_study("load", **(options | {option: value}))
