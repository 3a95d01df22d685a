"""The study of continuity against float64 arithmetic, on two epochs of a very narrow network."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.core.errors import UserError
from rps_bench.reports.figures import figure_style
from rps_bench.studies import build_study
from rps_bench.studies.continuity import CONTROL

OPTIONS: dict[str, Any] = {
    "variants": [
        "dense",
        "snip",
        "stable_rps repository_init=project",
        "stable_rps repository_init=project scaling=none",
        "rpg repository_init=project scaling=gram",
        "hashednet repository_init=project scaling=gram",
    ],
    "arch": "resnet20", "width": 2, "recipe": "smoke", "rates": [0.001], "epochs": 1,
    "precision": "float64", "seed": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return build_study("continuity", **OPTIONS).measure(Path("unused"))


def largest(table: pd.DataFrame, variant: str) -> float:
    return float(table.loc[table["variant"] == variant, "distance"].max())


def test_a_row_per_step_and_the_end(table: pd.DataFrame) -> None:
    assert list(dict.fromkeys(table["variant"])) == [*OPTIONS["variants"], CONTROL]
    for _, own in table.groupby("variant"):
        assert own["step"].tolist() == [0, 1, 2, 3]  # three steps of the recipe smoke
        assert own["loss_difference"].notna().tolist() == [True, True, True, False]
        assert own["test_accuracy"].notna().tolist() == [False, False, False, True]


def test_who_follows_the_dense_training(table: pd.DataFrame) -> None:
    assert largest(table, "dense") == largest(table, "snip") == 0
    for variant in OPTIONS["variants"][2::2]:
        assert 0 < largest(table, variant) < 1e-13, variant
    assert 0 < largest(table, CONTROL) < 1e-13
    followers = table[table["variant"].isin([*OPTIONS["variants"][:3], CONTROL])]
    assert (followers["accuracy_difference"].dropna() == 0).all()
    assert followers["loss_difference"].abs().max() < 1e-12


def test_who_parts_from_it(table: pd.DataFrame) -> None:
    unscaled = table[table["variant"] == OPTIONS["variants"][3]]["distance"].tolist()
    assert unscaled[0] < 1e-15
    assert unscaled[1] > 1e-5
    # n balls in n bins use 1 - 1/e of them: what the projection loses of |w|^2 is 1/e, less where
    # scales differ, as the largest weight of a slot counts most in it.
    hashed = table[table["variant"] == OPTIONS["variants"][5]]["distance"]
    assert 0.4 < hashed.iloc[0] < math.exp(-0.5)


def test_a_training_that_ends_early_is_drawn(table: pd.DataFrame) -> None:
    is_cut = (table["variant"] == OPTIONS["variants"][3]) & (table["step"] == 3)
    study = build_study("continuity", **OPTIONS)
    with figure_style():
        figure = study.draw(table[~is_cut], ["small print"])
        figure.draw_without_rendering()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 7
    assert "stable_rps project none (diverged)" in texts


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("variants", ["sniper"], "unknown method sniper; allowed: .*; did you mean snip?"),
        (
            "variants",
            ["mag scaling=gram"],
            "unknown option of method mag: scaling; allowed",
        ),
        ("variants", ["ltr"], "variants must compress before training, got ltr"),
        ("precision", "bf16", "precision must be one of float32, float64, got bf16"),
        ("rates", [0.0], "rates must be a finite number above 0, got 0.0"),
        ("recipe", "long", "recipe must be one of .*, got long"),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_study("continuity", **(OPTIONS | {option: value}))
