from pathlib import Path

import pandas as pd
import pytest

from rps_bench.core.errors import UserError
from rps_bench.reports.figures import figure_style
from rps_bench.studies import build_study
from rps_bench.sweep.planning import plan_runs

OPTIONS = {"dataset": "digits", "recipe": "smoke", "epochs": 1, "overrides": ["arch.width=2"]}
TWO = ["arch.width=2", "method=stable_rps", "method.scaling=gram", "method.init_std=0.04,1"]


def test_the_experiment_is_what_the_study_asks() -> None:
    configs = plan_runs(["experiment=study_init_std"], is_sweep=False).configs
    assert len(configs) == 2 * 3 * 5
    assert {(c.dataset, c.arch, c.compression, c.recipe.epochs) for c in configs} == {
        ("cifar10", "resnet20", 10.0, 1)
    }
    assert {c.method_options["scaling"] for c in configs} == {"none", "gram", "squared_mean"}


@pytest.mark.slow
def test_with_gram_training_does_not_know_the_init_std(tmp_path: Path) -> None:
    table = build_study("init_std", **(OPTIONS | {"overrides": TWO})).measure(tmp_path)
    assert table["init_std"].tolist() == [0.04, 1.0]
    small, large = table["loss"]
    assert small == pytest.approx(large, rel=1e-4)  # float32, three steps
    assert (tmp_path / "init_std" / "records").is_dir()


def test_figure_names_what_diverged_and_keeps_every_cell() -> None:
    rows = [
        {
            "method": method, "scaling": scaling, "init_std": init_std, "seed": seed,
            "accuracy": None if lost else 40.0 + seed, "loss": 1.0, "has_diverged": lost,
        }
        for method in ("roast", "stable_rps")
        for scaling in ("gram", "none")
        for init_std in (0.01, 1.0)
        for seed in (0, 1)
        for lost in [scaling == "none" and init_std < 1 and (seed == 1 or method == "roast")]
    ]  # fmt: skip
    with figure_style():
        figure = build_study("init_std", **OPTIONS).draw(pd.DataFrame(rows), ["small print"])
        figure.draw_without_rendering()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["stable_rps", "roast"]
    for axes in figure.axes:
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["none", "gram"]
        texts = [text.get_text() for text in axes.texts]
        assert texts == ["diverged", "40.5", "40.5", "40.5"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("epochs", 0, "epochs must be a whole number from 1 up, got 0"),
        ("dataset", "", "dataset must be a non-empty text, got ''"),
        ("overrides", [3], "overrides must be a non-empty text, got 3"),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_study("init_std", **(OPTIONS | {option: value}))
