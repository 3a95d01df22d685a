"""The views as they would be sent, built without a network."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rps_bench.core.errors import UserError
from rps_bench.reports.dashboard.views import Target, build_views
from rps_bench.reports.styles import METHOD_LOOKS
from tests.tracking.conftest import DASHBOARD, command_line

GROUP = "digits-resnet20-smoke"


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "results" / "plots").mkdir(parents=True)
    (folder / "results" / "plots" / "pareto.png").touch()
    done = command_line(DASHBOARD, folder)(
        "views", "results", "--group", GROUP, "--entity", "team", "--json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    built: list[dict[str, Any]] = json.loads(done.stdout)
    return built


def sections(view: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found = view["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in found}


def runs_of(view: dict[str, Any]) -> dict[str, Any]:
    (runs,) = view["spec"]["section"]["runSets"]
    assert isinstance(runs, dict)
    return runs


def test_two_views_of_the_project(views: list[dict[str, Any]]) -> None:
    assert [view["name"] for view in views] == [f"{GROUP}: results", f"{GROUP}: diverged runs"]
    assert {(view["entity"], view["project"]) for view in views} == {("team", "rps_bench")}


def test_accuracy_against_compression_on_a_log_axis(views: list[dict[str, Any]]) -> None:
    *plots, figures = sections(views[0])["Accuracy against compression"]
    assert [plot["viewType"] for plot in plots] == ["Scatter Plot"] * 2
    axes = [(plot["config"]["xAxis"], plot["config"]["yAxis"]) for plot in plots]
    assert axes == [
        ("config:compression.value", "summary:drawn_accuracy"),
        ("summary:true_compression", "summary:drawn_accuracy"),
    ]
    assert all(plot["config"]["xAxisLogScale"] for plot in plots)
    assert figures["config"]["mediaKeys"] == ["figures/pareto"]


def test_runs_are_grouped_by_method_so_that_means_are_over_seeds(
    views: list[dict[str, Any]],
) -> None:
    runs = runs_of(views[0])
    assert [key["name"] for key in runs["grouping"]] == ["label.value", "compression.value"]
    assert views[0]["spec"]["section"]["settings"]["useRunsTableGroupingInPanels"] is True
    names = [(f["key"]["name"], f["value"]) for f in runs["filters"]["filters"]]
    assert names == [("group", GROUP), ("jobType", "report")]
    colours = views[0]["spec"]["section"]["customRunColors"]
    assert set(colours.values()) == {style.colour for style in METHOD_LOOKS.values()}


def test_settings_and_outcomes_stand_side_by_side(views: list[dict[str, Any]]) -> None:
    parallel, *costs = sections(views[0])["Settings and outcomes side by side"]
    assert parallel["viewType"] == "Parallel Coordinates Plot"
    axes = [(axis["accessor"], axis.get("log")) for axis in parallel["config"]["columns"]]
    assert axes[:2] == [("config:compression.value", True), ("config:recipe_lr.value", True)]
    assert ("summary:accuracy", False) in axes
    assert [plot["config"]["xAxis"] for plot in costs] == [
        "summary:stored_bytes", "summary:effective_macs", "summary:total_train_seconds",
    ]  # fmt: skip
    assert [plot["layout"]["x"] for plot in costs] == [0, 8, 16]


@pytest.mark.filterwarnings("ignore:Pydantic V1 style")  # of wandb-workspaces
def test_without_a_sweep_runs_of_different_sweeps_are_kept_apart() -> None:
    results, _ = build_views(Target("p"))
    assert [str(key.name) for key in results.runset_settings.groupby] == [
        "Group", "label", "compression",
    ]  # fmt: skip
    assert results.runset_settings.filters == ""


def test_training_curves_have_the_epoch_as_their_axis(views: list[dict[str, Any]]) -> None:
    panels = [panel["config"] for panel in sections(views[0])["Training curves"]]
    assert [panel["metrics"] for panel in panels] == [
        ["test_accuracy"], ["train_loss"], ["test_loss"], ["lr"],
    ]  # fmt: skip
    assert {panel["xAxis"] for panel in panels} == {"epoch"}
    assert {(panel["groupAgg"], panel["groupArea"]) for panel in panels} == {("mean", "minmax")}


def test_final_results_are_columns_and_tables(views: list[dict[str, Any]]) -> None:
    columns = runs_of(views[0])["runFeed"]["columnOrder"]
    assert {"summary:accuracy", "summary:true_compression", "summary:status"} <= set(columns)
    panels = sections(views[0])["Final results"]
    texts = [json.dumps(panel["config"]) for panel in panels]
    assert ['"pareto"' in text for text in texts] == [True, False]
    assert ['"results"' in text for text in texts] == [False, True]


def test_the_other_view_shows_the_diverged_runs_only(views: list[dict[str, Any]]) -> None:
    runs = runs_of(views[1])
    shown = [
        (f["key"]["section"], f["key"]["name"], f["value"]) for f in runs["filters"]["filters"]
    ]
    assert shown == [("summary", "status", "diverged"), ("run", "group", GROUP)]
    assert runs["grouping"] == []
    assert "summary:reason" in runs["runFeed"]["columnOrder"]
    counts, losses = sections(views[1])["Diverged runs"]
    assert counts["config"]["metrics"] == ["summary_metrics.diverged"]
    assert counts["config"]["groupAgg"] == "sum"
    assert losses["config"]["yLogScale"] is True


def test_panels_do_not_overlap(views: list[dict[str, Any]]) -> None:
    for view in views:
        for name, panels in sections(view).items():
            cells = [
                (x, y)
                for panel in panels
                for x in range(panel["layout"]["x"], panel["layout"]["x"] + panel["layout"]["w"])
                for y in range(panel["layout"]["y"], panel["layout"]["y"] + panel["layout"]["h"])
            ]
            assert len(cells) == len(set(cells)), name
            assert max(x for x, _ in cells) < 24


def test_without_the_package_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(UserError, match="needs wandb-workspaces: pip install"):
        build_views(Target("p"))


def test_publishing_without_a_login_is_one_line(tmp_path: Path) -> None:
    done = command_line(DASHBOARD, tmp_path)("views", "results", "--publish")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("rps_bench: error: not logged in to W&B")


def test_the_script_is_the_same_door() -> None:
    script = Path(__file__).resolve().parents[3] / "scripts" / "wandb_dashboard.py"
    assert 'main(["views", *sys.argv[1:]])' in script.read_text()
