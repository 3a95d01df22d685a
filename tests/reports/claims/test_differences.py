"""Differences to stable_rps by budget: paired by seed, never over recipes or weight decays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.reports.claims import judge_claims
from rps_bench.reports.claims.differences import (
    find_differences,
    have_several_budgets,
    save_differences,
)
from tests.reports.claims.conftest import MakeArm, MakeStudy, Records

MakeBudget = Callable[..., list[Records]]

LEVELS: dict[str, list[float | None]] = {
    "stable_rps": [80.0, 81.0, 83.0],
    "mag": [79.0, 79.0, 80.0],
}


@pytest.fixture
def budget(make_arm: MakeArm) -> MakeBudget:
    def make(
        epochs: int = 3,
        decay: float = 1e-4,
        levels: dict[str, list[float | None]] | None = None,
        options: dict[str, Any] | None = None,
        **changes: Any,
    ) -> list[Records]:
        """Both methods by one budget."""
        recipe = {"epochs": epochs, "weight_decay": decay, "lr": 0.1, "drops": []} | (options or {})
        return [
            make_arm(method, own, recipe_options=recipe, **changes)
            for method, own in (LEVELS if levels is None else levels).items()
        ]

    return make


def test_differences_by_hand(make_study: MakeStudy, budget: MakeBudget) -> None:
    """Seeds without a partner are left out; one pair has no interval."""
    few = {"stable_rps": [50.0, 60.0], "mag": [53.0]}
    rows = find_differences(make_study(*budget(3), *budget(12, levels=few)))
    columns = ["planned_epochs", "method", "reference", "n", "difference"]
    assert rows[columns].to_numpy().tolist() == [
        [3, "mag", "stable_rps", 3, -2.0],
        [12, "mag", "stable_rps", 1, 3.0],
    ]
    assert rows[["low", "high"]].iloc[1].isna().all()
    assert rows.loc[1, ["low", "high"]].isna().all()


def test_numbers_are_those_of_the_claims(make_study: MakeStudy, budget: MakeBudget) -> None:
    study = make_study(*budget(3), *budget(12))
    claims = judge_claims(study)
    claims = claims[(claims["claim"] == "rps_vs_mag") & (claims["n"] > 0)]
    rows = find_differences(study)
    for own, other in (("difference", "difference"), ("low", "high"), ("high", "low")):
        negated = sorted(-claims[other])
        assert sorted(rows[own]) == pytest.approx(negated)


SETTINGS: dict[str, dict[str, Any]] = {
    "recipe": {"recipe": "paper_half"},
    "protocol": {"protocol": "tuned"},
    "dataset": {"dataset": "cifar100"},
    "image size": {"dataset_options": {"image_size": 16, "imbalance": None}},
    "imbalance": {"dataset_options": {"image_size": None, "imbalance": 10.0}},
    "arch": {"arch": "vgg11"},
}


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_one_budget_of_each_is_no_comparison_of_budgets(
    make_study: MakeStudy, budget: MakeBudget, changes: dict[str, Any]
) -> None:
    rows = find_differences(make_study(*budget(3), *budget(12, **changes)))
    assert not have_several_budgets(rows).any()


def test_a_recipe_that_is_run_once_is_shown_beside_one_that_varies(
    make_study: MakeStudy, budget: MakeBudget
) -> None:
    half = budget(80, recipe="paper_half", options={"drops": [40, 60]})
    rows = find_differences(make_study(*budget(3), *budget(12), *half))
    assert rows.groupby("series")["planned_epochs"].agg(list).to_dict() == {
        "recipe paper_half, weight decay 0.0001": [80],
        "recipe quick, weight decay 0.0001": [3, 12],
    }


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"decay": 5e-4}, "weight decay 0.0005"),
        ({"options": {"lr": 0.3}}, "lr=0.3"),
        ({"options": {"batch_size": 64}}, "batch_size=64"),
        ({"precision": "bf16"}, "bf16"),
        ({"kernels": "native-avx2-1"}, "kernels native-avx2-1"),
    ],
)
def test_what_differs_besides_epochs_is_a_series_of_its_own(
    make_study: MakeStudy, budget: MakeBudget, changes: dict[str, Any], note: str
) -> None:
    rows = find_differences(make_study(*budget(3), *budget(12), *budget(12, **changes)))
    other = rows[rows["series"].str.contains(note, regex=False)]
    assert other["planned_epochs"].tolist() == [12]
    assert rows["series"].nunique() == 2
    assert rows["n"].tolist() == [3, 3, 3]


def test_weight_decay_alone_makes_several_budgets(
    make_study: MakeStudy, budget: MakeBudget
) -> None:
    rows = find_differences(make_study(*budget(3), *budget(3, 5e-4)))
    assert rows["series"].tolist() == [
        "recipe quick, weight decay 0.0001", "recipe quick, weight decay 0.0005"
    ]  # fmt: skip


def test_drops_at_the_same_shares_are_one_schedule(
    make_study: MakeStudy, budget: MakeBudget
) -> None:
    def series(*drops: tuple[int, list[int]]) -> int:
        arms = [budget(epochs, options={"drops": own}) for epochs, own in drops]
        rows = find_differences(make_study(*(arm for own in arms for arm in own)))
        return int(rows["series"].nunique())

    assert series((160, [80, 120]), (80, [40, 60])) == 1
    assert series((160, [80, 120]), (80, [20, 60])) == 2


def test_chosen_rates_do_not_part_budgets(make_study: MakeStudy, budget: MakeBudget) -> None:
    tuned = [
        arm for epochs, rate in ((3, 0.3), (12, 0.1))
        for arm in budget(epochs, options={"lr": rate}, protocol="tuned")
    ]  # fmt: skip
    rows = find_differences(make_study(*tuned))
    assert rows["series"].unique().tolist() == ["recipe quick, weight decay 0.0001"]
    assert rows["protocol"].tolist() == ["tuned", "tuned"]


def test_variants_of_the_reference_are_compared_with_it(
    make_study: MakeStudy, budget: MakeBudget, make_arm: MakeArm
) -> None:
    def matched(epochs: int) -> Records:
        return make_arm(
            "stable_rps",
            [82.0, 82.0, 84.0],
            label="stable_rps (repository_init=matched)",
            method_options={"repository_init": "matched"},
            recipe_options={"epochs": epochs, "weight_decay": 1e-4, "lr": 0.1, "drops": []},
        )

    arms = [*budget(3), *budget(12), matched(3), matched(12)]
    rows = find_differences(make_study(*arms))
    own = rows[rows["base"] == "stable_rps"]
    assert own["method"].unique().tolist() == ["stable_rps (repository_init=matched)"]
    assert own["difference"].tolist() == pytest.approx([4 / 3, 4 / 3])


def test_lost_runs(make_study: MakeStudy, budget: MakeBudget) -> None:
    """Diverged ones count at chance and are counted, failed ones and other splits make no pair."""
    lost: dict[str, list[float | None]] = {"stable_rps": [80.0, None, 83.0], "mag": [79.0, 79.0]}
    arms = [*budget(3), *budget(12, levels=lost)]
    arms[2][2] |= {"status": "failed"}
    rows = find_differences(make_study(*arms)).iloc[1]
    assert rows["n"] == 2
    assert rows["difference"] == pytest.approx((-1 + 69) / 2)
    assert (rows["num_diverged"], rows["num_diverged_reference"]) == (0, 1)
    trials = budget(30, evaluation_split="validation")
    for record in (record for arm in trials for record in arm):
        record["metrics"]["validation_accuracy"] = 70.0
    assert find_differences(make_study(*budget(3), *trials)).empty


@pytest.mark.parametrize("methods", [["mag"], ["stable_rps"], []])
def test_without_both_sides_there_is_nothing(
    make_study: MakeStudy, budget: MakeBudget, methods: list[str]
) -> None:
    arms = [
        arm for epochs in (3, 12) for arm in budget(epochs, levels={m: LEVELS[m] for m in methods})
    ]
    assert find_differences(make_study(*arms)).empty


def test_the_file_comes_and_goes(make_study: MakeStudy, budget: MakeBudget, tmp_path: Path) -> None:
    study = make_study(*budget(3), *budget(12))
    assert save_differences(study) == [tmp_path / "differences.csv"]
    read = pd.read_csv(tmp_path / "differences.csv")
    assert read["difference"].tolist() == find_differences(study)["difference"].tolist()
    before = (tmp_path / "differences.csv").read_bytes()
    save_differences(make_study(*budget(12), *budget(3)))
    assert (tmp_path / "differences.csv").read_bytes() == before
    assert save_differences(make_study(*budget(3))) == []
    assert not (tmp_path / "differences.csv").exists()
