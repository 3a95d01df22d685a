import itertools
from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.figure import Figure

from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.figures.sheet import draw_sheet, gather_sheets, place_cells
from tests.reports.figures.conftest import draw, make_panels, texts

MakeRecord = Callable[..., dict[str, Any]]


def _gather(make_record: MakeRecord, *pairs: tuple[str, str]) -> list[Panel]:
    records = [make_record(dataset=dataset, arch=arch) for dataset, arch in pairs]
    (panels,) = gather_sheets(make_panels(*records)).values()
    return panels


def test_a_sheet_per_recipe_and_split(make_record: MakeRecord) -> None:
    validation = {"evaluation_split": "validation", "status": "diverged"}
    sheets = gather_sheets(
        make_panels(
            make_record(seed=0),
            make_record(seed=1),
            make_record(seed=2, epochs=30),
            make_record(recipe="paper"),
            make_record(recipe="paper", dataset="digits"),
            make_record(**validation),
        )
    )
    assert {name: [panel.stem for panel in panels] for name, panels in sheets.items()} == {
        "sheet-paper": ["digits-resnet20-paper", "cifar10-resnet20-paper"],
        "sheet-quick": ["cifar10-resnet20-quick"],
        "sheet-quick-validation": ["cifar10-resnet20-quick-validation"],
    }


def test_rows_are_datasets_and_columns_architectures(make_record: MakeRecord) -> None:
    pairs = list(itertools.product(("tiny_imagenet", "cifar10", "cifar100"), ("vgg11", "resnet20")))
    panels = _gather(make_record, *pairs)
    assert [panel.title for panel in panels][:3] == [
        "CIFAR-10, ResNet-20", "CIFAR-10, VGG-11", "CIFAR-100, ResNet-20"
    ]  # fmt: skip
    assert place_cells(panels) == ([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)], 2)
    assert place_cells(panels[:5]) == ([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)], 2)


@pytest.mark.parametrize(
    ("num_panels", "cells", "num_columns"),
    [
        (1, [(0, 0)], 1),
        (2, [(0, 0), (1, 0)], 1),
        (3, [(0, 0), (0, 1), (1, 0)], 2),
        (7, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)], 3),
    ],
)
def test_one_architecture_runs_on_line_by_line(
    make_record: MakeRecord, num_panels: int, cells: list[tuple[int, int]], num_columns: int
) -> None:
    panels = _gather(make_record, *((f"data{i}", "resnet20") for i in range(num_panels)))
    assert place_cells(panels) == (cells, num_columns)


def test_a_sparse_matrix_runs_on_too(make_record: MakeRecord) -> None:
    panels = _gather(make_record, ("digits", "vgg11"), ("cifar10", "resnet20"))
    assert place_cells(panels) == ([(0, 0), (0, 1)], 2)


def _sheet(sweep: list[dict[str, Any]]) -> Figure:
    changes = [{"dataset": d, "arch": a} for d in ("digits", "cifar10") for a in ("a", "b")]
    records = [
        record | {"config": record["config"] | change, "run_id": f"{record['run_id']}{number}"}
        for number, change in enumerate(changes)
        for record in sweep
    ]
    (panels,) = gather_sheets(make_panels(*records)).values()
    return draw(draw_sheet, panels)


def test_a_sheet_says_shared_things_once_and_nothing_overlaps(sweep: list[dict[str, Any]]) -> None:
    figure = _sheet(sweep)
    assert len(figure.axes) == 4
    assert {axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes} == {""}
    small_print, x_title, y_title = (text.get_text() for text in figure.texts)
    assert "1 to 3 seeds per point, mean ± 1 std" in small_print
    assert "cross: diverged run" in small_print
    assert (x_title, y_title) == ("Compression of the compressible weights", "Test accuracy (%)")
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    boxes += [axes.title.get_window_extent() for axes in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 for box in boxes)
    figure.draw_without_rendering()  # gives the ticks their places
    for axes in figure.axes:
        marks = [tick.label1.get_window_extent() for tick in axes.xaxis.get_major_ticks()]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(marks, 2))


def test_panels_are_equally_wide_whatever_their_labels(make_record: MakeRecord) -> None:
    long = make_record(arch="vgg11", label="mag (rounds=100)")
    (panels,) = gather_sheets(make_panels(make_record(), long)).values()
    figure = draw(draw_sheet, panels)
    (width,) = {round(axes.get_position().width, 6) for axes in figure.axes}
    assert 0.2 < width < 0.35


def test_variants_are_left_out_where_there_is_a_plain_curve(make_record: MakeRecord) -> None:
    records = [
        make_record("stable_rps"),
        make_record("stable_rps", label="stable_rps (scaling=none)"),
        make_record("roast", label="roast (init_std=1)"),
    ]
    (panels,) = gather_sheets(make_panels(*records)).values()
    figure = draw(draw_sheet, panels)
    shown = {text.replace("\n ", "") for text in texts(figure.axes[0])}
    assert {"stable_rps", "roast (init_std=1)"} <= shown
    assert "stable_rps (scaling=none)" not in shown
    assert "methods with their default options only" in figure.texts[0].get_text()
