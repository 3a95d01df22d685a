"""The figure of accuracy against the step that lottery tickets are rewound to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rps_bench.reports.figures.files import plan_figures
from rps_bench.reports.figures.rewinding import draw_rewinding, find_rewinding
from rps_bench.reports.figures.stale import remove_stale
from rps_bench.reports.styles import TIMES
from tests.reports.figures.conftest import crosses, curve, draw, make_panels, make_study, points

MakeRecord = Callable[..., dict[str, Any]]


@pytest.fixture
def records(make_record: MakeRecord) -> list[dict[str, Any]]:
    """Two compressions and two shares at steps 0 and 100; one run by the default, which is 40."""

    def make(
        step: int | None, fraction: float, compression: float, epochs: float, **more: Any
    ) -> dict[str, Any]:
        options = {"rewind_steps": step, "level_fraction": fraction, "rewind": True}
        label = f"ltr (level_fraction={fraction}, rewind_steps={step})"
        record = make_record("ltr", compression, method_options=options, label=label, **more)
        record["method_report"] = {"rewind_step": 40 if step is None else step}
        record["cost"] |= {"total_epochs": epochs}
        return record

    return [
        make(0, 0.2, 10.0, 36.0, accuracy=70.0),
        make(0, 0.2, 10.0, 36.0, accuracy=72.0, seed=1),
        make(None, 0.2, 10.0, 34.0, accuracy=74.0),
        make(100, 0.2, 10.0, 31.5, accuracy=76.0),
        make(0, 0.5, 10.0, 15.0, accuracy=69.0),
        make(100, 0.5, 10.0, 15.0, accuracy=66.0),
        make(0, 0.5, 100.0, 24.0, accuracy=50.0),
        make(100, 0.5, 100.0, 21.0, status="diverged"),
        make(100, 0.2, 100.0, 60.0, accuracy=55.0),  # a step alone is no line
        make_record("mag"),
    ]


def test_lines_by_hand(records: list[dict[str, Any]]) -> None:
    (panel,) = make_panels(*records)
    rows = find_rewinding(panel, records)
    columns = ["compression", "series", "step", "n", "num_diverged", "total_epochs"]
    assert rows[columns].to_numpy().tolist() == [
        [10.0, "level_fraction=0.2", 0, 2, 0, 36.0],
        [10.0, "level_fraction=0.2", 40, 1, 0, 34.0],
        [10.0, "level_fraction=0.2", 100, 1, 0, 31.5],
        [10.0, "level_fraction=0.5", 0, 1, 0, 15.0],
        [10.0, "level_fraction=0.5", 100, 1, 0, 15.0],
        [100.0, "level_fraction=0.5", 0, 1, 0, 24.0],
        [100.0, "level_fraction=0.5", 100, 0, 1, 21.0],
    ]
    (axes,) = draw(draw_rewinding, panel, rows).axes
    slow = curve(axes, f"ltr 10{TIMES}, level_fraction=0.2, 31.5 to 36 epochs")
    fast = curve(axes, f"ltr 10{TIMES}, level_fraction=0.5, 15 epochs")
    strong = curve(axes, f"ltr 100{TIMES}, level_fraction=0.5, 21 to 24 epochs")
    assert points(slow) == [(0, 71), (40, 74), (100, 76)]
    assert points(strong) == [(0, 50)]
    assert slow.get_color() == fast.get_color() != strong.get_color()
    assert slow.get_linestyle() != fast.get_linestyle() == strong.get_linestyle()
    assert [points(cross) for cross in crosses(axes)] == [[(100, 10)]]


def test_it_is_planned_where_steps_differ_and_removed_where_not(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    name = "rewinding-cifar10-resnet20-quick"
    assert name in [figure.name for figure in plan_figures(make_study(*records))]
    lone = make_study(records[0], records[8], records[9])
    assert name not in [figure.name for figure in plan_figures(lone)]
    old = tmp_path / f"{name}.png"
    old.touch()
    assert remove_stale(tmp_path, lone, []) == [old]
