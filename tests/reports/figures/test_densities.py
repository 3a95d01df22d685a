from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from rps_bench.reports.figures.densities import draw_densities, find_densities
from tests.reports.figures.conftest import (
    draw,
    make_panels,
    make_study,
    points,
    set_densities,
)

MakeRecord = Callable[..., dict[str, Any]]


def _draw(*records: dict[str, Any]) -> Figure:
    (panel,) = make_panels(*records)
    return draw(draw_densities, panel, find_densities(panel, make_study(*records).records))


def _values(axes: Axes) -> list[list[float | None]]:
    (mesh,) = [part for part in axes.collections if isinstance(part, QuadMesh)]
    values: Any = np.ma.asarray(mesh.get_array())
    return [[None if x is np.ma.masked else float(x) for x in row] for row in values]


def test_the_map_by_hand(make_record: MakeRecord) -> None:
    figure = _draw(
        set_densities(make_record("synflow"), stem=0.5, classifier=0.05),
        set_densities(make_record("mag", seed=0), stem=0.25, classifier=0.0),
        set_densities(make_record("mag", seed=1), stem=0.75, classifier=0.1),
        set_densities(make_record("mag", 100.0), stem=0.01, classifier=0.0),
        set_densities(make_record("stable_rps"), stem=1.0, classifier=1.0),
        set_densities(make_record("mag", 1.0), stem=1.0, classifier=1.0),
        make_record("snip"),
    )
    first, bar, second = (*figure.axes[:2], figure.axes[2])
    assert _values(first) == [[0.5, 0.05], [0.5, 0.05]]
    assert _values(second) == [[0.01, None]]
    assert [text.get_text() for text in first.get_yticklabels()] == ["mag", "synflow"]
    assert [text.get_text() for text in second.get_xticklabels()] == ["stem", "classifier"]
    collapsed = [points(line) for line in first.lines if line.get_label() == "collapsed"]
    assert collapsed == [[(1.5, 0.5)]]
    assert "kept weights (log)" in bar.get_ylabel()
    assert "without any kept weight" in figure.texts[0].get_text()


def test_a_layer_one_method_lacks_stays_blank(make_record: MakeRecord) -> None:
    figure = _draw(
        set_densities(make_record("mag"), stem=0.5), set_densities(make_record("snip"), other=0.5)
    )
    assert _values(figure.axes[0]) == [[0.5, None], [None, 0.5]]
    assert not figure.axes[0].lines


def test_names_stay_inside_the_page(make_record: MakeRecord) -> None:
    layers = {f"blocks.{number}.shortcut.0": 0.5 for number in range(30)}
    records = [
        set_densities(make_record(label=f"mag (score_mode=train, rounds={rounds})"), **layers)
        for rounds in (10, 20)
    ]
    figure = _draw(*records)
    axes = figure.axes[0]
    names = [text.get_window_extent() for text in axes.get_yticklabels()]
    assert min(box.x0 for box in names) >= 0
    assert not names[0].overlaps(names[1])
    lowest = min(text.get_window_extent().y0 for text in axes.get_xticklabels())
    assert lowest > figure.texts[0].get_window_extent().y1


def test_only_whole_layers_give_nothing(make_record: MakeRecord) -> None:
    record = set_densities(make_record("stable_rps"), stem=1.0)
    for records in ([record], [make_record()]):
        (panel,) = make_panels(*records)
        assert find_densities(panel, records).empty
