import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rps_bench.datasets import DATASETS
from rps_bench.records import write_record
from rps_bench.reports import build_table, draw_pareto
from rps_bench.reports.figures import figure_style
from rps_bench.reports.panels import Panel, describe_panel, split_panels
from rps_bench.reports.plot import DIVERGED_MARKER, Abscissa, draw_panel
from rps_bench.reports.styles import ARCH_TITLES, DATASET_TITLES, METHOD_STYLES

MakeRecord = Callable[..., dict[str, Any]]


def _panels(*records: dict[str, Any]) -> list[Panel]:
    return split_panels(build_table(records))


def _draw(*records: dict[str, Any], abscissa: Abscissa = "compression") -> Figure:
    (panel,) = _panels(*records)
    with figure_style():
        return draw_panel(panel, abscissa)


def _texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def _crosses(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() == DIVERGED_MARKER]


def _xy(line: Line2D) -> tuple[float, float]:
    (x, y), *_ = np.asarray(line.get_xydata(), dtype=float).tolist()
    return x, y


def test_structure_of_a_sweep(sweep: list[dict[str, Any]]) -> None:
    figure = _draw(*sweep)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    ticks = [axes.xaxis.get_major_formatter()(tick, 0) for tick in axes.get_xticks()]
    assert [tick[:-1] for tick in ticks] == ["1", "10", "100", "1000"]
    assert axes.get_title(loc="left") == "CIFAR-10, ResNet-20"
    methods = {record["config"]["method"] for record in sweep}
    assert methods <= set(_texts(axes))
    assert any(text.startswith("chance") for text in _texts(axes))
    small_print = figure.texts[0].get_text()
    assert "Recipe quick, 3 epochs; 1 to 3 seeds per point, mean ± 1 std; fp32" in small_print
    assert "Test CPU (2 CPUs); newest run 2026-11-20" in small_print
    assert "Pareto frontier" in small_print


def test_labels_do_not_overlap_and_stay_inside(sweep: list[dict[str, Any]]) -> None:
    long = [
        sweep[1] | {"config": sweep[1]["config"] | {"label": f"stable_rps ({'x' * 50}{i})"}}
        for i in range(6)
    ]
    for records in (sweep, [*sweep, *long]):
        figure = _draw(*records)
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        assert all(box.x1 < figure.bbox.x1 for box in boxes)
        print_box = figure.texts[0].get_window_extent()
        assert print_box.x1 < figure.bbox.x1
        assert print_box.y1 < figure.axes[0].xaxis.get_tightbbox().y0  # type: ignore[union-attr]


def test_diverged_runs_are_marked_at_chance(make_record: MakeRecord) -> None:
    axes = _draw(
        make_record("mag", 10.0),
        make_record("mag", 100.0, status="diverged"),
        make_record("snip", 100.0, status="diverged"),
        make_record("snip", 1000.0, status="failed"),
    ).axes[0]
    assert [_xy(cross) for cross in _crosses(axes)] == [(100.0, 10.0), (100.0, 10.0)]
    assert [cross.get_color() for cross in _crosses(axes)] == [
        METHOD_STYLES["mag"].colour, METHOD_STYLES["snip"].colour
    ]  # fmt: skip
    assert axes.get_ylim()[0] < 10.0
    assert "snip" in _texts(axes)
    assert axes.get_xlim()[1] < 1000


def test_chance_follows_the_dataset(make_record: MakeRecord) -> None:
    axes = _draw(make_record(dataset="cifar100", status="diverged")).axes[0]
    assert [_xy(cross) for cross in _crosses(axes)] == [(10.0, 1.0)]


@pytest.mark.parametrize("abscissa", ["compression", "true_compression"])
@pytest.mark.parametrize("status", ["completed", "diverged"])
@pytest.mark.parametrize("method", ["mag", "dense", "not_registered"])
@pytest.mark.parametrize("dataset", ["digits", "not_registered"])
def test_one_point_is_enough(
    make_record: MakeRecord, abscissa: Abscissa, status: str, method: str, dataset: str
) -> None:
    record = make_record(method, 1.0, status=status, dataset=dataset)
    axes = _draw(record, abscissa=abscissa).axes[0]
    assert method in _texts(axes)


