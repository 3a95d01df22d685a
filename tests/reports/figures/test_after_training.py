"""Accuracy without and with retraining, and what zstd leaves: in figures, tables and the page."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rps_bench.reports.figures import draw_pareto_figure
from rps_bench.reports.figures.after_training import draw_after_training, find_retrained
from rps_bench.reports.figures.axes import BYTES
from rps_bench.reports.figures.files import plan_figures
from rps_bench.reports.figures.stale import remove_stale
from rps_bench.reports.html.page import build_page
from rps_bench.reports.tables.summary import summary_table
from tests.reports.figures.conftest import curve, draw, make_panels, make_study, points, texts

MakeRecord = Callable[..., dict[str, Any]]


def retrained(
    make_record: MakeRecord, method: str, compression: float, before: float, **changes: Any
) -> dict[str, Any]:
    """A record of what was compressed after training: its file 1000 bytes longer before that."""
    record = make_record(method, compression, method_kind="post-training", **changes)
    size = record["size"]
    record["metrics"]["test_accuracy_without_retraining"] = before
    size["stored_bytes_without_retraining"] = size["stored_bytes"] + 1000
    size["stored_bytes_zstd"] = size["stored_bytes"] - 500
    return record


@pytest.fixture
def records(make_record: MakeRecord) -> list[dict[str, Any]]:
    """kmeans at two compressions, mag_trained at one, dense, and a run of another kind."""
    return [
        make_record("dense", 1.0, accuracy=90.0),
        make_record("snip", 10.0, accuracy=70.0),
        retrained(make_record, "kmeans", 10.0, 85.0, accuracy=89.0),
        retrained(make_record, "kmeans", 32.0, 20.0, accuracy=75.0),
        retrained(make_record, "mag_trained", 10.0, 30.0, accuracy=88.0),
    ]


def test_each_pair_is_drawn_and_joined(records: list[dict[str, Any]]) -> None:
    (panel,) = make_panels(*records)
    axes = draw(draw_after_training, panel, find_retrained(panel)).axes[0]
    sizes = {
        (r["config"]["method"], r["config"]["compression"]): r["size"]["stored_bytes"]
        for r in records
    }
    x = [sizes["kmeans", 10], sizes["kmeans", 32]]
    before, after = curve(axes, "kmeans without retraining"), curve(axes, "kmeans retrained")
    assert points(after) == [(x[0], 89), (x[1], 75)]
    assert points(before) == [(x[0] + 1000, 85), (x[1] + 1000, 20)]
    assert before.get_markerfacecolor() == "white" != after.get_markerfacecolor()
    joined = [[y for _, y in points(line)] for line in axes.lines]
    assert joined.count([30, 88]) == 1
    assert {"kmeans", "mag_trained", "dense"} <= set(texts(axes))
    assert "snip" not in texts(axes)
    low, high = axes.get_ylim()
    assert low < 20
    assert high > 90


def test_the_small_print_says_what_is_filled(records: list[dict[str, Any]]) -> None:
    (panel,) = make_panels(*records)
    figure = draw(draw_after_training, panel, find_retrained(panel))
    small_print = figure.texts[0].get_text().replace("\n", " ")
    assert "filled: retrained; hollow, dotted: the trained dense network" in small_print


def test_a_run_that_diverged_while_it_was_retrained_is_marked(
    make_record: MakeRecord, records: list[dict[str, Any]]
) -> None:
    lost = retrained(make_record, "kmeans", 10.0, 85.0, seed=1, status="diverged")
    (panel,) = make_panels(*records, lost)
    axes = draw(draw_after_training, panel, find_retrained(panel)).axes[0]
    assert [y for _, y in points(curve(axes, "kmeans diverged"))] == [10]


def test_older_records_have_no_such_figure_column_or_section(
    make_record: MakeRecord, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    study = make_study(make_record(), make_record("dense", 1.0))
    assert not [name for name, _ in plan_figures(study) if name.startswith("after-")]
    assert not [name for name in map(str, summary_table(study.points)) if "zstd" in name]
    assert 'id="after-training"' not in build_page(study)
    (panel,) = make_panels(make_record())
    axes = draw(draw_pareto_figure, panel, BYTES).axes[0]
    assert not [line for line in axes.lines if str(line.get_label()).endswith("zstd")]


def test_the_summary_and_the_page_tell_both(records: list[dict[str, Any]], tmp_path: Path) -> None:
    study = make_study(*records)
    table = summary_table(study.points)
    rows = {(row["method"], row["compression"]): row for row in table.to_dict("records")}
    row = rows["kmeans", 32.0]
    assert row["mean_without_retraining"] == 20
    assert row["stored_bytes_zstd"] == row["stored_bytes"] - 500
    assert row["stored_bytes_without_retraining"] == row["stored_bytes"] + 1000
    assert math.isnan(rows["snip", 10.0]["mean_without_retraining"])
    page = build_page(study)
    assert '<section id="after-training" aria-labelledby="after-training-title">' in page
    assert '<a href="#after-training">' in page
    section = page.partition('id="after-training" ')[2].partition("</section>")[0]
    assert section.count("<tr") == 5  # its head, dense, three points
    assert "data:image/svg+xml" in section


def test_bytes_show_what_zstd_leaves(records: list[dict[str, Any]]) -> None:
    (panel,) = make_panels(*records)
    figure = draw(draw_pareto_figure, panel, BYTES)
    axes = figure.axes[0]
    ends = [line for line in axes.lines if line.get_label() == "kmeans zstd"]
    assert len(ends) == 2
    for line in ends:
        (begin, y), (end, same) = points(line)
        assert (begin - end, y) == (500, same)
    assert not [line for line in axes.lines if line.get_label() == "snip zstd"]
    assert "what zstd at level 19 leaves" in figure.texts[0].get_text().replace("\n", " ")


def test_the_figure_is_planned_and_an_old_one_removed(
    make_record: MakeRecord, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert "after-cifar10-resnet20-quick" in [
        name for name, _ in plan_figures(make_study(*records))
    ]
    old = tmp_path / "after-cifar10-resnet20-quick.png"
    old.touch()
    assert remove_stale(tmp_path, make_study(make_record()), []) == [old]
