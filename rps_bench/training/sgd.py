"""Stochastic gradient descent with momentum and weight decay, as PyTorch computes it.

The numbers are PyTorch's own; its optimizer class is left out, which at its first use imports the
compiler behind ``torch.compile``: a second and more at the start of every process.
"""

from collections.abc import Iterable

import torch
from torch.optim.sgd import sgd

from rps_bench.training.recipe import Recipe


class Sgd:
    """The optimizer of one training.

    Attributes:
        parameters: What is trained.
        rate: The learning rate: a number, or on a GPU a scalar in its memory, where a captured step
            reads it.
        momentum: The buffers, each with its parameter's shape and strides; empty before the first
            step, and without momentum.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], recipe: Recipe) -> None:
        self.parameters = list(parameters)
        self.momentum: dict[torch.nn.Parameter, torch.Tensor] = {}
        self.recipe = recipe
        device = self.parameters[0].device
        self.rate = torch.tensor(recipe.lr, device=device) if device.type == "cuda" else recipe.lr

    def set_rate(self, rate: float) -> None:
        """Take the next steps with this learning rate."""
        if isinstance(self.rate, torch.Tensor):
            self.rate.fill_(rate)
        else:
            self.rate = rate

    def zero_grad(self) -> None:
        """Let go of the gradients of the last step."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by their gradients; those without one stay."""
        with_gradient = [p for p in self.parameters if p.grad is not None]
        buffers: list[torch.Tensor | None] = [self.momentum.get(p) for p in with_gradient]
        sgd(
            list(with_gradient),
            [p.grad for p in with_gradient if p.grad is not None],
            buffers,
            fused=True,
            lr=self.rate,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.nesterov,
            weight_decay=self.recipe.weight_decay,
            dampening=0.0,
            maximize=False,
        )
        pairs = zip(with_gradient, buffers, strict=True)
        self.momentum.update({p: buffer for p, buffer in pairs if buffer is not None})
