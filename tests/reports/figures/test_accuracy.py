import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.core.kinds import KINDS
from rps_bench.methods import METHODS
from rps_bench.models import ARCHITECTURES
from rps_bench.reports.figures import draw_pareto_figure
from rps_bench.reports.figures.axes import ABSCISSAS, COMPRESSION, Abscissa
from rps_bench.reports.figures.curves import find_curves, find_frontier
from rps_bench.reports.styles import ARCH_TITLES, KIND_LINES, METHOD_LOOKS, method_style
from tests.reports.figures.conftest import crosses, curve, draw, make_panels, points, texts

MakeRecord = Callable[..., dict[str, Any]]
CONF = Path(__file__).parents[3] / "conf" / "method"
BY_SUFFIX = {abscissa.suffix: abscissa for abscissa in ABSCISSAS}
TRUE, BYTES, MACS, COST = (
    BY_SUFFIX[suffix] for suffix in ("-true-compression", "-bytes", "-macs", "-cost")
)


def _draw(*records: dict[str, Any], abscissa: Abscissa = COMPRESSION) -> Figure:
    (panel,) = make_panels(*records)
    return draw(draw_pareto_figure, panel, abscissa)


def _axes(*records: dict[str, Any], abscissa: Abscissa = COMPRESSION) -> Axes:
    return _draw(*records, abscissa=abscissa).axes[0]


def _frontier(abscissa: Abscissa, *records: dict[str, Any]) -> list[tuple[float, float]]:
    (panel,) = make_panels(*records)
    return find_frontier(find_curves(panel.points, abscissa), abscissa)


def test_structure_of_a_sweep(sweep: list[dict[str, Any]]) -> None:
    figure = _draw(*sweep)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    ticks = [axes.xaxis.get_major_formatter()(tick, 0) for tick in axes.get_xticks()]
    assert [tick[:-1] for tick in ticks] == ["1", "10", "100", "1000"]
    assert axes.get_title(loc="left") == "CIFAR-10, ResNet-20"
    assert axes.get_ylabel() == "Test accuracy (%)"
    methods = {record["config"]["method"] for record in sweep}
    assert methods <= set(texts(axes))
    assert any(text.startswith("chance") for text in texts(axes))
    small_print = figure.texts[0].get_text()
    assert "Recipe quick, 3 epochs; 1 to 3 seeds per point, mean ± 1 std; fp32" in small_print
    assert "Test CPU (2 CPUs); newest run 2026-11-20" in small_print
    assert "Pareto frontier" in small_print


@pytest.mark.parametrize("abscissa", ABSCISSAS, ids=lambda abscissa: abscissa.column)
def test_nothing_overlaps_and_all_stays_inside(
    sweep: list[dict[str, Any]], abscissa: Abscissa
) -> None:
    long = [
        sweep[1] | {"config": sweep[1]["config"] | {"label": f"stable_rps (an_option={i}, x=1)"}}
        for i in range(25)
    ]
    figure = _draw(*sweep, *long, abscissa=abscissa)
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1 for box in boxes)
    print_box = figure.texts[0].get_window_extent()
    assert print_box.x1 < figure.bbox.x1
    x_title = axes.xaxis.get_tightbbox()
    assert x_title is not None
    assert print_box.y1 < x_title.y0
    assert 0 < x_title.x0 < x_title.x1 < figure.bbox.x1


def test_a_label_without_spaces_shrinks_to_its_room(make_record: MakeRecord) -> None:
    figure = _draw(make_record(label="x" * 90), make_record("snip"))
    boxes = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    assert boxes["x" * 90].x1 < figure.bbox.x1
    sizes = {text.get_text(): float(text.get_fontsize()) for text in figure.axes[0].texts}
    assert sizes["x" * 90] < sizes["snip"] == 7.5


def test_diverged_runs_are_marked_at_chance(make_record: MakeRecord) -> None:
    figure = _draw(
        make_record("mag", 10.0),
        make_record("mag", 100.0, status="diverged"),
        make_record("snip", 100.0, status="diverged"),
        make_record("snip", 1000.0, status="failed"),
    )
    axes = figure.axes[0]
    assert [points(cross) for cross in crosses(axes)] == [[(100.0, 10.0)], [(100.0, 10.0)]]
    assert [cross.get_color() for cross in crosses(axes)] == [
        METHOD_LOOKS["mag"].colour, METHOD_LOOKS["snip"].colour
    ]  # fmt: skip
    assert axes.get_ylim()[0] < 10.0
    assert "snip" in texts(axes)
    assert axes.get_xlim()[1] < 1000
    assert "1 failed run not drawn" in figure.texts[0].get_text()


