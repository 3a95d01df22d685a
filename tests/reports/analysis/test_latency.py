"""Accuracies joined with measured times: the same network at the same compression, or nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.core.atomic import write_text
from rps_bench.records.store import RECORDS_FOLDER
from rps_bench.reports.analysis.latency import (
    Measured,
    add_latency,
    describe_latency,
    read_latency,
)
from rps_bench.reports.analysis.results import Results, read_results
from rps_bench.reports.analysis.runs import describe_runs
from rps_bench.reports.analysis.statistics import summarise_runs
from rps_bench.reports.analysis.table import build_table
from rps_bench.reports.figures import plan_figures, save_figures
from rps_bench.reports.figures.files import PLOTS_FOLDER

MakeRecord = Callable[..., dict[str, Any]]

MACS, SMALL_MACS = 40_813_184, 4_000_000
PROVENANCE = {
    "cpu_model": "Test CPU",
    "started_at": "2026-11-21T10:00:00+00:00",
    "versions": {"torch": "2.15.0"},
    "gpu_name": "Test GPU",
}


def row(
    way: str,
    compression: float,
    milliseconds: float,
    macs: int = MACS,
    batch: int = 1,
    device: str = "cpu",
    arch: str = "resnet20",
) -> dict[str, Any]:
    return {
        "arch": arch, "way": way, "compression": compression, "macs": macs, "batch": batch,
        "device": device, "median_ms": milliseconds, "threads": 1,
    }  # fmt: skip


ROWS = [
    row("dense", 1, 2.0),
    row("recover_once", 10, 2.2),
    row("recover_by_layer", 10, 9.0),
    row("pruned_dense", 10, 2.1),
    row("pruned_csr", 10, 5.0),
    row("small", 10, 0.5, SMALL_MACS),
    row("dense", 1, 200.0, batch=128),
    row("recover_once", 10, 0.1, device="cuda:0"),
    row("dense", 1, 20.0, arch="vgg11"),
]


def measured(*rows: dict[str, Any]) -> Measured:
    return Measured(pd.DataFrame(rows or ROWS), PROVENANCE)


def save(folder: Path, *rows: dict[str, Any]) -> None:
    write_text(folder / "inference.csv", measured(*rows).table.to_csv(index=False))
    write_text(folder / "inference.json", json.dumps({"provenance": PROVENANCE}))


def set_macs(record: dict[str, Any], macs: int) -> dict[str, Any]:
    record["cost"]["macs"] = macs
    return record


def times(*records: dict[str, Any]) -> dict[tuple[str, float], float]:
    """The time of each method and compression."""
    points = summarise_runs(describe_runs(build_table(records)))
    points = add_latency(points, measured())
    keys = zip(points["method"], points["compression"], strict=True)
    return dict(zip(keys, points["latency_ms"], strict=True))


def test_kinds_that_run_the_dense_network_share_the_median_of_its_times(
    make_record: MakeRecord,
) -> None:
    found = times(
        make_record("dense", 1.0),
        make_record("hashednet", 10.0),
        make_record("snip", 10.0),
        set_macs(make_record("small", 10.0), SMALL_MACS),
    )
    assert found == {
        ("dense", 1.0): 2.1, ("hashednet", 10.0): 2.1, ("snip", 10.0): 2.1, ("small", 10.0): 0.5
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "milliseconds"),
    [("sharing", 2.1), ("pruning", 2.1), ("narrower", 0.5), ("post-training", None), ("x", None)],
)
def test_another_method_has_the_time_of_its_kind(
    make_record: MakeRecord, kind: str, milliseconds: float | None
) -> None:
    macs = SMALL_MACS if kind == "narrower" else MACS
    record = make_record("a_new_method", 10.0, method_kind=kind)
    (found,) = times(set_macs(record, macs)).values()
    assert pd.isna(found) if milliseconds is None else found == milliseconds


@pytest.mark.parametrize(
    ("method", "compression", "macs"),
    [
        ("roast", 31.6, MACS),  # no compression between measured ones
        ("mag", 1.0, MACS),
        ("roast", 10.0, 4 * MACS),  # larger images
        ("dense", 1.0, MACS // 2),  # another width
        ("small", 10.0, SMALL_MACS // 2),
        ("of_no_known_kind", 10.0, MACS),
    ],
)
def test_what_was_not_measured_has_no_time(
    make_record: MakeRecord, method: str, compression: float, macs: int
) -> None:
    (found,) = times(set_macs(make_record(method, compression), macs)).values()
    assert pd.isna(found)


def test_other_classes_are_the_same_network(make_record: MakeRecord) -> None:
    (found,) = times(set_macs(make_record("mag", 10.0), MACS + 64 * 90)).values()
    assert found == 2.1


def test_a_narrow_network_is_known_by_its_multiply_adds(make_record: MakeRecord) -> None:
    (found,) = times(set_macs(make_record("small", 31.6), SMALL_MACS)).values()
    assert found == 0.5


def test_reading_gives_table_and_provenance(tmp_path: Path) -> None:
    save(tmp_path)
    found = read_latency(tmp_path)
    assert found is not None
    assert len(found.table) == len(ROWS)
    assert found.provenance == PROVENANCE


@pytest.mark.parametrize(
    ("csv", "description"),
    [
        (None, "{}"), ("arch,way\n", None), ("", "{}"), ("arch,way\nresnet20,dense\n", "{}"),
        ("arch,way\nresnet20,dense\n", '{"provenance": {}}'), ("arch\n", "[]"), ("arch\n", "{"),
    ],
)  # fmt: skip
def test_what_is_missing_or_broken_is_no_measurement(
    tmp_path: Path, csv: str | None, description: str | None
) -> None:
    for name, text in (("inference.csv", csv), ("inference.json", description)):
        if text is not None:
            write_text(tmp_path / name, text)
    assert read_latency(tmp_path) is None


def test_the_small_print_names_the_hardware() -> None:
    text = describe_latency(Measured(pd.DataFrame(ROWS[:2]), PROVENANCE))
    assert text.endswith("Test CPU (1 thread), torch 2.15.0, 2026-11-21")
    assert "recovered once" in text
    assert "unknown processor" in describe_latency(Measured(pd.DataFrame(ROWS[:1]), {}))


@pytest.fixture
def timed_study(tmp_path: Path, make_record: MakeRecord) -> Results:
    """Records of every kind at 10x."""
    records = [
        make_record("dense", 1.0, accuracy=92.0),
        make_record("stable_rps", 10.0, accuracy=89.0),
        make_record("mag", 10.0, accuracy=85.0),
        set_macs(make_record("small", 10.0, accuracy=83.0), SMALL_MACS),
    ]
    for record in records:
        write_text(tmp_path / RECORDS_FOLDER / f"{record['run_id']}.json", json.dumps(record))
    return read_results(tmp_path)


def test_accuracy_against_time_is_drawn_where_times_differ(timed_study: Results) -> None:
    name = "pareto-cifar10-resnet20-quick-latency"
    assert name not in [plan.name for plan in plan_figures(timed_study)]
    save(timed_study.results_dir, *ROWS[:2])
    assert name not in [plan.name for plan in plan_figures(timed_study)]
    save(timed_study.results_dir)
    (plan,) = [plan for plan in plan_figures(timed_study) if plan.name == name]
    figure = plan.draw()
    small_print = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "measured on Test CPU (1 thread)" in small_print
    assert figure.axes[0].get_xlabel().startswith("Milliseconds")


def test_the_measurement_s_own_figure_is_left_alone(timed_study: Results) -> None:
    folder = timed_study.results_dir / PLOTS_FOLDER
    own, gone = folder / "inference.png", folder / "pareto-cifar10-resnet20-quick-latency.png"
    for path in (own, gone):
        write_text(path, "drawn earlier")
    save_figures(timed_study)
    assert own.is_file()
    assert not gone.is_file()
