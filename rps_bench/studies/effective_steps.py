"""How far a training step turns the weights of each layer, and what sets it.

A convolution before BatchNorm does not change the network when its weights are scaled, so all that
an SGD step changes is a direction. With |g| = G / |w| the turning is lr G / |w|^2: the norm of the
weights sets the effective learning rate. Predicted, and measured beside it, for each layer:

1. ``start``: |w|^2 relative to the dense start. Uniform pruning leaves 1/c, sharing all of it
   (``repository_init=matched``: 1/c), magnitude pruning what a normal tail holds.
2. ``steps``: the first turning, from the dense network's gradient alone: |g| of a layer grows as
   1 / |w|, and the step follows the part of g that the map lets through (1/c of its energy for
   pruning and for sharing with ``gram``). The classifier, which no BatchNorm follows, passes back a
   gradient in proportion to its own norm, 1 / sqrt(c) where it is pruned. So random pruning and
   ``matched`` first turn as far as dense, ``gram`` sqrt(c) times less; once the classifiers have
   grown, sqrt(c) times more and less than dense: at one rate they are c apart.
3. ``steps``, ``memory``: the norm, by the recursion of ``turning.py`` over the run's own |g| |w|;
   and the step at which a normal and a matched start agree within 10%, from gradients of the normal
   run alone.
4. ``equilibrium``: with a constant rate and strong weight decay every layer of every method turns
   by sqrt(2 lr wd / (1 + momentum)) per step, whatever its start.

How far off they may be was written down before the committed run, after a trial at width 4
(`effective_steps_errors.py`): 1. four times the deviation that chance gives a layer; in the median
layer 2. a factor of 2, as a redrawn network of the same kind alone may give, 3. 15% of the norm and
40% of the turning at every step, and 25% of the step of agreement, 4. 20%, where |w| has had the
time to come down to it: theta without scaling takes so large first steps that |w| grows many times
over. Scores that favour large gradients (snip) turn further than foretold.

Sources: Wan et al. 2020 (arXiv 2006.08419), Kosson, Messmer and Jaggi 2023 (arXiv 2305.17212).
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pandas as pd
import torch
from matplotlib.figure import Figure

from rps_bench.core import checks
from rps_bench.core.errors import CompressionWarning, UserError
from rps_bench.core.seeds import named_generator
from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.base import Dataset
from rps_bench.datasets.probe import probe_batch
from rps_bench.datasets.shrinking import shrink
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import init_stds_of, layer_ranges, layout_of
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.effective_steps_figure import draw_figure
from rps_bench.studies.layer_course import (
    NO_AUTOCAST,
    LayerCourse,
    scale_invariant_layers,
    train_watched,
)
from rps_bench.studies.starts import expected_ratios, expected_steps, ratio_stds
from rps_bench.studies.turning import equilibrium_angle, first_agreement, follow
from rps_bench.studies.variants import build_variant
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.loop import Training
from rps_bench.training.recipe import Recipe

START, STEPS, MEMORY, EQUILIBRIUM = "start", "steps", "memory", "equilibrium"  # the parts
USUAL, STRONG = "recipe", "strong decay"  # the courses
DENSE, MATCHED = "dense", " repository_init=matched"
AGREEMENT = 0.1  # norms this close have forgotten their start
GROWTH = 10 ** (1 / 3)  # between the steps of the log grid
DIGITS = 4  # significant, of a number in the table


class Run(NamedTuple):
    """A variant's training, its start, and what was expected of its start; (L,) by layer."""

    variant: str
    compression: float
    model: CompressedModel  # trained
    course: LayerCourse
    expected_ratios: torch.Tensor  # nan where there is no closed form
    ratio_stds: list[float]


