"""Tables of the study of half-size images: accuracies by protocol and budget, and chosen rates."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from rps_bench.config import CHOICES_FILE
from rps_bench.reports.styles import method_rank
from scripts.bench.tables import Rows, write_markdown
from scripts.documents.sources import read_json, read_table, show_accuracy

FOLDER = "half_size"
RATIOS = (10.0, 100.0)
DENSE = "dense"
EDGES = {"lowest": " (lowest)", "highest": " (highest)"}


class Way(NamedTuple):
    """How runs were trained: one experiment of the study."""

    epochs: int
    recipe: str
    protocol: str

    @property
    def title(self) -> str:
        """As a column says it."""
        return f"{self.recipe}, {self.epochs} epochs, {self.protocol}"


def write_half_size() -> str:
    """For each compression a table of accuracy by method and experiment, dense in each."""
    summary = read_table(f"{FOLDER}/summary")
    summary = summary[summary["split"] == "test"]
    cells: dict[tuple[str, float, Way], str] = {}
    for row in summary.to_dict("records"):
        way = _find_way(row)
        for ratio in RATIOS if row["method"] == DENSE else (row["compression"],):
            cells[row["method"], ratio, way] = show_accuracy(row["mean"], row["std"])
    methods = _order({method for method, _, _ in cells})
    return "\n\n".join(
        f"At {ratio:g}x:\n\n{_write_ways(cells, methods, ratio)}" for ratio in RATIOS
    )


def _write_ways(cells: dict[tuple[str, float, Way], str], methods: list[str], ratio: float) -> str:
    ways = sorted({way for _, _, way in cells})
    rows = [(method, *(cells.get((method, ratio, way), "") for way in ways)) for method in methods]
    return write_markdown(Rows(("method", *(way.title for way in ways)), 1, rows))


def write_rates() -> str:
    """What each method's chosen learning rate is, and what it gave beside the recipe's own."""
    found: dict[tuple[str, float], tuple[str, str, str]] = {}
    choices = read_json(f"{FOLDER}/{CHOICES_FILE.removesuffix('.json')}")["choices"].values()
    (start,) = {choice["start"] for choice in choices}
    for choice in choices:
        rates = {trial["learning_rate"]: trial["validation_accuracy"] for trial in choice["trials"]}
        own, best = (_show_percent(rates[choice[key]]) for key in ("start", "learning_rate"))
        rate = f"{choice['learning_rate']:g}{EDGES.get(choice['edge'], '')}"
        cell = choice["cell"]
        found[_label(cell), cell["compression"]] = own, rate, best
    heads = [
        title
        for ratio in RATIOS
        for title in (f"{ratio:g}x at {start:g}", f"{ratio:g}x: chosen rate", f"{ratio:g}x at it")
    ]
    rows = [
        (method, *_list_rates(found, method)) for method in _order({method for method, _ in found})
    ]
    return write_markdown(Rows(("method", *heads), 1, rows))


def _list_rates(found: dict[tuple[str, float], tuple[str, str, str]], method: str) -> Iterator[str]:
    for ratio in RATIOS:
        yield from found.get((method, 1.0 if method == DENSE else ratio), ("", "", ""))


def _show_percent(accuracy: float | None) -> str:
    return "diverged" if accuracy is None else f"{accuracy:.1f}"


def _find_way(row: dict[Any, Any]) -> Way:
    return Way(int(row["planned_epochs"]), row["recipe"], row["protocol"])


def _label(cell: dict[str, Any]) -> str:
    options = ", ".join(f"{key}={value}" for key, value in cell.get("method_options", {}).items())
    return f"{cell['method']} ({options})" if options else str(cell["method"])


def _order(methods: set[str]) -> list[str]:
    """As in figures; a method's variants follow it."""
    return sorted(methods, key=lambda method: (method_rank(method.partition(" ")[0]), method))
