"""Experiments, one plot of the report each: runs, points, title and chance level."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from rps_bench.datasets import DATASETS
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS, POINT_KEYS
from rps_bench.reports.words import name_setting


class ExperimentKey(NamedTuple):
    """What tells experiments apart; the fields are named as the page's facets."""

    dataset: str
    arch: str
    recipe: str
    split: str
    options: str


@dataclass(frozen=True)
class Experiment:
    """All runs of one dataset, architecture, recipe and evaluation split with the same options.

    Attributes:
        title: These in words.
        key: These as records have them, in the order of `EXPERIMENT_KEYS`.
        protocol: How learning rates came about: `fixed` or `tuned`.
        num_classes: None for a dataset that this package does not know.
        runs: Rows of `study.runs`; a column `point` holds the row of `study.points` they count in.
        points: Rows of `study.points`, with their index.
    """

    title: str
    key: ExperimentKey
    protocol: str
    num_classes: int | None
    runs: pd.DataFrame
    points: pd.DataFrame

    @property
    def chance_accuracy(self) -> float | None:
        """Accuracy of guessing, in percent."""
        return None if self.num_classes is None else 100 / self.num_classes

    @property
    def chance_loss(self) -> float | None:
        """Cross-entropy of giving each class the same probability: ln(number of classes)."""
        return None if self.num_classes is None else math.log(self.num_classes)


def split_experiments(results: Results) -> list[Experiment]:
    """The experiments of a study, failed runs included, sorted by their keys."""
    runs = number_points(results)
    groups = results.points.groupby(EXPERIMENT_KEYS, dropna=False, sort=True)
    experiments = []
    for key, points in groups:
        own = ExperimentKey(*(str(part) for part in key))
        info = DATASETS.get(own.dataset)
        experiments.append(
            Experiment(
                title=name_experiment(own),
                key=own,
                protocol=str(points["protocol"].iloc[0]),
                num_classes=None if info is None else info.num_classes,
                runs=runs[runs["point"].isin(points.index)],
                points=points,
            )
        )
    return experiments


def name_experiment(key: ExperimentKey) -> str:
    """An experiment's name in words; the test split is the usual one and left out."""
    parts = [name_setting(key.dataset, key.arch), key.recipe]
    parts += [f"{key.split} split"] if key.split != "test" else []
    parts += [key.options] if key.options else []
    return ", ".join(parts)


def number_points(results: Results) -> pd.DataFrame:
    """The runs with a column `point`, the row of `study.points` that each belongs to."""
    numbers = results.points[POINT_KEYS].assign(point=results.points.index)
    return results.runs.merge(numbers, how="left", on=POINT_KEYS, validate="many_to_one")
