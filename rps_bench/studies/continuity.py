"""Pareto-continuity: does a model compressed at c = 1 train as the dense one does?

Desai and Shrivastava 2024, section 4: RANDOMFOLD at c = 1 is a bijection, so with the theorem's
scaling and theta = A^-1 w0 every step is the dense one, momentum and weight decay included. The
same holds for pruning, which keeps all weights at c = 1. Maps that leave slots unused cannot do
this.

Training itself may amplify the rounding of A A^-1. A dense run whose initial weights are changed by
one rounding shows by how much.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.datasets import load_dataset
from rps_bench.datasets.base import Dataset
from rps_bench.datasets.probe import probe_batch
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.reports.figures.labels import CurveLabel, LabelColumn, LabelStyle, draw_labels
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.styles import DOTTED
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.looks import registered_style
from rps_bench.studies.variants import build_variant
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.evaluation import evaluate
from rps_bench.training.loop import NonFiniteLossError, Trainer, Training
from rps_bench.training.recipe import Recipe

DATASET = "digits"
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
NO_AUTOCAST = "fp32"  # the training loop's name for computing in the dtype of the parameters
CONTROL = "dense moved by a rounding"
CELL_WIDTH, CELL_HEIGHT = 7.5, 3.2  # inches
LABELS = LabelStyle(6.5, 40)
WIDEST_LINE, NARROWEST_LINE = 3.0, 1.0  # points: wide early curves show behind later ones


class Course(NamedTuple):
    """A training run: weights (n,) before each step and after the last, losses of all steps."""

    weights: list[torch.Tensor]
    losses: list[float]
    test_accuracy: float | None  # percent; None if the loss became non-finite


class WatchedTrainer(Trainer):
    """The ordinary trainer, except that it keeps the weights and the loss of every step."""

    weights: list[torch.Tensor]
    losses: list[float]

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Train one step, and keep its loss and the weights before it."""
        self.weights.append(self.model.weights().detach().clone())
        loss = super().train_step(images, labels)
        self.losses.append(float(loss.detach()))
        return loss