def test_chance_follows_the_dataset(make_record: MakeRecord) -> None:
    axes = _axes(make_record(dataset="cifar100", status="diverged"))
    assert [points(cross) for cross in crosses(axes)] == [[(10.0, 1.0)]]


@pytest.mark.parametrize("abscissa", ABSCISSAS, ids=lambda abscissa: abscissa.column)
@pytest.mark.parametrize(
    ("method", "dataset"), [("mag", "digits"), ("dense", "digits"), ("unknown", "unknown")]
)
def test_one_point_is_enough(
    make_record: MakeRecord, abscissa: Abscissa, method: str, dataset: str
) -> None:
    assert method in texts(_axes(make_record(method, 1.0, dataset=dataset), abscissa=abscissa))


@pytest.mark.parametrize("dataset", ["digits", "unknown"])
def test_one_diverged_run_is_enough(make_record: MakeRecord, dataset: str) -> None:
    record = make_record(status="diverged", dataset=dataset)
    for abscissa in (COMPRESSION, BYTES, MACS):
        assert "mag" in texts(_axes(record, abscissa=abscissa))


def test_a_diverged_run_without_size_is_drawn(make_record: MakeRecord) -> None:
    record = make_record(status="diverged")
    record["size"] = dict.fromkeys(record["size"])
    axes = _axes(record, abscissa=TRUE)
    assert [points(cross) for cross in crosses(axes)] == [[(10.0, 10.0)]]


def test_less_is_better_to_the_right(make_record: MakeRecord) -> None:
    records = make_record(compression=10.0), make_record(compression=100.0, accuracy=70.0)
    axes = _axes(*records, abscissa=BYTES)
    left, right = axes.get_xlim()
    assert left > 4 * 28_667 > 4 * 4_286 > right
    assert points(curve(axes, "mag")) == [(4.0 * 28_667, 80.0), (4.0 * 4_286, 70.0)]
    assert "smaller is better, to the right" in axes.get_xlabel()


def _with_macs(record: dict[str, Any], macs: int, effective: int | None) -> dict[str, Any]:
    record["cost"] |= {"macs": macs, "effective_macs": effective}
    return record


def test_macs_count_kept_weights_where_that_is_known(make_record: MakeRecord) -> None:
    axes = _axes(
        _with_macs(make_record("mag", 10.0), 40_000_000, 4_000_000),
        _with_macs(make_record("mag", 1.0), 40_000_000, None),
        abscissa=MACS,
    )
    assert [x for x, _ in points(curve(axes, "mag"))] == pytest.approx([4e7, 4e6])
    assert "for pruning of kept weights only" in axes.get_xlabel()


def test_methods_of_one_cost_stand_side_by_side(make_record: MakeRecord) -> None:
    ltr = make_record("ltr", 10.0)
    ltr["cost"] |= {"total_epochs": 12.0}
    figure = _draw(make_record("mag"), make_record("snip"), ltr, abscissa=COST)
    axes = figure.axes[0]
    ((mag, _),), ((snip, _),), ((far, _),) = (
        points(curve(axes, name)) for name in ("mag", "snip", "ltr")
    )
    assert far == pytest.approx(12.0)
    assert mag != snip
    assert mag * snip == pytest.approx(3.0**2)
    assert "side by side" in figure.texts[0].get_text()


def test_cost_shows_no_diverged_run(make_record: MakeRecord) -> None:
    diverged = [make_record(method, seed=1, status="diverged") for method in ("mag", "snip")]
    figure = _draw(make_record("mag"), *diverged, abscissa=COST)
    assert "snip" not in texts(figure.axes[0])
    assert not crosses(figure.axes[0])
    assert "diverged runs not drawn" in figure.texts[0].get_text()


def test_frontier_by_hand(make_record: MakeRecord) -> None:
    records = [
        make_record("mag", 10.0, accuracy=80.0),
        make_record("mag", 100.0, accuracy=70.0),
        make_record("snip", 10.0, accuracy=85.0),
        make_record("snip", 100.0, accuracy=60.0),
    ]
    assert _frontier(COMPRESSION, *records) == [(10.0, 85.0), (100.0, 70.0)]
    assert _frontier(BYTES, *records) == [(4.0 * 28_667, 85.0), (4.0 * 4_286, 70.0)]