@dataclass(frozen=True)
class EffectiveSteps(TheoryStudy):
    """Norm and turning of every layer before BatchNorm, predicted and measured."""

    name: ClassVar[str] = "effective_steps"
    question: ClassVar[str] = "How far does a training step turn each method's weights?"

    dataset: str
    image_size: int | None
    arch: str
    width: int
    variants: tuple[str, ...]
    compressions: tuple[float, ...]
    recipe: str
    epochs: int
    strong_decay: float
    overrides: tuple[str, ...]
    drawn_compression: float
    seed: int

    def __post_init__(self) -> None:
        checks.choice("dataset", self.dataset, DATASETS)
        if self.image_size is not None:
            checks.whole_number("image_size", self.image_size, 4)
        checks.choice("arch", self.arch, ARCHITECTURES)
        checks.whole_number("width", self.width, 1)
        checks.each("variants", self.variants, checks.text)
        checks.each("compressions", self.compressions, lambda _, c: checks.compression_ratio(c))
        checks.whole_number("epochs", self.epochs, 1)
        checks.positive_number("strong_decay", self.strong_decay)
        checks.number(
            "drawn_compression",
            self.drawn_compression,
            "one of compressions",
            lambda number: number in self.compressions,
        )
        checks.whole_number("seed", self.seed, 0)
        for course in (USUAL, STRONG):
            if self.load_recipe(course).nesterov:
                raise UserError(
                    "the predictions are of plain momentum: add overrides=[recipe.nesterov=false]"
                )
        for variant in self.variants:
            if build_variant(variant, 1.0, self.seed).shares_trainings:
                raise UserError(f"variants must compress before training, got {variant}")

    def measure(self, folder: Path) -> pd.DataFrame:
        """Rows of four parts, for each layer that BatchNorm follows and that keeps any weight.

        `start`: `ratio`, the measured |w|^2 / |w dense|^2, `predicted_ratio`, and `ratio_std`, its
        relative deviation by chance. `steps`: before step `step`, counted from 1, the `norm`,
        `gradient` by w and `cosine` of the two, the `angle` that the step turns w by, in radians,
        with `predicted_norm` and `predicted_angle` from the run's own gradients, and at step 1
        `first_angle`, predicted from the dense network. `memory`: the first step before which
        normal and matched start agree, null if none. `equilibrium`: root mean square angle over the
        last quarter. Pruning at compression 1 is the dense run and has no row.
        """
        dataset = load_dataset(self.dataset)
        if self.image_size is not None:
            dataset = shrink(dataset, self.image_size)
        rows: list[dict[str, Any]] = []
        for course in (USUAL, STRONG):
            recipe = self.load_recipe(course)
            dense = self._train(DENSE, 1.0, dataset, recipe)
            runs = [dense, *self._train_all(dataset, recipe)]
            for run in runs:
                own = [{"part": START} | row for row in self._start_rows(run, dense)]
                own = own if course == USUAL else []
                own += [{"part": STEPS} | row for row in self._step_rows(run, dense, recipe)]
                if course == STRONG:
                    own += [{"part": EQUILIBRIUM} | row for row in _equilibrium_rows(run, recipe)]
                rows += [{"course": course} | _names(run) | row for row in own]
            for normal, matched in _find_pairs(runs):
                own = [{"part": MEMORY} | row for row in _memory_rows(normal, matched, recipe)]
                rows += [{"course": course} | _names(normal) | row for row in own]
        return pd.DataFrame(rows).map(_shorten)

    def load_recipe(self, course: str) -> Recipe:
        """The recipe of a course: as on the command line, or constant with strong weight decay."""
        words = [f"dataset={self.dataset}", f"arch={self.arch}", f"recipe={self.recipe}"]
        words += [f"recipe.epochs={self.epochs}", *self.overrides]
        if course == STRONG:
            words += ["recipe.schedule=step", "recipe.drops=[]"]
            words += [f"recipe.weight_decay={self.strong_decay}"]
        return plan_runs(words, is_sweep=False).configs[0].recipe

    def _train_all(self, dataset: Dataset, recipe: Recipe) -> Iterator[Run]:
        for variant in self.variants:
            for compression in self.compressions:
                is_shared = isinstance(build_variant(variant, 1.0, self.seed), SharingMethod)
                # At 1x pruning is the dense run, and a matched start the normal one.
                if compression > 1 or (is_shared and not variant.endswith(MATCHED)):
                    yield self._train(variant, compression, dataset, recipe)

    def _train(self, variant: str, compression: float, dataset: Dataset, recipe: Recipe) -> Run:
        """Compress the network that all variants share, and train it."""
        init = named_generator(self.seed, "init")
        network = build_model(self.arch, dataset.num_classes, self.width, init)
        method = build_variant(variant, compression, self.seed)
        with warnings.catch_warnings():  # of layers that keep no weight: the table shows them
            warnings.simplefilter("ignore", CompressionWarning)
            model = method.compress(network, probe_batch(dataset, self.seed))
        expected = expected_ratios(method, layout_of(network), init_stds_of(network))
        stds = ratio_stds(model, isinstance(method, SharingMethod))
        course = train_watched(model, Training(dataset, recipe, self.seed, NO_AUTOCAST))
        return Run(variant, compression, model, course, torch.tensor(expected).double(), stds)

    def _start_rows(self, run: Run, dense: Run) -> Iterator[dict[str, Any]]:
        ratios = (run.course.norms[0] / dense.course.norms[0]).square()
        is_kept, ranges = run.model.weight_map.slots() >= 0, layer_ranges(run.model.layout)
        for layer, name in _layers(run.model):
            own = is_kept[slice(*ranges[layer])]
            yield {
                "layer": name,
                "num_weights": len(own),
                "density": float(own.double().mean()),
                "ratio": float(ratios[layer]),
                "predicted_ratio": float(run.expected_ratios[layer]),
                "ratio_std": run.ratio_stds[layer],
            }

    def _step_rows(self, run: Run, dense: Run, recipe: Recipe) -> Iterator[dict[str, Any]]:
        course = run.course
        predicted = follow(course.norms[0], course.rates, _unit(course), *_decay(recipe))
        first = _first_angles(run, dense)
        for layer, name in _layers(run.model):
            for step in log_grid(len(course.rates)):
                if course.norms[0][layer] == 0:  # no weight is left of it
                    continue
                yield {
                    "layer": name,
                    "step": step,
                    "norm": float(course.norms[step - 1][layer]),
                    "predicted_norm": float(predicted.norms[step - 1][layer]),
                    "gradient": float(course.gradients[step - 1][layer]),
                    "cosine": float(course.cosines[step - 1][layer]),
                    "angle": float(course.angles[step - 1][layer]),
                    "predicted_angle": float(predicted.angles[step - 1][layer]),
                    "first_angle": float(first[layer]) if step == 1 else math.nan,
                }

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: starts, first turnings, norms and turnings, measured beside predicted."""
        return draw_figure(table, self.drawn_compression, small_print)


def log_grid(num_steps: int) -> list[int]:
    """Steps from 1 to the last, evenly spaced in the logarithm."""
    grid, step = [], 1.0
    while step < num_steps:
        grid.append(round(step))
        step *= GROWTH
    return sorted({*grid, num_steps})


def _names(run: Run) -> dict[str, Any]:
    return {"variant": run.variant, "compression": run.compression}


def _layers(model: CompressedModel) -> list[tuple[int, str]]:
    """The place in the layout and the name of each layer that BatchNorm follows."""
    names = [name.removesuffix(".weight") for name, _ in model.layout]
    return [(layer, names[layer]) for layer in scale_invariant_layers(model.skeleton)]


def _unit(course: LayerCourse) -> torch.Tensor:
    """(T, L) the norm of the steps' gradients at |w| = 1."""
    pairs = zip(course.steps, course.norms, strict=False)  # the last norm has no step
    return torch.stack([step * norm for step, norm in pairs])


