"""Training curves: accuracy and training loss per epoch, one row per compression."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from rps_bench.records import EvaluationSplit, Record
from rps_bench.reports.figures.accuracy import mark_diverged
from rps_bench.reports.figures.curves import find_kind
from rps_bench.reports.figures.labels import (
    SMALL_STYLE,
    CurveLabel,
    LabelColumn,
    draw_labels,
    labels_height,
)
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.figures.records import find_records
from rps_bench.reports.figures.small_print import describe_panels
from rps_bench.reports.styles import method_look, method_rank, method_style
from rps_bench.reports.words import format_ratio

CELL_WIDTH, CELL_HEIGHT = 3.7, 1.95  # inches
MARGINS = Margins(left=0.5, bottom=0.26, top=0.28)
MOST_MARKED = 12  # epochs; with more, a marker per epoch would hide the line
LOG_FROM = 30.0  # ratio of largest to smallest loss from which the axis is logarithmic


class Quantity(NamedTuple):
    """A column of the histories, the title of its axis and the least span of that axis."""

    column: str
    title: str
    smallest_span: float


def find_histories(panel: Panel, records: Sequence[Record]) -> pd.DataFrame:
    """One row per run and epoch: curve, `run_id`, `epoch`, `accuracy`, `train_loss`.

    A run that diverged during its first epoch has one row, of epoch 0 and without numbers. Empty if
    no record holds a number.
    """
    rows = [row for run in find_records(panel, records) for row in _read_history(run, panel.split)]
    table = pd.DataFrame(rows)
    known = table[["accuracy", "train_loss"]].notna().any(axis=None) if rows else False
    return table.astype({"accuracy": float, "train_loss": float}) if known else table.iloc[:0]


def draw_training_curves(panel: Panel, histories: pd.DataFrame) -> Figure:
    """The training curves of a panel; needs `figure_style` in force.

    Lines are means over the completed runs of a point. A diverged run has its own line that ends in
    a cross, or only a cross at chance if it has no numbers. The dense model is in every row.
    """
    is_dense = histories["method_kind"] == "dense"
    compressions = sorted(set(histories.loc[~is_dense, "compression"])) or [1.0]
    rows = [
        histories[is_dense | (histories["compression"] == compression)]
        for compression in compressions
    ]
    names = [list(row["label"].unique()) for row in rows]
    heights = [
        max(CELL_HEIGHT, labels_height(own, SMALL_STYLE) + MARGINS.top + MARGINS.bottom)
        for own in names
    ]
    notes = ["cross: diverged, where it ended"] if panel.has_diverged else []
    page = Page(
        CELL_WIDTH,
        heights,
        describe_panels([panel], notes, spread="mean"),
        num_columns=2,
        title=f"{panel.title}: training",
        x_title="Epoch",
        margins=MARGINS,
    )
    quantities = (
        Quantity("accuracy", f"{panel.split.capitalize()} accuracy (%)", 2.0),
        Quantity("train_loss", "Training loss", 0.2),
    )
    columns = []
    for number, (row, compression) in enumerate(zip(rows, compressions, strict=True)):
        for column, quantity in enumerate(quantities):
            axes, right = page.add_axes(number, column)
            labels = _draw_cell(axes, row, quantity, panel)
            columns.append(LabelColumn(axes, labels, right))
            if column == 0:
                axes.set_title(format_ratio(compression), fontsize=8.5)
    draw_labels(columns, SMALL_STYLE)
    return page.figure


def _read_history(run: Any, split: str) -> Iterator[dict[str, Any]]:
    curve = {"method": run.method, "method_kind": run.method_kind, "label": run.label}
    curve |= {"compression": run.compression}
    curve |= {"run_id": run.record["run_id"], "has_diverged": run.has_diverged}
    history = {entry["epoch"]: entry for entry in run.record["history"]}
    for epoch, entry in sorted(history.items()):
        accuracy, loss = entry.get(EvaluationSplit(split).accuracy), entry.get("train_loss")
        yield curve | {"epoch": epoch, "accuracy": accuracy, "train_loss": loss}
    if not history and run.has_diverged:
        yield curve | {"epoch": 0, "accuracy": None, "train_loss": None}


def _draw_cell(
    axes: Axes, rows: pd.DataFrame, quantity: Quantity, panel: Panel
) -> list[CurveLabel]:
    labels, values = [], list(rows[quantity.column].dropna())
    curves = rows[["method", "label"]].drop_duplicates().itertuples(index=False, name=None)
    for method, label in sorted(curves, key=lambda key: (method_rank(key[0]), key)):
        own = rows[(rows["method"] == method) & (rows["label"] == label)]
        ends = [*_draw_diverged(axes, own, quantity, panel), *_draw_mean(axes, own, quantity)]
        values += [y for _, y in ends]
        if ends:
            labels.append(CurveLabel(label, method_look(method).colour, *ends[-1]))
    _set_scales(axes, rows["epoch"], values, quantity)
    return labels


def _draw_mean(axes: Axes, own: pd.DataFrame, quantity: Quantity) -> list[tuple[float, float]]:
    """Draw the mean of the completed runs of a curve; return its end."""
    completed = own[~own["has_diverged"]].dropna(subset=[quantity.column])
    means = completed.groupby("epoch")[quantity.column].mean()
    if means.empty:
        return []
    style = method_style(str(own["method"].iloc[0]), find_kind(own))
    axes.plot(
        means.index,
        means.to_numpy(),
        color=style.colour,
        linestyle=style.line,
        linewidth=1.1,
        marker=style.marker if len(means) <= MOST_MARKED else "",
        markersize=3.2,
        label=str(own["label"].iloc[0]),
        zorder=3,
    )
    return [(float(means.index[-1]), float(means.iloc[-1]))]


def _draw_diverged(
    axes: Axes, own: pd.DataFrame, quantity: Quantity, panel: Panel
) -> Iterator[tuple[float, float]]:
    """Draw each diverged run of a curve to its cross; yield where it ends."""
    colour = method_look(str(own["method"].iloc[0])).colour
    for _, run in own[own["has_diverged"]].groupby("run_id"):
        known = run.dropna(subset=[quantity.column])
        end = _end_of_unknown(quantity, panel)
        if len(known):
            axes.plot(known["epoch"], known[quantity.column], color=colour, linewidth=0.6, zorder=2)
            last = known.iloc[-1]
            end = float(last["epoch"]), float(last[quantity.column])
        mark_diverged(axes, str(run["label"].iloc[0]), colour, end)
        yield end


def _end_of_unknown(quantity: Quantity, panel: Panel) -> tuple[float, float]:
    """The place of a run that never finished an epoch: at chance, before the first epoch."""
    chance = panel.chance or 100.0
    return 0.0, (panel.chance or 0.0) if quantity.column == "accuracy" else math.log(100 / chance)


def _set_scales(
    axes: Axes, epochs: "pd.Series[int]", values: Sequence[float], quantity: Quantity
) -> None:
    """Fit both axes to what is drawn; the axis of a loss that falls far is logarithmic."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if quantity.column == "train_loss" and 0 < LOG_FROM * low < high:
        axes.set_yscale("log")
        axes.set_ylim(low / (high / low) ** 0.05, high * (high / low) ** 0.05)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        pad = max(0.05 * (high - low), (quantity.smallest_span - (high - low)) / 2)
        axes.set_ylim(low - pad, high + pad)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    last = max(int(epochs.max()), 1)
    first = 0 if (epochs == 0).any() or last > MOST_MARKED else 1
    pad = max((last - first) * 0.03, 0.1) if last > first else 0.9
    axes.set_xlim(first - pad, last + pad)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.set_ylabel(quantity.title)