def test_a_few_bytes_are_no_victory(make_record: MakeRecord) -> None:
    better, lighter = make_record("mag", accuracy=80.0), make_record("snip", accuracy=70.0)
    small = make_record("mag", 100.0, accuracy=60.0)
    lighter["size"]["stored_bytes"] -= 8
    frontier = _frontier(BYTES, better, lighter, small)
    assert [accuracy for _, accuracy in frontier] == [80.0, 60.0]


def test_no_frontier_where_there_is_no_choice(make_record: MakeRecord) -> None:
    figure = _draw(make_record(compression=10.0), make_record(compression=100.0))
    assert "frontier" not in figure.texts[0].get_text()


def test_error_bars_only_with_several_seeds(make_record: MakeRecord) -> None:
    one = _axes(make_record(seed=0))
    two = _axes(make_record(seed=0, accuracy=80.0), make_record(seed=1, accuracy=82.0))
    assert not one.collections
    ((bar,),) = [line.get_segments() for line in two.collections]  # type: ignore[attr-defined]
    assert bar[:, 1] == pytest.approx([81 - 2**0.5, 81 + 2**0.5])


def test_published_curves_cannot_be_taken_for_ours(make_record: MakeRecord) -> None:
    columns = {"method": ["mag", "mag"], "compression": [1.0, 10.0], "mean": [92.0, 5.0]}
    published = pd.DataFrame(columns | {"std": [0.1, 0.1]})
    (panel,) = make_panels(make_record("mag", 10.0, accuracy=90.0))
    figure = draw(draw_pareto_figure, panel, COMPRESSION, published)
    axes = figure.axes[0]
    theirs, ours = curve(axes, "published: mag"), curve(axes, "mag")
    assert points(theirs) == [(1.0, 92.0), (10.0, 5.0)]
    assert theirs.get_markerfacecolor() == "white"
    assert theirs.get_linewidth() < ours.get_linewidth()
    assert theirs.get_color() not in {style.colour for style in METHOD_LOOKS.values()}
    assert {"published: mag", "mag"} <= set(texts(axes))
    assert axes.get_xlim()[0] < 1
    assert axes.get_ylim()[0] < 5
    small_print = figure.texts[0].get_text().replace("\n", " ")
    assert "SynFlow paper (best epoch), arXiv 2006.05467" in small_print
    assert "not runs of this study" in small_print


def test_a_dollar_sign_is_no_formula(make_record: MakeRecord) -> None:
    label = r"mag ($\undefined$)"
    figure = _draw(make_record(label=label))
    assert label in texts(figure.axes[0])
    figure.draw_without_rendering()


@pytest.mark.parametrize(("kind", "line"), [(kind, KIND_LINES[kind].line) for kind in KINDS])
def test_an_added_method_looks_like_its_kind(make_record: MakeRecord, kind: str, line: str) -> None:
    style = method_style("an_added_method", kind)
    assert style == method_style("an_added_method", kind)
    assert style.line == line
    assert style.colour not in {look.colour for look in METHOD_LOOKS.values()}
    assert style.marker not in {look.marker for look in METHOD_LOOKS.values()}
    records = [make_record("an_added_method", c, method_kind=kind) for c in (10.0, 100.0)]
    drawn = [texts(_draw(*records).axes[0])]
    assert "an_added_method" in drawn[0]


def test_the_small_print_names_the_kinds_that_are_drawn(make_record: MakeRecord) -> None:
    """By what the records say, not by the names."""
    figure = _draw(
        make_record("first", method_kind="sharing"),
        make_record("second", method_kind="pruning"),
        make_record("third", method_kind="post-training"),
        make_record("fourth"),
    )
    small_print = figure.texts[0].get_text().replace("\n", " ")
    assert (
        "solid: parameter sharing, dashed: pruning, dash-dotted: compressed after training, "
        "long dashes: kind of method not known"
    ) in small_print


def test_another_dense_method_is_a_level_too(make_record: MakeRecord) -> None:
    axes = _axes(make_record("whole", 1.0, method_kind="dense"), make_record())
    assert any(np.array_equal(line.get_xdata(), [0, 1]) for line in axes.lines)


def test_styles_are_distinct_and_complete() -> None:
    colours = [style.colour for style in METHOD_LOOKS.values()]
    markers = [style.marker for style in METHOD_LOOKS.values()]
    assert len(set(colours)) == len(set(markers)) == len(METHOD_LOOKS)
    assert "x" not in markers
    assert set(METHOD_LOOKS) <= set(METHODS)
    assert set(ARCH_TITLES) <= set(ARCHITECTURES)
    assert set(KIND_LINES) == set(KINDS)
