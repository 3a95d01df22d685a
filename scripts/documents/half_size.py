"""Tables of the study of half-size images: accuracies by protocol and budget, and chosen rates."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from rps_bench.config import CHOICES_FILE, FIXED
from rps_bench.reports.styles import method_rank
from scripts.bench.tables import Rows, write_markdown
from scripts.documents.sources import read_json, read_table

FOLDER = "half_size"
RATIOS = (10.0, 100.0)
DENSE = "dense"
EDGES = {"lowest": " (lowest)", "highest": " (highest)"}


class Way(NamedTuple):
    """How runs were trained: one experiment of the study."""

    epochs: int
    is_tuned: bool
    recipe: str
    protocol: str

    @property
    def title(self) -> str:
        """As a column says it."""
        return f"{self.recipe}, {self.epochs} epochs, {self.protocol}"


def write_half_size() -> str:
    """Accuracy by method, compression and experiment; the dense network's stands in each column."""
    summary = read_table(f"{FOLDER}/summary")
    summary = summary[summary["split"] == "test"]
    cells: dict[tuple[str, float, Way], str] = {}
    for row in summary.to_dict("records"):
        way = _find_way(row)
        for ratio in RATIOS if row["method"] == DENSE else (row["compression"],):
            cells[row["method"], ratio, way] = _show_accuracy(row)
    ways = sorted({way for _, _, way in cells})
    heads = [(ratio, way) for ratio in RATIOS for way in ways]
    titles = (f"{ratio:g}x: {way.title}" for ratio, way in heads)
    rows = [
        (method, *(cells.get((method, *head), "") for head in heads))
        for method in _order({method for method, _, _ in cells})
    ]
    return write_markdown(Rows(("method", *titles), 1, rows))


def write_rates() -> str:
    """The learning rate that was chosen for each method and compression, and what it gave."""
    rates: dict[tuple[str, float], tuple[str, str]] = {}
    for choice in read_json(f"{FOLDER}/{CHOICES_FILE.removesuffix('.json')}")["choices"].values():
        cell, accuracy = choice["cell"], choice["validation_accuracy"]
        rate = f"{choice['learning_rate']:g}{EDGES.get(choice['edge'], '')}"
        rates[_label(cell), cell["compression"]] = rate, f"{accuracy:.1f}"
    heads = [title for ratio in RATIOS for title in (f"rate at {ratio:g}x", "validation accuracy")]
    rows = [
        (method, *_list_rates(rates, method)) for method in _order({method for method, _ in rates})
    ]
    return write_markdown(Rows(("method", *heads), 1, rows))


def _list_rates(rates: dict[tuple[str, float], tuple[str, str]], method: str) -> Iterator[str]:
    for ratio in RATIOS:
        yield from rates.get((method, 1.0 if method == DENSE else ratio), ("", ""))


def _find_way(row: dict[Any, Any]) -> Way:
    is_tuned = row["protocol"] != FIXED
    return Way(int(row["planned_epochs"]), is_tuned, row["recipe"], row["protocol"])


def _label(cell: dict[str, Any]) -> str:
    options = ", ".join(f"{key}={value}" for key, value in cell.get("method_options", {}).items())
    return f"{cell['method']} ({options})" if options else str(cell["method"])


def _order(methods: set[str]) -> list[str]:
    """As in figures; a method's variants follow it."""
    return sorted(methods, key=lambda method: (method_rank(method.partition(" ")[0]), method))


def _show_accuracy(row: dict[Any, Any]) -> str:
    spread = "" if pd.isna(row["std"]) else f" ± {row['std']:.2f}"
    return f"{row['mean']:.2f}{spread}"
