"""The numbers that the page draws, checked by hand."""

import math
from typing import Any

import pytest

from rps_bench.reports.analysis.results import Results
from rps_bench.reports.html import plot_data
from rps_bench.reports.html.experiments import split_experiments
from rps_bench.reports.html.links import find_links
from rps_bench.reports.html.plot_data import DASHES, SYMBOLS, collect_plot_data
from rps_bench.reports.styles import (
    KIND_LINES,
    METHOD_LOOKS,
    OTHER_MARKERS,
    UNKNOWN_KIND,
    method_look,
)
from tests.reports.html.conftest import MakeRecord, WriteStudy


def collect(study: Results) -> dict[str, Any]:
    return collect_plot_data(study, split_experiments(study), find_links(study))


def as_dicts(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [dict(zip(data[f"{name}_fields"], row, strict=True)) for row in data[f"{name}s"]]


def find_point(data: dict[str, Any], label: str, compression: float) -> dict[str, Any]:
    (point,) = (
        point
        for point in as_dicts(data, "point")
        if (point["label"], point["compression"]) == (label, compression)
    )
    return point


def test_a_point_has_mean_spread_and_interval_of_every_metric(
    write_study: WriteStudy, curve_records: list[dict[str, Any]]
) -> None:
    point = find_point(collect(write_study(curve_records)), "mag", 10)
    assert (point["accuracy"], point["accuracy_std"]) == (82, 2)
    assert (point["best"], point["best_std"]) == (83, 2)
    assert (point["loss"], point["loss_std"]) == (0.6, 0.1)
    # t(0.975, 2) = 4.30265, over sqrt(3)
    margin = 4.30265 / math.sqrt(3)
    assert point["accuracy_low"] == pytest.approx(82 - 2 * margin, abs=1e-3)
    assert point["best_high"] == pytest.approx(83 + 2 * margin, abs=1e-3)
    assert point["loss_low"] == pytest.approx(0.6 - 0.1 * margin, abs=1e-4)
    assert (point["n"], point["num_diverged"], point["num_failed"]) == (3, 0, 0)
    assert point["stored_bytes"] == 4 * (27_089 + 1_578)


def test_one_seed_has_no_spread(
    write_study: WriteStudy, curve_records: list[dict[str, Any]]
) -> None:
    point = find_point(collect(write_study(curve_records)), "dense", 1)
    assert point["accuracy"] == 90
    assert [point[f"best_{end}"] for end in ("std", "low", "high")] == [None] * 3


def test_runs_know_their_point_record_and_history(
    write_study: WriteStudy, curve_records: list[dict[str, Any]]
) -> None:
    study = write_study(curve_records)
    data = collect(study)
    labels = [point["label"] for point in as_dicts(data, "point")]
    runs = as_dicts(data, "run")
    mag = [run for run in runs if labels[run["point"]] == "mag"]
    assert [(run["seed"], run["accuracy"], run["best"]) for run in mag] == [
        (0, 80, 81),
        (1, 82, 83),
        (2, 84, 85),
    ]
    assert all((study.results_dir / run["href"]).is_file() for run in runs)
    histories = [data["histories"][runs.index(run)] for run in mag]
    assert histories[2] == [[1, 2], [40, 84], [2, 1.25]]


def test_numbers_keep_what_matters(write_study: WriteStudy, make_record: MakeRecord) -> None:
    record = make_record(seed=123_456_789, accuracy=80.123456789)
    (run,) = as_dicts(collect(write_study([record])), "run")
    assert (run["seed"], run["accuracy"]) == (123_456_789, 80.1235)


def test_a_history_holds_numbers_only(write_study: WriteStudy, make_record: MakeRecord) -> None:
    record = make_record()
    record["history"] = [{"epoch": 1, "train_loss": None, "note": "<b>"}]
    assert collect(write_study([record]))["histories"] == [[[1], [None], [None]]]


def test_a_validation_run_shows_its_own_split(
    write_study: WriteStudy, make_record: MakeRecord
) -> None:
    record = make_record(evaluation_split="validation")
    record["metrics"] = dict.fromkeys(record["metrics"]) | {
        "validation_accuracy": 70.0,
        "best_validation_accuracy": 71.0,
        "validation_loss": 0.25,
    }
    record["history"] = [{"epoch": 1, "train_loss": 1.0, "validation_accuracy": 70.0}]
    data = collect(write_study([record]))
    (point,) = as_dicts(data, "point")
    assert (point["accuracy"], point["best"], point["loss"]) == (70, 71, 0.25)
    assert data["histories"] == [[[1], [70], [1]]]
    assert data["experiments"][0]["split"] == "validation"


def test_curves_come_in_drawing_order_with_their_style(
    write_study: WriteStudy, make_record: MakeRecord
) -> None:
    records = [
        make_record("mag", 100.0),
        make_record("mag", 10.0),
        make_record("mag", 10.0, label="mag (rounds=5)", method_options={"rounds": 5}),
        make_record("stable_rps", 10.0),
        make_record("newcomer", 10.0),
    ]
    data = collect(write_study(records))
    curves = data["experiments"][0]["curves"]
    assert [curve["label"] for curve in curves] == [
        "stable_rps",
        "mag",
        "mag (rounds=5)",
        "newcomer",
    ]
    assert [curve["variant"] for curve in curves] == [0, 0, 1, 0]
    assert curves[1]["colour"] == METHOD_LOOKS["mag"].colour
    assert (curves[1]["symbol"], curves[1]["dash"]) == ("pentagon", "dash")
    assert (curves[1]["kind"], curves[3]["kind"]) == ("pruning", None)
    assert (curves[3]["colour"], curves[3]["dash"]) == (method_look("newcomer").colour, "longdash")
    compressions = [as_dicts(data, "point")[index]["compression"] for index in curves[1]["points"]]
    assert compressions == [10, 100]


def test_every_style_has_a_symbol_and_a_dash_of_its_own() -> None:
    markers = {*(look.marker for look in METHOD_LOOKS.values()), *OTHER_MARKERS}
    assert markers <= set(SYMBOLS)
    assert {kind.line for kind in (*KIND_LINES.values(), UNKNOWN_KIND)} == set(DASHES)
    assert len(set(SYMBOLS.values())) == len(SYMBOLS)


def test_chance_is_that_of_the_dataset(write_study: WriteStudy, make_record: MakeRecord) -> None:
    records = [make_record(), make_record(dataset="elsewhere")]
    known, unknown = (entry["chance"] for entry in collect(write_study(records))["experiments"])
    assert known == {"accuracy": 10, "best": 10, "loss": pytest.approx(2.302585)}
    assert unknown == {"accuracy": None, "best": None, "loss": None}


def test_a_large_study_thins_its_curves(
    write_study: WriteStudy, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = write_study([make_record(seed=seed, epochs=8) for seed in range(3)])
    data = collect(study)
    assert (data["epoch_step"], data["histories"][0][0]) == (1, list(range(1, 9)))
    monkeypatch.setattr(plot_data, "MOST_EPOCHS_DRAWN", 8)
    data = collect(study)
    assert data["epoch_step"] == 3
    assert [len(values) for values in data["histories"][0]] == [4] * 3
    assert data["histories"][0][0] == [1, 3, 6, 8]


def test_half_an_interval_is_a_quantile_times_the_standard_error(
    write_study: WriteStudy, make_record: MakeRecord
) -> None:
    data = collect(write_study([make_record(seed=seed) for seed in range(3)]))
    assert data["quantiles"] == [None, None, 12.7062, 4.30265]


def test_an_experiment_has_its_facets(write_study: WriteStudy, make_record: MakeRecord) -> None:
    (experiment,) = collect(write_study([make_record()]))["experiments"]
    facets = ("dataset", "arch", "recipe", "protocol", "split", "options")
    assert [experiment[facet] for facet in facets] == [
        "cifar10", "resnet20", "quick", "fixed", "test", "",
    ]  # fmt: skip


def test_collapsed_layers_are_named(write_study: WriteStudy, make_record: MakeRecord) -> None:
    plain, collapsed, odd = (make_record(seed=seed) for seed in range(3))
    collapsed["method_report"] = {"collapsed_layers": ["stem.weight"]}
    odd["method_report"] = {"collapsed_layers": "stem"}
    runs = as_dicts(collect(write_study([plain, collapsed, odd])), "run")
    assert [run["collapsed"] for run in runs] == [[], ["stem.weight"], []]
