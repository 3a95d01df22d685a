"""The training loop: whole-batch augmentation, one recovery of w a step, SGD."""

import copy
import math
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from rps_bench.datasets.base import Dataset
from rps_bench.datasets.probe import normalise
from rps_bench.engine.choose import training_by
from rps_bench.engine.names import PLAIN
from rps_bench.engine.threads import steadied
from rps_bench.methods.compressed import CompressedModel
from rps_bench.runtime.signals import undisturbed
from rps_bench.runtime.turns import let_others, most_at_once
from rps_bench.training.augmentation import EpochPlan, crop_and_flip, plan_epoch
from rps_bench.training.captured import CapturedSteps
from rps_bench.training.evaluation import evaluate
from rps_bench.training.precision import autocast
from rps_bench.training.progress import NoProgress, Progress
from rps_bench.training.recipe import Recipe
from rps_bench.training.schedule import learning_rate
from rps_bench.training.sgd import Sgd
from rps_bench.training.state import EpochPart, EpochResult, Outcome, StateKeeper, TrainingState

CHECK_EVERY = 20  # steps between looks at the loss: each look waits for the device


class NonFiniteLossError(ArithmeticError):
    """Training met a loss that is not finite: an outcome, not a crash."""


@dataclass(frozen=True)
class Training:
    """What is trained on and how: the same for every level of a chain, whatever the method.

    Attributes:
        dataset: On the device to train on, images uint8.
        recipe: The numbers of the training.
        seed: Of the data order and the augmentation.
        precision: fp32 or bf16.
        kernels: The set that training steps are done by, in full; evaluation is always plain.
    """

    dataset: Dataset
    recipe: Recipe
    seed: int
    precision: str
    kernels: str = PLAIN

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch."""
        return self.recipe.steps_per_epoch(len(self.dataset.train))

    @property
    def num_steps(self) -> int:
        """Steps of one whole training."""
        return self.steps_per_epoch * self.recipe.epochs


class Trainer:
    """One training of one compressed model: model, optimizer, step counter, and what it gave.

    Args:
        model: On the device to train on; changed in place.
        training: What to train on and how.
        progress: Called back now and then.
        keeper: Takes the training's state after epochs, and amid them; None: it is not kept.
    """

    def __init__(
        self,
        model: CompressedModel,
        training: Training,
        progress: Progress | None = None,
        keeper: StateKeeper | None = None,
    ) -> None:
        self.model, self.training, self.keeper = model, training, keeper
        self.dataset, self.recipe = training.dataset, training.recipe
        self.progress = progress or NoProgress()
        self.dtype = model.stored.dtype
        self.optimizer = Sgd(model.parameters(), training.recipe)
        self.outcome, self.step, self.is_amid_step = Outcome(), 0, False
        self.steps_per_epoch = training.steps_per_epoch
        device = training.dataset.train.images.device
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.num_images, self.train_seconds = 0, 0.0  # of the epoch at hand, as the sum of losses
        self.captured = CapturedSteps() if device.type == "cuda" else None

    def train(self, start: TrainingState | None = None) -> Outcome:
        """Train to the end of the recipe, evaluating after every epoch; return what it gave.

        A loss that is not finite ends the training, as an outcome.

        Args:
            start: Where to go on from, possibly amid an epoch; None: the model as it is, at step 0.

        Raises:
            KeyboardInterrupt: The run was asked to stop; the keeper has its state.
        """
        if start is not None:
            self.restore(start)
        self._train()
        self._count_others()
        return self.outcome

    def _train(self) -> None:
        """Train the epochs that are left."""
        try:
            for epoch in range(self.epoch, self.recipe.epochs + 1):
                self.train_epoch(epoch)
                self._close(*self._evaluate(epoch))
                if epoch < self.recipe.epochs:
                    self._keep_checkpoint()
        except NonFiniteLossError as error:
            self.outcome.divergence = str(error)
            self.outcome.train_seconds += self.train_seconds
        except KeyboardInterrupt:
            if self._can_go_on:
                self._keep_checkpoint()
            raise

    def train_epoch(self, epoch: int) -> None:
        """Take the steps of an epoch that are not taken yet.

        Raises:
            NonFiniteLossError: The loss is not finite any more.
        """
        self.model.train()
        images = self.dataset.train.images
        plan = plan_epoch(len(images), self.dataset.flip, self.training.seed, epoch, images.device)
        started = time.perf_counter() - self.train_seconds
        try:
            with training_by(self.model, self.training.kernels):
                self._take_steps(epoch, plan, started)
        finally:
            self.train_seconds = time.perf_counter() - started

    def _take_steps(self, epoch: int, plan: EpochPlan, started: float) -> None:
        """As ``train_epoch``. The plan depends on the seed and the epoch alone, so that an epoch
        cut short goes on with the images that it has not seen.
        """
        num_done = self.step - (epoch - 1) * self.steps_per_epoch
        for position in range(num_done, self.steps_per_epoch):
            if self.keeper is not None and self.step == self.keeper.snapshot_step:
                self.keeper.keep_snapshot(self.state())
            self._keep_if_due(started)
            first = position * self.recipe.batch_size
            self.take_step(plan, slice(first, first + self.recipe.batch_size))
            # Only here does the host wait for the device, so other runs may go on meanwhile.
            if (position + 1) % CHECK_EVERY == 0 or position + 1 == self.steps_per_epoch:
                let_others()
                self._check(epoch)
        self._keep_if_due(started)

    def take_step(self, plan: EpochPlan, seen: slice) -> None:
        """Train on some images of the plan, and count them; no signal cuts a step."""
        inputs = plan.order[seen], plan.shifts[seen], plan.flips[seen]
        with undisturbed():
            self.is_amid_step = True
            self._set_rate()
            if self.captured is None:
                self._train_on(*inputs)
            else:
                self.captured.do(self._train_on, inputs)
            count = len(inputs[0])
            self.step, self.num_images = self.step + 1, self.num_images + count
            self.outcome.num_images += count
            self.is_amid_step = False

    def _train_on(self, rows: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor) -> None:
        """All that a step computes on the device: what is captured there.

        Args:
            rows: (B,) int64, which training images.
            shifts: (B, 2) int64, their crops.
            flips: (B,) bool.
        """
        with steadied(self.training.kernels):
            images, labels = self._batch(rows, shifts, flips)
            self.loss_sum += self.train_step(images, labels).detach().double() * len(labels)

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Go forward, backward and one SGD step; return the loss before the update.

        Args:
            images: (B, 3, H, W) normalised and augmented.
            labels: (B,) int64.
        """
        with autocast(self.training.precision, images.device):
            logits = self.model(images)
        loss = F.cross_entropy(logits.to(self.dtype), labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss

    @property
    def epoch(self) -> int:
        """The epoch at hand, from 1: that of the next step, or one that lacks its evaluation."""
        step = self.step - 1 if self.num_images > 0 else self.step
        return step // self.steps_per_epoch + 1

    def state(self) -> TrainingState:
        """A copy of the training's state between two steps."""
        self._count_others()
        tensors = {k: v.cpu().clone() for k, v in self.model.state_dict().items()}
        buffers = self.optimizer.momentum
        named = self.model.named_parameters()
        momentum = {name: buffers[p].cpu().clone() for name, p in named if p in buffers}
        part = EpochPart(float(self.loss_sum), self.num_images, self.train_seconds)
        return TrainingState(self.step, tensors, momentum, copy.deepcopy(self.outcome), part)

    def restore(self, state: TrainingState) -> None:
        """Go on from a state of the same training of the same model."""
        self.model.load_state_dict(state.tensors)
        for name, parameter in self.model.named_parameters():
            if name in state.momentum:
                # With the parameter's strides: fused SGD walks both through memory side by side.
                buffer = torch.empty_like(parameter).copy_(state.momentum[name])
                self.optimizer.momentum[parameter] = buffer
        self.step, self.outcome = state.step, copy.deepcopy(state.outcome)
        self._begin(state.part)

    def _begin(self, part: EpochPart) -> None:
        """Take up an epoch of which the steps before gave ``part``."""
        self.loss_sum.fill_(part.loss_sum)
        self.num_images, self.train_seconds = part.num_images, part.train_seconds

    def _evaluate(self, epoch: int) -> tuple[EpochResult, list[int]]:
        """Evaluate after an epoch's steps; return what the epoch gave, and hits by class.

        Raises:
            NonFiniteLossError: The loss of the evaluation is not finite.
        """
        found = evaluate(self.model, self.dataset, self.training.precision)
        if not math.isfinite(found.loss):
            raise NonFiniteLossError(f"test loss {found.loss} after epoch {epoch}")
        result = EpochResult(
            epoch,
            learning_rate(self.recipe, self.step - 1, self.steps_per_epoch),
            float(self.loss_sum) / self.num_images,
            found.loss,
            found.accuracy,
            self.train_seconds,
        )
        return result, found.num_correct

    def _close(self, result: EpochResult, num_correct: list[int]) -> None:
        """Count an evaluated epoch to what the training gave."""
        with undisturbed():
            self.outcome.num_correct = num_correct
            self.outcome.epochs.append(result)
            self.outcome.train_seconds += result.train_seconds
            self._begin(EpochPart())
            self.progress.show_epoch(result)

    @property
    def _can_go_on(self) -> bool:
        """Whether the state is one to go on from: between two steps, and not diverged."""
        is_finite = self.outcome.divergence is None and bool(self.loss_sum.isfinite())
        return is_finite and not self.is_amid_step

    def _keep_if_due(self, started: float) -> None:
        """Keep the state between two steps of an epoch begun at ``started``, if it is time."""
        if self.keeper is not None and self.keeper.is_checkpoint_due:
            self.train_seconds = time.perf_counter() - started
            self._keep_checkpoint()

    def _keep_checkpoint(self) -> None:
        if self.keeper is not None:
            self.keeper.keep_checkpoint(self.state())

    def _count_others(self) -> None:
        """Note how many trained at once; those of an earlier part of the training stay counted."""
        self.outcome.num_at_once = max(self.outcome.num_at_once, most_at_once())

    def _set_rate(self) -> None:
        """Let the optimizer have the learning rate of the step at hand."""
        rate = learning_rate(self.recipe, self.step, self.steps_per_epoch)
        self.optimizer.set_rate(rate)

    def _batch(
        self, rows: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented, normalised images (B, 3, H, W), channels last, and labels (B,)."""
        split = self.dataset.train
        cropped = crop_and_flip(split.images[rows], shifts, flips)
        dtype = self.dtype
        images = normalise(cropped, self.dataset.mean, self.dataset.std, dtype)
        return images.contiguous(memory_format=torch.channels_last), split.labels[rows]

    def _check(self, epoch: int) -> None:
        """Look at the loss, which waits for the device."""
        if not bool(self.loss_sum.isfinite()):
            raise NonFiniteLossError(f"training loss not finite by step {self.step}, epoch {epoch}")
        self.progress.show_step(self.step, self.training.num_steps)
