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
