from collections.abc import Callable
from typing import Any

import pytest

from rps_bench.reports.figures.init_std import draw_init_std, find_init_std
from tests.reports.figures.conftest import crosses, curve, draw, make_panels, points, texts

MakeRecord = Callable[..., dict[str, Any]]


def _run(
    make_record: MakeRecord,
    std: float,
    method: str = "stable_rps",
    scaling: str = "gram",
    **more: Any,
) -> dict[str, Any]:
    options = {"init_std": std, "scaling": scaling} | more.pop("options", {})
    return make_record(method, label=f"{method} {options}", method_options=options, **more)


def test_series_by_hand(make_record: MakeRecord) -> None:
    (panel,) = make_panels(
        _run(make_record, 0.01, accuracy=80.0, seed=0),
        _run(make_record, 0.01, accuracy=82.0, seed=1),
        _run(make_record, 0.1, accuracy=84.0),
        _run(make_record, 0.1, scaling="none", accuracy=60.0),
        _run(make_record, 0.01, "roast", "none", status="diverged"),
        _run(make_record, 0.04, compression=100.0),
        make_record("mag"),
    )
    series = find_init_std(panel)
    columns = ["compression", "series", "init_std", "mean", "n", "num_diverged"]
    rows = series[columns].astype(object).where(series[columns].notna(), None)
    assert rows.to_numpy().tolist() == [
        [10.0, "roast, none", 0.01, None, 0, 1],
        [10.0, "stable_rps, gram", 0.01, 81.0, 2, 0],
        [10.0, "stable_rps, gram", 0.1, 84.0, 1, 0],
        [10.0, "stable_rps, none", 0.1, 60.0, 1, 0],
    ]
    figure = draw(draw_init_std, panel, series)
    (axes,) = figure.axes
    assert points(curve(axes, "stable_rps, gram")) == [(0.01, 81.0), (0.1, 84.0)]
    assert [points(cross) for cross in crosses(axes)] == [[(0.01, 10.0)]]
    assert axes.get_xscale() == "log"
    assert {"stable_rps, gram", "stable_rps, none", "roast, none"} <= set(texts(axes))
    assert curve(axes, "stable_rps, none").get_linestyle() != "-"


def test_other_options_keep_series_apart(make_record: MakeRecord) -> None:
    (panel,) = make_panels(
        *(
            _run(make_record, std, options={"repository_init": init})
            for std in (0.01, 0.1)
            for init in ("normal", "uniform")
        )
    )
    names = find_init_std(panel)["series"].unique().tolist()
    assert names == ["stable_rps, gram, normal", "stable_rps, gram, uniform"]


def test_a_cell_per_compression_that_varied(make_record: MakeRecord) -> None:
    (panel,) = make_panels(
        *(
            _run(make_record, std, compression=compression)
            for std in (0.01, 0.1)
            for compression in (10.0, 100.0, 1000.0)
        )
    )
    figure = draw(draw_init_std, panel, find_init_std(panel))
    titles = [axes.get_title(loc="left")[:-1] for axes in figure.axes]
    assert titles == ["10", "100", "1000"]


@pytest.mark.parametrize("method", ["mag", "stable_rps"])
def test_one_init_std_gives_nothing(make_record: MakeRecord, method: str) -> None:
    records = [make_record("mag"), _run(make_record, 0.04, method, compression=100.0)]
    (panel,) = make_panels(*records)
    assert find_init_std(panel).empty
