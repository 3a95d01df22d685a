from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from rps_bench.reports import Results, build_table, summarise
from rps_bench.reports.analysis.runs import POINT_KEYS, describe_runs

MakeRecord = Callable[..., dict[str, Any]]


def _summarise(*records: dict[str, Any]) -> pd.DataFrame:
    return summarise(build_table(records))


def test_mean_spread_and_counts_by_hand(make_record: MakeRecord) -> None:
    points = _summarise(
        make_record(seed=0, accuracy=80.0),
        make_record(seed=1, accuracy=82.0),
        make_record(seed=2, accuracy=84.0),
        make_record(seed=3, status="diverged"),
        make_record(seed=4, status="failed"),
    )
    assert len(points) == 1
    point = points.iloc[0]
    assert point["mean"] == pytest.approx(82.0)
    assert point["std"] == pytest.approx(2.0)  # sample: squares 4 + 0 + 4 over 3 - 1
    assert (point["n"], point["num_diverged"], point["num_failed"]) == (3, 1, 1)
    assert point["true_compression"] == pytest.approx(272_474 / 28_667)


def test_one_run_has_no_spread_and_divergence_no_mean(make_record: MakeRecord) -> None:
    points = _summarise(
        make_record(compression=10.0), make_record(compression=100.0, status="diverged")
    )
    assert points["n"].tolist() == [1, 0]
    assert points[["std", "low", "high"]].isna().all(axis=None)
    assert points["mean"].isna().tolist() == [False, True]


def test_the_interval_by_hand(make_record: MakeRecord) -> None:
    """From a printed table: t(0.975) is 12.706 for 1 degree of freedom and 4.303 for 2."""
    points = _summarise(
        make_record("mag", seed=0, accuracy=80.0),
        make_record("mag", seed=1, accuracy=82.0),
        *(make_record("snip", seed=seed, accuracy=80.0 + 2 * seed) for seed in range(3)),
        *(make_record("synflow", seed=seed, accuracy=70.0) for seed in range(3)),
    ).set_index("method")
    # std / sqrt(n): sqrt(2) / sqrt(2) = 1, then 2 / sqrt(3)
    assert points.loc["mag", "low"] == pytest.approx(81 - 12.706, abs=1e-3)
    assert points.loc["mag", "high"] == pytest.approx(81 + 12.706, abs=1e-3)
    assert points.loc["snip", "high"] == pytest.approx(82 + 4.303 * 2 / 3**0.5, abs=1e-3)
    assert list(points[["low", "high"]].loc["synflow"]) == [70.0, 70.0]


def test_the_interval_agrees_with_scipy(make_record: MakeRecord) -> None:
    accuracies = [71.5, 70.25, 73.0, 72.1, 69.9]
    point = _summarise(
        *(make_record(seed=seed, accuracy=value) for seed, value in enumerate(accuracies))
    ).iloc[0]
    low, high = stats.t.interval(0.95, df=4, loc=point["mean"], scale=stats.sem(accuracies))
    assert (point["low"], point["high"]) == pytest.approx((low, high))


def test_points_of_the_checked_in_records(small_study: Results) -> None:
    shown = ["label", "compression", "mean", "std", "n", "num_diverged", "num_failed"]
    half = 2**0.5
    assert small_study.points[shown].to_numpy().tolist() == [
        ["dense", 1.0, 94.0, 1.0, 3, 0, 0],
        ["mag", 10.0, 89.0, pytest.approx(half), 2, 0, 1],
        ["mag", 100.0, 61.0, pytest.approx(half), 2, 1, 0],
        ["stable_rps", 10.0, 91.0, 1.0, 3, 0, 0],
        ["stable_rps", 100.0, 82.0, 2.0, 3, 0, 0],
    ]
    costs = ["true_compression", "stored_bytes", "macs", "effective_macs", "total_epochs",
             "total_train_seconds", "num_trainings", "best_mean", "loss_mean"]  # fmt: skip
    assert small_study.points[costs].iloc[2].tolist() == pytest.approx(
        [10.0, 440.0, 2e6, 2e4, 2.0, 10.0, 1.0, 61.0, 0.6]
    )


def test_sizes_and_costs_are_means(make_record: MakeRecord) -> None:
    first, second = make_record(seed=0), make_record(seed=1)
    for record, number in ((first, 10), (second, 20)):
        record["cost"] |= {"effective_macs": number, "total_epochs": number, "macs": number}
        record["size"] |= {"stored_bytes": number, "true_compression": number}
    columns = ["effective_macs", "total_epochs", "macs", "stored_bytes", "true_compression"]
    assert _summarise(first, second)[columns].to_numpy().tolist() == [[15.0] * 5]


