"""Panels: the runs that share one figure, with the figure's file name and small print."""

import re
from dataclasses import dataclass

import pandas as pd

from rps_bench.datasets import DATASETS
from rps_bench.reports.statistics import EXPERIMENT_KEYS, describe_runs, summarise_runs
from rps_bench.reports.styles import ARCH_TITLES, DATASET_TITLES


@dataclass(frozen=True)
class Panel:
    """One experiment: its runs (completed and diverged) and the points of its curves."""

    dataset: str
    arch: str
    recipe: str
    split: str  # test or validation
    options: str  # what tells it from other experiments of the same names, often empty
    name: str  # of its files, without folder and ending
    runs: pd.DataFrame
    points: pd.DataFrame  # rows of `summarise`

    @property
    def title(self) -> str:
        """Dataset and architecture, as people write them."""
        dataset = DATASET_TITLES.get(self.dataset, self.dataset)
        return f"{dataset}, {ARCH_TITLES.get(self.arch, self.arch)}"

    @property
    def chance(self) -> float | None:
        """Accuracy of guessing in percent, None for a dataset this package does not know."""
        info = DATASETS.get(self.dataset)
        return None if info is None else 100 / info.num_classes


def split_panels(table: pd.DataFrame) -> list[Panel]:
    """Return one panel per experiment of a table from `build_table` that has anything to draw.

    Failed runs are left out. Experiments that differ in options only (epochs, say) are panels of
    their own: the one with most runs keeps the plain name, the others add their options to it.
    """
    runs = describe_runs(table)
    runs = runs[runs["has_diverged"] | runs["accuracy"].notna()]
    groups = [
        (tuple(str(part) for part in key), group)
        for key, group in runs.groupby(EXPERIMENT_KEYS, dropna=False)
    ]
    groups.sort(key=lambda item: -len(item[1]))  # stable: most runs first, then by key
    taken: set[str] = set()
    panels = [_make_panel(key, group, taken) for key, group in groups]
    return sorted(panels, key=lambda panel: panel.name)


def describe_panel(panel: Panel) -> list[str]:
    """Return the small print below a figure: recipe, seeds, precision; hardware and date."""
    runs = panel.runs
    seeds = runs.groupby(["label", "compression"], dropna=False)["seed"].nunique()
    fewest, most = int(seeds.min()), int(seeds.max())
    count = str(most) if fewest == most else f"{fewest} to {most}"
    noun = "seed" if most == 1 else "seeds"
    spread = ", mean ± 1 std" if most > 1 else ""
    options = f", {panel.options}" if panel.options else ""
    precisions = " and ".join(sorted(set(runs["precision"])))
    setup = f"Recipe {panel.recipe}, {_count_epochs(runs)}{options}"
    dates = [date[:10] for date in runs["started_at"].dropna()]
    newest = f"; newest run {max(dates)}" if dates else ""
    return [
        f"{setup}; {count} {noun} per point{spread}; {precisions}",
        f"{_name_hardware(runs)}{newest}",
    ]


def _make_panel(key: tuple[str, ...], group: pd.DataFrame, taken: set[str]) -> Panel:
    dataset, arch, recipe, split, options = key
    parts = [dataset, arch, recipe] + ([split] if split != "test" else [])
    name = _slug("-".join(["pareto", *parts]))
    if name in taken:
        name = _slug(f"{name}-{options.replace('=', '')}")
    base, number = name, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    points = summarise_runs(group)
    return Panel(dataset, arch, recipe, split, options, name, runs=group, points=points)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-")


def _count_epochs(runs: pd.DataFrame) -> str:
    """Name the planned epochs, or the longest training where the records do not say."""
    planned = runs["recipe.epochs"].dropna() if "recipe.epochs" in runs else runs["epochs"]
    epochs = int(planned.max()) if len(planned) else int(runs["epochs"].max())
    return f"{epochs} epoch" if epochs == 1 else f"{epochs} epochs"


def _name_hardware(runs: pd.DataFrame) -> str:
    """Name what the runs trained on: the GPU where the device was one, else the CPU."""
    on_gpu = runs["device"].fillna("cpu").str.startswith("cuda")
    cpus = runs["cpu_model"] + _count_note(runs["cpu_count"])
    names = cpus.where(~on_gpu, runs["gpu_name"]).dropna()
    common = names.value_counts().index.tolist()
    if not common:
        return "Hardware not recorded"
    rest = f" and {len(common) - 2} more" if len(common) > 2 else ""
    return " and ".join(common[:2]) + rest


def _count_note(counts: "pd.Series[int]") -> list[str]:
    return ["" if pd.isna(count) else f" ({count} CPUs)" for count in counts]
