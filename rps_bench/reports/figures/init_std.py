"""Sensitivity to the repository's init std: accuracy against it, by sharing method and scaling."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.reports.analysis.runs import ARITHMETIC_KEYS
from rps_bench.reports.figures.accuracy import draw_chance, draw_line, mark_lost
from rps_bench.reports.figures.axes import set_accuracy_limits, set_log_values
from rps_bench.reports.figures.labels import (
    SMALL_STYLE,
    CurveLabel,
    LabelColumn,
    draw_labels,
    labels_height,
)
from rps_bench.reports.figures.layout import Margins, Page, num_rows
from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.figures.small_print import describe_panels
from rps_bench.reports.styles import method_look, method_rank
from rps_bench.reports.words import format_ratio

CELL_WIDTH, CELL_HEIGHT = 3.9, 2.5  # inches
LONE_WIDTH, LONE_HEIGHT = 6.0, 3.4
MARGINS = Margins(left=0.5, bottom=0.42, top=0.32)

# A line style per scaling; the two meant to be independent of the init std stand out.
SCALING_LINES: dict[str, str | tuple[float, tuple[float, ...]]] = {
    "gram": "-",
    "squared_mean": (0, (6, 1.5)),
    "none": (0, (1, 1.2)),
    "sum": (0, (3, 1.5, 1, 1.5)),
    "mean": (0, (3, 1.5, 1, 1.5, 1, 1.5)),
    "root_gram": (0, (2.5, 2.5)),
}
UNKNOWN_LINE = "-."


def find_init_std(panel: Panel) -> pd.DataFrame:
    """One row per compression, series and init std, empty if no init std was varied.

    A series is a method with all its other options; `series` is its name: the method, its scaling
    and the options that differ. Further columns: `method`, `scaling`, `init_std`, `mean` and sample
    `std` of the accuracy over `n` completed runs, `num_diverged`. Compressions with only one init
    std are left out.
    """
    runs = panel.runs
    if "method.init_std" not in runs:
        return pd.DataFrame()
    runs = runs[runs["method.init_std"].notna()]
    varied = runs.groupby("compression")["method.init_std"].transform("nunique") > 1
    if not varied.any():
        return pd.DataFrame()
    runs = runs[varied].assign(init_std=pd.to_numeric(runs["method.init_std"], errors="coerce"))
    runs = runs.assign(series=_name_series(runs), scaling=_text(runs, "method.scaling"))
    keys = ["compression", "method", "series", "scaling", "init_std"]
    return runs.groupby(keys, as_index=False).agg(
        mean=("accuracy", "mean"),
        std=("accuracy", "std"),
        n=("accuracy", "count"),
        num_diverged=("has_diverged", "sum"),
    )


def draw_init_std(panel: Panel, series: pd.DataFrame) -> Figure:
    """Accuracy against init std, a cell per compression; needs `figure_style` in force.

    Diverged runs are crosses at chance level, side by side if several share an init std.
    """
    cells = [(float(str(key)), own) for key, own in series.groupby("compression")]
    is_lone = len(cells) == 1
    width, height = (LONE_WIDTH, LONE_HEIGHT) if is_lone else (CELL_WIDTH, CELL_HEIGHT)
    names = max((list(own["series"].unique()) for _, own in cells), key=len)
    height = max(
        height, labels_height([*names, "chance"], SMALL_STYLE) + MARGINS.top + MARGINS.bottom
    )
    num_columns = min(len(cells), 2)
    page = Page(
        width,
        [height] * num_rows(len(cells), num_columns),
        describe_panels([panel], ["line style: gradient scaling"]),
        num_columns=num_columns,
        title=f"{panel.title}: sensitivity to the init std",
        margins=MARGINS,
    )
    columns = []
    for place, (compression, own) in enumerate(cells):
        axes, right = page.add_axes(*divmod(place, num_columns))
        labels = _draw_cell(axes, own, panel)
        axes.set_title(format_ratio(compression), fontsize=8.5)
        columns.append(LabelColumn(axes, labels, right))
    draw_labels(columns, SMALL_STYLE)
    return page.figure


def _name_series(runs: pd.DataFrame) -> list[str]:
    """The name of each run's series: method, scaling and the other options that vary."""
    options = [c for c in runs.columns if c.startswith("method.") and c != "method.init_std"]
    varied = [c for c in options if runs.groupby("method")[c].nunique().gt(1).any()]
    columns = dict.fromkeys([*(c for c in options if c == "method.scaling"), *varied])
    columns |= dict.fromkeys(key for key in ARITHMETIC_KEYS if runs[key].nunique() > 1)
    parts = [runs["method"], *(_text(runs, column) for column in columns)]
    return [", ".join(filter(None, row)) for row in zip(*parts, strict=True)]


def _text(runs: pd.DataFrame, column: str) -> "pd.Series[str]":
    """An option as text, empty if a run does not state it."""
    if column not in runs:
        return pd.Series("", index=runs.index)
    values = ["" if pd.isna(value) else str(value) for value in runs[column]]
    return pd.Series(values, index=runs.index)


def _draw_cell(axes: Axes, own: pd.DataFrame, panel: Panel) -> list[CurveLabel]:
    """Draw the series of one compression; return their labels and the one of chance."""
    names = own[["method", "scaling", "series"]].drop_duplicates()
    ordered = sorted(
        names.itertuples(index=False, name=None), key=lambda key: (method_rank(key[0]), key)
    )
    labels = []
    for method, scaling, name in ordered:
        points = own[own["series"] == name].sort_values("init_std")
        labels.append(_draw_series(axes, points, method, scaling, panel.chance or 0.0))
    mark_lost(axes, own, "init_std", "series", panel.chance or 0.0)
    set_accuracy_limits(axes, own, panel.chance)
    set_log_values(axes, own["init_std"], "Init std of the repository")
    axes.set_ylabel(f"{panel.split.capitalize()} accuracy (%)")
    return labels + draw_chance(axes, panel.chance)


def _draw_series(
    axes: Axes, points: pd.DataFrame, method: str, scaling: str, level: float
) -> CurveLabel:
    """Draw one series through its completed points; return its label."""
    look, name = method_look(method), str(points["series"].iloc[0])
    return draw_line(
        axes,
        points,
        "init_std",
        name,
        level,
        color=look.colour,
        linestyle=SCALING_LINES.get(scaling, UNKNOWN_LINE),
        marker=look.marker,
        markeredgecolor="white",
        markeredgewidth=0.4,
    )
