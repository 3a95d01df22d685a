"""The training loop that repositories of the field use, as a baseline.

Images are PIL images, augmented one by one in a DataLoader's processes; tensors are NCHW in fp32;
every layer gathers its own weight by a stored index and sign for each number; the gradient is
scaled in a loop over the parameters; the loss is read after every step. torch.optim.SGD has its
defaults: it updates tensor by tensor on a CPU and several at once ("foreach") on a GPU.
"""

import copy
from collections.abc import Callable, Iterator, Mapping

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from rps_bench.datasets.base import Dataset, Split
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import split_weights
from rps_bench.training.recipe import Recipe

Batch = tuple[torch.Tensor, torch.Tensor]


class PilImages(TorchDataset[tuple[torch.Tensor, int]]):
    """A split in the form of torchvision's CIFAR10: an array (N, H, W, 3) and a list of labels."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.images = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels: list[int] = split.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def make_loader(
    dataset: Dataset, batch_size: int, num_workers: int, is_pinned: bool
) -> DataLoader[tuple[torch.Tensor, int]]:
    """A loader of the training images, shuffled and augmented anew in every epoch."""
    transform = transforms.Compose(
        [
            transforms.RandomCrop(dataset.image_size, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(dataset.mean, dataset.std),
        ]
    )
    return DataLoader(
        PilImages(dataset.train, transform),
        batch_size,
        shuffle=True,
        num_workers=num_workers,
        pin_memory=is_pinned,
        drop_last=True,  # all steps have equally many images
    )


class GatheredWeight(nn.Module):
    """A layer's weight, gathered from the repository by a stored index and sign for each number."""

    index: torch.Tensor
    sign: torch.Tensor

    def __init__(
        self, repository: nn.Parameter, index: torch.Tensor, coefficients: torch.Tensor
    ) -> None:
        super().__init__()
        self.repository = repository
        self.register_buffer("index", index.clone())
        self.register_buffer("sign", coefficients.sign())
        self.scale = float(coefficients.abs().max())  # one for the whole layer

    def forward(self) -> torch.Tensor:
        """The weight in the layer's shape."""
        weight: torch.Tensor = self.repository[self.index] * self.sign * self.scale
        return weight


class GatheredConv2d(nn.Module):
    """A convolution whose weight is gathered in every pass."""

    def __init__(self, layer: nn.Conv2d, weight: GatheredWeight) -> None:
        super().__init__()
        self.weight, self.bias = weight, layer.bias
        self.stride, self.padding, self.groups = layer.stride, layer.padding, layer.groups

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The layer's output."""
        weight = self.weight()
        return F.conv2d(images, weight, self.bias, self.stride, self.padding, groups=self.groups)


class GatheredLinear(nn.Module):
    """A linear layer whose weight is gathered in every pass."""

    def __init__(self, layer: nn.Linear, weight: GatheredWeight) -> None:
        super().__init__()
        self.weight, self.bias = weight, layer.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The layer's output."""
        return F.linear(inputs, self.weight(), self.bias)


def build_conventional(model: nn.Module, compressed: CompressedModel) -> nn.Module:
    """The dense network with gathered layers, with the map and initial values of ``compressed``."""
    network = copy.deepcopy(model)
    repository = nn.Parameter(compressed.stored.detach().clone())
    slots = split_weights(compressed.weight_map.slots(), compressed.layout)
    coefficients = split_weights(compressed.weight_map.coefficients(), compressed.layout)
    for (name, _), index, own in zip(compressed.layout, slots, coefficients, strict=True):
        place = name.removesuffix(".weight")
        parent, _, attribute = place.rpartition(".")
        gathered = _gather(network.get_submodule(place), GatheredWeight(repository, index, own))
        setattr(network.get_submodule(parent), attribute, gathered)
    return network


def _gather(layer: nn.Module, weight: GatheredWeight) -> nn.Module:
    if isinstance(layer, nn.Conv2d):
        return GatheredConv2d(layer, weight)
    assert isinstance(layer, nn.Linear)
    return GatheredLinear(layer, weight)


class ConventionalLoop:
    """Training the way it is usually written.

    Args:
        network: The result of ``build_conventional``, on its device.
        scales: For each parameter, the divisor of its gradient.
        loader: Yields batches.
        recipe: Settings of SGD; the learning rate stays that of the first epoch.
    """

    def __init__(
        self,
        network: nn.Module,
        scales: Mapping[nn.Parameter, torch.Tensor],
        loader: DataLoader[tuple[torch.Tensor, int]],
        recipe: Recipe,
    ) -> None:
        self.network, self.scales, self.loader = network.train(), scales, loader
        self.device = next(network.parameters()).device
        self.optimizer = torch.optim.SGD(
            network.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )
        # One iterator for all rounds, so that no round waits for loader processes to start.
        self.batches = self._load_batches()

    def _load_batches(self) -> Iterator[Batch]:
        while True:
            yield from self.loader

    def take_steps(self, num_steps: int) -> list[float]:
        """Train for `num_steps` steps; return their losses."""
        return [self.train_step(*next(self.batches)) for _ in range(num_steps)]

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """Train on a batch (B, 3, H, W) with labels (B,); return the loss before the update."""
        images = images.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        loss = F.cross_entropy(self.network(images), labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in self.network.parameters():
            if parameter.grad is not None and parameter in self.scales:
                parameter.grad = parameter.grad / self.scales[parameter]
        self.optimizer.step()
        return loss.item()


def build_loop(
    model: nn.Module,
    compressed: CompressedModel,
    loader: DataLoader[tuple[torch.Tensor, int]],
    recipe: Recipe,
) -> ConventionalLoop:
    """A loop that trains ``compressed`` in the conventional way."""
    network = build_conventional(model, compressed)
    repository = next(
        module.repository for module in network.modules() if isinstance(module, GatheredWeight)
    )
    return ConventionalLoop(network, {repository: compressed.gradient_scale()}, loader, recipe)
