"""The sections of the dashboard and their panels. Imports wandb-workspaces only when called."""

from typing import TYPE_CHECKING, Any

from rps_bench.records.schema import EvaluationSplit
from rps_bench.reports.dashboard.tables import PARETO_TABLE, RUNS_TABLE

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Section

MOST_RUNS = 100  # the most curves in one panel
_WIDE, _TALL, _HALF = 24, 12, 12  # of the grid's 24 columns


def pareto_section(figures: tuple[str, ...]) -> "Section":
    """Accuracy against compression; diverged runs lie at chance level."""
    import wandb_workspaces.reports.v2.interface as wr
    import wandb_workspaces.workspaces as ws

    sizes: dict[str, Any] = {
        "compression": wr.Config("compression"),
        "true compression": wr.SummaryMetric("true_compression"),
    }
    panels: list[Any] = [
        wr.ScatterPlot(
            title=f"accuracy (%) against {name}; diverged at chance level",
            x=size,
            y=wr.SummaryMetric("drawn_accuracy"),
            log_x=True,
            legend_template="${config:label} ${config:compression}x s${config:seed}",
            layout=wr.Layout(x=_HALF * place, w=_HALF, h=_TALL),
        )
        for place, (name, size) in enumerate(sizes.items())
    ]
    if figures:
        panels.append(
            wr.MediaBrowser(
                title="figures of the last report",
                media_keys=list(figures),
                num_columns=2,
                layout=wr.Layout(y=_TALL, w=_WIDE, h=_TALL),
            )
        )
    return ws.Section(name="Accuracy against compression", panels=panels, is_open=True)


def side_by_side_section() -> "Section":
    """What was set and what came of it: an axis each, a line per run; and each cost by itself."""
    import wandb_workspaces.reports.v2.interface as wr
    import wandb_workspaces.workspaces as ws

    axes = [
        wr.ParallelCoordinatesPlotColumn(metric=metric, display_name=title, log=is_log)
        for title, metric, is_log in (
            ("compression", wr.Config("compression"), True),
            ("learning rate", wr.Config("recipe_lr"), True),
            ("weight decay", wr.Config("recipe_weight_decay"), False),
            ("epochs", wr.Config("recipe_epochs"), False),
            ("accuracy (%)", wr.SummaryMetric("accuracy"), False),
            ("stored bytes", wr.SummaryMetric("stored_bytes"), True),
            ("MACs, zeros left out", wr.SummaryMetric("effective_macs"), True),
            ("training seconds", wr.SummaryMetric("total_train_seconds"), True),
        )
    ]
    costs = {
        "stored bytes": "stored_bytes",
        "MACs, zeros left out": "effective_macs",
        "training seconds": "total_train_seconds",
    }
    width = _WIDE // len(costs)
    panels: list[Any] = [
        wr.ParallelCoordinatesPlot(
            title="settings and outcomes of each run",
            columns=axes,
            layout=wr.Layout(w=_WIDE, h=_TALL),
        ),
        *(
            wr.ScatterPlot(
                title=f"accuracy (%) against {title}",
                x=wr.SummaryMetric(name),
                y=wr.SummaryMetric("drawn_accuracy"),
                log_x=True,
                layout=wr.Layout(x=width * place, y=_TALL, w=width, h=_TALL),
            )
            for place, (title, name) in enumerate(costs.items())
        ),
    ]
    return ws.Section(name="Settings and outcomes side by side", panels=panels, is_open=True)


def curves_section(split: str) -> "Section":
    """A curve per method and compression, the mean over seeds with its range."""
    import wandb_workspaces.reports.v2.interface as wr
    import wandb_workspaces.workspaces as ws

    titles = {
        EvaluationSplit(split).accuracy: "accuracy (%)",
        "train_loss": "training loss",
        EvaluationSplit(split).loss: f"{split} loss",
        "lr": "learning rate",
    }
    panels: list[Any] = [
        wr.LinePlot(
            title=f"{title} by method",
            x="epoch",
            y=[key],
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            max_runs_to_show=MOST_RUNS,
            layout=wr.Layout(x=_HALF * (place % 2), y=_TALL * (place // 2), w=_HALF, h=_TALL),
        )
        for place, (key, title) in enumerate(titles.items())
    ]
    return ws.Section(name="Training curves", panels=panels, is_open=True)


def tables_section() -> "Section":
    """The tables of the report run: means with intervals, and every run, failed ones included."""
    import wandb_workspaces.reports.v2.interface as wr
    import wandb_workspaces.workspaces as ws

    panels: list[Any] = [
        wr.WeavePanelSummaryTable(
            table_name=name, layout=wr.Layout(y=_TALL * place, w=_WIDE, h=_TALL)
        )
        for place, name in enumerate((PARETO_TABLE, RUNS_TABLE))
    ]
    return ws.Section(name="Final results", panels=panels, is_open=True)


def diverged_section() -> "Section":
    """The number of diverged runs per method, and the course of their loss."""
    import wandb_workspaces.reports.v2.interface as wr
    import wandb_workspaces.workspaces as ws

    panels: list[Any] = [
        wr.BarPlot(
            title="diverged runs",
            metrics=[wr.SummaryMetric("diverged")],
            groupby=wr.Config("label"),
            groupby_aggfunc="sum",
            layout=wr.Layout(w=_HALF, h=_TALL),
        ),
        wr.LinePlot(
            title="loss until it ended",
            x="epoch",
            y=["train_loss"],
            log_y=True,
            max_runs_to_show=MOST_RUNS,
            layout=wr.Layout(x=_HALF, w=_HALF, h=_TALL),
        ),
    ]
    return ws.Section(name="Diverged runs", panels=panels, is_open=True)
