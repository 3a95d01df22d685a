"""A training that is watched layer by layer: norms, gradients and turnings of recovered weights."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import layer_ranges, split_weights
from rps_bench.methods.lending import lend_weights
from rps_bench.studies.turning import angle_between
from rps_bench.training.loop import NonFiniteLossError, Trainer, Training

NO_AUTOCAST = "fp32"  # the training loop's name for computing in the dtype of the parameters


@dataclass
class LayerCourse:
    """What each step did to each layer; lists of (L,) float64 tensors, an entry per step.

    Attributes:
        norms: |w| before the step, and once more after the last.
        gradients: |g|, of the loss by w.
        steps: |A S^-1 A' g|, what theta's scaled gradient is as a change of w.
        cosines: Of w and g, 0 for a scale-invariant layer.
        angles: Radians between w before and after the step.
        rates: The learning rate, a float for each step.
    """

    norms: list[torch.Tensor] = field(default_factory=list)
    gradients: list[torch.Tensor] = field(default_factory=list)
    steps: list[torch.Tensor] = field(default_factory=list)
    cosines: list[torch.Tensor] = field(default_factory=list)
    angles: list[torch.Tensor] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


class LayerTrainer(Trainer):
    """The ordinary trainer, except that it keeps the gradient by w and notes each layer's course.

    Its steps are those of the ordinary one, bit for bit.
    """

    course: LayerCourse

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Train one step, and note what it did; return its loss."""
        weights = self.model.weights()
        weights.retain_grad()
        with lend_weights(self.model.skeleton, split_weights(weights, self.model.layout)) as net:
            logits = net(images)
        loss = F.cross_entropy(logits.to(self.dtype), labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        before, gradient = weights.detach().clone(), weights.grad
        assert gradient is not None
        assert self.model.stored.grad is not None
        step = self.model.weight_map.expand(self.model.stored.grad).clone()
        self.optimizer.step()
        self._note(before, gradient, step)
        return loss

    @torch.no_grad()
    def _note(self, before: torch.Tensor, gradient: torch.Tensor, step: torch.Tensor) -> None:
        course, own = self.course, self._by_layer
        norms, gradients = own(before), own(gradient)
        products = self._split(before.double() * gradient.double())
        course.norms.append(norms)
        course.gradients.append(gradients)
        course.steps.append(own(step))
        inner = torch.stack([product.sum() for product in products])
        course.cosines.append(inner / (norms * gradients))
        pairs = zip(self._split(before), self._split(self.model.weights()), strict=True)
        course.angles.append(torch.stack([angle_between(one, other) for one, other in pairs]))
        course.rates.append(float(self.optimizer.rate))

    def _by_layer(self, flat: torch.Tensor) -> torch.Tensor:
        return torch.stack([piece.double().norm() for piece in self._split(flat)])

    def _split(self, flat: torch.Tensor) -> list[torch.Tensor]:
        return [flat[start:stop] for start, stop in layer_ranges(self.model.layout)]


def train_watched(model: CompressedModel, training: Training) -> LayerCourse:
    """Train to the end, or until the loss is not finite, without evaluating; in place."""
    trainer = LayerTrainer(model, training)
    trainer.course = LayerCourse()
    try:
        for epoch in range(1, training.recipe.epochs + 1):
            trainer.train_epoch(epoch)
    except NonFiniteLossError:  # the steps up to there are kept
        pass
    trainer.course.norms.append(trainer._by_layer(model.weights().detach()))
    return trainer.course


def scale_invariant_layers(model: nn.Module) -> list[int]:
    """Which compressible layers BatchNorm follows: the convolutions of the networks here."""
    layers = dict(model.named_modules())
    names = [name for name, layer in layers.items() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return [k for k, name in enumerate(names) if isinstance(layers[name], nn.Conv2d)]
