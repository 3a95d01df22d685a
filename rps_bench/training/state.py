"""What a training run holds between two steps: enough to go on as if it had never stopped.

Every epoch draws its order and augmentation from the seed and its own number, so no generator's
state is part of it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from safetensors import SafetensorError

from rps_bench.core import checks
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.tensor_bytes import read_header, read_safetensors, to_safetensors
from rps_bench.methods.map_state import KEY, name_difference

FORMAT = "rps_bench-state-1"
# Of an epoch's numbers, in files of versions that said test also where they meant validation.
EARLIER_NAMES = {"test_loss": "loss", "test_accuracy": "accuracy"}
MODEL, MOMENTUM = "model/", "momentum/"  # prefixes of the tensors' names in the file


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave: in training, and on the images that the run is evaluated on."""

    epoch: int  # from 1
    learning_rate: float  # of the last step
    train_loss: float  # mean over the images seen, augmented, before each step's update
    loss: float  # mean over the images of the evaluation
    accuracy: float  # percent, top-1
    train_seconds: float  # without the evaluation

    def __post_init__(self) -> None:
        checks.whole_number("epoch", self.epoch, 1)
        for key, value in asdict(self).items():
            checks.number(key, value)

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> Self:
        """The result that ``asdict`` described, here or in an earlier version.

        Raises:
            ValueError, LookupError, TypeError: It described none.
        """
        return cls(**{EARLIER_NAMES.get(key, key): value for key, value in dict(values).items()})


@dataclass
class Outcome:
    """What a training run gave. ``divergence`` says where a diverged run ended, None otherwise.

    ``num_correct`` is of the last evaluation, by class; None before the first, and in files of
    versions that did not count by class. A diverged run counts the steps up to the one where the
    loss was looked at.
    """

    epochs: list[EpochResult] = field(default_factory=list)
    divergence: str | None = None
    train_seconds: float = 0.0  # without evaluation, a diverged epoch included
    num_images: int = 0  # seen in training
    num_correct: list[int] | None = None
    num_at_once: int = 1  # the most runs that trained at once on the device during this one

    def describe(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_description(cls, values: dict[str, Any]) -> Self:
        """The outcome that ``describe`` described.

        Raises:
            ValueError, LookupError, TypeError: It described none.
        """
        epochs = [EpochResult.from_description(epoch) for epoch in values["epochs"]]
        outcome = cls(**(values | {"epochs": epochs}))
        checks.number("train_seconds", outcome.train_seconds)
        checks.whole_number("num_images", outcome.num_images, 0)
        checks.whole_number("num_at_once", outcome.num_at_once, 1)
        for count in outcome.num_correct or ():
            checks.whole_number("num_correct", count, 0)
        if outcome.divergence is not None:
            checks.text("divergence", outcome.divergence)
        return outcome


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
        tensors: The compressed model's parameters, BatchNorm buffers and map by name, on the CPU.
        momentum: The optimizer's, by parameter name; empty before the first step.
        outcome: What the run gave so far; its images count those of ``part``, its seconds do not.
        part: What the run gave of the epoch at hand.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    momentum: dict[str, torch.Tensor]
    outcome: Outcome = field(default_factory=Outcome)
    part: EpochPart = EpochPart()

    def rewound(self, rows: torch.Tensor, encoded_map: torch.Tensor) -> "TrainingState":
        """The start of a new run from this state that stores only these rows of theta.

        Args:
            rows: (k,) int64 positions in ``stored``, ascending.
            encoded_map: Where they belong: the map of the new run's network.
        """
        stored = self.tensors["stored"][rows]
        tensors = self.tensors | {"stored": stored, KEY: encoded_map}
        momentum = dict(self.momentum)
        if momentum:
            momentum["stored"] = momentum["stored"][rows]
        return TrainingState(self.step, tensors, momentum)

    def require_fit(self, model: CompressedModel, steps: range) -> None:
        """Raise a ValueError unless a training of this model can be here, at one of these steps."""
        if difference := name_difference(model.get_extra_state(), self.tensors.get(KEY)):
            raise ValueError(difference)
        wanted = _describe(model.state_dict())
        parameters = _describe(dict(model.named_parameters()))
        if self.step not in steps:
            raise ValueError(f"step {self.step} is not one of its training")
        if _describe(self.tensors) != wanted:
            raise ValueError("its tensors are not those of the network")
        if any(parameters.get(name) != own for name, own in _describe(self.momentum).items()):
            raise ValueError("its momentum is not that of the network")


class StateKeeper(Protocol):
    """Where a training run leaves its state, to go on from or to come back to."""

    @property
    def snapshot_step(self) -> int | None:
        """Step before which to take the snapshot, None for no snapshot."""
        ...

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether to keep the state now; asked before every step."""
        ...

    def keep_snapshot(self, state: TrainingState) -> None:
        """Called once, before the step of the snapshot."""
        ...

    def keep_checkpoint(self, state: TrainingState) -> None:
        """Called after every epoch but the last, when one is due, and when training is cut off."""
        ...


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


def read_state(path: Path) -> TrainingState:
    """The state in a file.

    Raises:
        ValueError: Not the whole content of such a file.
        OSError: It cannot be read.
    """
    try:
        header, tensors = read_safetensors(path, FORMAT)
        outcome = Outcome.from_description(header["outcome"])
        step = int(header["step"])
        part = EpochPart(**header.get("part", {}))  # older files hold states between epochs only
    except (SafetensorError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"not a whole training state ({error})") from error
    return TrainingState(step, _named(tensors, MODEL), _named(tensors, MOMENTUM), outcome, part)


def read_step(path: Path) -> int:
    """Steps that are behind the state in a file; reads no tensor.

    Raises:
        ValueError, OSError: As in `read_state`.
    """
    try:
        return checks.whole_number("step", read_header(path, FORMAT)["step"], 0)
    except (SafetensorError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"not a whole training state ({error})") from error


def _describe(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """What tensors must have in common to stand for each other."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _named(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors with this prefix, under their names without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
