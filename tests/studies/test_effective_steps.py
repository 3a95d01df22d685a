"""The predictions of effective steps, on a real training of a narrow network."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.core.errors import UserError
from rps_bench.reports.figures import figure_style
from rps_bench.studies import build_study
from rps_bench.studies.effective_steps import log_grid
from rps_bench.studies.effective_steps_errors import ERRORS, compare, exceeding

MATCHED = "stable_rps repository_init=matched"
OPTIONS: dict[str, Any] = {
    "dataset": "digits", "image_size": 16, "arch": "resnet20", "width": 4,
    "variants": ["stable_rps", MATCHED, "rand"], "compressions": [10.0], "recipe": "quick",
    "epochs": 7, "strong_decay": 0.02, "overrides": [], "drawn_compression": 10.0, "seed": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two courses of 161 steps for each of four networks."""
    return build_study("effective_steps", **OPTIONS).measure(Path("unused"))


@pytest.mark.slow
def test_a_row_for_each_layer_and_part(table: pd.DataFrame) -> None:
    networks = {("dense", 1.0), ("stable_rps", 10.0), (MATCHED, 10.0), ("rand", 10.0)}
    steps = table[table["part"] == "steps"]
    for _, own in steps.groupby("course"):
        assert set(zip(own["variant"], own["compression"], strict=True)) == networks
    dense = steps[(steps["variant"] == "dense") & (steps["course"] == "recipe")]
    assert dense["layer"].nunique() == 21  # the convolutions of ResNet-20
    assert dense["step"].tolist() == [1, 2, 5, 10, 22, 46, 100, 161] * 21
    assert set(table[table["part"] == "start"]["course"]) == {"recipe"}
    assert set(table[table["part"] == "equilibrium"]["course"]) == {"strong decay"}
    assert set(table[table["part"] == "memory"]["variant"]) == {"stable_rps"}


@pytest.mark.slow
def test_the_layers_are_scale_invariant(table: pd.DataFrame) -> None:
    cosines = table["cosine"].abs().groupby(table["course"]).max()
    assert cosines["recipe"] < 1e-3
    # Strong decay shrinks what a layer gives towards the epsilon of BatchNorm.
    assert cosines["strong decay"] < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("course", ["recipe", "strong decay"])
def test_the_predictions_hold_for_pruning_and_sharing(table: pd.DataFrame, course: str) -> None:
    compared = compare(table, course)
    assert len(compared) == 4
    wanted = ["start", "first_angle", "norm", "angle"]
    assert compared[wanted].iloc[1:].notna().all(axis=None)  # dense has no deviation by chance
    too_far = exceeding(compared)
    assert not too_far.any(axis=None), compared
    if course == "strong decay":
        assert compared["equilibrium"].notna().all()
        assert compared["memory"].notna().sum() == 1  # the pair of a normal and a matched start
    else:
        assert compared["memory"].isna().all()  # 161 steps of 5,000


@pytest.mark.slow
def test_at_one_rate_sharing_turns_less_than_pruning_until_its_start_is_matched(
    table: pd.DataFrame,
) -> None:
    """By c = 10 once the classifiers have grown, by theory; here by about that on average."""
    steps = table[(table["part"] == "steps") & (table["course"] == "recipe")]
    late = steps[steps["step"].isin([46, 100]) & (steps["compression"] == 10)]
    turning = late.groupby("variant")["angle"].median()
    assert 2 < turning["rand"] / turning["stable_rps"] < 10
    assert 0.5 < turning["rand"] / turning[MATCHED] < 2


@pytest.mark.slow
def test_what_is_too_far_is_seen(table: pd.DataFrame) -> None:
    """Predictions that forget momentum, the map or the norm are not within the errors."""
    steps = table["part"] == "steps"
    wrong = table.copy()
    wrong.loc[steps, "predicted_norm"] *= 1.2
    assert exceeding(compare(wrong, "recipe"))["norm"].all()
    wrong.loc[table["part"] == "start", "predicted_ratio"] = 1.0
    assert exceeding(compare(wrong, "recipe"))["start"].sum() == 2  # rand and the matched start
    wrong.loc[table["part"] == "equilibrium", "predicted_angle"] *= 19**0.5  # without 1 + mu
    assert exceeding(compare(wrong, "strong decay"))["equilibrium"].all()
    assert set(exceeding(compare(wrong, "recipe")).columns) == set(ERRORS)


@pytest.mark.slow
def test_figure(table: pd.DataFrame) -> None:
    study = build_study("effective_steps", **OPTIONS)
    with figure_style():
        figure = study.draw(table, ["small print"])
        figure.draw_without_rendering()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 6
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"dense", "rand", "stable_rps", "stable_rps matched"} <= texts


def test_the_log_grid_ends_at_the_last_step() -> None:
    assert log_grid(1) == [1]
    assert log_grid(12) == [1, 2, 5, 10, 12]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("dataset", "mnist", "dataset must be one of "),
        ("image_size", 0, "image_size must be a whole number from 4 up, got 0"),
        ("variants", ["rand densty=erk"], "densty"),
        ("variants", ["ltr"], "variants must compress before training, got ltr"),
        ("strong_decay", 0.0, "strong_decay must be a finite number above 0, got 0.0"),
        ("drawn_compression", 3.0, "drawn_compression must be one of compressions, got 3.0"),
        ("overrides", ["recipe.nesterov=true"], "overrides=.recipe.nesterov=false."),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_study("effective_steps", **(OPTIONS | {option: value}))
