"""The training loop: whole-batch augmentation, one recovery of w a step, scaled gradients, SGD."""

import copy
import math
import time
from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F

from rps_bench.datasets.base import Dataset, Split
from rps_bench.datasets.probe import normalise
from rps_bench.methods.compressed import CompressedModel
from rps_bench.training.augmentation import crop_and_flip, plan_epoch
from rps_bench.training.evaluation import Evaluation, evaluate
from rps_bench.training.precision import autocast
from rps_bench.training.recipe import Recipe
from rps_bench.training.schedule import learning_rate
from rps_bench.training.state import EpochResult, Outcome, TrainingState

CHECK_EVERY = 20  # steps between looks at the loss: each look waits for the device


class NonFiniteLossError(ArithmeticError):
    """Training met a loss that is not finite: an outcome, not a crash."""


class StateKeeper(Protocol):
    """Where a training run leaves its state, to go on from or to come back to."""

    @property
    def snapshot_step(self) -> int | None:
        """Step before which to take the snapshot, None for no snapshot."""
        ...

    def keep_snapshot(self, state: TrainingState) -> None:
        """Called once, before the step of the snapshot."""
        ...

    def keep_checkpoint(self, state: TrainingState) -> None:
        """Called after every epoch but the last."""
        ...


def train(
    model: CompressedModel,
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    precision: str,
    on_step: Callable[[int, int], None] = lambda step, num_steps: None,
    on_epoch: Callable[[EpochResult], None] = lambda result: None,
    start: TrainingState | None = None,
    keeper: StateKeeper | None = None,
) -> Outcome:
    """Train a compressed model to the end of the recipe, evaluating after every epoch.

    Args:
        model: On the device to train on; changed in place.
        dataset: On the same device, images uint8.
        recipe: What to do; the same for every method.
        seed: Of the data order and the augmentation.
        precision: fp32 or bf16.
        on_step: Called with (steps done, all steps) now and then.
        on_epoch: Called after each epoch's evaluation.
        start: Where to go on from, possibly amid an epoch; None: the model as it is, at step 0.
        keeper: Takes the run's state after epochs.
    """
    trainer = Trainer(model, dataset, recipe, seed, precision, on_step, keeper)
    if start is not None:
        trainer.restore(start)
    outcome = trainer.outcome
    for epoch in range(trainer.step // trainer.steps_per_epoch + 1, recipe.epochs + 1):
        started = time.perf_counter()
        try:
            train_loss = trainer.train_epoch(epoch)
        except NonFiniteLossError as error:
            outcome.divergence = str(error)
        seconds = time.perf_counter() - started
        outcome.train_seconds += seconds
        if outcome.divergence:
            break
        tested = evaluate(model, dataset, precision)
        if not math.isfinite(tested.loss):
            outcome.divergence = f"test loss {tested.loss} after epoch {epoch}"
            break
        result = _epoch_result(epoch, trainer.last_rate, train_loss, tested, seconds)
        outcome.epochs.append(result)
        on_epoch(result)
        if keeper is not None and epoch < recipe.epochs:
            keeper.keep_checkpoint(trainer.state())
    return outcome


def _epoch_result(
    epoch: int, rate: float, train_loss: float, tested: Evaluation, seconds: float
) -> EpochResult:
    return EpochResult(epoch, rate, train_loss, tested.loss, tested.accuracy, seconds)


class Trainer:
    """A training run: model, optimizer, step counter, and what it gave so far."""

    def __init__(
        self,
        model: CompressedModel,
        dataset: Dataset,
        recipe: Recipe,
        seed: int,
        precision: str,
        on_step: Callable[[int, int], None],
        keeper: StateKeeper | None = None,
    ) -> None:
        self.model, self.dataset, self.recipe = model, dataset, recipe
        self.seed, self.precision, self.on_step, self.keeper = seed, precision, on_step, keeper
        self.gradient_scale = model.gradient_scale()
        self.optimizer = build_optimizer(model, recipe)
        self.outcome, self.step, self.last_rate = Outcome(), 0, recipe.lr
        self.steps_per_epoch = recipe.steps_per_epoch(len(dataset.train))

    def state(self) -> TrainingState:
        """A copy of the run's state between two steps."""
        tensors = {k: v.cpu().clone() for k, v in self.model.state_dict().items()}
        buffers = {
            name: self.optimizer.state.get(parameter, {}).get("momentum_buffer")
            for name, parameter in self.model.named_parameters()
        }  # None before the first step, and without momentum
        momentum = {k: v.cpu().clone() for k, v in buffers.items() if v is not None}
        return TrainingState(self.step, tensors, momentum, copy.deepcopy(self.outcome))

    def restore(self, state: TrainingState) -> None:
        """Go on from a state of a run with the same model, dataset, recipe and seed."""
        self.model.load_state_dict(state.tensors)
        for name, parameter in self.model.named_parameters():
            if name in state.momentum:
                buffer = state.momentum[name].to(parameter, copy=True)
                self.optimizer.state[parameter]["momentum_buffer"] = buffer
        self.step, self.outcome = state.step, copy.deepcopy(state.outcome)

    def train_epoch(self, epoch: int) -> float:
        """One pass over the training images; returns the mean loss over the images seen.

        A run that starts amid an epoch leaves out what the steps before it have seen.

        Raises:
            NonFiniteLossError: The loss is not finite any more.
        """
        self.model.train()
        split = self.dataset.train
        device = split.images.device
        plan = plan_epoch(len(split), self.dataset.flip, self.seed, epoch, device)
        loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        first_image = self.outcome.num_images
        for position in range(self.step % self.steps_per_epoch, self.steps_per_epoch):
            seen = slice(position * self.recipe.batch_size, (position + 1) * self.recipe.batch_size)
            if self.keeper is not None and self.step == self.keeper.snapshot_step:
                self.keeper.keep_snapshot(self.state())
            images, labels = self._batch(
                split, plan.order[seen], plan.shifts[seen], plan.flips[seen]
            )
            loss_sum += self.train_step(images, labels).detach().double() * len(labels)
            if (position + 1) % CHECK_EVERY == 0 or position + 1 == self.steps_per_epoch:
                self._check(loss_sum, epoch)
        return float(loss_sum) / (self.outcome.num_images - first_image)

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Forward, backward, scale, SGD; returns the loss before the update.

        Args:
            images: (B, 3, H, W) normalised and augmented.
            labels: (B,) int64.
        """
        self.last_rate = learning_rate(self.recipe, self.step, self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = self.last_rate
        with autocast(self.precision, images.device):
            logits = self.model(images)
        loss = F.cross_entropy(logits.to(self.gradient_scale.dtype), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        assert self.model.stored.grad is not None
        self.model.stored.grad.div_(self.gradient_scale)
        self.optimizer.step()
        self.step += 1
        self.outcome.num_images += len(labels)
        return loss

    def _batch(
        self, split: Split, rows: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented, normalised images (B, 3, H, W), channels last, and labels (B,)."""
        cropped = crop_and_flip(split.images[rows], shifts, flips)
        dtype = self.gradient_scale.dtype
        images = normalise(cropped, self.dataset.mean, self.dataset.std, dtype)
        return images.contiguous(memory_format=torch.channels_last), split.labels[rows]

    def _check(self, loss_sum: torch.Tensor, epoch: int) -> None:
        if not bool(loss_sum.isfinite()):
            raise NonFiniteLossError(f"training loss not finite by step {self.step}, epoch {epoch}")
        self.on_step(self.step, self.steps_per_epoch * self.recipe.epochs)


def build_optimizer(model: CompressedModel, recipe: Recipe) -> torch.optim.SGD:
    """SGD over theta, biases and BatchNorm alike."""
    return torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
