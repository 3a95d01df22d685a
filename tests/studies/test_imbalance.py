from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.core.errors import UserError
from rps_bench.reports.figures import figure_style
from rps_bench.studies import build_study
from rps_bench.studies.imbalance import Imbalance
from rps_bench.sweep.planning import plan_runs
from tests.studies.conftest import rows_of

TINY = ("recipe.epochs=1", "recipe.max_steps_per_epoch=1", "arch.width=2", "device=cpu")


def make_row(method: str, imbalance: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "dataset": "digits", "imbalance": imbalance, "num_train": 407 if imbalance else 1437,
        "method": method, "compression": 10.0, "seed": 0, "accuracy": 50.0, "loss": 1.0,
        "has_diverged": False,
    } | changes  # fmt: skip


def test_the_sweep_has_every_method_with_and_without_imbalance() -> None:
    configs = plan_runs(["experiment=study_imbalance"], is_sweep=False).configs
    runs = [(config.method, config.compression, config.imbalance) for config in configs]
    assert len(runs) == 78
    methods = ("stable_rps", "roast", "mag", "snip", "synflow", "rand")
    expected = {(method, c, x) for method in methods for c in (10, 100) for x in (None, 10)}
    assert set(runs) == expected | {("dense", 1, None), ("dense", 1, 10)}


@pytest.mark.slow
def test_both_kinds_of_data_are_trained_on(tmp_path: Path) -> None:
    words = (*TINY, "method=dense,mag", "compression=1,4", "seed=0")
    table = Imbalance(100, words).measure(tmp_path)
    rows = [(row["method"], row["imbalance"], row["num_train"]) for row in rows_of(table)]
    few = 139 + 35 + 15 + 9 + 6 + 4 + 3 + 2 + 2 + 1  # 139 / (k + 1)^2
    assert rows[2:] == [("dense", 100, few), ("mag", 100, few)]
    assert [(method, count) for method, _, count in rows[:2]] == [("dense", 1437), ("mag", 1437)]
    assert table["imbalance"][:2].isna().all()
    assert table["accuracy"].between(0, 100).all()


def test_figure_with_a_diverged_run() -> None:
    lost = {"accuracy": float("nan"), "has_diverged": True}
    rows = [
        make_row("dense", None, compression=1.0), make_row("dense", 10.0, compression=1.0),
        *(make_row("mag", x, compression=c) for x in (None, 10.0) for c in (10.0, 100.0)),
        make_row("roast", None, accuracy=60.0), make_row("roast", 10.0, **lost),
    ]  # fmt: skip
    with figure_style():
        figure = Imbalance(10, ()).draw(pd.DataFrame(rows), ["small print"])
        figure.draw_without_rendering()
    first, second = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["roast", "dense", "mag"]
    assert [label.get_text() for label in second.get_yticklabels()] == ["dense", "mag"]
    assert "1,437 images" in figure.texts[0].get_text()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("imbalance", 1, "imbalance must be a number above 1, got 1"),
        ("overrides", [""], "overrides must be a non-empty text"),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    options = {"imbalance": 10, "overrides": []}
    with pytest.raises(UserError, match=message):
        build_study("imbalance", **(options | {option: value}))
