"""Panels: the runs of one experiment, which share figures, and the file names of these."""

import re
from dataclasses import dataclass

import pandas as pd

from rps_bench.config import FIXED
from rps_bench.datasets.info import DATASETS, sized_name
from rps_bench.reports.analysis.options import IMAGE_SIZE, IMBALANCE, write_option
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS
from rps_bench.reports.words import name_setting


@dataclass(frozen=True)
class Panel:
    """One experiment: its runs (completed and diverged) and the points of its curves."""

    dataset: str
    arch: str
    recipe: str
    split: str  # test or validation
    image_size: int | None  # of images averaged down; None: the dataset's own
    options: str  # in which it differs from experiments of the same names, often empty
    stem: str  # the end of its figures' file names
    is_main: bool  # whether it has most runs of its dataset at this size, arch, recipe and split
    num_failed: int  # runs left out because they crashed
    runs: pd.DataFrame
    points: pd.DataFrame  # rows of `Study.points` with completed or diverged runs

    @property
    def title(self) -> str:
        """The dataset and architecture by their usual names."""
        return name_setting(self.dataset, self.arch, self.image_size)

    @property
    def is_of_whole_data(self) -> bool:
        """Whether its images are the dataset's, neither smaller nor thinned out by class."""
        return self.image_size is None and not self.is_imbalanced

    @property
    def is_imbalanced(self) -> bool:
        """Whether its training classes were made unequal."""
        return bool(self.runs[IMBALANCE].notna().any())

    @property
    def chance(self) -> float | None:
        """The accuracy of guessing in percent, None for a dataset unknown to this package."""
        info = DATASETS.get(self.dataset)
        return None if info is None else 100 / info.num_classes

    @property
    def has_diverged(self) -> bool:
        """Whether any of its runs diverged."""
        return bool(self.runs["has_diverged"].any())


def split_panels(results: Results) -> list[Panel]:
    """One panel per experiment of a study that has anything to draw, sorted by file name.

    Failed runs are left out. Experiments that differ only in options (such as epochs) are separate
    panels: the one with most runs gets the plain name, the others have their options added to it.
    Smaller images are always part of the name (`cifar10-16px`); imbalanced data and tuned learning
    rates always add their options, so that their figures are never taken for those of the dataset
    and the recipe.
    """
    runs = results.runs[results.runs["has_diverged"] | results.runs["accuracy"].notna()]
    groups = [
        (tuple(str(part) for part in key), group)
        for key, group in runs.groupby(EXPERIMENT_KEYS, dropna=False)
    ]
    groups.sort(key=lambda item: -len(item[1]))  # stable: most runs first, then by key
    taken: set[str] = set()
    panels = [_make_panel(results, key, group, taken) for key, group in groups]
    return sorted(panels, key=lambda panel: panel.stem)


def slug(text: str) -> str:
    """Text with everything that does not belong in a file name replaced by dashes."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-")


def _make_panel(
    results: Results, key: tuple[str, ...], runs: pd.DataFrame, taken: set[str]
) -> Panel:
    dataset, arch, recipe, split, options = key
    size = _find_image_size(runs)
    names = [sized_name(dataset, size), arch, recipe] + ([split] if split != "test" else [])
    plain = slug("-".join(names))
    # These never get the plain name, even if it is free.
    is_special = runs[IMBALANCE].notna() | (runs["protocol"] != FIXED)
    reserved = {plain} if is_special.any() else set()
    named = write_option(IMAGE_SIZE, size)
    others = ", ".join(note for note in options.split(", ") if note != named)
    stem = free_name(plain, others, taken | reserved)
    taken.add(stem)
    points = _select(results.points, key)
    points = points[(points["n"] > 0) | (points["num_diverged"] > 0)]
    num_failed = int(_select(results.runs, key)["has_failed"].sum())
    return Panel(
        dataset, arch, recipe, split, size, options, stem, stem == plain, num_failed, runs, points
    )


def _find_image_size(runs: pd.DataFrame) -> int | None:
    """The size that the images of an experiment were averaged down to; None for their own."""
    size = runs[IMAGE_SIZE].iloc[0]
    return None if pd.isna(size) else int(size)


def _select(table: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """The rows of one experiment."""
    own = pd.Series(True, index=table.index)
    for column, value in zip(EXPERIMENT_KEYS, key, strict=True):
        own &= table[column].astype(str) == value
    return table[own]


def free_name(plain: str, options: str, taken: set[str]) -> str:
    """The plain name, or where it is taken the first free one made of it and the options."""
    name = plain if plain not in taken else slug(f"{plain}-{options.replace('=', '')}")
    base, number = name, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name
