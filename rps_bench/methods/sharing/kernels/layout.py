"""What kernels know of a map: names and plain numbers, so that they need to import no map."""

from dataclasses import dataclass, field

import torch

Place = tuple[torch.device, torch.dtype]


@dataclass(frozen=True)
class Kernel:
    """What a kind of map runs on a GPU, by the names that its functions have in ``slots.py``.

    Names, because importing the functions imports Triton, which machines without a GPU may lack.

    Attributes:
        slots: From weights to slots.
        offsets: From slots back to weights, fold by fold; None where there is no way back.
        num_lanes: Weights of a program, a multiple of 128.
    """

    slots: str
    offsets: str | None = None
    num_lanes: int = 512

    def may_reduce(self) -> bool:
        """Whether A' g may go by kernel: always in a fixed order, in any order unless forbidden."""
        return self.offsets is not None or not torch.are_deterministic_algorithms_enabled()


@dataclass(frozen=True)
class KernelLayout:
    """One map in numbers.

    Attributes:
        kernel: What it runs.
        num_weights: n.
        num_stored: m.
        keys: 64-bit hash keys, signed: of slots, of signs.
        begins: Where each layer begins in the flat w.
        scales: lambda of each layer.
        constant: What else the kernel's code depends on.
        rows: What else it must know of the layers, a number per layer in each row.
        tables: The numbers above on each device and in each dtype where kernels have run, made by
            ``grid.py``. Kept here to live as long as the map: a CUDA graph reads them in place.
    """

    kernel: Kernel
    num_weights: int
    num_stored: int
    keys: tuple[int, int]
    begins: tuple[int, ...]
    scales: tuple[float, ...]
    constant: int = 0
    rows: tuple[tuple[int, ...], ...] = ()
    tables: dict[Place, tuple[torch.Tensor, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