def test_costs_of_runs_cut_short_count_only_where_there_are_no_others(
    make_record: MakeRecord,
) -> None:
    short = make_record(seed=1, status="diverged")
    short["history"] = short["history"][:1]
    whole = make_record(seed=0)
    assert _summarise(whole, short)["total_epochs"].tolist() == [3.0]
    assert _summarise(short)["total_epochs"].tolist() == [1.0]


def test_older_records_count_as_one_ordinary_training(make_record: MakeRecord) -> None:
    older, newer, failed = make_record(), make_record("ltr"), make_record("snip", status="failed")
    newer["cost"] |= {
        "num_levels": 4, "num_trainings": 5, "total_epochs": 14.5, "total_train_seconds": 145.0
    }  # fmt: skip
    runs = describe_runs(build_table([older, newer, failed])).set_index("method")
    columns = ["num_levels", "num_trainings", "total_epochs", "total_train_seconds"]
    assert list(runs[columns].loc["mag"]) == [0, 1, 3.0, 30.0]
    assert list(runs[columns].loc["ltr"]) == [4, 5, 14.5, 145.0]
    assert runs[columns].loc["snip"].isna().all()


@pytest.mark.parametrize(
    "changes",
    [
        {"method_options": {"init_std": 0.1}},
        {"label": "mag (init_std=0.1)"},
        {"precision": "bf16"},
        {"kernels": "native-avx512-1"},
        {"recipe_options": {"epochs": 30}},
        {"recipe": "paper"},
        {"arch": "vgg11"},
        {"arch_options": {"width": 8}},
        {"arch_options": {"width": None}},
        {"arch_options": {}},
        {"recipe_options": {}},
        {"recipe_options": {"epochs": 3, "drops": [1, 2], "max_steps_per_epoch": 5}},
        {"recipe_options": {"epochs": 3, "drops": [1, 2], "lr": 0.1234567}},
        {"dataset_options": {"fraction": 0.5}},
        {"dataset_options": {}},
        {"evaluation_split": "validation"},
        {"compression": 11.0},
    ],
    ids=str,
)
def test_variants_are_never_averaged(make_record: MakeRecord, changes: dict[str, Any]) -> None:
    default: dict[str, Any] = {
        "method_options": {"init_std": 0.04},
        "arch_options": {"width": 16},
        "dataset_options": {"fraction": 1.0},
    }
    first, second = make_record(seed=0, **default), make_record(seed=1, **(default | changes))
    points = _summarise(first, second)
    assert len(points) == 2
    assert not points.duplicated(POINT_KEYS).any()


def test_close_values_are_not_taken_for_equal(make_record: MakeRecord) -> None:
    records = [
        make_record(seed=seed, recipe_options={"lr": lr}, method_options={"init_std": std})
        for seed, (lr, std) in enumerate(
            [(0.1234567, 1.0), (0.1234568, 2.0), (0.1234568, 2.0000001)]
        )
    ]
    assert _summarise(*records)["n"].tolist() == [1, 1, 1]


def test_hardware_and_a_method_option_unknown_to_older_records_share_a_mean(
    make_record: MakeRecord,
) -> None:
    newer = make_record(seed=1, device="cuda", method_options={"new_option": 1})
    assert _summarise(make_record(seed=0), newer)["n"].tolist() == [2]


def test_labels_tell_curves_apart(make_record: MakeRecord) -> None:
    points = _summarise(
        make_record(method_options={"init_std": 0.04, "rounds": 1}),
        make_record(method_options={"init_std": 0.1, "rounds": 1}),
        make_record("snip", method_options={"rounds": 1}),
        make_record("rpg", label="rpg (init_std=0.1)", precision="bf16"),
    )
    assert points["label"].tolist() == [
        "mag (init_std=0.04, fp32)",
        "mag (init_std=0.1, fp32)",
        "rpg (init_std=0.1, bf16)",
        "snip (fp32)",
    ]


def test_a_failed_run_joins_the_experiment_it_would_have_been_part_of(
    make_record: MakeRecord,
) -> None:
    """A run that fails early knows neither its precision nor the size of its data."""
    known = {"precision": "bf16", "dataset_options": {"num_train": 50, "is_partial": True}}
    points = _summarise(
        make_record(seed=0, **known),
        make_record(seed=1, status="failed", precision="auto", dataset_options={}),
    )
    assert points[["label", "precision", "n", "num_failed"]].to_numpy().tolist() == [
        ["mag", "bf16", 1, 1]
    ]


def test_labels_tell_kernels_apart(make_record: MakeRecord) -> None:
    points = _summarise(
        make_record(kernels="native-avx512-1"),
        make_record("snip", kernels="plain", precision="bf16"),
        make_record("synflow", kernels="products-1", arch="vgg11"),
    )
    assert points["label"].tolist() == [
        "mag (fp32, native-avx512-1)",
        "snip (bf16, plain)",
        "synflow",
    ]
    assert points["is_plain"].all()


