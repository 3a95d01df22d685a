import math
from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.figure import Figure

from rps_bench.reports.figures.training_curves import draw_training_curves, find_histories
from tests.reports.figures.conftest import (
    crosses,
    curve,
    draw,
    make_panels,
    make_study,
    points,
    set_history,
    texts,
)

MakeRecord = Callable[..., dict[str, Any]]


def _draw(*records: dict[str, Any]) -> Figure:
    (panel,) = make_panels(*records)
    histories = find_histories(panel, make_study(*records).records)
    return draw(draw_training_curves, panel, histories)


def test_means_over_seeds_by_hand(make_record: MakeRecord) -> None:
    figure = _draw(
        set_history(make_record(seed=0), [40.0, 80.0], [2.0, 1.0]),
        set_history(make_record(seed=1), [50.0, 86.0], [1.0, 0.5]),
    )
    accuracy, loss = figure.axes
    assert points(curve(accuracy, "mag")) == [(1.0, 45.0), (2.0, 83.0)]
    assert points(curve(loss, "mag")) == [(1.0, 1.5), (2.0, 0.75)]
    assert accuracy.get_title(loc="left").startswith("10")
    assert "2 seeds per point, mean; fp32" in figure.texts[0].get_text()


def test_a_row_per_compression_with_dense_in_each(make_record: MakeRecord) -> None:
    records = [
        set_history(make_record(method, compression), [40.0, 80.0], [2.0, 1.0])
        for method, compression in (("dense", 1.0), ("mag", 10.0), ("mag", 100.0), ("snip", 100.0))
    ]
    figure = _draw(*records)
    assert [sorted(texts(axes)) for axes in figure.axes[::2]] == [
        ["dense", "mag"], ["dense", "mag", "snip"]
    ]  # fmt: skip
    tops = [axes.get_position().y0 for axes in figure.axes[::2]]
    assert tops == sorted(tops, reverse=True)


def test_diverged_runs_end_in_a_cross(make_record: MakeRecord) -> None:
    good = set_history(make_record(seed=0), [40.0, 80.0, 81.0], [2.0, 1.0, 0.9])
    bad = set_history(make_record(seed=1, status="diverged"), [30.0, 20.0], [2.1, 2.2])
    figure = _draw(good, bad)
    accuracy, loss = figure.axes
    assert [points(cross) for cross in crosses(accuracy)] == [[(2.0, 20.0)]]
    assert [points(cross) for cross in crosses(loss)] == [[(2.0, 2.2)]]
    assert points(curve(accuracy, "mag")) == [(1.0, 40.0), (2.0, 80.0), (3.0, 81.0)]
    assert "cross: diverged" in figure.texts[0].get_text()


@pytest.mark.parametrize("history", [[], [{"epoch": 1, "test_accuracy": None, "train_loss": None}]])
def test_a_run_that_never_finished_an_epoch_is_at_chance(
    make_record: MakeRecord, history: list[dict[str, Any]]
) -> None:
    bad = make_record("roast", status="diverged")
    bad["history"] = history
    figure = _draw(set_history(make_record(), [40.0, 80.0], [2.0, 1.0]), bad)
    accuracy, loss = figure.axes
    assert [points(cross) for cross in crosses(accuracy)] == [[(0.0, 10.0)]]
    ((place,),) = (points(cross) for cross in crosses(loss))
    assert place == pytest.approx((0.0, math.log(10)))
    assert accuracy.get_ylim()[0] < 10 < accuracy.get_ylim()[1]
    assert loss.get_ylim()[1] > math.log(10)
    assert "roast" in texts(accuracy)


def test_validation_runs_show_their_own_accuracy(make_record: MakeRecord) -> None:
    record = make_record(evaluation_split="validation", status="diverged")
    record["history"] = [{"epoch": 1, "validation_accuracy": 33.0, "train_loss": 1.0}]
    figure = _draw(record)
    assert [points(cross) for cross in crosses(figure.axes[0])] == [[(1.0, 33.0)]]
    assert figure.axes[0].get_ylabel() == "Validation accuracy (%)"


def test_no_numbers_no_curves(make_record: MakeRecord) -> None:
    for record in (make_record(), make_record(status="diverged", epochs=0)):
        (panel,) = make_panels(record)
        assert find_histories(panel, [record]).empty


def test_one_epoch_has_whole_ticks(make_record: MakeRecord) -> None:
    figure = _draw(set_history(make_record(epochs=1), [40.0], [2.0]))
    low, high = figure.axes[0].get_xlim()
    assert [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high] == [1.0]


def test_a_loss_that_falls_far_is_logarithmic(make_record: MakeRecord) -> None:
    far = _draw(set_history(make_record(), [40.0, 80.0], [2.0, 0.01]))
    near = _draw(set_history(make_record(), [40.0, 80.0], [2.0, 0.1]))
    assert [figure.axes[1].get_yscale() for figure in (far, near)] == ["log", "linear"]


def test_of_a_run_recorded_twice_the_newest_history_is_drawn(make_record: MakeRecord) -> None:
    older = {"started_at": "2026-11-01T10:00:00+00:00"}
    newest = set_history(make_record(), [40.0, 80.0], [2.0, 1.0])
    oldest = set_history(make_record(provenance=older), [1.0, 2.0], [9.0, 9.0])
    assert newest["run_id"] == oldest["run_id"]
    figure = _draw(newest, oldest)
    assert points(curve(figure.axes[0], "mag")) == [(1.0, 40.0), (2.0, 80.0)]
