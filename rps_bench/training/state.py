"""What a training run holds between two steps: enough to go on as if it had never stopped.

Every epoch draws its order and augmentation from the seed and its own number, so no generator's
state is part of it.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors

FORMAT = "rps_bench-state-1"
MODEL, MOMENTUM = "model/", "momentum/"  # prefixes of the tensors' names in the file


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave; ``train_seconds`` leaves evaluation out."""

    epoch: int  # from 1
    learning_rate: float  # of the last step
    train_loss: float  # mean over the images seen, augmented, before each step's update
    test_loss: float
    test_accuracy: float  # percent
    train_seconds: float


@dataclass
class Outcome:
    """What a training run gave. ``divergence`` says where a diverged run ended, None otherwise.

    A diverged run counts the steps up to the one where the loss was looked at.
    """

    epochs: list[EpochResult] = field(default_factory=list)
    divergence: str | None = None
    train_seconds: float = 0.0  # without evaluation, a diverged epoch included
    num_images: int = 0  # seen in training

    def describe(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_description(cls, values: dict[str, Any]) -> Self:
        """The outcome that ``describe`` described."""
        epochs = [EpochResult(**epoch) for epoch in values["epochs"]]
        return cls(**(values | {"epochs": epochs}))


@dataclass(frozen=True)
class EpochPart:
    """What the steps of an epoch gave that is not evaluated yet; nothing between two epochs."""

    loss_sum: float = 0.0  # over the images, in float64
    num_images: int = 0
    train_seconds: float = 0.0


@dataclass(frozen=True)
class TrainingState:
    """A training run between two steps.

    Attributes:
        step: Steps of the schedule done.
        tensors: The compressed model's parameters and BatchNorm buffers by name, on the CPU.
        momentum: The optimizer's, by parameter name; empty before the first step.
        outcome: What the run gave so far; its images count those of ``part``, its seconds do not.
        part: What the run gave of the epoch at hand.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    momentum: dict[str, torch.Tensor]
    outcome: Outcome = field(default_factory=Outcome)
    part: EpochPart = EpochPart()

    def rewound(self, rows: torch.Tensor) -> "TrainingState":
        """The start of a new run from this state that stores only these rows of theta.

        Args:
            rows: (k,) int64 positions in ``stored``, ascending.
        """
        tensors = self.tensors | {"stored": self.tensors["stored"][rows]}
        momentum = dict(self.momentum)
        if momentum:
            momentum["stored"] = momentum["stored"][rows]
        return TrainingState(self.step, tensors, momentum)


def state_to_bytes(state: TrainingState) -> bytes:
    """A safetensors file's content."""
    tensors = {MODEL + name: tensor for name, tensor in state.tensors.items()}
    tensors |= {MOMENTUM + name: tensor for name, tensor in state.momentum.items()}
    header = {
        "step": state.step,
        "outcome": state.outcome.describe(),
        "part": asdict(state.part),
    }
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return to_safetensors(whole, {"format": FORMAT, "header": json.dumps(header)})


def state_from_bytes(data: bytes) -> TrainingState:
    """The state in a file's content.

    Raises:
        ValueError: Not the whole content of such a file.
    """
    try:
        tensors = from_safetensors(data)
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        header = json.loads(metadata["header"])
        if metadata["format"] != FORMAT:
            raise ValueError(f"not of the format {FORMAT}")
        outcome = Outcome.from_description(header["outcome"])
        step = int(header["step"])
        part = EpochPart(**header.get("part", {}))  # older files hold states between epochs only
    except (SafetensorError, LookupError, TypeError) as error:
        raise ValueError(f"not a whole training state ({error})") from error
    return TrainingState(step, _named(tensors, MODEL), _named(tensors, MOMENTUM), outcome, part)


def _named(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors with this prefix, under their names without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