@dataclass(frozen=True)
class Continuity(TheoryStudy):
    """The distance of each method's training at c = 1 from dense training."""

    name: ClassVar[str] = "continuity"
    question: ClassVar[str] = "Does a model compressed 1x train as the dense model does?"

    variants: tuple[str, ...]
    arch: str
    width: int
    recipe: str
    rates: tuple[float, ...]
    epochs: int
    precision: str
    seed: int

    def __post_init__(self) -> None:
        checks.each("variants", self.variants, checks.text)
        checks.choice("arch", self.arch, ARCHITECTURES)
        checks.whole_number("width", self.width, 1)
        checks.each("rates", self.rates, checks.positive_number)
        checks.whole_number("epochs", self.epochs, 1)
        checks.choice("precision", self.precision, PRECISIONS)
        checks.whole_number("seed", self.seed, 0)
        self._load_recipe(self.rates[0])
        for variant in self.variants:
            if build_variant(variant, 1.0, self.seed).shares_trainings:
                raise UserError(f"variants must compress before training, got {variant}")

    def measure(self, folder: Path) -> pd.DataFrame:
        """A row per rate, variant and step (the state before it), and one after the last step.

        `distance` is |w - w_dense| / |w_dense|, `loss_difference` the loss on the step's batch
        minus the dense one; the last row has `test_accuracy` in percent and `accuracy_difference`.
        """
        dataset = load_dataset(DATASET)
        tables = []
        for rate in self.rates:
            recipe = self._load_recipe(rate)
            dense = _train(self._compress("dense", dataset), dataset, recipe, self.seed)
            for variant in (*self.variants, CONTROL):
                model = self._compress(variant, dataset)
                table = _compare(_train(model, dataset, recipe, self.seed), dense)
                names = {"rate": rate, "variant": variant, "method": variant.split()[0]}
                tables.append(pd.DataFrame(names, index=table.index).join(table))
        return pd.concat(tables, ignore_index=True)

    def _compress(self, variant: str, dataset: Dataset) -> CompressedModel:
        """A compressed model before training; all variants start from the same network."""
        dtype = PRECISIONS[self.precision]
        init = named_generator(self.seed, "init")
        model = build_model(self.arch, dataset.num_classes, self.width, init).to(dtype)
        images, labels = probe_batch(dataset, self.seed)
        method = build_variant("dense" if variant == CONTROL else variant, 1.0, self.seed)
        compressed = method.compress(model, (images.to(dtype), labels))
        if variant == CONTROL:
            # The smallest relative change that a number can have.
            compressed.stored.data *= 1 + torch.finfo(dtype).eps
        return compressed

    def _load_recipe(self, rate: float) -> Recipe:
        """The recipe of the command line for this dataset and architecture, at this peak rate."""
        words = [f"dataset={DATASET}", f"arch={self.arch}", f"recipe={self.recipe}"]
        words += [f"recipe.epochs={self.epochs}", f"recipe.lr={rate}"]
        return plan_runs(words, is_sweep=False).configs[0].recipe

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: distance of the weights by step, a row per learning rate."""
        page = Page(
            CELL_WIDTH,
            [CELL_HEIGHT] * len(self.rates),
            ["in brackets: final test accuracy; on the lower edge: no difference", *small_print],
            title="Training at 1x compression: distance from the dense training",
            margins=Margins(left=0.7),
        )
        columns = []
        for row, (rate, own) in enumerate(table.groupby("rate", sort=False)):
            axes, right = page.add_axes(row)
            axes.set_title(f"learning rate {rate:g}", fontsize=8.5)
            columns.append(LabelColumn(axes, _draw_cell(axes, own), right))
        draw_labels(columns, LABELS)
        return page.figure


def _train(model: CompressedModel, dataset: Dataset, recipe: Recipe, seed: int) -> Course:
    trainer = WatchedTrainer(model, Training(dataset, recipe, seed, NO_AUTOCAST))
    trainer.weights, trainer.losses = [], []
    accuracy = None
    try:
        for epoch in range(1, recipe.epochs + 1):
            trainer.train_epoch(epoch)
        accuracy = evaluate(model, dataset, NO_AUTOCAST).accuracy
    except NonFiniteLossError:  # the steps up to there are kept
        pass
    return Course([*trainer.weights, model.weights().detach()], trainer.losses, accuracy)


def _compare(course: Course, dense: Course) -> pd.DataFrame:
    distances = [
        float((own - other).norm() / other.norm())
        for own, other in zip(course.weights, dense.weights, strict=False)  # fewer if diverged
    ]
    losses = [own - other for own, other in zip(course.losses, dense.losses, strict=False)]
    table = pd.DataFrame({"step": range(len(distances)), "distance": distances})
    table["loss_difference"] = pd.Series(losses)
    table["test_accuracy"] = table["accuracy_difference"] = float("nan")
    if course.test_accuracy is not None and dense.test_accuracy is not None:
        difference = course.test_accuracy - dense.test_accuracy
        last = table.index[-1], ["test_accuracy", "accuracy_difference"]
        table.loc[last] = [course.test_accuracy, difference]
    return table


def _draw_cell(axes: Axes, table: pd.DataFrame) -> list[CurveLabel]:
    """Draw a curve per variant; a distance of zero lies on the lower edge."""
    # A log axis has no zero, so zero distances are drawn at a tenth of the smallest other one.
    seen = table.loc[table["distance"] > 0, "distance"]
    floor = seen.min() / 10
    curves = table.groupby("variant", sort=False)
    widths = np.linspace(WIDEST_LINE, NARROWEST_LINE, curves.ngroups)
    labels = []
    for width, (variant, own) in zip(widths, curves, strict=True):
        style = registered_style(own["method"].iloc[0])
        line = DOTTED if variant == CONTROL else style.line
        points = own.dropna(subset="distance")
        y = points["distance"].clip(lower=floor)
        axes.plot(points["step"], y, color=style.colour, linestyle=line, linewidth=width)
        accuracy = own["test_accuracy"].iloc[-1]
        result = "diverged" if pd.isna(accuracy) else f"{accuracy:.1f}%"
        text = f"{_shorten(str(variant))} ({result})"
        labels.append(CurveLabel(text, style.colour, points["step"].iloc[-1], y.iloc[-1]))
    axes.set_yscale("log")
    axes.set_ylim(floor, seen.max() * 5)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("|w - w dense| / |w dense|")
    axes.set_xlim(0, table["step"].max())
    axes.set_xlabel("Training step")
    return labels


def _shorten(variant: str) -> str:
    """A variant without the names of its options."""
    return " ".join(word.rpartition("=")[2] for word in variant.split())