def test_a_diverged_run_without_size_is_drawn(make_record: MakeRecord) -> None:
    record = make_record(status="diverged")
    record["size"] = dict.fromkeys(record["size"])
    axes = _draw(record, abscissa="true_compression").axes[0]
    assert [_xy(cross) for cross in _crosses(axes)] == [(10.0, 10.0)]


def test_no_frontier_where_there_is_no_choice(make_record: MakeRecord) -> None:
    figure = _draw(make_record(compression=10.0), make_record(compression=100.0))
    assert "frontier" not in figure.texts[0].get_text()


def test_error_bars_only_with_several_seeds(make_record: MakeRecord) -> None:
    one = _draw(make_record(seed=0)).axes[0]
    two = _draw(make_record(seed=0, accuracy=80.0), make_record(seed=1, accuracy=82.0)).axes[0]
    assert not one.collections
    ((bar,),) = [line.get_segments() for line in two.collections]  # type: ignore[attr-defined]
    assert bar[:, 1] == pytest.approx([81 - 2**0.5, 81 + 2**0.5])


def test_recipe_variants_get_figures_of_their_own(make_record: MakeRecord) -> None:
    panels = _panels(
        make_record(seed=0, epochs=3),
        make_record(seed=1, epochs=30),
        make_record(seed=2, epochs=30),
        make_record(evaluation_split="validation", accuracy=None, status="diverged"),
        make_record(recipe="a/b"),
        make_record(arch="vgg11", status="failed"),
    )
    assert [panel.name for panel in panels] == [
        "pareto-cifar10-resnet20-a-b",
        "pareto-cifar10-resnet20-quick",
        "pareto-cifar10-resnet20-quick-epochs3",
        "pareto-cifar10-resnet20-quick-validation",
    ]
    assert len(panels[1].runs) == 2
    assert describe_panel(panels[2])[0].startswith("Recipe quick, 3 epochs")


def test_small_print_names_the_gpu(make_record: MakeRecord) -> None:
    gpu = {"gpu_name": "Test GPU", "started_at": None}
    (panel,) = _panels(make_record(device="cuda:0", precision="bf16", provenance=gpu))
    assert describe_panel(panel) == ["Recipe quick, 3 epochs; 1 seed per point; bf16", "Test GPU"]


def test_styles_are_distinct_and_complete() -> None:
    colours = [style.colour for style in METHOD_STYLES.values()]
    markers = [style.marker for style in METHOD_STYLES.values()]
    assert len(set(colours)) == len(set(markers)) == len(METHOD_STYLES)
    assert DIVERGED_MARKER not in markers
    assert set(DATASETS) == set(DATASET_TITLES)
    assert set(ARCH_TITLES) == {"resnet20", "vgg11"}


def test_files_are_written_and_repeat_exactly(tmp_path: Path, sweep: list[dict[str, Any]]) -> None:
    for record in sweep:
        write_record(tmp_path, record)
    written = draw_pareto(tmp_path)
    stem = "pareto-cifar10-resnet20-quick"
    assert [path.name for path in written] == [
        f"{stem}.png", f"{stem}.svg", f"{stem}-true-compression.png", f"{stem}-true-compression.svg"
    ]  # fmt: skip
    assert {path.parent for path in written} == {tmp_path / "plots"}
    first = [path.read_bytes() for path in written]
    assert first[0].startswith(b"\x89PNG")
    assert not re.search(rb"<dc:date>", first[1])
    assert [path.read_bytes() for path in draw_pareto(tmp_path)] == first


def test_no_records_no_figures(tmp_path: Path) -> None:
    assert draw_pareto(tmp_path) == []
    assert not list(tmp_path.iterdir())
