import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.reports.claims.differences import (
    SETTING_KEYS,
    find_differences,
    have_several_budgets,
)
from rps_bench.reports.figures.budgets import draw_budgets
from rps_bench.reports.figures.files import plan_differences, plan_figures
from rps_bench.reports.figures.paired import split_rows
from rps_bench.reports.figures.stale import remove_stale
from tests.reports.figures.conftest import crosses, curve, draw, make_study, points, texts

MakeRecord = Callable[..., dict[str, Any]]
SMALL = {"image_size": 16, "imbalance": None}


@pytest.fixture
def budget(make_record: MakeRecord) -> MakeRecord:
    """A record by its method, accuracy, epochs and weight decay."""

    def make(
        method: str, accuracy: float, epochs: int = 3, decay: float = 1e-4, **changes: Any
    ) -> dict[str, Any]:
        recipe = {"epochs": epochs, "weight_decay": decay, "drops": []}
        return make_record(
            method, accuracy=accuracy, **({"recipe_options": recipe, "epochs": epochs} | changes)
        )

    return make


def names(*records: dict[str, Any]) -> list[str]:
    study = make_study(*records)
    planned = [figure.name for figure in plan_differences(study, find_differences(study))]
    return [name for name in planned if name.startswith("budgets")]


def pair(budget: MakeRecord, *words: Any, **changes: Any) -> list[dict[str, Any]]:
    return [budget(method, level, *words, **changes)
            for method, level in (("stable_rps", 80.0), ("mag", 78.0))]  # fmt: skip


def figure_of(*records: dict[str, Any]) -> Figure:
    study = make_study(*records)
    rows = find_differences(study)
    (budgets,) = split_rows(study, rows[have_several_budgets(rows)], SETTING_KEYS)
    return draw(draw_budgets, budgets)


def title(axes: Axes) -> str:
    return axes.get_title(loc="left")


def small_print(figure: Figure) -> str:
    return " ".join(figure.texts[0].get_text().split())


def test_a_cell_by_eye(budget: MakeRecord) -> None:
    """Three seeds at 3 epochs, one at 12, which is hollow and has no bar."""
    levels = {
        "stable_rps": (80.0, 81.0, 83.0),
        "mag": (79.0, 79.0, 80.0),
        "snip": (81.0, 82.0, 84.5),
    }
    records = [
        budget(method, level, seed=seed)
        for method, own in levels.items()
        for seed, level in enumerate(own)
    ]
    records += [budget("stable_rps", 85.0, 12), budget("mag", 86.0, 12)]
    figure = figure_of(*records)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    heights = [y for _, y in points(curve(axes, "mag"))]
    assert heights == pytest.approx([-2.0, 1.0])
    places = [x for x, _ in points(curve(axes, "mag"))]
    assert places == pytest.approx([3.0, 12.0], rel=0.1)
    assert places[0] != points(curve(axes, "snip"))[0][0]  # side by side
    (bar,) = [own for own in axes.containers if own.get_label() == "mag with interval"]
    ((start, end),) = bar.lines[2][0].get_segments()  # type: ignore[attr-defined]
    assert (start[1], end[1]) == pytest.approx((-4.484138, 0.484138), abs=1e-5)
    lone = curve(axes, "mag one seed")
    assert [y for _, y in points(lone)] == pytest.approx([1.0])
    assert lone.get_markerfacecolor() == "white"
    assert {"stable_rps", "mag", "snip"} <= set(texts(axes))
    print_ = small_print(figure)
    assert "1 to 3 pairs per point" in print_
    assert "hollow: one seed, no interval" in print_
    assert "Protocol fixed; fp32" in print_


