"""A row per method, a mark per experiment: where marks lie, and when there are any."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.reports.claims.differences import PROBLEM_KEYS, find_differences
from rps_bench.reports.figures.differences import draw_differences
from rps_bench.reports.figures.files import plan_figures
from rps_bench.reports.figures.paired import split_rows
from rps_bench.reports.figures.stale import remove_stale
from rps_bench.reports.styles import TIMES
from tests.reports.figures.conftest import crosses, draw, make_study, points

Records = list[dict[str, Any]]
MakeRecord = Callable[..., dict[str, Any]]
MakeRuns = Callable[..., Records]

KINDS = {"stable_rps": "sharing", "roast": "sharing", "small": "narrower"}
FIXED, TUNED = (f"recipe quick, 3 epochs, protocol {name}" for name in ("fixed", "tuned"))
LEVELS = {"stable_rps": (80.0, 81.0, 83.0), "mag": (79.0, 79.0, 80.0)}


@pytest.fixture
def runs(make_record: MakeRecord) -> MakeRuns:
    def make(
        levels: dict[str, tuple[float | None, ...]] | None = None, epochs: int = 3, **changes: Any
    ) -> Records:
        """A run for each level and seed; None is one that diverged."""
        recipe = {"epochs": epochs, "weight_decay": 1e-4, "drops": []}
        common = {"recipe_options": recipe, "epochs": epochs} | changes
        return [
            make_record(
                method, common.get("compression", 10.0), seed, level,
                "diverged" if level is None else "completed",
                method_kind=KINDS.get(method, "pruning"),
                **{key: value for key, value in common.items() if key != "compression"},
            )
            for method, own in (levels or LEVELS).items()
            for seed, level in enumerate(own)
        ]  # fmt: skip

    return make


def figure_of(*records: dict[str, Any]) -> Figure:
    study = make_study(*records)
    (problem,) = split_rows(study, find_differences(study), PROBLEM_KEYS)
    return draw(draw_differences, problem)


def names(*records: dict[str, Any]) -> list[str]:
    return [
        figure.name
        for figure in plan_figures(make_study(*records))
        if figure.name.startswith("differences")
    ]


def mark(axes: Axes, label: str) -> Any:
    (found,) = [bar for bar in axes.containers if bar.get_label() == label]
    return found


def rows(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_marks_by_eye(runs: MakeRuns) -> None:
    """Differences -1, -2, -3 have the mean -2 and the interval ±4.302653 / sqrt(3)."""
    figure = figure_of(*runs(), *runs({"stable_rps": (70.0,), "mag": (73.0,)}, protocol="tuned"))
    (axes,) = figure.axes
    many, lone = mark(axes, f"mag, {FIXED}"), mark(axes, f"mag, {TUNED}")
    assert many.lines[0].get_xdata() == pytest.approx([-2.0])
    ((start, end),) = many.lines[2][0].get_segments()
    assert (start[0], end[0]) == pytest.approx((-4.484138, 0.484138), abs=1e-5)
    assert lone.lines[0].get_xdata() == pytest.approx([3.0])
    assert lone.lines[0].get_markerfacecolor() == "white"
    assert not lone.lines[2]  # one seed has no interval
    assert rows(axes) == ["mag"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [FIXED, TUNED]
    low, high = axes.get_ylim()
    assert low > many.lines[0].get_ydata()[0] < lone.lines[0].get_ydata()[0] < low
    assert high < many.lines[0].get_ydata()[0]  # rows go down, the first experiment on top


def test_sharing_comes_first_and_the_order_is_that_of_all_panels(runs: MakeRuns) -> None:
    levels: dict[str, tuple[float | None, ...]] = {
        "small": (60.0,), "mag": (70.0,), "roast": (75.0,), "rand": (50.0,), "stable_rps": (80.0,)
    }  # fmt: skip
    matched = runs(
        {"stable_rps": (81.0,)},
        label="stable_rps (repository_init=matched)",
        method_options={"repository_init": "matched"},
    )
    figure = figure_of(
        *runs(levels), *runs(levels, epochs=9), *matched, *runs(compression=100.0),
        *runs(compression=100.0, epochs=9),
    )  # fmt: skip
    first, second = figure.axes
    order = ["stable_rps\n  (repository_init=matched)", "roast", "rand", "mag", "small"]
    assert rows(first) == order
    assert first.get_ylim() == second.get_ylim() == (4.5, -0.5)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"10{TIMES}", f"100{TIMES}"]
    thick = [line for line in first.lines if line.get_linewidth() == 0.8]
    assert [line.get_ydata()[0] for line in thick] == [1.5, 3.5]  # type: ignore[index]


def test_diverged_runs_are_crossed(runs: MakeRuns) -> None:
    figure = figure_of(*runs(), *runs({"stable_rps": (80.0,), "mag": (None,)}, epochs=9))
    (cross,) = crosses(figure.axes[0])
    assert points(cross)[0][0] == pytest.approx(-70.0)  # at chance
    assert "cross: with diverged runs" in " ".join(figure.texts[0].get_text().split())


PROBLEMS: dict[str, dict[str, Any]] = {
    "dataset": {"dataset": "cifar100"},
    "image size": {"dataset_options": {"image_size": 16, "imbalance": None}},
    "imbalance": {"dataset_options": {"image_size": None, "imbalance": 10.0}},
    "arch": {"arch": "vgg11"},
}


@pytest.mark.parametrize("changes", PROBLEMS.values(), ids=PROBLEMS)
def test_problems_are_never_mixed(runs: MakeRuns, changes: dict[str, Any]) -> None:
    assert names(*runs(), *runs(epochs=9, **changes)) == []
    both = [*runs(), *runs(epochs=9), *runs(**changes), *runs(epochs=9, **changes)]
    assert len(names(*both)) == 2
    assert "differences-cifar10-resnet20" in names(*both)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 9},
        {"protocol": "tuned"},
        {"recipe": "paper_half"},
        {"precision": "bf16"},
        {"kernels": "native-avx2-1"},
    ],
    ids=str,
)
def test_one_experiment_needs_no_figure_and_two_have_one(
    runs: MakeRuns, changes: dict[str, Any]
) -> None:
    assert names(*runs()) == []
    assert names(*runs(), *runs(**changes)) == ["differences-cifar10-resnet20"]
    legend = figure_of(*runs(), *runs(**changes)).legends[0]
    assert len({text.get_text() for text in legend.get_texts()}) == 2


def test_every_experiment_has_a_look_of_its_own(runs: MakeRuns) -> None:
    records = [record for epochs in range(1, 8) for record in runs(epochs=epochs)]
    handles = figure_of(*records).legends[0].get_lines()
    assert len({(line.get_color(), line.get_marker()) for line in handles}) == 7


def test_stale_figures_go(runs: MakeRuns, tmp_path: Path) -> None:
    for name in ("differences-cifar10-resnet20.png", "differences-of-mine.png"):
        (tmp_path / name).touch()
    (gone,) = remove_stale(tmp_path, make_study(*runs()), [])
    assert gone.name == "differences-cifar10-resnet20.png"