@pytest.mark.parametrize(
    ("others", "joined"),
    [
        (["native-avx512-1"], "native-avx512-1"),
        (["native-avx512-1", "plain"], "native-avx512-1"),
        (["native-avx512-1", "products-1"], "native"),
        (["plain"], "native"),
    ],
)
def test_a_failed_run_joins_the_kernels_it_asked_for(
    make_record: MakeRecord, others: list[str], joined: str
) -> None:
    """Never PyTorch's own, which others of the experiment trained by."""
    points = _summarise(
        *(make_record(kernels=kernels) for kernels in others),
        make_record(seed=1, status="failed", kernels="native"),
    )
    assert points.loc[points["num_failed"] == 1, "kernels"].tolist() == [joined]


def test_a_failed_run_of_another_precision_leaves_the_other_labels_alone(
    make_record: MakeRecord,
) -> None:
    points = _summarise(
        make_record(precision="bf16"), make_record(precision="fp32", status="failed")
    )
    assert points["label"].tolist() == ["mag", "mag (fp32)"]


def test_failed_runs_alone_need_no_note(make_record: MakeRecord) -> None:
    points = _summarise(make_record(status="failed", precision="auto"))
    assert points[["label", "precision", "num_failed"]].to_numpy().tolist() == [["mag", "auto", 1]]


def test_a_failed_run_between_two_experiments_joins_neither(make_record: MakeRecord) -> None:
    points = _summarise(
        make_record(dataset_options={"num_train": 50}),
        make_record(dataset_options={"num_train": 90}),
        make_record(status="failed", dataset_options={}),
    )
    assert points["experiment_options"].tolist() == ["", "num_train=50", "num_train=90"]
    assert points["num_failed"].tolist() == [1, 0, 0]


def test_plain_curves_have_default_options_whatever_the_precision(
    make_record: MakeRecord,
) -> None:
    points = _summarise(
        make_record(precision="bf16"),
        make_record(precision="fp32"),
        make_record(precision="fp32", label="mag (rounds=3)"),
    )
    assert points["label"].tolist() == ["mag (bf16)", "mag (fp32)", "mag (rounds=3, fp32)"]
    assert points["is_plain"].tolist() == [True, True, False]


def test_the_newest_record_of_a_seed_counts(make_record: MakeRecord) -> None:
    dates = ["2026-11-20T10:00:00+00:00", "2026-11-20T12:30:00+02:00", None]
    older, newer, undated = (
        make_record(accuracy=accuracy, provenance={"started_at": date})
        for accuracy, date in zip((70.0, 80.0, 90.0), dates, strict=True)
    )
    other_seed = make_record(seed=1, accuracy=60.0)
    for records in ([older, newer, undated, other_seed], [other_seed, undated, newer, older]):
        points = _summarise(*records)
        assert (points["n"].tolist(), points["mean"].tolist()) == ([2], [70.0])
        assert (points["mean"] - points["low"]).notna().all()


def test_an_outcome_counts_before_a_newer_failed_attempt(make_record: MakeRecord) -> None:
    late = {"started_at": "2026-12-24T10:00:00+00:00"}
    points = _summarise(
        make_record(status="diverged"), make_record(status="failed", provenance=late)
    )
    assert points[["num_diverged", "num_failed"]].to_numpy().tolist() == [[1, 0]]


def test_n_is_the_number_of_seeds(sweep: list[dict[str, Any]]) -> None:
    runs = describe_runs(build_table([*sweep, *sweep]))
    seeds = runs[runs["accuracy"].notna()].groupby(POINT_KEYS)["seed"].nunique()
    n = _summarise(*sweep, *sweep).set_index(POINT_KEYS)["n"]
    assert n[n > 0].to_dict() == seeds.to_dict()
    assert n.max() == 3


def test_what_is_left_out_keeps_its_place_in_the_table(make_record: MakeRecord) -> None:
    table = build_table([make_record(seed=1), make_record(seed=0), make_record(seed=0)])
    runs = describe_runs(table)
    assert table["seed"].tolist() == [0, 0, 1]
    assert runs.index.tolist() == [1, 2]


def test_validation_runs_are_summarised_by_their_own_accuracy(make_record: MakeRecord) -> None:
    record = make_record(evaluation_split="validation")
    record["metrics"] |= {
        "test_accuracy": 10.0,
        "validation_accuracy": 70.0,
        "best_validation_accuracy": 71.0,
        "validation_loss": 0.75,
    }
    points = _summarise(record)
    assert points[["mean", "best_mean", "loss_mean"]].to_numpy().tolist() == [[70.0, 71.0, 0.75]]


def test_an_empty_table_has_no_points() -> None:
    assert _summarise().empty