def test_recipes_and_weight_decays_have_cells_of_their_own(budget: MakeRecord) -> None:
    records = [
        *pair(budget, 3), *pair(budget, 12), *pair(budget, 12, 5e-4),
        *pair(budget, 80, recipe="paper_half"),
        *pair(budget, 3, compression=100.0), *pair(budget, 12, compression=100.0),
    ]  # fmt: skip
    figure = figure_of(*records)
    drawn = {
        title(axes).replace("\N{MULTIPLICATION SIGN}", "x"): len(points(curve(axes, "mag")))
        for axes in figure.axes
    }
    assert drawn == {
        "10x, recipe paper_half, weight decay 0.0001": 1,
        "10x, recipe quick, weight decay 0.0001": 2,
        "100x, recipe quick, weight decay 0.0001": 2,
        "10x, recipe quick, weight decay 0.0005": 1,
    }
    by_ratio = {title(axes)[:2]: axes.get_ylim() for axes in figure.axes}
    assert all(axes.get_ylim() == by_ratio[title(axes)[:2]] for axes in figure.axes)
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_variants_of_the_reference_have_its_colour_and_another_line(budget: MakeRecord) -> None:
    name = "stable_rps (repository_init=matched)"
    options = {"label": name, "method_options": {"repository_init": "matched"}}
    records = [record for epochs in (3, 12) for record in (
        *pair(budget, epochs), budget("stable_rps", 82.0, epochs, **options))]  # fmt: skip
    (axes,) = figure_of(*records).axes
    variant = curve(axes, name)
    assert [y for _, y in points(variant)] == pytest.approx([2.0, 2.0])
    (reference,) = [line for line in axes.lines if [y for _, y in points(line)] == [0.0, 0.0]]
    assert variant.get_color() == reference.get_color()
    assert variant.get_linestyle() != reference.get_linestyle()


def test_diverged_and_failed_runs_are_told(budget: MakeRecord) -> None:
    records = [*pair(budget, 3), *pair(budget, 12), budget("snip", 1.0, 3, status="failed")]
    records[3] |= {"status": "diverged"}
    records[3]["metrics"] |= {"test_accuracy": None, "best_test_accuracy": None}
    figure = figure_of(*records)
    (cross,) = crosses(figure.axes[0])
    assert points(cross)[0][1] == pytest.approx(-70.0)
    assert "cross: with diverged runs, counted at chance" in small_print(figure)
    assert "1 failed run not drawn" in small_print(figure)


@pytest.mark.parametrize("epochs", [(3, 12), (3, 4, 160)])
def test_many_methods_side_by_side_stay_at_their_epochs(
    budget: MakeRecord, epochs: tuple[int, ...]
) -> None:
    """No point leaves the axis, and none is nearer to another number of epochs."""
    methods = ("mag", "snip", "rand", "grasp", "synflow", "roast", "hashednet", "rpg", "ltr")
    records = [budget(name, 80.0, own) for own in epochs for name in ("stable_rps", *methods)]
    (axes,) = figure_of(*records).axes
    low, high = axes.get_xlim()
    for name in methods:
        places = [x for x, _ in points(curve(axes, name))]
        assert low < min(places) <= max(places) < high
        nearest = [min(epochs, key=lambda own: abs(math.log(x / own))) for x in places]
        assert tuple(nearest) == epochs


def test_very_long_bars_do_not_flatten_the_means(budget: MakeRecord) -> None:
    records = [*pair(budget, 3), *pair(budget, 12), budget("stable_rps", 80.0, 3, seed=1)]
    records.append(budget("mag", 60.0, 3, seed=1))  # two pairs 18 points apart
    figure = figure_of(*records)
    assert figure.axes[0].get_ylim()[0] > -40
    assert "bars that leave an axis are cut" in small_print(figure)


def test_files_are_named_by_setting(budget: MakeRecord) -> None:
    records = [
        record
        for changes in (
            {}, {"dataset_options": SMALL}, {"protocol": "tuned"}, {"arch": "vgg11"},
            {"dataset_options": SMALL | {"imbalance": 10.0}},
        )
        for epochs in (3, 12)
        for record in pair(budget, epochs, **changes)
    ]  # fmt: skip
    assert sorted(names(*records)) == [
        "budgets-cifar10-16px-resnet20",
        "budgets-cifar10-16px-resnet20-imbalance10",
        "budgets-cifar10-resnet20",
        "budgets-cifar10-resnet20-protocoltuned",
        "budgets-cifar10-vgg11",
    ]
    assert "budgets-cifar10-vgg11" in [name for name, _ in plan_figures(make_study(*records))]


def test_one_budget_has_no_figure(budget: MakeRecord) -> None:
    assert names(*pair(budget, 3)) == []
    assert names(*pair(budget, 3), *pair(budget, 80, recipe="paper_half")) == []


def test_figures_of_budgets_that_are_gone_are_deleted(budget: MakeRecord, tmp_path: Path) -> None:
    gone = ["budgets-cifar10-16px-resnet20.png", "budgets-cifar10-resnet20-protocoltuned.svg"]
    kept = ["budgets.csv", "budgets-of-mine.png", "budgets-cifar10-resnet20.png"]
    for name in (*gone, *kept):
        (tmp_path / name).touch()
    remove_stale(tmp_path, make_study(*pair(budget, 3)), [tmp_path / kept[-1]])
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