def _decay(recipe: Recipe) -> tuple[float, float]:
    return recipe.weight_decay, recipe.momentum


def _first_angles(run: Run, dense: Run) -> torch.Tensor:
    """(L,) the turning of the first step, from the dense network's gradient.

    Where no norm was predicted the measured one stands in. The last layer is the classifier.
    """
    measured = (run.course.norms[0] / dense.course.norms[0]).square()
    ratios = torch.where(run.expected_ratios.isnan(), measured, run.expected_ratios)
    norms = dense.course.norms[0] * ratios.sqrt()
    gradients = dense.course.gradients[0] * (ratios[-1] / ratios).sqrt()
    model = run.model
    steps = expected_steps(model.weight_map, model.gradient_scale(), model.layout, gradients)
    return torch.atan(run.course.rates[0] * steps / norms)


def _equilibrium_rows(run: Run, recipe: Recipe) -> Iterator[dict[str, Any]]:
    angles = torch.stack(run.course.angles)
    late = angles[-len(angles) // 4 :].square().mean(0).sqrt()
    for layer, name in _layers(run.model):
        if run.course.norms[0][layer] > 0:
            predicted = equilibrium_angle(recipe.lr, *_decay(recipe))
            yield {"layer": name, "angle": float(late[layer]), "predicted_angle": predicted}


def _find_pairs(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Runs that differ in a normal or matched start alone."""
    found = {(run.variant, run.compression): run for run in runs}
    return [
        (run, found[run.variant + MATCHED, run.compression])
        for run in runs
        if (run.variant + MATCHED, run.compression) in found
    ]


def _memory_rows(normal: Run, matched: Run, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """When the norms agree, measured and predicted with the gradients of the normal run for both.

    The matched start is predicted too: the normal one's norm times the expected ratio.
    """
    one, other = torch.stack(normal.course.norms), torch.stack(matched.course.norms)
    rates, unit = normal.course.rates, _unit(normal.course)
    ratios = matched.expected_ratios / normal.expected_ratios
    expected_one = follow(one[0], rates, unit, *_decay(recipe)).norms
    expected_other = follow(one[0] * ratios.sqrt(), rates, unit, *_decay(recipe)).norms
    for layer, name in _layers(normal.model):
        yield {
            "layer": name,
            "step": 1 + first_agreement(one[:, layer], other[:, layer], AGREEMENT),
            "predicted_step": 1
            + first_agreement(expected_one[:, layer], expected_other[:, layer], AGREEMENT),
        }


def _shorten(value: Any) -> Any:
    """A number of the table without the digits that nobody reads."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
