"""The small print below a figure: recipe, seeds, hardware and date."""

import textwrap
from collections.abc import Sequence

import pandas as pd

from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.words import count_of, name_arithmetic, name_hardware

COLUMNS_PER_INCH = 21.5  # characters of the small print, at its size


def describe_panels(
    panels: Sequence[Panel], notes: Sequence[str] = (), spread: str = "mean ± 1 std"
) -> list[str]:
    """The lines below a figure of these panels, which share recipe and split.

    First recipe, epochs, seeds and arithmetic, then hardware and the newest run's date, then the
    `notes` of the figure. `spread` says what is drawn if there are several seeds.
    """
    runs = pd.concat([panel.runs for panel in panels])
    options = f", {panels[0].options}" if len(panels) == 1 and panels[0].options else ""
    arithmetic = name_arithmetic(runs["precision"], runs["kernels"])
    setup = f"Recipe {panels[0].recipe}, {count_epochs(panels)}{options}"
    num_failed = sum(panel.num_failed for panel in panels)
    return [
        f"{setup}; {_count_seeds(panels, spread)}; {arithmetic}",
        describe_origin(runs, num_failed),
        *(["; ".join(notes)] if notes else []),
    ]


def describe_origin(runs: pd.DataFrame, num_failed: int) -> str:
    """Hardware and newest date of the runs that are drawn, and how many others failed."""
    dates = [date[:10] for date in runs["started_at"].dropna()]
    newest = [f"newest run {max(dates)}"] if dates else []
    failed = [f"{count_of(num_failed, 'failed run')} not drawn"] if num_failed else []
    return "; ".join([_list_hardware(runs), *newest, *failed])


def wrap(lines: Sequence[str], width: float) -> list[str]:
    """Break lines to a figure's width in inches."""
    columns = int(width * COLUMNS_PER_INCH)
    return [part for line in lines for part in textwrap.wrap(line, columns)]


def count_epochs(panels: Sequence[Panel]) -> str:
    """The planned epochs, or the longest training if the records do not state them."""
    epochs = sorted({_epochs(panel.runs) for panel in panels})
    if epochs == [1]:
        return "1 epoch"
    return f"{' or '.join(str(count) for count in epochs)} epochs"


def num_seeds(panels: Sequence[Panel]) -> tuple[int, int]:
    """The smallest and the largest number of seeds at any point."""
    keys = ["dataset", "arch", "label", "compression"]
    runs = pd.concat([panel.runs for panel in panels])
    counts = runs.groupby(keys, dropna=False)["seed"].nunique()
    return int(counts.min()), int(counts.max())


def _count_seeds(panels: Sequence[Panel], spread: str) -> str:
    fewest, most = num_seeds(panels)
    count = str(most) if fewest == most else f"{fewest} to {most}"
    note = f", {spread}" if most > 1 else ""
    return f"{count} {'seed' if most == 1 else 'seeds'} per point{note}"


def _epochs(runs: pd.DataFrame) -> int:
    planned = runs["recipe.epochs"].dropna() if "recipe.epochs" in runs else runs["epochs"]
    return int(planned.max()) if len(planned) else int(runs["epochs"].max())


def _list_hardware(runs: pd.DataFrame) -> str:
    """The most frequent hardware that the runs trained on."""
    common = name_hardware(runs).dropna().value_counts().index.tolist()
    if not common:
        return "Hardware not recorded"
    rest = f" and {len(common) - 2} more" if len(common) > 2 else ""
    return " and ".join(common[:2]) + rest
